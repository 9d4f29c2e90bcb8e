package platformtest

import (
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Aggregate fills in the rules of aggregated ClusterRoles, as a controller does that does not run here. API servers learn of
// them in their own time.
func (c *Cluster) Aggregate(t *testing.T) {
	t.Helper()
	var roles rbacv1.ClusterRoleList
	if err := c.Client.List(t.Context(), &roles); err != nil {
		t.Fatal(err)
	}
	for i := range roles.Items {
		role := &roles.Items[i]
		if role.AggregationRule == nil {
			continue
		}
		role.Rules = nil
		for j := range role.AggregationRule.ClusterRoleSelectors {
			selector, err := metav1.LabelSelectorAsSelector(&role.AggregationRule.ClusterRoleSelectors[j])
			if err != nil {
				t.Fatal(err)
			}
			for _, other := range roles.Items {
				if other.Name != role.Name && selector.Matches(labels.Set(other.Labels)) {
					role.Rules = append(role.Rules, other.Rules...)
				}
			}
		}
		if err := c.Client.Update(t.Context(), role); err != nil {
			t.Fatal(err)
		}
	}
}
