package stories

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/bench/cloud"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

// leaveBy is the deadline of a cluster that is gone for ever.
const leaveBy = 15 * time.Second

// A cluster that is adopted to be observed has its agent connected with the few rights that its account
// has. When it is gone for ever, it leaves the fleet by its deadline, and its agent gets onto the event bus
// no more.
func TestADeadClusterLeavesByItsDeadline(t *testing.T) {
	t.Parallel()
	const id = "dev-lost-1"
	objects := cloud.EKS(cloud.Request{Name: id, Namespace: fleet.Namespace, Environment: "dev", Region: "eu-west-1",
		Labels: map[string]string{fleetv1.LabelRegister: "false"}})
	if err := bank.Platform.Apply(t.Context(), objects...); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := bank.Deprovision(context.WithoutCancel(t.Context()), id, objects); err != nil {
			t.Error(err)
		}
	}()
	if err := bank.Admit(t.Context(), "AWS", id); err != nil {
		t.Fatal(err)
	}
	member, began := bank.Member(id), time.Now()
	bank.MustFairway(t, "adopt", id, "--kubeconfig", member.Kubeconfig, "--environment", "dev")
	for _, wanted := range []string{fleetv1.ConditionAccessRenewed, fleetv1.ConditionSurveyed, "Ready"} {
		eventually(t, 2*time.Minute, id+" is "+wanted, func(ctx context.Context) (bool, string) { return condition(ctx, id, wanted) })
	}
	t.Logf("from adopt to Ready %s", time.Since(began).Round(100*time.Millisecond))
	credentials := stolen(t, id)
	nc, err := dial(id, credentials)
	if err != nil {
		t.Fatalf("before it leaves: %v", err)
	}
	nc.Close()

	if err := member.Stop(); err != nil {
		t.Fatal(err)
	}
	leaves(t, id)
	// It was revoked when it began to leave; the hub looks for that every few seconds.
	eventually(t, 30*time.Second, "its agent is refused", func(context.Context) (bool, string) {
		nc, err := dial(id, credentials)
		if err == nil {
			nc.Close()
			return false, "it still gets onto the event bus"
		}
		return strings.Contains(err.Error(), "Authorization Violation"), err.Error()
	})
}

// leaves deletes a cluster that does not answer, and waits until it has left.
func leaves(t *testing.T, id string) {
	t.Helper()
	obj := &fleetv1.WorkloadCluster{}
	obj.Namespace, obj.Name = fleet.Namespace, id
	deadline := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"deletion":{"deadline":%q}}}`, leaveBy))
	if err := bank.Platform.Client().Patch(t.Context(), obj, deadline); err != nil {
		t.Fatal(err)
	}
	if err := bank.Platform.Client().Delete(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	deleted := time.Now()
	eventually(t, 2*leaveBy, id+" has left", func(ctx context.Context) (bool, string) {
		err := bank.Platform.Client().Get(ctx, fleet.Key(id), obj)
		return apierrors.IsNotFound(err), fmt.Sprintf("still there, error %v", err)
	})
	t.Logf("it left %s after it was deleted; its deadline was %s", time.Since(deleted).Round(100*time.Millisecond), leaveBy)
	eventually(t, 10*time.Second, "what is left behind is told", func(ctx context.Context) (bool, string) {
		var list eventsv1.EventList
		if err := bank.Platform.Client().List(ctx, &list, client.InNamespace(fleet.Namespace)); err != nil {
			return false, err.Error()
		}
		for _, e := range list.Items {
			if e.Regarding.Name == id && e.Reason == fleetv1.ReasonLeftBehind {
				t.Log(e.Note)
				return strings.Contains(e.Note, "the agent on the cluster"), e.Note
			}
		}
		return false, fmt.Sprintf("%d events, none of them", len(list.Items))
	})
}
