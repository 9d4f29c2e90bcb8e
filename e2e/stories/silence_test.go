package stories

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

// A cluster that is stopped is unknown within three heartbeat intervals, everything on it too;
// then it comes back.
func TestSilence(t *testing.T) {
	const id = fleet.Acquired
	shownReady(t, id, time.Minute) // a commit of the story before may still be rolling out
	if err := bank.Member(id).Stop(); err != nil {
		t.Fatal(err)
	}
	stopped := time.Now()
	restarted := false
	defer func() {
		if !restarted {
			_ = bank.Member(id).Start(context.WithoutCancel(t.Context()))
		}
	}()
	var (
		seen rest.ClusterDetail
		err  error
	)
	eventually(t, 4*heartbeat, id+" is unknown", func(ctx context.Context) (bool, string) {
		seen, err = bank.Cluster(ctx, id)
		return err == nil && seen.Status == rest.Unknown, fmt.Sprintf("%s, error %v", seen.Status, err)
	})
	// One second is the sweep and the poll; the bound counts from the last heartbeat before the stop.
	if took := time.Since(stopped); took > 3*heartbeat+time.Second {
		t.Errorf("unknown after %s, want within three intervals of %s", took, heartbeat)
	}
	for _, obj := range seen.Inventory {
		if obj.Status != rest.Unknown {
			t.Errorf("%s is shown as %s while its cluster is silent", obj.Object, obj.Status)
		}
	}
	out := bank.MustFairway(t, "get", "clusters")
	if !strings.Contains(out, "Unknown") {
		t.Errorf("fairway get clusters hides the silence:\n%s", out)
	}
	t.Logf("while it is silent:\n%s", out)

	began := time.Now()
	if err := bank.Member(id).Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	restarted = true
	// Until its node has told what it started anew, everything on it is as it was before.
	eventually(t, 4*time.Minute, "what runs on "+id+" was started anew", func(ctx context.Context) (bool, string) { return startedSince(ctx, id, began) })
	shownReady(t, id, 4*time.Minute)
	// Flux lost its API server, too, and starts anew at its own pace.
	eventually(t, 4*time.Minute, "Flux on "+id+" is back", func(ctx context.Context) (bool, string) { return fluxAvailable(ctx, id) })
	eventually(t, time.Minute, id+" is Ready", func(ctx context.Context) (bool, string) { return condition(ctx, id, "Ready") })
}

// shownReady waits until the fleet view shows the cluster with this id as Ready.
func shownReady(t *testing.T, id string, limit time.Duration) {
	t.Helper()
	eventually(t, limit, id+" is shown as Ready", func(ctx context.Context) (bool, string) {
		seen, err := bank.Cluster(ctx, id)
		return err == nil && seen.Status == rest.Ready, fmt.Sprintf("%s %s %s, error %v", seen.Status, seen.Reason, seen.Message, err)
	})
}

// startedSince says whether every container of Flux and of the agent on a cluster was started after a moment, and is ready.
func startedSince(ctx context.Context, id string, moment time.Time) (bool, string) {
	moment = moment.Truncate(time.Second) // as Kubernetes tells it
	for _, namespace := range []string{fleetv1.FluxNamespace, fleetv1.SystemNamespace} {
		var pods corev1.PodList
		if err := bank.Member(id).Client().List(ctx, &pods, client.InNamespace(namespace)); err != nil {
			return false, err.Error()
		}
		for _, pod := range pods.Items {
			for _, c := range pod.Status.ContainerStatuses {
				if c.State.Running == nil || c.State.Running.StartedAt.Time.Before(moment) || !c.Ready {
					return false, fmt.Sprintf("%s: ready %t, state %+v", pod.Name, c.Ready, c.State)
				}
			}
		}
	}
	return true, ""
}

func fluxAvailable(ctx context.Context, id string) (bool, string) {
	var list appsv1.DeploymentList
	if err := bank.Member(id).Client().List(ctx, &list, client.InNamespace(fleetv1.FluxNamespace)); err != nil {
		return false, err.Error()
	}
	for _, d := range list.Items {
		if d.Status.AvailableReplicas == 0 {
			return false, d.Name + " is not available"
		}
	}
	return len(list.Items) > 0, fmt.Sprintf("%d Deployments", len(list.Items))
}
