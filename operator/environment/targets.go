package environment

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/policy"
)

// Field is the index by which the WorkloadClusters of an environment are found.
const Field = "spec.environment"

// Index is the value of Field.
func Index(obj client.Object) []string {
	if wc, ok := obj.(*fleetv1.WorkloadCluster); ok {
		return []string{wc.Spec.Environment}
	}
	return nil
}

// Targets are the clusters that an environment's releases go to, by id: those that follow the config repository. One that leaves gets no
// more releases, and one whose mode is Observe never gets any.
func Targets(ctx context.Context, c client.Reader, name string) (map[string]*fleetv1.WorkloadCluster, error) {
	targets, _, err := clustersOf(ctx, c, name)
	return targets, err
}

// clustersOf are the targets of an environment, and how many clusters are to become such.
func clustersOf(ctx context.Context, c client.Reader, name string) (targets map[string]*fleetv1.WorkloadCluster, registering int, err error) {
	var list fleetv1.WorkloadClusterList
	if err := c.List(ctx, &list, client.MatchingFields{Field: name}); err != nil {
		return nil, 0, fmt.Errorf("list WorkloadClusters of %s: %w", name, err)
	}
	targets = map[string]*fleetv1.WorkloadCluster{}
	for i := range list.Items {
		wc := &list.Items[i]
		if wc.Spec.Mode == fleetv1.ModeObserve || !wc.DeletionTimestamp.IsZero() {
			continue
		}
		if !Follows(wc) {
			registering++
			continue
		}
		if have := targets[wc.ID()]; have == nil || wc.Older(have) {
			targets[wc.ID()] = wc
		}
	}
	return targets, registering, nil
}

// Follows says whether a cluster has ever applied a commit of the config repository.
func Follows(wc *fleetv1.WorkloadCluster) bool { return wc.Status.Flux.Revision != "" }

// Members are clusters as operator/policy sees them, ordered by id.
func Members(targets map[string]*fleetv1.WorkloadCluster) []policy.Cluster {
	out := make([]policy.Cluster, 0, len(targets))
	for _, id := range slices.Sorted(maps.Keys(targets)) {
		out = append(out, policy.Cluster{ID: id, Labels: targets[id].Labels})
	}
	return out
}
