package team

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

// as is a client that asks as an account in Flux's namespace, as Flux does.
func as(t *testing.T, cluster *platformtest.Cluster, account string) client.Client {
	t.Helper()
	config := rest.CopyConfig(cluster.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:flux-system:" + account}
	c, err := client.New(config, client.Options{Scheme: platformtest.Scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func configMap(namespace, name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

// eventually waits until the answer is that something is allowed: API servers learn of rights in their own time.
func eventually(t *testing.T, do func(context.Context) error) {
	t.Helper()
	platformtest.Eventually(t, func(ctx context.Context) string {
		if err := do(ctx); err != nil {
			return err.Error()
		}
		return ""
	})
}

func mustApply(t *testing.T, cluster *platformtest.Cluster, team string) {
	t.Helper()
	if err := Apply(t.Context(), cluster.Client, team); err != nil {
		t.Fatal(err)
	}
}

func TestATeamOnACluster(t *testing.T) {
	cluster := platformtest.Workload(t)
	cluster.Namespace(t, fleetv1.FluxNamespace)
	mustApply(t, cluster, "payments")
	mustApply(t, cluster, "checkout")
	t.Run("what is as it should be is not written", func(t *testing.T) { writesNothing(t, cluster) })
	t.Run("it may in its namespace and nowhere else", func(t *testing.T) { staysWithin(t, cluster) })
	t.Run("the platform adds rights by a label", func(t *testing.T) { isGivenMore(t, cluster) })
	t.Run("what somebody changed is mended", func(t *testing.T) { isMended(t, cluster) })
	t.Run("a namespace that is there is left as it is", func(t *testing.T) { keepsNamespace(t, cluster) })
	t.Run("a namespace of another team is refused", func(t *testing.T) { refusesNamespace(t, cluster) })
	t.Run("all but the namespace goes", func(t *testing.T) { leaves(t, cluster) })
}

func versions(t *testing.T, cluster *platformtest.Cluster) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, obj := range append(append(Roles(), Namespace("payments")), Objects("payments")...) {
		if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
			t.Fatal(err)
		}
		out[obj.GetKind()+"/"+obj.GetName()] = obj.GetResourceVersion()
	}
	return out
}

func writesNothing(t *testing.T, cluster *platformtest.Cluster) {
	before := versions(t, cluster)
	mustApply(t, cluster, "payments")
	if diff := cmp.Diff(before, versions(t, cluster)); diff != "" {
		t.Errorf("a second Apply wrote (-before +after):\n%s", diff)
	}
}

func staysWithin(t *testing.T, cluster *platformtest.Cluster) {
	c := as(t, cluster, Account("payments"))
	eventually(t, func(ctx context.Context) error {
		return client.IgnoreAlreadyExists(c.Create(ctx, configMap("payments", "settings")))
	})
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "default"}}
	if err := client.IgnoreAlreadyExists(c.Create(t.Context(), account.DeepCopy())); err != nil {
		t.Errorf("a service's own account: %v", err)
	}
	everything := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"get"}}}
	for what, do := range map[string]func() error{
		"in another team's namespace": func() error { return c.Create(t.Context(), configMap("checkout", "settings")) },
		"in Flux's namespace":         func() error { return c.Create(t.Context(), configMap(fleetv1.FluxNamespace, "settings")) },
		"other teams' Secrets":        func() error { return c.List(t.Context(), &corev1.SecretList{}, client.InNamespace("checkout")) },
		"namespaces": func() error {
			return c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "more"}})
		},
		"rights": func() error {
			return c.Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "x"}, Rules: everything})
		},
		"its own bindings": func() error {
			return c.Delete(t.Context(), &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: RoleName}})
		},
		"tokens": func() error {
			return c.SubResource("token").Create(t.Context(), account.DeepCopy(), &authenticationv1.TokenRequest{})
		},
	} {
		if err := do(); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want forbidden", what, err)
		}
	}
}

func isGivenMore(t *testing.T, cluster *platformtest.Cluster) {
	c := as(t, cluster, Account("payments"))
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "small"}}
	if err := c.Create(t.Context(), quota.DeepCopy()); !apierrors.IsForbidden(err) {
		t.Fatalf("%v, want forbidden", err)
	}
	platformtest.Create(t, cluster.Client, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "platform-quotas", Labels: map[string]string{LabelAggregate: "true"}},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"resourcequotas"}, Verbs: []string{"create"}}},
	})
	cluster.Aggregate(t)
	eventually(t, func(ctx context.Context) error { return client.IgnoreAlreadyExists(c.Create(ctx, quota.DeepCopy())) })
	mustApply(t, cluster, "payments")
	more := Roles()[1]
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(more), more); err != nil || more.Object["rules"] == nil {
		t.Errorf("Apply took what was aggregated: %v, %v", more.Object["rules"], err)
	}
}

func isMended(t *testing.T, cluster *platformtest.Cluster) {
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: RoleName}}
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(role), role); err != nil {
		t.Fatal(err)
	}
	want := role.DeepCopy().Rules
	role.Rules = role.Rules[:1]
	if err := cluster.Client.Update(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	mustApply(t, cluster, "payments")
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(role), role); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, role.Rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
}

func keepsNamespace(t *testing.T, cluster *platformtest.Cluster) {
	theirs := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "acquired", Labels: map[string]string{"owner": "somebody"}}}
	platformtest.Create(t, cluster.Client, theirs)
	mustApply(t, cluster, "acquired")
	after := &corev1.Namespace{}
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(theirs), after); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(theirs, after); diff != "" {
		t.Errorf("the namespace (-before +after):\n%s", diff)
	}
}

func refusesNamespace(t *testing.T, cluster *platformtest.Cluster) {
	platformtest.Create(t, cluster.Client,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "lent", Labels: map[string]string{fleetv1.LabelTeam: "checkout"}}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "going", Finalizers: []string{"example.com/stays"}}})
	if err := cluster.Client.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "going"}}); err != nil {
		t.Fatal(err)
	}
	for team, says := range map[string]string{"lent": "fleet.fairway.dev/team=checkout", "going": "is being deleted"} {
		if err := Apply(t.Context(), cluster.Client, team); !errors.Is(err, ErrTaken) || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", team, err)
		}
	}
	if err := Apply(t.Context(), cluster.Client, "kube-system"); !errors.Is(err, ErrName) {
		t.Errorf("kube-system: %v", err)
	}
}

func leaves(t *testing.T, cluster *platformtest.Cluster) {
	sets, err := Sets(t.Context(), cluster.Client)
	if diff := cmp.Diff([]string{"team-acquired", "team-checkout", "team-payments", "teams"}, sets); diff != "" || err != nil {
		t.Fatalf("%v (-want +got):\n%s", err, diff)
	}
	applier := flux.NewApplier(cluster.Client)
	for _, set := range sets {
		if left, err := applier.Remove(t.Context(), set); err != nil || len(left) > 0 {
			t.Errorf("remove %s: left %v, %v", set, left, err)
		}
	}
	for _, obj := range append(Roles(), Objects("payments")...) {
		if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); !apierrors.IsNotFound(err) {
			t.Errorf("%s %s: %v, want gone", obj.GetKind(), obj.GetName(), err)
		}
	}
	if err := cluster.Client.Get(t.Context(), client.ObjectKey{Namespace: "payments", Name: "settings"}, &corev1.ConfigMap{}); err != nil {
		t.Errorf("what the team has in its namespace: %v", err)
	}
	if sets, err := Sets(t.Context(), cluster.Client); err != nil || len(sets) > 0 {
		t.Errorf("sets %v, %v", sets, err)
	}
}
