package workloadcluster

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/adopt"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

func TestATokenIsRenewedWhenAThirdOfItsLifeIsLeft(t *testing.T) {
	from := time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC)
	for life, want := range map[time.Duration]time.Duration{
		10 * time.Minute: 6*time.Minute + 40*time.Second, 24 * time.Hour: 16 * time.Hour, 30 * 24 * time.Hour: 20 * 24 * time.Hour,
	} {
		if got := (lifetime{from, from.Add(life)}).due().Sub(from); got != want {
			t.Errorf("one of %s is renewed after %s, want %s", life, got, want)
		}
	}
}

// TestAdoptedAccount works on a real cluster with the rights that adopting gives, and no others. Its cases
// follow each other.
func TestAdoptedAccount(t *testing.T) {
	s := newSuite(t)
	s.makeFleet(t, nil)
	s.makeAccount(t, adopt.Want{Mode: fleetv1.ModeObserve})
	obj := s.adopt(t, "", "acquired", s.kubeconfigOfAccount(t))
	obj.Spec.Mode = fleetv1.ModeObserve
	s.annotate(t, obj, adopt.MinLife.String())

	t.Run("its rights are enough to observe", func(t *testing.T) {
		s.observe(t, obj)
		compare(t, obj, map[string]string{
			"Ready": "True/Succeeded", fleetv1.ConditionAccessRenewed: "True/Succeeded", fleetv1.ConditionAgentConnected: "True/Succeeded",
		})
		for _, right := range s.report(t, obj).MissingRights {
			if right.For == setAgent {
				t.Errorf("the agent takes a right that the account lacks: %+v", right)
			}
		}
		if end := obj.Status.Access.Expires; end == nil || time.Until(end.Time) > adopt.MinLife || time.Until(end.Time) <= 0 {
			t.Errorf("it ends at %v", end)
		}
	})
	t.Run("the token turns again and again, and no pass fails", func(t *testing.T) {
		for range 10 {
			before := s.kubeconfigOf(t, obj)
			s.clock.SetTime(time.Now().Add(7 * time.Minute))
			result, err := s.pass(t, obj)
			if err != nil || result.RequeueAfter <= 0 {
				t.Fatalf("%+v, %v", result, err)
			}
			if string(before) == string(s.kubeconfigOf(t, obj)) {
				t.Fatal("the token is the old one")
			}
			compare(t, obj, map[string]string{"Ready": "True/Succeeded", fleetv1.ConditionAccessRenewed: "True/Succeeded"})
			s.clock.SetTime(time.Now()) // tokens are of the real time
		}
	})
	t.Run("a token that is good is left alone", func(t *testing.T) {
		before := s.kubeconfigOf(t, obj)
		result, err := s.pass(t, obj)
		if err != nil || string(before) != string(s.kubeconfigOf(t, obj)) {
			t.Errorf("the token is another one: %v", err)
		}
		if result.RequeueAfter > adopt.MinLife*2/3 {
			t.Errorf("it is looked at again after %s, when it may have ended", result.RequeueAfter)
		}
	})
	t.Run("a life that cannot be is told of", func(t *testing.T) {
		s.annotate(t, obj, "a month")
		if _, err := s.pass(t, obj); err != nil {
			t.Fatal(err)
		}
		compare(t, obj, map[string]string{"Ready": "True/Succeeded", fleetv1.ConditionAccessRenewed: "False/RenewalFailed"})
		if text := message(obj, fleetv1.ConditionAccessRenewed); !strings.Contains(text, `is "a month"; write a duration from 10m0s`) {
			t.Errorf("message %q", text)
		}
		s.annotate(t, obj, adopt.MinLife.String())
	})
	t.Run("who may not renew is told of, and the cluster stays Ready", func(t *testing.T) { s.losesRight(t, obj) })
	t.Run("it leaves the fleet by itself", func(t *testing.T) {
		s.leave(t, obj)
		var agents corev1.SecretList
		if err := s.workload.Client.List(t.Context(), &agents, client.InNamespace(fleetv1.SystemNamespace)); err != nil || len(agents.Items) > 0 {
			t.Errorf("left behind: %v, %v", agents.Items, err)
		}
	})
}

// losesRight takes the right to ask for tokens from the account.
func (s *suite) losesRight(t *testing.T, obj *fleetv1.WorkloadCluster) {
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: adopt.Namespace, Name: "fairway-access"}}
	if err := s.workload.Client.Delete(t.Context(), role); err != nil {
		t.Fatal(err)
	}
	platformtest.Eventually(t, func(context.Context) string { // API servers learn of it in their own time
		s.clock.SetTime(time.Now().Add(7 * time.Minute))
		if _, err := s.pass(t, obj); err != nil {
			t.Fatal(err)
		}
		s.clock.SetTime(time.Now())
		if shows(obj, fleetv1.ConditionAccessRenewed) != "False/RenewalFailed" {
			return "AccessRenewed is " + shows(obj, fleetv1.ConditionAccessRenewed)
		}
		return ""
	})
	compare(t, obj, map[string]string{"Ready": "True/Succeeded"})
	if text := message(obj, fleetv1.ConditionAccessRenewed); !strings.Contains(text, "cannot be renewed") || !strings.Contains(text, "fairway adopt acquired, once more") {
		t.Errorf("message %q", text)
	}
}

// makeAccount makes the account on the workload cluster, as an administrator.
func (s *suite) makeAccount(t *testing.T, want adopt.Want) {
	t.Helper()
	for _, obj := range want.Objects() {
		if err := s.workload.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(obj), client.FieldOwner("test")); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *suite) kubeconfigOfAccount(t *testing.T) []byte {
	t.Helper()
	token, err := adopt.Token(t.Context(), s.workload.Client, adopt.MinLife)
	if err != nil {
		t.Fatal(err)
	}
	admin, err := remote.Config(s.workload.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := adopt.Kubeconfig(admin, token)
	if err != nil {
		t.Fatal(err)
	}
	return kubeconfig
}

func (s *suite) secretOf(t *testing.T, obj *fleetv1.WorkloadCluster) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{}
	if err := s.platform.Client.Get(t.Context(), client.ObjectKey{Namespace: obj.Namespace, Name: obj.Spec.Access.KubeconfigRef.Name}, secret); err != nil {
		t.Fatal(err)
	}
	return secret
}

func (s *suite) kubeconfigOf(t *testing.T, obj *fleetv1.WorkloadCluster) []byte {
	t.Helper()
	return s.secretOf(t, obj).Data[adopt.KeyKubeconfig]
}

// annotate marks the Secret for renewal.
func (s *suite) annotate(t *testing.T, obj *fleetv1.WorkloadCluster, life string) {
	t.Helper()
	secret := s.secretOf(t, obj)
	secret.Annotations = map[string]string{adopt.AnnotationTokenLife: life}
	if err := s.platform.Client.Update(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
}
