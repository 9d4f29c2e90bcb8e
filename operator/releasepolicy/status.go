package releasepolicy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/google/uuid"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/artifact"
	"github.com/fairway-dev/fairway/operator/policy"
	"github.com/fairway-dev/fairway/operator/registry"
	"github.com/fairway-dev/fairway/operator/release"
)

const announceTimeout = 5 * time.Second

// announce tells the fleet of artifacts that were not seen before, the oldest first. Those that cannot be told are told at the next look.
// An artifact's event has the same id each time, so that one which is told twice counts once.
func (r *Reconciler) announce(ctx context.Context, p *pass) {
	if p.listErr != nil || p.fleet == nil || len(p.obj.Spec.AutoRelease) == 0 {
		return
	}
	var told []string
	for _, a := range slices.Backward(p.artifacts) {
		if !slices.Contains(p.obj.Status.Announced, a.ID) {
			if err := r.say(ctx, p.obj, a); err != nil {
				log.FromContext(ctx).V(1).Info("cannot announce an artifact; trying again", "artifact", a.ID, "reason", err.Error())
				continue
			}
		}
		told = append(told, a.ID)
	}
	p.obj.Status.Announced = told
}

func (r *Reconciler) say(ctx context.Context, obj *fleetv1.ReleasePolicy, a artifact.Artifact) error {
	e, err := event.NewArtifact(event.Artifact{
		Team: obj.Namespace, Service: obj.Spec.Service, ID: a.ID, Digest: a.Digest, Source: release.SourceOf(a.Metadata),
	}, a.Created.Time)
	if err != nil {
		return fmt.Errorf("make event: %w", err)
	}
	e.ID = uuid.NewSHA1(uuid.NameSpaceOID, []byte(strings.Join([]string{string(obj.UID), a.ID, a.Digest}, "/"))).String()
	ctx, cancel := context.WithTimeout(ctx, announceTimeout)
	defer cancel()
	return r.Announcer.Announce(ctx, e)
}

// report writes what one pass found into the status.
func report(p *pass) {
	status := &p.obj.Status
	if requested, ok := meta.ReconcileAnnotationValue(p.obj.Annotations); ok {
		status.SetLastHandledReconcileRequest(requested)
	}
	if p.listErr == nil {
		status.Newest = newest(p.obj, p.artifacts)
	}
	conditions.Delete(p.obj, meta.ReconcilingCondition)
	conditions.Delete(p.obj, meta.StalledCondition)
	problems := policy.Contradictions(p.obj, p.environments)
	switch {
	case len(problems) > 0:
		stalled(p.obj, fleetv1.ReasonPolicyContradicts, strings.Join(problems, "; "))
	case len(p.obj.Spec.AutoRelease) == 0:
		conditions.MarkTrue(p.obj, meta.ReadyCondition, fleetv1.ReasonSucceeded, "nothing is released by itself")
	case p.fleet == nil:
		working(p.obj, fleetv1.ReasonNoFleet, `there is no Fleet "default" yet; create it`)
	case errors.Is(p.listErr, registry.ErrNone):
		stalled(p.obj, fleetv1.ReasonNoArtifactStore, p.listErr.Error())
	case p.listErr != nil:
		working(p.obj, fleetv1.ReasonArtifactsAway, p.listErr.Error())
	default:
		conditions.MarkTrue(p.obj, meta.ReadyCondition, fleetv1.ReasonSucceeded, "%s", ready(p.obj))
	}
}

func stalled(obj *fleetv1.ReleasePolicy, reason, message string) {
	conditions.MarkStalled(obj, reason, "%s", message)
	conditions.MarkFalse(obj, meta.ReadyCondition, reason, "%s", message)
}

func working(obj *fleetv1.ReleasePolicy, reason, message string) {
	conditions.MarkReconciling(obj, reason, "%s", message)
	conditions.MarkFalse(obj, meta.ReadyCondition, reason, "%s", message)
}

func ready(obj *fleetv1.ReleasePolicy) string {
	var all []string
	for _, auto := range obj.Spec.AutoRelease {
		all = append(all, auto.Branch+" to "+auto.Environment)
	}
	return "released by themselves: " + strings.Join(all, ", ")
}

// newest are the newest artifacts of the branches that are released by themselves, by branch.
func newest(obj *fleetv1.ReleasePolicy, artifacts []artifact.Artifact) []fleetv1.NewestArtifact {
	var branches []string
	for _, auto := range obj.Spec.AutoRelease {
		branches = append(branches, auto.Branch)
	}
	slices.Sort(branches)
	var out []fleetv1.NewestArtifact
	for _, branch := range slices.Compact(branches) {
		at := slices.IndexFunc(artifacts, func(a artifact.Artifact) bool { return a.Branch == branch })
		if at >= 0 {
			out = append(out, fleetv1.NewestArtifact{Branch: branch, Artifact: artifacts[at].ID, Created: artifacts[at].Created})
		}
	}
	return out
}
