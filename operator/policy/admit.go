package policy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Pace of looking again at what tells of itself only in part.
const (
	atOnce     = time.Millisecond // what had to be written down first
	soon       = time.Second      // the commit that was just made
	poll       = 5 * time.Second  // clusters that are under way
	pollSlowly = 15 * time.Second // what is waited for elsewhere: a soak, the registry, the environment before
)

// rule says why a Release may not go on. Nil: nothing in the rule stands in its way.
type rule func(AdmitInput) *Verdict

// rules in the order in which they speak: those after environment find one, and those after superseded and suspended that refuse come
// before those that wait, so that nobody waits for what is refused in the end.
var rules = []rule{
	superseded, suspended,
	service, environment, artifact, branches, teamBranches, before, promotable, frozen,
	selectors, registry, promoted, approved,
}

// Admit asks every rule, in their order. A rollback passes the promotion path, freezes and approvals.
func Admit(in AdmitInput) Verdict {
	for _, rule := range rules {
		if v := rule(in); v != nil {
			if v.Word == Wait && v.Reason != fleetv1.ReasonSuspended {
				v.After = earliest(v.After, in.untilFreeze())
			}
			return *v
		}
	}
	return Verdict{Word: GoOn, Reason: fleetv1.ReasonAdmitted, Message: fmt.Sprintf("%s may be released to %s", in.Artifact.ID, in.Environment.Name)}
}

func refuse(reason, message string, args ...any) *Verdict {
	return &Verdict{Word: Refuse, Reason: reason, Message: fmt.Sprintf(message, args...)}
}

func wait(after time.Duration, reason, message string, args ...any) *Verdict {
	return &Verdict{Word: Wait, Reason: reason, Message: fmt.Sprintf(message, args...), After: after}
}

// earliest of two times to wait, of which 0 is no wish.
func earliest(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

func (in AdmitInput) team() string { return in.Release.Namespace }

// name is the Release's, as pointers carry it.
func (in AdmitInput) name() string { return named(in.Release) }

func named(r *fleetv1.Release) string { return r.Namespace + "/" + r.Name }

func (in AdmitInput) isRollback() bool { return in.Release.Spec.Intent == fleetv1.IntentRollback }

// siblings are the other Releases of the service to an environment, the newest first.
func (in AdmitInput) siblings(environment string) []fleetv1.Release {
	var out []fleetv1.Release
	for _, r := range in.Others {
		if r.Namespace == in.team() && r.Name != in.Release.Name && r.Spec.Service == in.Release.Spec.Service && r.Spec.Environment == environment {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b fleetv1.Release) int { return byAge(&b, &a) })
	return out
}

// byAge compares Releases: the older one comes first.
func byAge(a, b *fleetv1.Release) int {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
}

// hasBegun says whether a Release has begun to move clusters, as far as its status knows.
func hasBegun(r *fleetv1.Release) bool {
	switch r.Status.Phase {
	case fleetv1.PhaseReleasing, fleetv1.PhaseSucceeded, fleetv1.PhaseFailed, fleetv1.PhaseRolledBack:
		return true
	}
	return r.Status.StartedAt != nil
}

func superseded(in AdmitInput) *Verdict {
	for _, r := range in.siblings(in.Release.Spec.Environment) {
		if byAge(&r, in.Release) > 0 && hasBegun(&r) {
			return supersededBy(in, &r)
		}
	}
	return nil
}

func supersededBy(in AdmitInput, newer *fleetv1.Release) *Verdict {
	return refuse(fleetv1.ReasonSuperseded, "Release %s (%s) is newer, and has taken over in %s; ask for %s again if it should run there after all",
		named(newer), newer.Spec.Artifact, in.Release.Spec.Environment, in.Release.Spec.Artifact)
}

func suspended(in AdmitInput) *Verdict {
	if !in.Release.Spec.Suspend {
		return nil
	}
	return wait(0, fleetv1.ReasonSuspended, "Release %s, spec.suspend: it is held where it is until that is taken off", in.name())
}
