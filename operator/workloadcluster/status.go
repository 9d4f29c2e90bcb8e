package workloadcluster

import (
	"cmp"
	"fmt"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/steps"
)

// stepConditions are the conditions of the steps, in their order.
var stepConditions = []string{
	fleetv1.ConditionReachable, fleetv1.ConditionFluxReady, fleetv1.ConditionSynced, fleetv1.ConditionAgentConnected,
}

var owned = steps.Owned(append([]string{fleetv1.ConditionAccessRenewed, fleetv1.ConditionSurveyed, fleetv1.ConditionProfilePublished,
	fleetv1.ConditionConfigWritten}, stepConditions...)...)

// report writes what a pass found into the status. What it did not learn keeps its last value.
func report(p *pass) {
	status := &p.obj.Status
	if requested, ok := meta.ReconcileAnnotationValue(p.obj.Annotations); ok {
		status.SetLastHandledReconcileRequest(requested)
	}
	if !p.works() {
		reportRest(p.obj, p.rest)
		return
	}
	status.ID = p.obj.ID()
	status.KubernetesVersion = cmp.Or(p.version, status.KubernetesVersion)
	if p.cluster != nil {
		status.Cloud = p.cloud
		if p.flux != nil {
			status.Flux.Version, status.Flux.Digest = p.flux.Version, p.flux.Digest
		}
		status.Flux.Revision = cmp.Or(p.revision, status.Flux.Revision)
		status.Agent.Version = cmp.Or(p.agent.Version, status.Agent.Version)
		if p.agent.CredentialsExpire != nil {
			status.Agent.CredentialsExpire = p.agent.CredentialsExpire
		}
	}
	reportAccess(p)
	reportSurvey(p)
	reportConfig(p)
	steps.Report(p.obj, p.steps, readyMessage(p))
}

// reportConfig writes the condition of a file that Ready does not mind, and takes away one that tells of
// layers that the Fleet no longer has.
func reportConfig(p *pass) {
	switch {
	case layered(p.fleet):
	case p.config != nil:
		steps.Set(p.obj, *p.config)
	case p.cluster != nil: // it was looked whether there is anything to tell
		conditions.Delete(p.obj, fleetv1.ConditionConfigWritten)
	}
}

// reportSurvey writes a survey's condition and numbers. A cluster is well without one; what is known
// from an earlier one stays.
func reportSurvey(p *pass) {
	status := &p.obj.Status
	switch {
	case p.access.viaClusterAPI:
		conditions.Delete(p.obj, fleetv1.ConditionSurveyed)
		status.Survey = nil
	case p.surveyed != nil:
		steps.Set(p.obj, *p.surveyed)
		if p.survey != nil {
			status.Survey = p.survey
		}
	}
}

// reportRest says why nothing is done. The conditions of the steps stay as they were.
func reportRest(obj *fleetv1.WorkloadCluster, why rest) {
	conditions.Delete(obj, meta.ReconcilingCondition)
	if why.blocked {
		conditions.MarkStalled(obj, why.reason, "%s", why.message)
		conditions.MarkFalse(obj, meta.ReadyCondition, why.reason, "%s", why.message)
		return
	}
	conditions.Delete(obj, meta.StalledCondition)
	conditions.MarkUnknown(obj, meta.ReadyCondition, why.reason, "%s", why.message)
}

func readyMessage(p *pass) string {
	if p.obj.Spec.Mode == fleetv1.ModeObserve {
		return "observed: the agent is connected"
	}
	return fmt.Sprintf("Flux %s applied %s; the agent is connected",
		cmp.Or(p.obj.Status.Flux.Version, "of an unknown version"), p.obj.Status.Flux.Revision)
}
