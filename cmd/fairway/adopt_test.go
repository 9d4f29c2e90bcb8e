package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/apis/meta"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/adopt"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

func TestWhatCannotBeAdoptedIsRefusedBeforeAnythingIsAsked(t *testing.T) {
	const call = "adopt acquired-1 --kubeconfig k --environment prod"
	for args, want := range map[string]string{
		"adopt":                            "✗ adopt: give the cluster one name, not 0\n",
		"adopt Acquired -e prod":           `✗ adopt: "Acquired" cannot be a cluster's id` + "\n► use at most 63 lower-case",
		"adopt acquired-1 --kubeconfig k":  "✗ adopt: it has to join an environment\n► name it: --environment prod\n",
		"adopt acquired-1 -e prod":         "✗ adopt: which cluster is not said\n► give an administrator's kubeconfig",
		call + " --mode Watch":             "✗ adopt: there is no mode \"Watch\"\n► use Observe or Manage\n",
		call + " --flux Theirs":            "✗ adopt: \"Theirs\" is nobody's Flux\n► use Managed or Existing or TakeOver\n",
		call + " --token-life 1m":          "✗ adopt: a token cannot be good for 1m0s\n► use from 10m0s to 8760h0m0s\n",
		call + " --environment Production": "✗ adopt: \"Production\" cannot be an environment\n",
	} {
		if got := offline(t, args); got.code != 1 || got.out != "" || !strings.HasPrefix(got.errOut, want) {
			t.Errorf("%s: %+v, want %q", args, got, want)
		}
	}
}

func TestTheRightsCanBeSeenFirst(t *testing.T) {
	for name, args := range map[string]string{"adopt-observe.txt": "", "adopt-existing.txt": " --mode Manage --flux Existing", "adopt-manage.txt": " --mode Manage --token-life 24h"} {
		got := offline(t, "adopt acquired-1 --environment prod --dry-run"+args)
		if got.code != 0 || got.errOut != "" {
			t.Errorf("%+v", got)
		}
		golden(t, name, got.out)
	}
}

// acquisition is a platform and a cluster to adopt, both real API servers.
type acquisition struct {
	*platform
	member     *platformtest.Cluster
	kubeconfig string // of the member's administrator
}

// adopt calls the command for the member.
func (a *acquisition) adopt(t *testing.T, args string) result {
	t.Helper()
	return a.fairwayWith(t, "--platform-kubeconfig", "adopt acquired-1 --environment prod --kubeconfig "+a.kubeconfig+" "+args)
}

// secret is where the platform keeps the access.
func (a *acquisition) secret(t *testing.T) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{}
	if err := a.Client.Get(t.Context(), client.ObjectKey{Namespace: clustersNamespace, Name: "acquired-1-access"}, secret); err != nil {
		t.Fatal(err)
	}
	return secret
}

// TestAdoption runs on two real API servers. Its cases follow each other.
func TestAdoption(t *testing.T) {
	a := &acquisition{platform: startPlatform(t), member: platformtest.Workload(t), kubeconfig: filepath.Join(t.TempDir(), "acquired")}
	if err := os.WriteFile(a.kubeconfig, a.member.Kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	says := func(got result, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if got.code != 1 || !strings.Contains(got.errOut, text) {
				t.Errorf("%+v lacks %q", got, text)
			}
		}
	}
	t.Run("without the namespace it says how to make it", func(t *testing.T) {
		says(a.adopt(t, ""), "✗ apply WorkloadCluster clusters/acquired-1: ", "► make the namespace", "kubectl create namespace clusters")
		if err := a.member.Client.Get(t.Context(), client.ObjectKey{Name: adopt.Namespace}, &corev1.Namespace{}); !apierrors.IsNotFound(err) {
			t.Errorf("something was made on the cluster all the same: %v", err)
		}
	})
	a.Namespace(t, clustersNamespace)
	t.Run("the platform is not adopted", func(t *testing.T) {
		got := a.fairwayWith(t, "--platform-kubeconfig", "adopt acquired-1 --environment prod --kubeconfig "+a.platform.kubeconfig)
		says(got, "✗ adopt: --kubeconfig names the platform cluster itself")
	})
	t.Run("nor a cluster of Cluster API", func(t *testing.T) {
		platformtest.Create(t, a.Client, &fleetv1.WorkloadCluster{
			ObjectMeta: metav1.ObjectMeta{Namespace: clustersNamespace, Name: "eks"},
			Spec:       fleetv1.WorkloadClusterSpec{Environment: "prod", Access: fleetv1.Access{ClusterRef: &meta.LocalObjectReference{Name: "eks"}}},
		})
		says(a.fairwayWith(t, "--platform-kubeconfig", "adopt eks --environment prod --kubeconfig "+a.kubeconfig), "✗ adopt: eks is registered through Cluster API")
	})
	t.Run("it is observed first", func(t *testing.T) { a.observed(t) })
	t.Run("once more gives a new token and changes nothing else", func(t *testing.T) {
		before := a.secret(t)
		if got := a.adopt(t, ""); got.code != 0 {
			t.Fatalf("%+v", got)
		}
		if after := a.secret(t); string(after.Data[adopt.KeyKubeconfig]) == string(before.Data[adopt.KeyKubeconfig]) || after.UID != before.UID {
			t.Error("the Secret is as it was")
		}
	})
	t.Run("to manage it takes more, and to observe again gives that back", func(t *testing.T) { a.managedAndBack(t) })
	t.Run("another environment is refused, since it is for ever", func(t *testing.T) {
		says(a.adopt(t, "--environment dev"), "environment is immutable")
	})
}

