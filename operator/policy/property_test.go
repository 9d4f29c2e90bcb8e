package policy

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// work is one pass of the operator over a Release. It may die after the status is written, or after the commit is made; and the status that
// was written last may get lost.
func (w *world) work(r *fleetv1.Release, mayDie bool) Step {
	l := w.lives[r.Name]
	in := w.look(r)
	step := Next(in)
	if l.ended != "" && (step.Phase != l.ended || step.Do != Nothing) {
		w.t.Fatalf("%s was %s, and goes on: %+v", r.Name, l.ended, step)
	}
	before := *r.Status.DeepCopy()
	Report(&r.Status, step)
	if mayDie && w.chance("it dies before the commit", 12) {
		l.checks = map[string]Check{}
		return step
	}
	switch step.Do {
	case Dry:
		w.dry(l, step)
	case Move:
		w.mayMove(r, in, step)
		w.commit(r, step)
	case RollBack:
		w.mayRollBack(r, step)
		w.commit(r, step)
	}
	if mayDie && w.chance("the last status is lost", 12) {
		r.Status = before
		l.forgot, l.checks = l.forgot || step.Do == Move, map[string]Check{}
	} else if step.Phase.Final() {
		l.ended = step.Phase
	}
	return step
}

func (w *world) dry(l *life, step Step) {
	for _, id := range step.Dry {
		c := Check{At: w.now}
		switch rapid.IntRange(0, 30).Draw(w.t, "dry run") {
		case 0:
			c.Problems = []Problem{{Reason: fleetv1.ReasonCheckFailed, Message: "no"}}
		case 1, 2:
			c.Away, c.Since = "no route", w.now
			if was := l.checks[id]; was.Away != "" {
				c.Since = was.Since
			}
		}
		l.checks[id] = c
	}
}

// commit moves pointers, unless one of them is not what was seen. Somebody else may be faster, or the push refused.
func (w *world) commit(r *fleetv1.Release, step Step) {
	if w.chance("the push is refused", 20) {
		return
	}
	l := w.lives[r.Name]
	for _, m := range step.Moves {
		if l.taken[m.Cluster] {
			w.t.Fatalf("%s moves %s, which somebody else has moved", r.Name, m.Cluster)
		}
		if w.git[m.Cluster] != m.From {
			w.t.Fatalf("%s moves %s from %+v, and Git has %+v", r.Name, m.Cluster, m.From, w.git[m.Cluster])
		}
		if step.Do == Move {
			l.was[m.Cluster], l.told[m.Cluster] = m.From.Artifact, w.now.Truncate(time.Second)
		}
		if m.Artifact == "" {
			delete(w.git, m.Cluster)
			continue
		}
		w.git[m.Cluster] = pointing(m.Artifact, named(r))
	}
	if step.Do == RollBack {
		l.rollbacks++
	}
}

// mayMove says that no rule, no wave and no limit forbids what is about to be moved.
func (w *world) mayMove(r *fleetv1.Release, in Input, step Step) {
	l, a := w.lives[r.Name], w.find(r.Spec.Artifact)
	spec, byHand := w.env.Spec, r.Spec.Intent != fleetv1.IntentRollback
	team := string(w.policies[0].Spec.Branches["prod"])
	names, _ := freeze(&w.env, w.now)
	began := len(l.told) > 0
	switch {
	case r.Spec.Suspend:
		w.t.Fatalf("%s is suspended, and moves", r.Name)
	case l.rollbacks > 0:
		w.t.Fatalf("%s was rolled back, and moves", r.Name)
	case spec.Branches != "" && !slices.Contains(strings.Split(spec.Branches, "|"), a.Source.Branch), team != "" && team != ".*" && team != a.Source.Branch:
		w.t.Fatalf("%s moves %s, which branches %q and %q forbid", r.Name, a.ID, spec.Branches, team)
	case byHand && names != "":
		w.t.Fatalf("%s moves while %s freezes", r.Name, names)
	case byHand && !began && spec.Approvals.Required > 0 && (r.Spec.Approvals == nil || r.Spec.Approvals[0].By == r.Spec.RequestedBy) && !hasBegun(in.Release):
		w.t.Fatalf("%s moves, and nobody else has approved", r.Name)
	case byHand && !began && spec.PromotesFrom != nil && !w.promotable(a.ID) && !hasBegun(in.Release):
		w.t.Fatalf("%s moves what was not healthy for long enough: %+v", r.Name, w.origin)
	}
	if !byHand && !began && !hasBegun(in.Release) && !slices.ContainsFunc(w.releases, func(o *fleetv1.Release) bool {
		return o.Spec.Artifact == a.ID && o.Status.Phase == fleetv1.PhaseSucceeded
	}) {
		w.t.Fatalf("%s rolls back to %s, which never ran there", r.Name, a.ID)
	}
	for _, other := range w.releases {
		if byAge(other, r) > 0 && w.holds(other) {
			w.t.Fatalf("%s moves although %s is newer and has begun", r.Name, other.Name)
		}
	}
	w.inTurn(r, step)
}

func (w *world) promotable(artifact string) bool {
	if len(w.origin.Clusters) == 0 {
		return false
	}
	c := w.origin.Clusters[0]
	return c.Pointer.Artifact == artifact && c.Rollout.Known && !c.Rollout.Since.Add(10*time.Minute).After(w.now)
}

// holds says whether a pointer carries a Release.
func (w *world) holds(r *fleetv1.Release) bool {
	for _, at := range w.git {
		if at.Release == named(r) {
			return true
		}
	}
	return false
}

