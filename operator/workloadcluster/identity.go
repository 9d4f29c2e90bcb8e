package workloadcluster

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// nameField is the index by which WorkloadClusters of one id are found in all namespaces.
const nameField = "metadata.name"

// holder is the WorkloadCluster that has the id of obj.
func (r *Reconciler) holder(ctx context.Context, obj *fleetv1.WorkloadCluster) (*fleetv1.WorkloadCluster, error) {
	var list fleetv1.WorkloadClusterList
	if err := r.List(ctx, &list, client.MatchingFields{nameField: obj.Name}); err != nil {
		return nil, fmt.Errorf("list WorkloadClusters named %s: %w", obj.Name, err)
	}
	return holderOf(obj, list.Items), nil
}

// holderOf decides who of those with one name has the id: the oldest, then the first by namespace.
// One that is going away keeps it until it is gone.
func holderOf(obj *fleetv1.WorkloadCluster, all []fleetv1.WorkloadCluster) *fleetv1.WorkloadCluster {
	holder := obj
	for i := range all {
		if all[i].Older(holder) {
			holder = &all[i]
		}
	}
	return holder
}
