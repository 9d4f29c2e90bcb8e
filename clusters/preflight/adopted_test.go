package preflight

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/adopt"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/clusters/team"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

// adopted is a client of the account that Fairway has on a cluster whose Flux is its own.
func adopted(t *testing.T, cluster *platformtest.Cluster) client.Client {
	t.Helper()
	for _, obj := range (adopt.Want{Mode: fleetv1.ModeManage, Flux: fleetv1.FluxExisting}).Objects() {
		if err := cluster.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(obj), client.FieldOwner("test")); err != nil {
			t.Fatal(err)
		}
	}
	cluster.Aggregate(t)
	token, err := adopt.Token(t.Context(), cluster.Client, adopt.MinLife)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := adopt.Kubeconfig(cluster.Config, token)
	if err != nil {
		t.Fatal(err)
	}
	config, err := remote.Config(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: platformtest.Scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// All that a release takes can be done with the account's own rights, which docs/security.md lists.
func TestAnAdoptedClusterWithItsOwnFlux(t *testing.T) {
	cluster := platformtest.Workload(t)
	cluster.Namespace(t, fleetv1.FluxNamespace)
	c := adopted(t, cluster)
	for _, name := range []string{"payments", "payments", "checkout"} {
		if err := team.Apply(t.Context(), c, name); err != nil {
			t.Fatal(err)
		}
	}
	expect(t, c, pairs("a.yaml", config("a", ""), "b.yaml", web, "c.yaml", "apiVersion: v1\nkind: Service\nmetadata: {name: c}\nspec: {ports: [{port: 80, targetPort: 99999}]}\n"),
		`CheckFailed: Service/payments/c: Service "c" is invalid: spec.ports[0].targetPort: Invalid value: 99999: must be between 1 and 65535, inclusive`)

	t.Run("it changes no rights of teams", func(t *testing.T) {
		older := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: team.RoleName}}
		if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(older), older); err != nil {
			t.Fatal(err)
		}
		older.Rules = older.Rules[:1]
		if err := cluster.Client.Update(t.Context(), older); err != nil {
			t.Fatal(err)
		}
		if err := team.Apply(t.Context(), c, "payments"); !errors.Is(err, team.ErrRoles) || !strings.Contains(err.Error(), "fairway adopt") {
			t.Errorf("%v", err)
		}
	})
	t.Run("it takes away what it gave", func(t *testing.T) {
		sets, err := team.Sets(t.Context(), c)
		want := []string{"team-checkout", "team-payments", "teams"} // the last since it tried to write what it may not
		if diff := cmp.Diff(want, sets); diff != "" || err != nil {
			t.Fatalf("%v (-want +got):\n%s", err, diff)
		}
		for _, set := range sets {
			if left, err := flux.NewApplier(c).Remove(t.Context(), set); err != nil || len(left) > 0 {
				t.Errorf("remove %s: left %v, %v", set, left, err)
			}
		}
		if err := c.Get(t.Context(), client.ObjectKey{Name: team.RoleName}, &rbacv1.ClusterRole{}); err != nil {
			t.Errorf("what the administrator made: %v", err)
		}
	})
}
