package fleet

import (
	"testing"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/capi"
)

func selected(name string, labels map[string]string) capi.Cluster {
	return capi.Cluster{
		NamespacedName: types.NamespacedName{Namespace: "clusters", Name: name}, Labels: labels,
		Owner: metav1.OwnerReference{APIVersion: "cluster.x-k8s.io/v1beta2", Kind: "Cluster", Name: name, UID: "1"},
	}
}

func TestPlan(t *testing.T) {
	staging := map[string]string{fleetv1.LabelEnvironment: "staging"}
	leaving := selected("a", staging)
	leaving.Deleting = true
	existing := func(name, ref string) fleetv1.WorkloadCluster {
		wc := fleetv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "clusters", Name: name}}
		if ref != "" {
			wc.Spec.Access.ClusterRef = &meta.LocalObjectReference{Name: ref}
		}
		return wc
	}
	elsewhere := existing("a", "a")
	elsewhere.Namespace = "other"
	for name, c := range map[string]struct {
		selected        []capi.Cluster
		clusters        []fleetv1.WorkloadCluster
		create, refused []string
	}{
		"a selected Cluster joins its environment":              {selected: []capi.Cluster{selected("a", staging)}, create: []string{"clusters/a staging"}},
		"one without an environment is refused, with the fix":   {selected: []capi.Cluster{selected("a", nil)}, refused: []string{"clusters/a: set the label fleet.fairway.dev/environment to the environment that it joins"}},
		"one that has a WorkloadCluster of its name is left":    {selected: []capi.Cluster{selected("a", staging)}, clusters: []fleetv1.WorkloadCluster{existing("a", "")}},
		"one that a WorkloadCluster refers to is left":          {selected: []capi.Cluster{selected("a", nil)}, clusters: []fleetv1.WorkloadCluster{existing("b", "a")}},
		"one that is going away is left":                        {selected: []capi.Cluster{leaving}},
		"a WorkloadCluster of another namespace does not count": {selected: []capi.Cluster{selected("a", staging)}, clusters: []fleetv1.WorkloadCluster{elsewhere}, create: []string{"clusters/a staging"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := plan(c.selected, c.clusters)
			var create, refused []string
			for _, wc := range got.create {
				create = append(create, wc.Namespace+"/"+wc.Name+" "+wc.Spec.Environment)
				if len(wc.OwnerReferences) != 1 || wc.Spec.Access.ClusterRef == nil || wc.Spec.Access.ClusterRef.Name != wc.Name {
					t.Errorf("it neither is owned by its Cluster nor refers to it: %+v", wc)
				}
			}
			for _, each := range got.refused {
				refused = append(refused, each.String())
			}
			if diff := cmp.Diff([][]string{c.create, c.refused}, [][]string{create, refused}); diff != "" {
				t.Errorf("created and refused (-want +have):\n%s", diff)
			}
		})
	}
}

func TestRegistered(t *testing.T) {
	var many []refusal
	for _, name := range []string{"l", "k", "j", "i", "h", "g", "f", "e", "d", "c", "b", "a"} {
		many = append(many, refusal{selected(name, nil), "x"})
	}
	got := registered(12, many)
	want := "12 Cluster API Clusters cannot join: clusters/a: x; clusters/b: x; clusters/c: x; clusters/d: x; clusters/e: x; " +
		"clusters/f: x; clusters/g: x; clusters/h: x; clusters/i: x; clusters/j: x; and 2 more"
	if got.Message != want || got.Reason != fleetv1.ReasonNotRegistered {
		t.Errorf("got %s: %s", got.Reason, got.Message)
	}
	if got := registered(3, nil); got.Reason != fleetv1.ReasonSucceeded {
		t.Errorf("with nobody refused: %s", got.Reason)
	}
}

func TestCount(t *testing.T) {
	cluster := func(ready, connected metav1.ConditionStatus) fleetv1.WorkloadCluster {
		var wc fleetv1.WorkloadCluster
		wc.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: ready}, {Type: fleetv1.ConditionAgentConnected, Status: connected}}
		return wc
	}
	got := count([]fleetv1.WorkloadCluster{cluster("True", "True"), cluster("False", "True"), cluster("False", "Unknown"), {}})
	if diff := cmp.Diff(fleetv1.ClusterCounts{Total: 4, Ready: 1, Unknown: 2}, got); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}
