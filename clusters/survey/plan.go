package survey

import (
	"context"
	"fmt"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// compare looks for what stands in the place of the plan's objects.
func (l *look) compare(ctx context.Context, plan Plan) error {
	l.seen.TakeOver = plan.TakeOver
	left := 0
	for _, set := range plan.Sets {
		for _, obj := range set.Objects {
			if len(l.seen.Wanted) == maxWanted {
				left++
				continue
			}
			wanted, err := l.place(ctx, set.Name, obj)
			if err != nil {
				return err
			}
			l.seen.Wanted = append(l.seen.Wanted, wanted)
		}
	}
	if left > 0 {
		l.skip("whether %d more objects of Fairway's clash: only the first %d are looked for", left, maxWanted)
	}
	return nil
}

func (l *look) place(ctx context.Context, set string, obj *unstructured.Unstructured) (Wanted, error) {
	out := Wanted{Set: set, Kind: Kind{obj.GetAPIVersion(), obj.GetKind()}, Object: reference(obj.GetKind(), obj.GetNamespace(), obj.GetName())}
	if out.Kind.Kind == kindDefinition {
		out.Defines = definitionOf(obj, false)
	}
	if set == SetFlux && out.Kind.Kind == kindDeployment {
		out.Runs = controllerOf(obj)
	}
	r, served := l.byKind[out.Kind]
	if out.Served = served; !served {
		return out, nil
	}
	found, err := l.metadata.Resource(r.GroupVersionResource).Namespace(obj.GetNamespace()).Get(ctx, obj.GetName(), metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return out, nil
	case apierrors.IsForbidden(err):
		l.seen.Denied = append(l.seen.Denied, Right{For: set, Verb: "get", Group: r.Group, Resource: r.Resource, Namespace: obj.GetNamespace()})
		return out, nil
	case err != nil:
		return out, l.trouble(ctx, r, err)
	}
	object := objectOf(r, found)
	if out.Found = &object; out.Defines == nil && out.Runs == nil {
		return out, nil
	}
	live, err := l.objects.Resource(r.GroupVersionResource).Get(ctx, obj.GetName(), metav1.GetOptions{})
	if err != nil {
		return out, l.trouble(ctx, r, err)
	}
	if out.Defines != nil {
		out.Defined = definitionOf(live, true)
	}
	if out.Runs != nil {
		out.Running = controllerOf(live)
	}
	return out, nil
}

const (
	kindDefinition = "CustomResourceDefinition"
	kindDeployment = "Deployment"
)

// controllerOf reads a Deployment of Flux; nil when it does not look like one.
func controllerOf(obj *unstructured.Unstructured) *Controller {
	var d struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers []struct {
						Image string
						Args  []string
					}
				}
			}
		}
	}
	if err := decode(obj, &d); err != nil {
		return nil
	}
	out := &Controller{Version: short(obj.GetLabels()[labelVersion])}
	for _, c := range d.Spec.Template.Spec.Containers {
		out.Images = append(out.Images, short(c.Image))
		for _, arg := range c.Args {
			out.Args = append(out.Args, short(arg))
		}
	}
	return out
}

// definitionOf reads a CustomResourceDefinition; nil when it does not look like one. Of one on a
// cluster the stored versions are read as well.
func definitionOf(obj *unstructured.Unstructured, live bool) *Definition {
	var d struct {
		Spec struct {
			Group, Scope string
			Names        struct{ Kind, Plural string }
			Versions     []struct {
				Name   string
				Served bool
			}
		}
		Status struct{ StoredVersions []string }
	}
	if err := decode(obj, &d); err != nil {
		return nil
	}
	out := &Definition{Group: d.Spec.Group, Kind: d.Spec.Names.Kind, Plural: d.Spec.Names.Plural, Scope: d.Spec.Scope}
	for _, version := range d.Spec.Versions {
		if version.Served {
			out.Served = append(out.Served, version.Name)
		}
		if !live {
			out.Stored = append(out.Stored, version.Name)
		}
	}
	if live {
		out.Stored = d.Status.StoredVersions
	}
	return out
}

