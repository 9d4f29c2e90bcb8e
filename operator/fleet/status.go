package fleet

import (
	"fmt"
	"slices"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/steps"
)

var owned = steps.Owned(fleetv1.ConditionConfigRepositoryReady, fleetv1.ConditionFluxArtifactReady,
	fleetv1.ConditionEventsReady, fleetv1.ConditionSettingsAccepted, fleetv1.ConditionClustersRegistered, fleetv1.ConditionFluxUpgraded)

// optional are the conditions that Ready does not mind. Clusters that cannot join are the business of who
// labels them, and those that wait for a newer Flux run with what they have: the fleet is well without.
var optional = []string{fleetv1.ConditionClustersRegistered, fleetv1.ConditionFluxUpgraded}

// report writes what one pass found into the status. What could not be learned this time keeps its
// last value.
func report(obj *fleetv1.Fleet, found findings) {
	status := &obj.Status
	status.Clusters = found.counts
	if found.revision != "" {
		status.ConfigRevision = found.revision
	}
	if found.version != "" {
		status.FluxVersion = found.version
	}
	if requested, ok := meta.ReconcileAnnotationValue(obj.Annotations); ok {
		status.SetLastHandledReconcileRequest(requested)
	}
	if found.upgrade != nil {
		status.FluxUpgrade = *found.upgrade
	}
	var needed []steps.Step
	for _, step := range found.steps {
		if slices.Contains(optional, step.Condition) {
			steps.Set(obj, step)
		} else {
			needed = append(needed, step)
		}
	}
	steps.Report(obj, needed, fmt.Sprintf("the config repository, Flux %s and the event bus can be used", status.FluxVersion))
}

// count counts clusters for the status. A cluster is unknown while its agent is not connected.
func count(clusters []fleetv1.WorkloadCluster) fleetv1.ClusterCounts {
	counts := fleetv1.ClusterCounts{Total: int32(len(clusters))}
	for i := range clusters {
		if conditions.IsReady(&clusters[i]) {
			counts.Ready++
		}
		if !conditions.IsTrue(&clusters[i], fleetv1.ConditionAgentConnected) {
			counts.Unknown++
		}
	}
	return counts
}
