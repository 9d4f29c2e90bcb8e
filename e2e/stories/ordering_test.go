package stories

import (
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

// One command orders a cluster from a cloud, and it joins the fleet by itself.
func TestAnOrderedClusterJoins(t *testing.T) {
	t.Parallel()
	for cloud, ordered := range map[string]struct{ id, region string }{
		"AWS": {"dev-aws-eu2", "eu-west-1"}, "Azure": {"dev-azure-eu2", "westeurope"},
	} {
		t.Run(cloud, func(t *testing.T) { t.Parallel(); ordersAndJoins(t, cloud, ordered.id, ordered.region) })
	}
}

func ordersAndJoins(t *testing.T, cloud, id, region string) {
	commit(t, "make room for "+id, fleet.ClusterFiles(id, fleet.Artifact))
	began := time.Now()
	out := bank.MustFairway(t, "create", "cluster", id, "--cloud", strings.ToLower(cloud), "--region", region,
		"--environment", "dev", "--kubernetes", "1.37", "--nodes", "1")
	if !strings.HasPrefix(out, "Cluster/"+id+"\n") || strings.Count(out, "\n") != 5 {
		t.Errorf("it printed:\n%s", out)
	}
	defer func() {
		cluster := &unstructured.Unstructured{}
		cluster.SetGroupVersionKind(schema.GroupVersionKind{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: "Cluster"})
		cluster.SetNamespace(fleet.Namespace)
		cluster.SetName(id)
		if err := bank.Deprovision(context.WithoutCancel(t.Context()), id, []*unstructured.Unstructured{cluster}); err != nil {
			t.Error(err)
		}
	}()
	if err := bank.Admit(t.Context(), cloud, id); err != nil {
		t.Fatal(err)
	}
	for _, wanted := range []string{fleetv1.ConditionAgentConnected, "Ready"} {
		eventually(t, 2*time.Minute, id+" is "+wanted, func(ctx context.Context) (bool, string) { return condition(ctx, id, wanted) })
	}
	t.Logf("%s: from the order to Ready %s", cloud, time.Since(began).Round(100*time.Millisecond))
	obj := &fleetv1.WorkloadCluster{}
	if err := bank.Platform.Client().Get(t.Context(), fleet.Key(id), obj); err != nil {
		t.Fatal(err)
	}
	if obj.Spec.Environment != "dev" || obj.Status.Cloud.Provider != cloud || obj.Status.Cloud.Region != region {
		t.Errorf("it joined %s in %+v, want dev in %s, %s", obj.Spec.Environment, obj.Status.Cloud, cloud, region)
	}
}