// inTurn says that waves before are healthy on the artifact and have soaked, and how many clusters of a wave are under way.
func (w *world) inTurn(r *fleetv1.Release, step Step) {
	waves, err := Waves(&w.env, w.look(r).Clusters)
	if err != nil {
		w.t.Fatal(err)
	}
	moves := map[string]bool{}
	for _, m := range step.Moves {
		moves[m.Cluster] = true
		if m.Artifact != r.Spec.Artifact || m.From.State == Edited {
			w.t.Fatalf("%s moves %+v", r.Name, m)
		}
	}
	at := slices.IndexFunc(waves, func(wave Wave) bool {
		return slices.ContainsFunc(wave.Clusters, func(id string) bool { return moves[id] })
	})
	for i, wave := range waves {
		underWay := 0
		for _, s := range w.sites {
			if !slices.Contains(wave.Clusters, s.ID) {
				continue
			}
			well := w.isWell(r, s)
			switch since := latest(s.since, w.lives[r.Name].told[s.ID]); {
			case moves[s.ID] && i != at:
				w.t.Fatalf("%s moves clusters of two waves: %+v", r.Name, step.Moves)
			case moves[s.ID], i == at && !well && w.git[s.ID].Release == named(r):
				underWay++
			case i < at && !well:
				w.t.Fatalf("%s moves wave %s, and %s of wave %s is not healthy: %+v", r.Name, step.Wave, s.ID, wave.Name, s)
			case i < at && since.Add(wave.Soak).After(w.now):
				w.t.Fatalf("%s moves wave %s, and %s of wave %s has been healthy since %s only", r.Name, step.Wave, s.ID, wave.Name, since)
			}
		}
		if i == at && underWay > wave.MaxConcurrent {
			w.t.Fatalf("%s has %d clusters of wave %s under way", r.Name, underWay, wave.Name)
		}
	}
}

// isWell says whether a cluster runs what a Release told it to, and it can be seen that it does.
func (w *world) isWell(r *fleetv1.Release, s *site) bool {
	return w.git[s.ID].Release == named(r) && w.git[s.ID].Artifact == r.Spec.Artifact && s.runs == r.Spec.Artifact && s.well && s.failing == nil &&
		!s.dark && w.sight.Blind == ""
}

// mayRollBack says that only what the Release moved goes back, to what was there before, and once.
func (w *world) mayRollBack(r *fleetv1.Release, step Step) {
	l := w.lives[r.Name]
	if l.rollbacks > 0 || w.env.Spec.OnFailure != fleetv1.OnFailureRollBack || r.Spec.Suspend || r.Spec.Intent == fleetv1.IntentRollback {
		w.t.Fatalf("%s is rolled back again, or should not be: %+v", r.Name, step)
	}
	for _, m := range step.Moves {
		if m.From.Release != named(r) || m.From.Artifact != r.Spec.Artifact || m.From.State != Ours {
			w.t.Fatalf("%s rolls back what is not its own: %+v", r.Name, m)
		}
		if m.Artifact != l.was[m.Cluster] && !l.forgot {
			w.t.Fatalf("%s rolls %s back to %q, and it ran %q", r.Name, m.Cluster, m.Artifact, l.was[m.Cluster])
		}
	}
	for id, p := range w.git {
		if p.Release == named(r) && p.State == Ours && l.was[id] != r.Spec.Artifact && !l.forgot && !slices.ContainsFunc(step.Moves, func(m Pointing) bool { return m.Cluster == id }) {
			w.t.Fatalf("%s leaves %s behind: %+v", r.Name, id, step.Moves)
		}
	}
}

// Whatever happens, and wherever the operator dies: nothing is moved that a rule forbids, no wave before its time, no more clusters than
// may be under way, nothing is rolled back twice; and once the world is quiet, every release ends.
func TestWhateverHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		for range rapid.IntRange(1, 80).Draw(t, "events") {
			w.happen()
			w.auto()
			for _, r := range w.releases {
				if w.chance("slow", 3) {
					continue
				}
				w.work(r, true)
			}
		}
		w.quieten()
		w.end()
	})
}

// quieten ends what people and time can end: what clusters do is left as it is.
func (w *world) quieten() {
	w.env.Spec.Freezes, w.sight = nil, Sight{Since: w.now}
	w.policies[0].Spec.AutoRelease = nil
	for _, r := range w.releases {
		r.Spec.Suspend = false
		r.Spec.Approvals = []fleetv1.Approval{{By: "lead@example.com"}}
	}
	for i := range w.origin.Clusters {
		w.origin.Clusters[i].Rollout.Known = true
	}
	for _, s := range w.sites {
		if w.chance("stays dark", 6) {
			s.dark, s.heard = true, w.now
		} else {
			s.dark = false
		}
	}
}

// end lets the operator work until every release has ended.
func (w *world) end() {
	well := rapid.Bool().Draw(w.t, "what is told to run does so in health")
	for range 400 {
		var next time.Duration
		for _, r := range w.releases {
			step := w.work(r, false)
			if !step.Phase.Final() && step.After <= 0 {
				w.t.Fatalf("nobody would look at %s again: %+v", r.Name, step)
			}
			next = earliest(next, step.After)
		}
		if next == 0 {
			return
		}
		w.now = w.now.Add(next)
		for _, s := range w.sites {
			if w.git[s.ID].Artifact != s.runs {
				w.settle(s, well)
			}
		}
	}
	for _, r := range w.releases {
		if !r.Status.Phase.Final() {
			w.t.Errorf("%s does not end: %+v", r.Name, Next(w.look(r)))
		}
	}
}
