package environment

import (
	"fmt"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// report writes what one pass found into the status.
func report(obj *fleetv1.Environment, found findings) {
	if requested, ok := meta.ReconcileAnnotationValue(obj.Annotations); ok {
		obj.Status.SetLastHandledReconcileRequest(requested)
	}
	if found.wavesErr == nil {
		obj.Status.Clusters = nil
		for _, wave := range found.waves {
			for _, id := range wave.Clusters {
				obj.Status.Clusters = append(obj.Status.Clusters, fleetv1.EnvironmentCluster{ID: id, Wave: wave.Name})
			}
		}
	}
	conditions.Delete(obj, meta.ReconcilingCondition)
	conditions.Delete(obj, meta.StalledCondition)
	broken := brokenPath(obj, found.path)
	switch {
	case found.wavesErr != nil:
		stalled(obj, fleetv1.ReasonWavesInvalid, found.wavesErr.Error()+"; mend spec.waves: nothing is released here until then")
	case broken != "":
		stalled(obj, fleetv1.ReasonPromotesFromMissing, broken)
	case len(obj.Status.Clusters) == 0:
		message := noClusters(obj, found.registering)
		conditions.MarkReconciling(obj, fleetv1.ReasonNoClusters, "%s", message)
		conditions.MarkFalse(obj, meta.ReadyCondition, fleetv1.ReasonNoClusters, "%s", message)
	default:
		conditions.MarkTrue(obj, meta.ReadyCondition, fleetv1.ReasonSucceeded, "%s", ready(obj))
	}
}

func stalled(obj *fleetv1.Environment, reason, message string) {
	conditions.MarkStalled(obj, reason, "%s", message)
	conditions.MarkFalse(obj, meta.ReadyCondition, reason, "%s", message)
}

func noClusters(obj *fleetv1.Environment, registering int) string {
	if registering > 0 {
		return fmt.Sprintf("none of its %d clusters follows the config repository yet; see their WorkloadClusters", registering)
	}
	return fmt.Sprintf("no WorkloadCluster of mode Manage has spec.environment %s; register one", obj.Name)
}

func ready(obj *fleetv1.Environment) string {
	var waves []string
	for i, cluster := range obj.Status.Clusters {
		if i == 0 || cluster.Wave != obj.Status.Clusters[i-1].Wave {
			waves = append(waves, cluster.Wave)
		}
	}
	return fmt.Sprintf("releases go to %s in %s: %s", count(len(obj.Status.Clusters), "cluster"), count(len(waves), "wave"), strings.Join(waves, ", "))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// brokenPath says what is wrong with the promotion path that ends in an environment; empty when nothing is.
func brokenPath(obj *fleetv1.Environment, all []fleetv1.Environment) string {
	from := map[string]string{}
	for _, env := range all {
		from[env.Name] = ""
		if env.Spec.PromotesFrom != nil {
			from[env.Name] = env.Spec.PromotesFrom.Environment
		}
	}
	walked, at := []string{obj.Name}, obj.Name
	if obj.Spec.PromotesFrom != nil { // the cache may have it as it was
		from[at] = obj.Spec.PromotesFrom.Environment
	}
	for from[at] != "" {
		next := from[at]
		if _, found := from[next]; !found {
			return fmt.Sprintf("spec.promotesFrom of %s names the Environment %s, which does not exist; create it, or name another", at, next)
		}
		walked = append(walked, next)
		if slices.Contains(walked[:len(walked)-1], next) {
			return fmt.Sprintf("its promotion path leads in a circle: %s; nothing can ever be released along it: take one spec.promotesFrom out",
				strings.Join(walked, " <- "))
		}
		at = next
	}
	return ""
}
