package adopt

import (
	"maps"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/agent"
	"github.com/fairway-dev/fairway/clusters/team"
)

// The account on the cluster. Its namespace is not the agent's, which goes when the cluster leaves
// the fleet: who deletes this one takes the account away.
const (
	Namespace = "fairway-access"
	Account   = "fairway-access"
)

// Names of the account's roles, and of their bindings.
const (
	roleName   = "fairway-access"
	manageName = "fairway-access-manage"
	teamsName  = "fairway-access-teams"
)

const rbacGroup = "rbac.authorization.k8s.io"

// Want is what Fairway is to do on the cluster.
type Want struct {
	Mode fleetv1.Mode
	Flux fleetv1.FluxInstall // matters when Mode is Manage
}

// Objects are the account, its roles and their bindings, in the order in which they can be applied.
//
// To observe, it may read what a survey lists, write the agent's own objects, and ask for tokens of
// itself. To manage with the cluster's own Flux, it may also write what makes that Flux follow the
// config repository, and give teams, and itself in their namespaces, the rights of the ClusterRoles of clusters/team, which are
// made here. To install Flux, or to take it over, it is bound to Kubernetes' cluster-admin: Flux may do everything, and so can
// who gives Flux its rights, however short his own list looks.
func (w Want) Objects() []*unstructured.Unstructured {
	objs := []*unstructured.Unstructured{
		object("v1", "Namespace", "", Namespace, map[string]any{"metadata": map[string]any{"labels": map[string]any{
			"pod-security.kubernetes.io/enforce": "restricted", // no pod belongs here
		}}}),
		agent.Namespace(),
		object("v1", "ServiceAccount", Namespace, Account, map[string]any{"automountServiceAccountToken": false}),
		role("", everywhere()), binding("", roleName, "ClusterRole", roleName),
	}
	existing := w.Mode == fleetv1.ModeManage && w.Flux == fleetv1.FluxExisting
	if existing {
		objs = append(objs, named("", teamsName, teams()), binding("", teamsName, "ClusterRole", teamsName))
	}
	for _, place := range w.places() {
		objs = append(objs, role(place.namespace, place.rules), binding(place.namespace, roleName, "Role", roleName))
	}
	switch {
	case existing:
		objs = append(append(objs, team.Roles()...), mark(team.RoleForTrying()))
	case w.Mode == fleetv1.ModeManage:
		objs = append(objs, binding("", manageName, "ClusterRole", "cluster-admin"))
	}
	return objs
}

// Surplus are the roles and bindings that another Want would need and this one does not: they are to
// be deleted when a cluster that was managed is to be observed. What teams' accounts have stays, since Flux goes on.
func (w Want) Surplus() []*unstructured.Unstructured {
	have := map[string]bool{}
	key := func(obj *unstructured.Unstructured) string {
		return obj.GetKind() + "/" + obj.GetNamespace() + "/" + obj.GetName()
	}
	for _, obj := range w.Objects() {
		have[key(obj)] = true
	}
	var out []*unstructured.Unstructured
	for _, other := range []Want{{fleetv1.ModeManage, fleetv1.FluxManaged}, {fleetv1.ModeManage, fleetv1.FluxExisting}} {
		for _, obj := range other.Objects() {
			if k := key(obj); !have[k] && obj.GetName() != team.RoleName && obj.GetName() != team.RoleMore {
				have[k] = true
				out = append(out, obj)
			}
		}
	}
	return out
}

// place is a namespace and what the account may do there.
type place struct {
	namespace string
	rules     []any
}

func (w Want) places() []place {
	out := []place{
		{Namespace, []any{only(rule("", []string{"serviceaccounts/token"}, "create"), Account)}},
		{fleetv1.SystemNamespace, []any{
			rule("", []string{"secrets"}, "get", "list", "create", "patch", "delete"),
			rule("", []string{"configmaps", "serviceaccounts"}, "create", "patch", "delete"),
			rule("apps", []string{"deployments"}, "create", "patch", "delete"),
		}},
	}
	if w.Mode == fleetv1.ModeManage && w.Flux == fleetv1.FluxExisting {
		out = append(out, place{fleetv1.FluxNamespace, []any{
			rule("", []string{"secrets"}, "get", "create", "patch", "delete"),
			rule("", []string{"configmaps", "serviceaccounts"}, "create", "patch", "delete"),
			rule("source.toolkit.fluxcd.io", []string{"gitrepositories"}, "create", "patch", "delete"),
			rule("kustomize.toolkit.fluxcd.io", []string{"kustomizations"}, "create", "patch", "delete"),
		}})
	}
	return out
}

