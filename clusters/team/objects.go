package team

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// ClusterRoles of teams' accounts.
const (
	RoleName = "fairway-team"      // what every team may
	RoleMore = "fairway-team-more" // what the platform team lets every team do beside that
	// RoleTry is both, for Fairway's own account where that is no administrator's: what it may not do itself it cannot try
	// out. It is there when clusters/adopt put it there.
	RoleTry = "fairway-team-try"
)

// LabelAggregate "true" on a ClusterRole adds its rights to those of every team's account.
const LabelAggregate = "fleet.fairway.dev/aggregate-to-team"

// SetRoles is the name of the set that flux.Applier knows the ClusterRoles by.
const SetRoles = "teams"

const (
	setPrefix = "team-"
	rbacGroup = "rbac.authorization.k8s.io"
	labelName = "app.kubernetes.io/name"
	maxName   = validation.LabelValueMaxLength - len(setPrefix)
)

// ErrName: the name cannot be a team's. The text of what wraps it says why.
var ErrName = errors.New("not a team's name")

// Valid says whether a team can have a name: it becomes that of a namespace, and must be none that clusters have anyway or that
// Fairway keeps for itself. Errors wrap ErrName.
func Valid(name string) error {
	switch {
	case len(validation.IsDNS1123Label(name)) > 0:
		return fmt.Errorf("%q is %w: it must be lower-case letters, digits and dashes, as a namespace is", name, ErrName)
	case len(name) > maxName:
		return fmt.Errorf("%q is %w: it has more than %d letters", name, ErrName, maxName)
	case name == "default", strings.HasPrefix(name, "kube-"):
		return fmt.Errorf("%q is %w: the namespace is Kubernetes' own", name, ErrName)
	case name == fleetv1.FluxNamespace, name == "fairway", strings.HasPrefix(name, "fairway-"):
		return fmt.Errorf("%q is %w: the namespace is Fairway's own", name, ErrName)
	}
	return nil
}

// Account is the name of a team's service account, in Flux's namespace.
func Account(team string) string { return "fairway-team-" + team }

// SetName is the name of the set that flux.Applier knows a team's objects by.
func SetName(team string) string { return setPrefix + team }

// Namespace is a team's namespace. It is in no set: what teams have there outlives Fairway.
func Namespace(team string) *unstructured.Unstructured {
	return of(team, object("v1", "Namespace", "", team, nil))[0]
}

// Objects are a team's account, and what binds it to Roles in Namespace. All three are to be there before services are.
func Objects(team string) []*unstructured.Unstructured {
	account := serviceAccount(fleetv1.FluxNamespace, Account(team))
	return of(team,
		object("v1", "ServiceAccount", fleetv1.FluxNamespace, Account(team), map[string]any{"automountServiceAccountToken": false}),
		binding(team, RoleName, account),
		binding(team, RoleMore, account),
	)
}

// ForTrying lets another service account try out what a team releases.
func ForTrying(team, namespace, name string) *unstructured.Unstructured {
	return of(team, binding(team, RoleTry, serviceAccount(namespace, name)))[0]
}

// Roles are the ClusterRoles that all teams of a cluster share.
func Roles() []*unstructured.Unstructured {
	return []*unstructured.Unstructured{
		object(rbacGroup+"/v1", "ClusterRole", "", RoleName, map[string]any{"rules": Rules()}),
		aggregated(RoleMore, map[string]any{LabelAggregate: "true"}),
	}
}

// RoleForTrying is the ClusterRole RoleTry.
func RoleForTrying() *unstructured.Unstructured {
	return aggregated(RoleTry, map[string]any{labelName: RoleName}, map[string]any{LabelAggregate: "true"})
}

// Rules are those of RoleName, as they stand in it. Nothing in them gives rights, or tokens, or reaches into containers; what
// gives a team less room than it wants (quotas, limits) is the platform's.
func Rules() []any {
	manage := []string{"get", "list", "watch", "create", "patch", "delete"}
	return []any{
		rule("", manage, "configmaps", "persistentvolumeclaims", "secrets", "serviceaccounts", "services"),
		rule("apps", manage, "daemonsets", "deployments", "statefulsets"),
		rule("batch", manage, "cronjobs", "jobs"),
		rule("autoscaling", manage, "horizontalpodautoscalers"),
		rule("networking.k8s.io", manage, "ingresses", "networkpolicies"),
		rule("policy", manage, "poddisruptionbudgets"),
		// Flux looks at them to say why a workload is not ready.
		rule("", manage[:3], "pods"),
		rule("apps", manage[:3], "replicasets"),
	}
}

func rule(group string, verbs []string, resources ...string) map[string]any {
	return map[string]any{"apiGroups": []any{group}, "resources": anys(resources), "verbs": anys(verbs)}
}

func anys(texts []string) []any {
	out := make([]any, len(texts))
	for i, text := range texts {
		out[i] = text
	}
	return out
}

// aggregated is a ClusterRole with the rights of those that have any of the labels. Kubernetes fills in its rules.
func aggregated(name string, labels ...map[string]any) *unstructured.Unstructured {
	var selectors []any
	for _, each := range labels {
		selectors = append(selectors, map[string]any{"matchLabels": each})
	}
	return object(rbacGroup+"/v1", "ClusterRole", "", name, map[string]any{
		"aggregationRule": map[string]any{"clusterRoleSelectors": selectors},
	})
}

// binding gives an account a ClusterRole in a namespace.
func binding(namespace, role string, account map[string]any) *unstructured.Unstructured {
	return object(rbacGroup+"/v1", "RoleBinding", namespace, role, map[string]any{
		"roleRef":  map[string]any{"apiGroup": rbacGroup, "kind": "ClusterRole", "name": role},
		"subjects": []any{account},
	})
}

func serviceAccount(namespace, name string) map[string]any {
	return map[string]any{"kind": "ServiceAccount", "namespace": namespace, "name": name}
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
	obj.SetLabels(map[string]string{labelName: RoleName, "app.kubernetes.io/part-of": "fairway"})
	return obj
}

// of marks objects as a team's.
func of(team string, objs ...*unstructured.Unstructured) []*unstructured.Unstructured {
	for _, obj := range objs {
		labels := obj.GetLabels()
		labels[fleetv1.LabelTeam] = team
		obj.SetLabels(labels)
	}
	return objs
}
