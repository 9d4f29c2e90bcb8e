package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// releasing moves what may be moved, until every cluster is healthy or one is not.
func (p *pass) releasing() Step {
	switch {
	case p.any(back):
		return p.rolledBack()
	case p.Release.Spec.Suspend:
		return p.suspended(*suspended(p.AdmitInput))
	case p.Environment == nil:
		v := environment(p.AdmitInput)
		return p.as(fleetv1.PhaseFailed).until(fleetv1.ConditionAdmitted, v.Reason, v.Message)
	case p.broken != nil:
		v := selectors(p.AdmitInput)
		return p.as(fleetv1.PhaseReleasing).until(fleetv1.ConditionAdmitted, v.Reason, v.Message)
	case len(p.targets) == 0:
		return p.seen(fleetv1.PhaseFailed).until(fleetv1.ConditionAdmitted, fleetv1.ReasonNoClusters, p.empty())
	case p.any(lost):
		return p.interrupted()
	case p.all(fleetv1.TargetFailed) != nil:
		return p.failed()
	case len(p.all(fleetv1.TargetAvailable)) == len(p.targets):
		return p.seen(fleetv1.PhaseSucceeded).done(fmt.Sprintf("%s runs %s in health", p.names(p.targets), p.Release.Spec.Artifact))
	}
	return p.advance()
}

func (p *pass) any(place where) bool {
	return slices.ContainsFunc(p.targets, func(t target) bool { return t.place == place })
}

// all are the targets in a state.
func (p *pass) all(state fleetv1.TargetState) []target {
	return p.filter(func(t target) bool { return t.State == state })
}

func (p *pass) filter(keep func(target) bool) []target {
	var out []target
	for _, t := range p.targets {
		if keep(t) {
			out = append(out, t)
		}
	}
	return out
}

func (p *pass) names(targets []target) string {
	var out []string
	for _, t := range targets {
		out = append(out, t.Cluster)
	}
	return strings.Join(out, ", ")
}

// interrupted ends a Release of which somebody else moved a pointer.
func (p *pass) interrupted() Step {
	var said []string
	for _, t := range p.filter(func(t target) bool { return t.place == lost }) {
		said = append(said, t.Cluster+": "+t.Message)
	}
	return p.seen(fleetv1.PhaseFailed).until(fleetv1.ConditionCommitted, fleetv1.ReasonPointerMoved,
		strings.Join(said, "; ")+"; nothing more is moved, nor moved back: ask for what should run there")
}

// failed takes back what has moved, or leaves it where it is.
func (p *pass) failed() Step {
	failing := p.all(fleetv1.TargetFailed)
	first := failing[0]
	text := failures(failing)
	if stays := p.stays(); stays != "" {
		return p.seen(fleetv1.PhaseFailed).until(fleetv1.ConditionAvailable, first.Reason, fmt.Sprintf("%s; clusters stay where they are (%s): %s", text, stays, p.whereabouts()))
	}
	moves := p.wayBack()
	if len(moves) == 0 {
		return p.seen(fleetv1.PhaseFailed).until(fleetv1.ConditionAvailable, first.Reason, text+"; there is nothing to go back to: "+p.whereabouts())
	}
	out := p.seen(fleetv1.PhaseReleasing).until(fleetv1.ConditionAvailable, first.Reason, text+"; what has moved goes back")
	out.Wave = first.Wave
	if !p.wasFailing() { // the status has to know of it before anything is gone: it is not guessed from what is not there
		return out.again(atOnce)
	}
	out.Do, out.Moves = RollBack, moves
	out.Evidence = evidence(p, failing, moves)
	return out.again(soon)
}

// stays says why nothing is taken back. Empty: it is.
func (p *pass) stays() string {
	switch {
	case p.Environment.Spec.OnFailure != fleetv1.OnFailureRollBack:
		return fmt.Sprintf("Environment %s, spec.onFailure", p.Environment.Name)
	case p.isRollback():
		return "spec.intent: a rollback is not taken back to what somebody wanted to get away from"
	}
	return ""
}

// whereabouts says which clusters are to run the artifact, and which not.
func (p *pass) whereabouts() string {
	moved := p.filter(func(t target) bool { return t.place == here })
	others := p.filter(func(t target) bool { return t.place != here })
	out := fmt.Sprintf("%s with %s", p.names(moved), p.Release.Spec.Artifact)
	if len(others) > 0 {
		out += fmt.Sprintf(", %s without", p.names(others))
	}
	return out
}

// wayBack moves every pointer of the Release back to what it was: also to what a rule would not let in by now, since it is no news there.
func (p *pass) wayBack() []Pointing {
	var out []Pointing
	for _, t := range p.targets {
		at := p.Pointers[t.Cluster]
		if t.place == here && at.State == Ours && t.Previous != at.Artifact {
			out = append(out, Pointing{Cluster: t.Cluster, From: at, Artifact: t.Previous})
		}
	}
	return out
}

// rolledBack ends a Release whose pointers are back.
func (p *pass) rolledBack() Step {
	isBack := func(t target) bool { return t.place == back }
	text := p.names(p.filter(isBack)) + " back on what ran there before"
	if stay := p.filter(func(t target) bool { return t.place == here || t.place == lost }); len(stay) > 0 {
		text += fmt.Sprintf("; %s left alone", p.names(stay))
	}
	if failing := p.filter(target.isEvidence); len(failing) > 0 {
		text = failures(failing) + "; " + text
	}
	return p.seen(fleetv1.PhaseRolledBack).until(fleetv1.ConditionAvailable, fleetv1.ReasonRolledBack, text)
}

