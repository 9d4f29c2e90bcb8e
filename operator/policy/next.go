package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

const (
	askAgain       = 10 * time.Second // a cluster that could not be asked
	answerHolds    = 10 * time.Minute // what a cluster said of an artifact
	defaultTimeout = 10 * time.Minute // of an Environment that has none, as the API server fills it in
)

// pass is one look at a Release.
type pass struct {
	Input
	waves   []Wave
	broken  error    // why there are no waves
	targets []target // in the order of the waves
}

// Next decides what is to be done for a Release now. Rules are asked until the first cluster is moved; after that only the branches, and
// freezes hold what has not moved yet. A release that has begun and may not go on ends as Failed and leaves its clusters where they are.
func Next(in Input) Step {
	status := in.Release.Status
	if in.Artifact.Problem != nil && in.Artifact.Source.Branch == "" {
		in.Artifact.Source = status.Source
	}
	p := &pass{Input: in}
	if status.Phase.Final() {
		return p.as(status.Phase)
	}
	p.look()
	newer := p.takenOver()
	switch {
	case newer != nil:
		return p.as(fleetv1.PhaseSuperseded).until(fleetv1.ConditionAdmitted, fleetv1.ReasonSuperseded, supersededBy(in.AdmitInput, newer).Message)
	case p.begun():
		return p.releasing()
	}
	return p.entering()
}

// look puts clusters into waves, and finds out how far each one is.
func (p *pass) look() {
	if p.Environment == nil {
		return
	}
	p.waves, p.broken = Waves(p.Environment, p.Clusters)
	for i, w := range p.waves {
		for _, id := range w.Clusters {
			p.targets = append(p.targets, p.judge(i, id))
		}
	}
	absent := lost
	if len(p.wayBack()) == 0 {
		absent = back // all that could go back has, in one commit
	}
	for i := range p.targets {
		p.targets[i].settle(absent, p.movedTo)
	}
}

// as is a step into a phase, with the targets as the status has them.
func (p *pass) as(phase fleetv1.Phase) Step {
	s := p.Release.Status
	out := Step{Phase: phase, Wave: s.Wave, Targets: s.Targets, Artifact: p.Artifact, Now: p.Now}
	if s.SoakUntil != nil && s.Phase == phase {
		out.SoakUntil = s.SoakUntil.Time
	}
	return out
}

// seen is a step into a phase, with the targets as they are seen now.
func (p *pass) seen(phase fleetv1.Phase) Step {
	out := p.as(phase)
	out.SoakUntil, out.Targets = time.Time{}, nil
	for _, t := range p.targets {
		out.Targets = append(out.Targets, t.Target)
	}
	return out
}

// takenOver is the newer Release that has begun to move clusters.
func (p *pass) takenOver() *fleetv1.Release {
	holders := map[string]bool{}
	for _, at := range p.Pointers {
		holders[at.Release] = true
	}
	for _, r := range p.siblings(p.Release.Spec.Environment) {
		if byAge(&r, p.Release) > 0 && (hasBegun(&r) || holders[named(&r)]) {
			return &r
		}
	}
	return nil
}

// begun says whether the Release has begun to move clusters: its status says so, or, where that was lost, a pointer.
func (p *pass) begun() bool {
	return hasBegun(p.Release) || slices.ContainsFunc(p.targets, func(t target) bool { return t.place == here || t.place == back })
}

// entering asks the rules, then the clusters, and begins.
func (p *pass) entering() Step {
	v := Admit(p.AdmitInput)
	switch {
	case v.Reason == fleetv1.ReasonSuspended:
		return p.suspended(v)
	case v.Word == Refuse:
		return p.seen(fleetv1.PhaseRefused).until(fleetv1.ConditionAdmitted, v.Reason, v.Message)
	case len(p.Clusters) == 0:
		return p.seen(fleetv1.PhaseRefused).until(fleetv1.ConditionAdmitted, fleetv1.ReasonNoClusters, p.empty())
	case v.Word == Wait:
		return p.seen(fleetv1.PhasePending).until(fleetv1.ConditionAdmitted, v.Reason, v.Message).again(v.After)
	}
	return p.checking()
}

func (p *pass) empty() string {
	return fmt.Sprintf("Environment %s: no cluster is in it that follows the config repository; register one, then ask again", p.Environment.Name)
}

