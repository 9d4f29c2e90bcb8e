package adopt

import (
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/fairway-dev/fairway/clusters/team"
)

// inTeams is where the account may what a team may.
const inTeams = "namespaces of teams"

// Right is a line of what the account may do, for people.
type Right struct {
	Where     string // "everywhere", "namespaces of teams", or a namespace
	Resources string // "deployments.apps, replicasets.apps"; with names "clusterroles.rbac.authorization.k8s.io named fairway-agent"
	Verbs     string // "get, list"
}

// Rights are what objects of Want give, in their order.
func Rights(objs []*unstructured.Unstructured) ([]Right, error) {
	var out []Right
	for _, obj := range objs {
		where := obj.GetNamespace()
		switch {
		case obj.GetName() == team.RoleName:
			where = inTeams
		case obj.GetName() == team.RoleTry:
			out = append(out, Right{inTeams, "what is in ClusterRoles labelled " + team.LabelAggregate + "=true", "what is there"})
			continue
		case obj.GetKind() == "ClusterRole":
			where = "everywhere"
		case obj.GetKind() == "ClusterRoleBinding" && obj.GetName() == manageName:
			out = append(out, Right{"everywhere", "everything, as Kubernetes' cluster-admin", "any"})
			continue
		case obj.GetKind() != "Role":
			continue
		}
		var role rbacv1.ClusterRole // a Role has the same fields
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, &role); err != nil {
			return nil, err
		}
		for _, rule := range role.Rules {
			out = append(out, Right{where, resourcesOf(rule), strings.Join(rule.Verbs, ", ")})
		}
	}
	return out, nil
}

func resourcesOf(rule rbacv1.PolicyRule) string {
	var all []string
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			all = append(all, strings.TrimSuffix(resource+"."+group, "."))
		}
	}
	text := strings.Join(all, ", ")
	if len(rule.ResourceNames) > 0 {
		text += " named " + strings.Join(rule.ResourceNames, ", ")
	}
	return text
}