func (a *acquisition) observed(t *testing.T) {
	got := a.adopt(t, "--token-life 1h")
	if got.code != 0 || !strings.Contains(got.out, "fairway-access/fairway-access on the cluster acquired-1 may, in mode Observe:") ||
		!strings.Contains(got.errOut, "✔ acquired-1 is adopted, in mode Observe\n► what it runs and what would clash: fairway describe cluster acquired-1 --survey") {
		t.Fatalf("%+v", got)
	}
	wc := &fleetv1.WorkloadCluster{}
	if err := a.Client.Get(t.Context(), client.ObjectKey{Namespace: clustersNamespace, Name: "acquired-1"}, wc); err != nil {
		t.Fatal(err)
	}
	secret := a.secret(t)
	if wc.Spec.Mode != fleetv1.ModeObserve || wc.Spec.Environment != "prod" || wc.Spec.Access.KubeconfigRef.Name != secret.Name {
		t.Errorf("%+v", wc.Spec)
	}
	if len(secret.OwnerReferences) != 1 || secret.OwnerReferences[0].UID != wc.UID || secret.Annotations[adopt.AnnotationTokenLife] != "1h0m0s" {
		t.Errorf("%+v", secret.ObjectMeta)
	}
	config, err := remote.Config(secret.Data[adopt.KeyKubeconfig])
	if err != nil {
		t.Fatal(err)
	}
	if len(config.CertData) > 0 || config.BearerToken == "" {
		t.Error("the administrator's credentials are in it")
	}
	account, err := client.New(config, client.Options{Scheme: platformtest.Scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	platformtest.Eventually(t, func(ctx context.Context) string { // API servers learn of roles in their own time
		if err := account.List(ctx, &appsv1.DeploymentList{}); err != nil {
			return err.Error()
		}
		return ""
	})
	if err := account.List(t.Context(), &corev1.SecretList{}); !apierrors.IsForbidden(err) {
		t.Errorf("it reads Secrets everywhere: %v", err)
	}
	if err := account.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "x"}}); !apierrors.IsForbidden(err) {
		t.Errorf("it writes where it has no business: %v", err)
	}
	escalating := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "fairway-agent"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: adopt.Namespace, Name: adopt.Account}}}
	if err := account.Create(t.Context(), escalating); !apierrors.IsForbidden(err) {
		t.Errorf("it gives itself more rights than it has: %v", err)
	}
}

func (a *acquisition) managedAndBack(t *testing.T) {
	all := func() bool {
		t.Helper()
		binding := &rbacv1.ClusterRoleBinding{}
		err := a.member.Client.Get(t.Context(), client.ObjectKey{Name: "fairway-access-manage"}, binding)
		if client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		return err == nil && binding.RoleRef.Name == "cluster-admin"
	}
	mode := func() fleetv1.Mode {
		t.Helper()
		wc := &fleetv1.WorkloadCluster{}
		if err := a.Client.Get(t.Context(), client.ObjectKey{Namespace: clustersNamespace, Name: "acquired-1"}, wc); err != nil {
			t.Fatal(err)
		}
		return wc.Spec.Mode
	}
	if got := a.adopt(t, "--mode Manage --flux Existing"); got.code != 1 || !strings.Contains(got.errOut, "► there is no Flux in flux-system; use --flux Managed") {
		t.Errorf("%+v", got)
	}
	if got := a.adopt(t, "--mode Manage"); got.code != 0 || !all() || mode() != fleetv1.ModeManage {
		t.Errorf("%+v, has all rights: %v, mode %s", got, all(), mode())
	}
	if got := a.adopt(t, ""); got.code != 0 || !all() || mode() != fleetv1.ModeManage || !strings.Contains(got.out, "in mode Manage:") {
		t.Errorf("without a mode it is not left as it is: %+v, has all rights: %v, mode %s", got, all(), mode())
	}
	if got := a.adopt(t, "--mode Observe"); got.code != 0 || all() || mode() != fleetv1.ModeObserve {
		t.Errorf("%+v, has all rights: %v, mode %s", got, all(), mode())
	}
}