// review asks what the account may do of what the plan takes. Whoever may do all is asked once.
func (l *look) review(ctx context.Context, plan Plan) error {
	all, err := l.may(ctx, Right{Verb: "*", Group: "*", Resource: "*"}, "")
	if err != nil || all {
		return err
	}
	needed := l.needed(plan)
	if len(needed) > maxRights {
		l.skip("%d more rights: only the first %d are asked for", len(needed)-maxRights, maxRights)
		needed = needed[:maxRights]
	}
	for _, need := range needed {
		allowed, err := l.mayAll(ctx, need)
		if err != nil {
			return err
		}
		if !allowed && !slices.Contains(l.seen.Denied, need.Right) {
			l.seen.Denied = append(l.seen.Denied, need.Right)
		}
	}
	return nil
}

// need is a right, and the objects that it is needed for, unless it is needed for any.
type need struct {
	Right
	any   bool
	names []string
}

// mayAll says whether the account has a right, or has it for each object that it is needed for.
func (l *look) mayAll(ctx context.Context, n need) (bool, error) {
	allowed, err := l.may(ctx, n.Right, "")
	if err != nil || allowed || n.any {
		return allowed, err
	}
	for _, name := range n.names {
		if allowed, err := l.may(ctx, n.Right, name); err != nil || !allowed {
			return false, err
		}
	}
	return true, nil
}

func (l *look) may(ctx context.Context, right Right, name string) (bool, error) {
	resource, subresource, _ := strings.Cut(right.Resource, "/")
	answer, err := l.rights.Create(ctx, &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: right.Verb, Group: right.Group, Resource: resource, Subresource: subresource, Namespace: right.Namespace, Name: name,
		},
	}}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("ask for rights: %w", err)
	}
	return answer.Status.Allowed, nil
}

// applyVerbs are what server-side apply takes.
var applyVerbs = []string{"get", "create", "patch"}

// needed are the rights that applying the plan takes, each once: to write its objects, and to hold
// what its roles grant, since Kubernetes lets nobody grant what he has not.
func (l *look) needed(plan Plan) []need {
	var out []need
	known := map[Right]int{}
	add := func(right Right, name string) {
		i, ok := known[right]
		if !ok {
			i = len(out)
			known[right], out = i, append(out, need{Right: right})
		}
		if name == "" {
			out[i].any = true
			return
		}
		out[i].names = append(out[i].names, name)
	}
	for _, set := range plan.Sets {
		for _, obj := range set.Objects {
			group, resource := l.resourceOf(obj)
			for _, verb := range applyVerbs {
				name := obj.GetName()
				if verb == "create" { // what is not there yet has no name that a role could allow
					name = ""
				}
				add(Right{For: set.Name, Verb: verb, Group: group, Resource: resource, Namespace: obj.GetNamespace()}, name)
			}
			for _, right := range granted(set.Name, obj) {
				add(right, "")
			}
		}
	}
	return out
}

// resourceOf is the resource of an object, also of a kind that the cluster does not serve yet.
func (l *look) resourceOf(obj *unstructured.Unstructured) (group, name string) {
	gvk := obj.GroupVersionKind()
	if r, ok := l.byKind[Kind{obj.GetAPIVersion(), obj.GetKind()}]; ok {
		return r.Group, r.Resource
	}
	return gvk.Group, plural(gvk)
}

// plural is how Flux's and Kubernetes' kinds are named in plural.
func plural(gvk schema.GroupVersionKind) string {
	name := strings.ToLower(gvk.Kind)
	if stem, ok := strings.CutSuffix(name, "y"); ok {
		return stem + "ies"
	}
	return name + "s"
}

// granted are the rights that a role of the plan gives, and that who applies it must have.
func granted(set string, obj *unstructured.Unstructured) []Right {
	if kind := obj.GetKind(); obj.GroupVersionKind().Group != rbacv1.GroupName || kind != "ClusterRole" && kind != "Role" {
		return bound(set, obj)
	}
	var role struct{ Rules []rbacv1.PolicyRule }
	if err := decode(obj, &role); err != nil {
		return nil
	}
	var out []Right
	for _, rule := range role.Rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					out = append(out, Right{For: set, Verb: verb, Group: group, Resource: resource, Namespace: obj.GetNamespace()})
				}
			}
		}
	}
	return out
}

// bound is what a binding to a role that is not of the plan takes.
func bound(set string, obj *unstructured.Unstructured) []Right {
	role, _, err := unstructured.NestedString(obj.Object, "roleRef", "name")
	if err != nil || role != "cluster-admin" {
		return nil
	}
	return []Right{{For: set, Verb: "bind", Group: rbacv1.GroupName, Resource: "clusterroles"}}
}
