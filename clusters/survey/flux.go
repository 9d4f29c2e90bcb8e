package survey

import (
	"cmp"
	"context"
	"net/url"
	"slices"
	"strings"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Groups of Flux's kinds.
const (
	groupSource    = "source.toolkit.fluxcd.io"
	groupKustomize = "kustomize.toolkit.fluxcd.io"
	groupHelm      = "helm.toolkit.fluxcd.io"
)

// listFlux reads Flux's sources, and what applies them. Their status messages are left out: they
// may hold what a source's URL was called with.
func (l *look) listFlux(ctx context.Context, _ Plan) error {
	for _, r := range l.resources {
		var take func(*unstructured.Unstructured) error
		switch {
		case l.denied[r.String()]:
		case r.Group == groupSource && slices.Contains([]string{"GitRepository", "OCIRepository", "HelmRepository", "Bucket"}, r.kind):
			take = func(obj *unstructured.Unstructured) error {
				source, err := sourceOf(obj)
				l.seen.Sources = append(l.seen.Sources, source)
				return err
			}
		case r.Group == groupKustomize && r.kind == "Kustomization", r.Group == groupHelm && r.kind == "HelmRelease":
			take = func(obj *unstructured.Unstructured) error {
				reconciler, err := reconcilerOf(obj)
				l.seen.Reconcilers = append(l.seen.Reconcilers, reconciler)
				return err
			}
		}
		if take == nil {
			continue
		}
		if err := l.trouble(ctx, r, l.each(ctx, r, take)); err != nil {
			return err
		}
	}
	return nil
}

// each goes through the objects of one kind. One that cannot be read is told of.
func (l *look) each(ctx context.Context, r resource, take func(*unstructured.Unstructured) error) error {
	options := metav1.ListOptions{Limit: fullPage}
	for range maxFlux / fullPage {
		page, err := l.objects.Resource(r.GroupVersionResource).List(ctx, options)
		if err != nil {
			return err
		}
		for i := range page.Items {
			if err := take(&page.Items[i]); err != nil {
				l.skip("%v", err)
			}
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return nil
		}
	}
	l.skip("what %s beyond the first %d say", r, maxFlux)
	return nil
}

// fluxObject is what is read of any of Flux's objects.
type fluxObject struct {
	Spec struct {
		Suspend    bool
		URL        string
		Endpoint   string
		BucketName string
		Path       string
		Ref        struct{ Branch, Tag, SemVer, Name, Commit, Digest string }

		SourceRef objectReference
		ChartRef  objectReference
		Chart     struct {
			Spec struct {
				Chart     string
				SourceRef objectReference
			}
		}
		ReleaseName, TargetNamespace, StorageNamespace string
	}
	Status struct {
		Conditions []metav1.Condition
		Artifact   struct{ Revision string }
	}
}

type objectReference struct{ Kind, Namespace, Name string }

// status is how an object does, in a word.
func (o *fluxObject) status() string {
	ready := apimeta.FindStatusCondition(o.Status.Conditions, "Ready")
	switch {
	case o.Spec.Suspend:
		return "suspended"
	case ready == nil || ready.Status == metav1.ConditionUnknown:
		return "unknown"
	case ready.Status == metav1.ConditionTrue:
		return "Ready"
	}
	return cmp.Or(ready.Reason, "not ready")
}

func sourceOf(obj *unstructured.Unstructured) (Source, error) {
	out := Source{Kind: obj.GetKind(), Namespace: obj.GetNamespace(), Name: obj.GetName(), Status: "unknown"}
	var o fluxObject
	if err := decode(obj, &o); err != nil {
		return out, err
	}
	out.URL, out.Status, out.Revision = short(bare(o.Spec.URL)), o.status(), short(o.Status.Artifact.Revision)
	if out.Kind == "Bucket" {
		out.URL = short(strings.TrimPrefix(bare("//"+o.Spec.Endpoint), "//") + "/" + o.Spec.BucketName)
	}
	ref := o.Spec.Ref
	for _, each := range []struct{ word, value string }{
		{"commit", ref.Commit}, {"digest", ref.Digest}, {"ref", ref.Name}, {"semver", ref.SemVer}, {"tag", ref.Tag}, {"branch", ref.Branch},
	} {
		if each.value != "" {
			out.Reference = short(each.word + " " + each.value)
			break
		}
	}
	return out, nil
}

func reconcilerOf(obj *unstructured.Unstructured) (Reconciler, error) {
	out := Reconciler{Kind: obj.GetKind(), Namespace: obj.GetNamespace(), Name: obj.GetName(), Status: "unknown"}
	var o fluxObject
	if err := decode(obj, &o); err != nil {
		return out, err
	}
	from := o.Spec.SourceRef
	out.Path, out.Status = short(o.Spec.Path), o.status()
	if out.Kind == "HelmRelease" {
		out.Path = short(o.Spec.Chart.Spec.Chart)
		if from = o.Spec.Chart.Spec.SourceRef; from.Name == "" {
			from = o.Spec.ChartRef
		}
		out.Release = cmp.Or(o.Spec.StorageNamespace, out.Namespace) + "/" + releaseName(out.Name, o.Spec.ReleaseName, o.Spec.TargetNamespace)
	}
	if from.Name != "" {
		out.SourceKind, out.SourceNamespace, out.SourceName = from.Kind, cmp.Or(from.Namespace, out.Namespace), from.Name
	}
	return out, nil
}

// releaseName is how Flux names a release when nobody else does.
func releaseName(name, given, target string) string {
	if given == "" && target != "" {
		return target + "-" + name
	}
	return cmp.Or(given, name)
}

// bare is a URL without what may be secret in it: the user (a token may stand there, but for SSH),
// the password, the query and the fragment.
func bare(address string) string {
	if address == "" {
		return ""
	}
	parsed, err := url.Parse(address)
	if err != nil {
		return "(an address that is no URL)"
	}
	if parsed.User != nil {
		user := url.User(parsed.User.Username())
		if parsed.User = nil; parsed.Scheme == "ssh" {
			parsed.User = user
		}
	}
	parsed.RawQuery, parsed.ForceQuery, parsed.Fragment, parsed.RawFragment = "", false, "", ""
	if parsed.Opaque != "" && strings.Contains(parsed.Opaque, "@") {
		return "(an address that is no URL)"
	}
	return parsed.String()
}