// suspended holds a Release where it is.
func (p *pass) suspended(v Verdict) Step {
	return p.as(cmp.Or(p.Release.Status.Phase, fleetv1.PhasePending)).until(fleetv1.ConditionAdmitted, v.Reason, v.Message)
}

// checking asks the clusters that have not answered, and begins when all of them would take the artifact.
func (p *pass) checking() Step {
	refused := p.seen(fleetv1.PhaseRefused)
	if locked := p.locked(p.targets); locked != "" {
		return refused.until(fleetv1.ConditionChecked, fleetv1.ReasonEditedByHand, locked)
	}
	ask, away, problems := p.sortChecks(refused.Targets)
	switch {
	case len(problems) > 0:
		first := slices.IndexFunc(refused.Targets, func(t fleetv1.Target) bool { return t.Reason != "" })
		return refused.until(fleetv1.ConditionChecked, refused.Targets[first].Reason, strings.Join(problems, "; "))
	case len(ask) > 0:
		out := p.seen(fleetv1.PhaseChecking).until(fleetv1.ConditionChecked, fleetv1.ReasonChecking, "asks "+strings.Join(ask, ", "))
		out.Do, out.Dry = Dry, ask
		return out.again(askAgain)
	case len(away) > 0:
		return p.unavailable(away)
	}
	return p.releasing()
}

// locked says which pointers are not as Fairway writes them.
func (p *pass) locked(targets []target) string {
	var out []string
	for _, t := range targets {
		if t.place == locked {
			out = append(out, t.Cluster)
		}
	}
	if out == nil {
		return ""
	}
	return fmt.Sprintf("the config repository's file of %s/%s was edited by hand, or is not Fairway's, on %s: it is left alone; restore it or delete it, then ask again",
		p.team(), p.Release.Spec.Service, strings.Join(out, ", "))
}

// sortChecks says which clusters are to be asked, which cannot be, and what the others said, which it notes in the targets as well.
func (p *pass) sortChecks(targets []fleetv1.Target) (ask, away, problems []string) {
	for i := range targets {
		t := &targets[i]
		c, asked := p.Checks[t.Cluster]
		age := p.Now.Sub(c.At)
		for _, problem := range c.Problems {
			text := problem.String()
			problems = append(problems, t.Cluster+": "+text)
			if t.Reason == "" {
				t.Reason, t.Message = problem.Reason, cut(text)
			}
		}
		switch {
		case len(c.Problems) > 0:
		case !asked, c.Away != "" && age >= askAgain && !p.givenUp(c), c.Away == "" && age > answerHolds:
			ask = append(ask, t.Cluster)
		case c.Away != "":
			away = append(away, t.Cluster)
		}
	}
	return ask, away, problems
}

// String is "Deployment/payments/ledger: no match for kind".
func (p Problem) String() string { return strings.TrimPrefix(p.Object+": "+p.Message, ": ") }

func (p *pass) timeout() time.Duration {
	return cmp.Or(p.Environment.Spec.Timeout.Duration, defaultTimeout)
}

// givenUp says whether a cluster could not be asked for as long as the environment waits.
func (p *pass) givenUp(c Check) bool { return p.Now.Sub(c.Since) >= p.timeout() }

// unavailable waits for clusters that cannot be asked, up to the environment's timeout.
func (p *pass) unavailable(away []string) Step {
	var said []string
	left, after := false, askAgain
	for _, id := range away {
		c := p.Checks[id]
		said = append(said, fmt.Sprintf("%s: %s (since %s)", id, c.Away, stamp(c.Since)))
		left = left || p.givenUp(c)
		after = earliest(after, min(c.At.Add(askAgain).Sub(p.Now), c.Since.Add(p.timeout()).Sub(p.Now)))
	}
	phase, text := fleetv1.PhaseChecking, strings.Join(said, "; ")
	if left {
		phase, after = fleetv1.PhaseRefused, 0
		text = fmt.Sprintf("not every cluster could be asked within %s (Environment %s, spec.timeout): %s; ask again when they answer, or take them out of the environment",
			p.timeout(), p.Environment.Name, text)
	}
	return p.seen(phase).until(fleetv1.ConditionChecked, fleetv1.ReasonClusterUnavailable, text).again(after)
}
