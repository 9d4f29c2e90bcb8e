package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// promotable refuses what the promotion path will not let in, however long it waits: it is not there, or fails there.
func promotable(in AdmitInput) *Verdict {
	if v := in.standing(); v != nil && v.Word == Refuse {
		return v
	}
	return nil
}

// promoted waits until the artifact has been healthy for long enough.
func promoted(in AdmitInput) *Verdict {
	if v := in.standing(); v != nil && v.Word == Wait {
		return v
	}
	return nil
}

// standing is how the artifact stands in the environment before. What is not known is not healthy, and waited for. Nil: it has been
// healthy there for long enough, or need not.
func (in AdmitInput) standing() *Verdict {
	path := in.Environment.Spec.PromotesFrom
	if path == nil || in.isRollback() {
		return nil
	}
	rule := fmt.Sprintf("Environment %s, spec.promotesFrom", in.Environment.Name)
	id, from := in.Release.Spec.Artifact, path.Environment
	switch {
	case !in.Origin.Found:
		return refuse(fleetv1.ReasonNotPromotable, "%s: there is no Environment %s; the platform team has to name another one", rule, from)
	case len(in.Origin.Clusters) == 0:
		return refuse(fleetv1.ReasonNotPromotable, "%s: no cluster is in %s, so %s cannot have been healthy there", rule, from, id)
	}
	absent, failing, waiting := in.sortOrigin()
	switch {
	case len(failing) > 0:
		return refuse(fleetv1.ReasonNotPromotable, "%s: %s fails in %s: %s; promote it when it is healthy there", rule, id, from, strings.Join(failing, "; "))
	case len(absent) > 0 && in.onItsWay(from):
		return wait(pollSlowly, fleetv1.ReasonPromotionSoaking, "%s: %s is on its way to %s, and not on %s yet", rule, id, from, strings.Join(absent, ", "))
	case len(absent) > 0:
		return refuse(fleetv1.ReasonNotPromotable, "%s: %s is not what runs in %s on %s; release it there first", rule, id, from, strings.Join(absent, ", "))
	case len(waiting) > 0:
		return wait(pollSlowly, fleetv1.ReasonPromotionSoaking, "%s: %s must be healthy in %s: %s", rule, id, from, strings.Join(waiting, "; "))
	}
	return in.soaking(rule)
}

// soaking waits for the rest of healthyFor.
func (in AdmitInput) soaking(rule string) *Verdict {
	path := in.Environment.Spec.PromotesFrom
	last := slices.MaxFunc(in.Origin.Clusters, func(a, b OriginCluster) int { return a.Rollout.Since.Compare(b.Rollout.Since) })
	until := last.Rollout.Since.Add(path.HealthyFor.Duration)
	if !until.After(in.Now) {
		return nil
	}
	return wait(until.Sub(in.Now), fleetv1.ReasonPromotionSoaking, "%s.healthyFor: %s must have been healthy in %s for %s: it has been on %s since %s, and goes on at %s",
		rule, in.Release.Spec.Artifact, path.Environment, path.HealthyFor.Duration, last.ID, stamp(last.Rollout.Since), stamp(until))
}

// sortOrigin names the clusters of the environment before that are not told to run the artifact, that fail, and that have to become
// healthy or known.
func (in AdmitInput) sortOrigin() (absent, failing, waiting []string) {
	id := in.Release.Spec.Artifact
	for _, c := range in.Origin.Clusters {
		r := c.Rollout
		switch {
		case c.Pointer.Artifact != id:
			absent = append(absent, c.ID)
		case !r.Known:
			waiting = append(waiting, fmt.Sprintf("how it is on %s is not known%s", c.ID, asOf(r.AsOf)))
		case r.Failure != nil:
			failing = append(failing, fmt.Sprintf("on %s: %s", c.ID, r.Failure))
		case !r.healthy(id):
			waiting = append(waiting, fmt.Sprintf("it is not yet on %s (%s)", c.ID, cmp.Or(r.Message, "rolling out")))
		case r.Since.IsZero():
			waiting = append(waiting, fmt.Sprintf("since when it is on %s is not known", c.ID))
		}
	}
	return absent, failing, waiting
}

func asOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return " since " + stamp(t)
}

// onItsWay says whether a Release of the artifact to an environment has not ended yet.
func (in AdmitInput) onItsWay(environment string) bool {
	return slices.ContainsFunc(in.siblings(environment), func(r fleetv1.Release) bool {
		return r.Spec.Artifact == in.Release.Spec.Artifact && !r.Status.Phase.Final()
	})
}

// healthy says whether a service runs an artifact in health.
func (r Rollout) healthy(artifact string) bool {
	return r.Known && r.Artifact == artifact && r.Applied && r.Available && r.Failure == nil
}

// String is "Deployment/payments/ledger: CrashLoopBackOff: container app ended with code 2".
func (f *Failure) String() string {
	return strings.TrimPrefix(f.Object+": "+f.Message, ": ")
}
