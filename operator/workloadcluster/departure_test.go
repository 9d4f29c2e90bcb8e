package workloadcluster

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

func detaches(t *testing.T, s *suite) {
	s.makeFleet(t, nil)
	obj := s.ready(t, "detached")
	s.leave(t, obj)
	if err := s.workload.Client.Get(t.Context(), agentKey, fluxController("x", "")); !apierrors.IsNotFound(err) {
		t.Errorf("the agent is still there: %v", err)
	}
	if err := s.workload.Client.Get(t.Context(), client.ObjectKey{Namespace: fleetv1.FluxNamespace, Name: "source-controller"}, fluxController("x", "")); err != nil {
		t.Errorf("Flux is gone: %v", err)
	}
	err := s.platform.Client.Get(t.Context(), client.ObjectKey{Namespace: fleetv1.SystemNamespace, Name: "fairway-agent-detached"}, &corev1.Secret{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the credentials are still there: %v", err)
	}
	var keys corev1.Secret
	if err := s.platform.Client.Get(t.Context(), client.ObjectKey{Namespace: fleetv1.SystemNamespace, Name: "fairway-keys"}, &keys); err != nil {
		t.Fatal(err)
	}
	if len(keys.Data["revoked.json"]) == 0 {
		t.Error("nobody was revoked")
	}
	if said := s.said.of("detached"); len(said) == 0 || said[len(said)-1] != "deregistered" {
		t.Errorf("the fleet was not told: %v", said)
	}
}

// leave deletes a cluster and passes over it until it is gone. It plays the garbage collector, which
// does not run beside a bare API server.
func (s *suite) leave(t *testing.T, obj *fleetv1.WorkloadCluster) {
	t.Helper()
	if err := s.platform.Client.Delete(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	platformtest.Eventually(t, func(ctx context.Context) string {
		if _, err := s.Reconcile(ctx, ctrl.Request{NamespacedName: client.ObjectKeyFromObject(obj)}); err != nil {
			return err.Error()
		}
		s.workload.CollectGarbage(t)
		if err := s.platform.Client.Get(ctx, client.ObjectKeyFromObject(obj), obj); !apierrors.IsNotFound(err) {
			return "it is still there: " + message(obj, "Ready")
		}
		return ""
	})
}

func uninstalls(t *testing.T, s *suite) {
	s.makeFleet(t, nil)
	obj := s.ready(t, "uninstalled")
	obj.Spec.Deletion.Policy = fleetv1.DeletionUninstall
	if err := s.platform.Client.Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	s.leave(t, obj)
	if err := s.workload.Client.Get(t.Context(), client.ObjectKey{Namespace: fleetv1.FluxNamespace, Name: "source-controller"}, fluxController("x", "")); !apierrors.IsNotFound(err) {
		t.Errorf("Flux is still there: %v", err)
	}
}

func leavesByDeadline(t *testing.T, s *suite) {
	s.clock.SetTime(time.Now()) // a deadline is counted by the API server's clock; other tests have set this one ahead
	s.makeFleet(t, nil)
	obj := s.adopt(t, "", "gone", s.workload.Kubeconfig)
	if _, err := s.pass(t, obj); err != nil {
		t.Fatal(err)
	}
	var secret corev1.Secret
	if err := s.platform.Client.Get(t.Context(), client.ObjectKey{Namespace: "gone", Name: "gone"}, &secret); err != nil {
		t.Fatal(err)
	}
	remove(t, s.platform.Client, &secret)
	if err := s.platform.Client.Delete(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	result, err := s.pass(t, obj)
	if err != nil || result.RequeueAfter == 0 || shows(obj, "Ready") != "False/Deleting" {
		t.Fatalf("before the deadline: %+v, %v, %s", result, err, shows(obj, "Ready"))
	}
	now := s.clock.Now()
	defer s.clock.SetTime(now)
	s.clock.SetTime(now.Add(obj.Spec.Deletion.Deadline.Duration + time.Minute))
	for len(s.events.Events) > 0 {
		<-s.events.Events
	}
	if _, err := s.pass(t, obj); err != nil {
		t.Fatal(err)
	}
	if err := s.platform.Client.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); !apierrors.IsNotFound(err) {
		t.Fatalf("it outlives its deadline: %v", err)
	}
	if said := <-s.events.Events; !strings.Contains(said, fleetv1.ReasonLeftBehind) || !strings.Contains(said, "the agent on the cluster") {
		t.Errorf("the event does not say what was left: %s", said)
	}
}

func TestTheTimeForCleaningEndsWithTheLastPass(t *testing.T) {
	for name, c := range map[string]struct{ until, want time.Duration }{
		"a last pass that is far leaves this one its budget": {time.Hour, budget / 2},
		"one that is near ends this one":                     {10 * time.Second, 10 * time.Second},
		"the last one has one try":                           {0, lastTry},
		"so has one that comes late, because nobody looked":  {-time.Hour, lastTry},
	} {
		t.Run(name, func(t *testing.T) {
			if got := cleaningTime(c.until); got != c.want {
				t.Errorf("%s before the last pass: %s, want %s", c.until, got, c.want)
			}
		})
	}
}