// everywhere is what the account may do in the whole cluster: read what a survey lists, hold what the
// agent may, since Kubernetes lets nobody give what he has not, and write the agent's own cluster-wide
// objects. Secrets are not among it.
func everywhere() []any {
	rules := agent.Rules()
	for _, kinds := range surveyed {
		rules = append(rules, rule(kinds.group, kinds.resources, "get", "list"))
	}
	for _, own := range []struct{ group, resource, name string }{
		{"", "namespaces", fleetv1.SystemNamespace},
		{rbacGroup, "clusterroles", agent.Name},
		{rbacGroup, "clusterrolebindings", agent.Name},
	} {
		rules = append(rules, rule(own.group, []string{own.resource}, "create"), only(rule(own.group, []string{own.resource}, "patch", "delete"), own.name))
	}
	return rules
}

// teams is what it takes to give teams their rights, and to ask whether they suffice.
func teams() []any {
	roles := []string{team.RoleName, team.RoleMore, team.RoleTry}
	return []any{
		rule(rbacGroup, []string{"rolebindings"}, "create"),
		only(rule(rbacGroup, []string{"rolebindings"}, "patch", "delete"), roles...),
		only(rule(rbacGroup, []string{"clusterroles"}, "bind"), roles...),
		rule("authorization.k8s.io", []string{"subjectaccessreviews"}, "create"),
	}
}

// surveyed are the kinds that a survey lists, beside those that the agent watches.
var surveyed = []struct {
	group     string
	resources []string
}{
	{"", []string{"configmaps", "limitranges", "namespaces", "persistentvolumeclaims", "persistentvolumes", "replicationcontrollers", "resourcequotas", "serviceaccounts", "services"}},
	{"apps", []string{"replicasets"}},
	{"batch", []string{"cronjobs"}},
	{"autoscaling", []string{"horizontalpodautoscalers"}},
	{"networking.k8s.io", []string{"ingressclasses", "ingresses", "networkpolicies"}},
	{"policy", []string{"poddisruptionbudgets"}},
	{rbacGroup, []string{"clusterrolebindings", "clusterroles", "rolebindings", "roles"}},
	{"storage.k8s.io", []string{"storageclasses"}},
	{"scheduling.k8s.io", []string{"priorityclasses"}},
	{"admissionregistration.k8s.io", []string{"mutatingwebhookconfigurations", "validatingwebhookconfigurations"}},
	{"apiextensions.k8s.io", []string{"customresourcedefinitions"}},
	{"apiregistration.k8s.io", []string{"apiservices"}},
	{"notification.toolkit.fluxcd.io", []string{"alerts", "providers", "receivers"}},
	{"image.toolkit.fluxcd.io", []string{"imagepolicies", "imagerepositories", "imageupdateautomations"}},
	{"argoproj.io", []string{"applications", "applicationsets", "appprojects"}},
}

func rule(group string, resources []string, verbs ...string) map[string]any {
	return map[string]any{"apiGroups": []any{group}, "resources": anys(resources), "verbs": anys(verbs)}
}

func only(rule map[string]any, names ...string) map[string]any {
	rule["resourceNames"] = anys(names)
	return rule
}

func anys(texts []string) []any {
	out := make([]any, len(texts))
	for i, text := range texts {
		out[i] = text
	}
	return out
}

// role is one of the name that most of the account's roles have.
func role(namespace string, rules []any) *unstructured.Unstructured {
	return named(namespace, roleName, rules)
}

// named is a Role, or a ClusterRole when there is no namespace.
func named(namespace, name string, rules []any) *unstructured.Unstructured {
	kind := "Role"
	if namespace == "" {
		kind = "ClusterRole"
	}
	return object(rbacGroup+"/v1", kind, namespace, name, map[string]any{"rules": rules})
}

// binding gives the account a role.
func binding(namespace, name, ofKind, of string) *unstructured.Unstructured {
	kind := "RoleBinding"
	if namespace == "" {
		kind = "ClusterRoleBinding"
	}
	return object(rbacGroup+"/v1", kind, namespace, name, map[string]any{
		"roleRef":  map[string]any{"apiGroup": rbacGroup, "kind": ofKind, "name": of},
		"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": Account, "namespace": Namespace}},
	})
}

func object(apiVersion, kind, namespace, name string, body map[string]any) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{}}
	maps.Copy(obj.Object, body)
	obj.SetAPIVersion(apiVersion)
	obj.SetKind(kind)
	obj.SetName(name)
	if namespace != "" {
		obj.SetNamespace(namespace)
	}
	return mark(obj)
}

// mark labels what goes with the account.
func mark(obj *unstructured.Unstructured) *unstructured.Unstructured {
	labels := map[string]string{}
	maps.Copy(labels, obj.GetLabels())
	labels["app.kubernetes.io/name"], labels["app.kubernetes.io/part-of"] = Account, "fairway"
	obj.SetLabels(labels)
	return obj
}
