package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// maxName is the length of a pointer's name, "<team>.<service>", which labels have to hold.
const maxName = 63

func service(in AdmitInput) *Verdict {
	if problem := invalidService(in.team(), in.Release.Spec.Service); problem != "" {
		return refuse(fleetv1.ReasonServiceInvalid, "%s", problem)
	}
	return nil
}

// invalidService says what is wrong with the names of a team and its service.
func invalidService(team, service string) string {
	switch {
	case len(validation.IsDNS1123Label(team)) > 0:
		return fmt.Sprintf("Namespace %s cannot be a team: its name must be a DNS label", team)
	case team == fleetv1.SystemNamespace || team == fleetv1.FluxNamespace || strings.HasPrefix(team, "kube-"):
		return fmt.Sprintf("Namespace %s belongs to the platform, not to a team: nothing is released from it; use the team's own namespace", team)
	case len(validation.IsDNS1123Label(service)) > 0:
		return fmt.Sprintf("spec.service %s cannot be a service: its name must be a DNS label", service)
	case len(team)+1+len(service) > maxName:
		return fmt.Sprintf("spec.service %s is too long a name: %s.%s has %d letters, and at most %d are allowed; shorten the service's name",
			service, team, service, len(team)+1+len(service), maxName)
	}
	return ""
}

func environment(in AdmitInput) *Verdict {
	if in.Environment != nil {
		return nil
	}
	return refuse(fleetv1.ReasonEnvironmentNotFound, "spec.environment: there is no Environment %s; kubectl get environments lists them", in.Release.Spec.Environment)
}

// artifact refuses what can never be released.
func artifact(in AdmitInput) *Verdict {
	switch p := in.Artifact.Problem; {
	case p == nil && in.Artifact.ID != in.Release.Spec.Artifact:
		return refuse(fleetv1.ReasonArtifactInvalid, "spec.artifact: the registry gave %q for %s; push the artifact again", in.Artifact.ID, in.Release.Spec.Artifact)
	case p != nil && p.Reason == fleetv1.ReasonArtifactNotFound:
		return refuse(p.Reason, "spec.artifact: %s; fairway artifact list --service %s/%s has those that there are", p.Message, in.team(), in.Release.Spec.Service)
	case p != nil && p.Reason == fleetv1.ReasonArtifactInvalid:
		return refuse(p.Reason, "spec.artifact: %s; push another one", p.Message)
	}
	return nil
}

// registry waits until the artifact can be looked at.
func registry(in AdmitInput) *Verdict {
	p := in.Artifact.Problem
	if p == nil {
		return nil
	}
	if p.Reason == fleetv1.ReasonNoArtifactStore {
		return wait(pollSlowly, p.Reason, "Fleet %s, spec.artifacts: %s; it is released when the platform team has set that", fleetv1.FleetName, p.Message)
	}
	return wait(pollSlowly, p.Reason, "Fleet %s, spec.artifacts: %s; it is tried again", fleetv1.FleetName, p.Message)
}

func branches(in AdmitInput) *Verdict {
	if problem := outsideEnvironment(in.Environment, in.Artifact.Source.Branch); problem != "" && in.knowsBranch() {
		return refuse(fleetv1.ReasonBranchNotAllowed, "%s", problem)
	}
	return nil
}

func teamBranches(in AdmitInput) *Verdict {
	problem := outsidePolicies(in.Policies, in.team(), in.Release.Spec.Service, in.Environment.Name, in.Artifact.Source.Branch)
	if problem != "" && in.knowsBranch() {
		return refuse(fleetv1.ReasonBranchNotAllowed, "%s", problem)
	}
	return nil
}

// knowsBranch says whether the branch is what the artifact says: it may say nothing, which matches no pattern, but for an artifact that
// cannot be looked at.
func (in AdmitInput) knowsBranch() bool {
	return in.Artifact.Source.Branch != "" || in.Artifact.Problem == nil
}

// before refuses a rollback to what was never proven there.
func before(in AdmitInput) *Verdict {
	if !in.isRollback() {
		return nil
	}
	for _, r := range in.siblings(in.Release.Spec.Environment) {
		if r.Spec.Artifact == in.Release.Spec.Artifact && r.Status.Phase == fleetv1.PhaseSucceeded {
			return nil
		}
	}
	return refuse(fleetv1.ReasonNothingBefore, "spec.intent Rollback: no Release of %s to %s has succeeded before; ask for it with the intent Release, for which every rule holds",
		in.Release.Spec.Artifact, in.Environment.Name)
}

func frozen(in AdmitInput) *Verdict {
	if in.isRollback() {
		return nil
	}
	if names, until := freeze(in.Environment, in.Now); names != "" {
		return refuse(fleetv1.ReasonFrozen, "Environment %s, spec.freezes: frozen by %s until %s, but for rollbacks; ask again after that",
			in.Environment.Name, names, stamp(until))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// freeze names what freezes an environment now, and when that ends: freezes of which one begins before another ends are one.
func freeze(env *fleetv1.Environment, now time.Time) (names string, until time.Time) {
	var all []string
	for found := true; found; {
		found = false
		for _, f := range env.Spec.Freezes {
			at := now
			if !until.IsZero() {
				at = until
			}
			if !f.From.After(at) && f.To.After(at) {
				all, until, found = append(all, f.Name), f.To.Time, true
			}
		}
	}
	return strings.Join(all, ", "), until
}

// untilFreeze is how long it takes until the next freeze begins, which refuses what waits. 0: none will, or it is of no matter.
func (in AdmitInput) untilFreeze() time.Duration {
	var out time.Duration
	if in.isRollback() {
		return out
	}
	for _, f := range in.Environment.Spec.Freezes {
		if f.From.After(in.Now) {
			out = earliest(out, f.From.Sub(in.Now))
		}
	}
	return out
}

// selectors waits until the clusters of each wave are known.
func selectors(in AdmitInput) *Verdict {
	if _, err := Waves(in.Environment, nil); err != nil {
		return wait(0, fleetv1.ReasonWavesInvalid, "Environment %s, spec.waves: %s; it is released when that is mended", in.Environment.Name, err)
	}
	return nil
}

// approved waits for people, of whom the one who asked is none.
func approved(in AdmitInput) *Verdict {
	if in.isRollback() {
		return nil
	}
	asked := in.Release.Spec.RequestedBy
	var by []string
	for _, a := range in.Release.Spec.Approvals {
		if a.By != asked && !slices.Contains(by, a.By) {
			by = append(by, a.By)
		}
	}
	missing := int(in.Environment.Spec.Approvals.Required) - len(by)
	if missing <= 0 {
		return nil
	}
	given := "nobody has yet"
	if len(by) > 0 {
		given = "approved by " + strings.Join(by, ", ")
	}
	return wait(0, fleetv1.ReasonApprovalMissing, "Environment %s, spec.approvals: %d more must approve, other than %s who asked (%s): fairway approve %s",
		in.Environment.Name, missing, asked, given, in.name())
}
