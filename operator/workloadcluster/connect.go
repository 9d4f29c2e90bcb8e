package workloadcluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/remote"
)

// ErrNoAccess: the platform has nothing to reach a cluster with yet; what wraps it says what it waits for.
var ErrNoAccess = errors.New("the cluster cannot be reached")

// Connect reaches a cluster for another reconciler, with the same connection that this one uses. Errors wrap ErrNoAccess or those of
// remote.Pool's Connect; after ErrPending it is to be called again.
func (r *Reconciler) Connect(ctx context.Context, obj *fleetv1.WorkloadCluster, patience time.Duration) (*remote.Cluster, error) {
	a, err := r.readAccess(ctx, obj)
	if err != nil {
		return nil, err
	}
	if outcome, missing := missing(a); missing {
		return nil, fmt.Errorf("%w: %s", ErrNoAccess, outcome.Message)
	}
	return r.Remotes.Connect(ctx, obj.ID(), a.kubeconfig, patience)
}
