package release

import (
	"fmt"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/gitrepo"
	"github.com/fairway-dev/fairway/operator/pointers"
	"github.com/fairway-dev/fairway/operator/policy"
)

// message is that of the commit of a step.
func message(p *pass, step policy.Step) gitrepo.Message {
	spec := &p.obj.Spec
	cause := pointers.Cause{
		Team: p.team(), Service: p.service(), Environment: spec.Environment, SourceCommit: p.input.Artifact.Source.Commit,
		Intent: spec.Intent, From: spec.From, RequestedBy: spec.RequestedBy, Release: nameOf(p.obj), Note: spec.Message,
	}
	for _, approval := range spec.Approvals {
		if approval.By != spec.RequestedBy {
			cause.ApprovedBy = append(cause.ApprovedBy, approval.By)
		}
	}
	for _, move := range step.Moves {
		cause.Targets = append(cause.Targets, pointers.Target{Cluster: move.Cluster, Artifact: move.Artifact})
	}
	if step.Do == policy.RollBack {
		cause.Failure = failureOf(p, step)
	}
	return pointers.Message(cause)
}

// failureOf is why a release is taken back: the first of its clusters that failed.
func failureOf(p *pass, step policy.Step) *pointers.Failure {
	out := &pointers.Failure{Artifact: p.obj.Spec.Artifact, Message: step.Evidence}
	for _, target := range p.obj.Status.Targets {
		if target.State != fleetv1.TargetFailed {
			continue
		}
		out.Cluster, out.Reason, out.Message, out.Lines = target.Cluster, target.Reason, target.Message, target.Lines
		if failure := p.input.Rollouts[target.Cluster].Failure; failure != nil {
			out.Object, out.Since = failure.Object, failure.Since
		}
		return out
	}
	return out
}

// garbageMessage is that of a commit that removes artifacts which nobody needs any more.
func garbageMessage(p *pass, keep int32) gitrepo.Message {
	service := p.team() + "/" + p.service()
	return gitrepo.Message{
		Subject: fmt.Sprintf("remove artifacts of %s that no cluster runs, but for the newest %d", service, keep),
		Trailers: []gitrepo.Trailer{
			{Key: "Service", Value: service}, {Key: "Release", Value: nameOf(p.obj)},
		},
	}
}