// isEvidence says whether a cluster failed of itself.
func (t target) isEvidence() bool {
	return t.place == back && t.Reason != "" || t.place == here && t.State == fleetv1.TargetFailed
}

// advance moves the clusters of the present wave whose turn has come.
func (p *pass) advance() Step {
	at, soak := p.present()
	if waiting := p.all(fleetv1.TargetWaiting); len(waiting) > 0 {
		if v := cmp.Or(branches(p.AdmitInput), teamBranches(p.AdmitInput)); v != nil {
			return p.seen(fleetv1.PhaseFailed).until(fleetv1.ConditionAdmitted, v.Reason, v.Message+"; clusters stay where they are: "+p.whereabouts())
		}
	}
	turn := p.turn(at, soak)
	out := p.seen(fleetv1.PhaseReleasing)
	out.Wave, out.SoakUntil, out.After = p.waves[at].Name, soak, p.wake(soak)
	if len(turn) == 0 {
		return p.progress(out)
	}
	if locked := p.locked(turn); locked != "" {
		return p.seen(fleetv1.PhaseFailed).until(fleetv1.ConditionCommitted, fleetv1.ReasonEditedByHand, locked)
	}
	if v := frozen(p.AdmitInput); v != nil {
		_, until := freeze(p.Environment, p.Now)
		return out.until(fleetv1.ConditionCommitted, v.Reason, fmt.Sprintf("Environment %s, spec.freezes: %s goes on when the freeze ends, at %s",
			p.Environment.Name, p.names(turn), stamp(until))).again(earliest(out.After, until.Sub(p.Now)))
	}
	return p.move(out, turn)
}

// present is the wave that is not done, and when its soak ends, if that is all that it waits for.
func (p *pass) present() (wave int, soak time.Time) {
	for i, w := range p.waves {
		var since time.Time
		done, waitedFor := true, false
		for _, t := range p.targets {
			switch {
			case t.wave == i:
				done, since = done && t.State == fleetv1.TargetAvailable, latest(since, t.since)
			case t.wave > i && t.State == fleetv1.TargetWaiting:
				waitedFor = true
			}
		}
		if !done {
			return i, soak
		}
		if until := w.soaked(since); waitedFor && until.After(p.Now) {
			return i, until
		}
	}
	return len(p.waves) - 1, soak
}

// turn are the clusters that may be moved now, in the order of their ids.
func (p *pass) turn(wave int, soak time.Time) []target {
	if !soak.IsZero() {
		return nil
	}
	waiting := p.filter(func(t target) bool { return t.wave == wave && t.State == fleetv1.TargetWaiting })
	underWay := p.filter(func(t target) bool { return t.wave == wave && t.underWay() })
	return waiting[:min(len(waiting), max(0, p.waves[wave].MaxConcurrent-len(underWay)))]
}

// underWay says whether a cluster was told to run the artifact and does not in health.
func (t target) underWay() bool { return t.place == here && t.State != fleetv1.TargetAvailable }

// wake is when to look again: when a cluster must be healthy, or a soak ends, and now and then before.
func (p *pass) wake(soak time.Time) time.Duration {
	var out time.Duration
	for _, t := range p.targets {
		if t.underWay() {
			out = earliest(out, poll)
		}
		if !t.deadline.IsZero() {
			out = earliest(out, t.deadline.Sub(p.Now))
		}
	}
	if !soak.IsZero() {
		out = earliest(out, min(soak.Sub(p.Now), pollSlowly))
	}
	return out
}

// move says in the status what is about to be moved, and from where, before it is.
func (p *pass) move(out Step, turn []target) Step {
	out.Do = Move
	for _, t := range turn {
		at := p.Pointers[t.Cluster]
		out.Moves = append(out.Moves, Pointing{Cluster: t.Cluster, From: at, Artifact: p.Release.Spec.Artifact})
		i := slices.IndexFunc(out.Targets, func(o fleetv1.Target) bool { return o.Cluster == t.Cluster })
		out.Targets[i].State, out.Targets[i].Previous, out.Targets[i].MovedAt = fleetv1.TargetMoving, at.Artifact, p.mark(p.Now)
	}
	return out.until(fleetv1.ConditionCommitted, fleetv1.ReasonProgress,
		fmt.Sprintf("wave %s: moves %s to %s", out.Wave, p.names(turn), p.Release.Spec.Artifact)).again(soon)
}

// progress says what is waited for.
func (p *pass) progress(out Step) Step {
	if !out.SoakUntil.IsZero() {
		return out.until(fleetv1.ConditionAvailable, fleetv1.ReasonWaveSoaking,
			fmt.Sprintf("wave %s is healthy, and has to be until %s before the next one begins", out.Wave, stamp(out.SoakUntil)))
	}
	var said []string
	for _, t := range p.filter(target.underWay) {
		said = append(said, t.Cluster+": "+cmp.Or(t.Message, "rolling out"))
	}
	return out.until(fleetv1.ConditionAvailable, fleetv1.ReasonRollingOut, fmt.Sprintf("wave %s: %s", out.Wave, strings.Join(said, "; ")))
}
