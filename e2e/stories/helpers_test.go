package stories

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

// members are the clusters that every story finds Ready.
var members = []string{fleet.AWS, fleet.Azure, fleet.Acquired}

func commit(t *testing.T, message string, files fleet.Files) (revision string) {
	t.Helper()
	revision, err := bank.Commit(t.Context(), message, files)
	if err != nil {
		t.Fatal(err)
	}
	return revision
}

func merge(sets ...fleet.Files) fleet.Files {
	all := fleet.Files{}
	for _, set := range sets {
		maps.Copy(all, set)
	}
	return all
}

func readyReplicas(t *testing.T, id string) int32 {
	t.Helper()
	var obj appsv1.Deployment
	key := client.ObjectKey{Namespace: fleet.Team, Name: fleet.Service}
	if err := bank.Member(id).Client().Get(t.Context(), key, &obj); err != nil {
		t.Fatal(err)
	}
	return obj.Status.ReadyReplicas
}

// syncFlux makes Flux on a cluster look for the commit now, as a webhook would.
func syncFlux(t *testing.T, id string) {
	t.Helper()
	if err := bank.Sync(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

// settle waits until every cluster is Ready with the newest commit: what the story before committed comes when Flux looks for it, and is no
// doing of this one.
func settle(t *testing.T) {
	t.Helper()
	head, err := bank.ConfigHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range members {
		syncFlux(t, id)
	}
	eventually(t, 2*time.Minute, "every cluster is Ready with the newest commit", func(ctx context.Context) (bool, string) {
		for _, id := range members {
			obj := &fleetv1.WorkloadCluster{}
			if err := bank.Platform.Client().Get(ctx, fleet.Key(id), obj); err != nil {
				return false, err.Error()
			}
			if !strings.HasSuffix(obj.Status.Flux.Revision, head) {
				return false, fmt.Sprintf("%s is at %s, not at %s", id, obj.Status.Flux.Revision, head)
			}
		}
		return allReady(ctx)
	})
}
