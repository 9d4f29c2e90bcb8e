package rings

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/Masterminds/semver/v3"
)

// Pace of looking again at what tells of itself only in part.
const (
	poll     = 5 * time.Second  // a cluster that is upgraded
	pollHalt = 15 * time.Second // one that failed
)

// Next decides. Of clusters that are not skipped or left out, those of a ring get the target only when all
// of the rings before it are healthy on it and have soaked. A failure stops all that has not begun.
func Next(in Input) Decision {
	d := Decision{Words: make(map[string]Word, len(in.Clusters)), Failed: map[string]Failure{}}
	all := members(in)
	d.count(all)
	if in.Target == "" || in.Blind != "" {
		d.State = Unknown
		d.Halt = remembered(in.Target, all)
		d.speak(in, all, Ring{}, nil)
		return d
	}
	d.remember(in, all)
	d.Halt = halt(in, all)
	present, at := d.present(in, all)
	granted := map[string]bool{}
	if d.Halt == nil && d.State == Upgrading {
		granted = grant(in, all, at)
	}
	d.speak(in, all, present, granted)
	switch {
	case d.Halt != nil:
		d.State, d.Ring, d.SoakUntil, d.After = Halted, present.Name, time.Time{}, pollHalt
	case d.State == Soaking:
		d.After = d.SoakUntil.Sub(in.Now)
	case d.State == Upgrading:
		d.After = poll
	}
	return d
}

// present finds the ring that is not done, and whether it is upgraded, soaks, or is silent.
func (d *Decision) present(in Input, all []member) (Ring, int) {
	for at, ring := range in.Rings {
		s := sum(all, at)
		switch {
		case s.open > 0:
			d.State, d.Ring = Upgrading, ring.Name
			return ring, at
		case !opens(all, at+1):
			continue // nobody waits for it
		case s.unwell > 0:
			d.State, d.Ring = Upgrading, ring.Name
			return ring, at
		case s.away > 0 && s.proven == 0:
			d.State, d.Ring = Silent, ring.Name
			return ring, at
		}
		if until := s.since.Add(ring.Soak); s.proven > 0 && until.After(in.Now) {
			d.State, d.Ring, d.SoakUntil = Soaking, ring.Name, until
			return ring, at
		}
	}
	d.State = UpToDate
	return Ring{}, len(in.Rings)
}

// opens says whether a cluster of a ring, or of one after it, still has to get the target.
func opens(all []member, from int) bool {
	return slices.ContainsFunc(all, func(m member) bool { return m.ring >= from && m.state == old })
}

// grant chooses who of a ring gets the target now: in the order of their ids, so that the same ones are
// chosen until it shows that they got it.
func grant(in Input, all []member, ring int) map[string]bool {
	s := sum(all, ring)
	free := limit(in, s.size) - s.moving
	out := map[string]bool{}
	for _, m := range all {
		if m.ring == ring && m.state == old && free > 0 {
			out[m.ID], free = true, free-1
		}
	}
	return out
}

// halt is the failure that stops the upgrade: one that is remembered, or that the upgrade brought, or, while
// others still wait for the target, any on a cluster that has it.
func halt(in Input, all []member) *Halt {
	if h := remembered(in.Target, all); h != nil {
		return h
	}
	waits := opens(all, 0)
	var first *Halt
	for _, m := range all {
		if (m.state == failed || m.state == unwell && waits) && (first == nil || m.trouble.Since.Before(first.Since)) {
			first = &Halt{Cluster: m.ID, Trouble: *m.trouble}
		}
	}
	return first
}

// remembered is the oldest failure of the target that is remembered; also of clusters that have left it
// since, or are left out.
func remembered(target string, all []member) *Halt {
	var first *Halt
	for _, m := range all {
		if f := m.Failed; f != nil && target != "" && f.Version == target && !m.mended() && (first == nil || f.Since.Before(first.Since)) {
			first = &Halt{Cluster: m.ID, Trouble: f.Trouble}
		}
	}
	return first
}

// remember says which failures are new, and which are over.
func (d *Decision) remember(in Input, all []member) {
	for _, m := range all {
		switch {
		case m.Failed != nil && m.mended():
			d.Mended = append(d.Mended, m.ID)
		case m.state == failed && (m.Failed == nil || m.Failed.Version != in.Target):
			d.Failed[m.ID] = Failure{Version: in.Target, Trouble: *m.trouble}
		}
	}
}

func (d *Decision) count(all []member) {
	for _, m := range all {
		switch m.state {
		case leftOut:
			d.Counts.LeftOut++
		case away:
			d.Counts.Skipped++
			d.Skipped = append(d.Skipped, fmt.Sprintf("%s (%s)", m.ID, m.Away))
		case old:
			d.Counts.Waiting++
		case healthy, unwell:
			d.Counts.Upgraded++
		case failed:
			d.Counts.Failed++
		default:
			d.Counts.Upgrading++
		}
	}
}

// speak says of each cluster which version it may have.
func (d *Decision) speak(in Input, all []member, present Ring, granted map[string]bool) {
	fallback := in.Target
	if d.Halt != nil {
		fallback = cmp.Or(proven(in, all), in.Target)
	}
	for _, m := range all {
		w := Word{Target: in.Target, Version: cmp.Or(m.Tried, m.Installed)}
		switch {
		case m.state == fresh:
			w.Version, w.First = fallback, true
		case m.state >= onTarget, granted[m.ID]:
			w.Version = in.Target
		}
		if w.Version != in.Target && m.state != leftOut && in.Target != "" {
			w.Note = d.note(in, m, present)
		}
		d.Words[m.ID] = w
	}
}

// note says why a cluster has not got the target.
func (d *Decision) note(in Input, m member, present Ring) string {
	switch {
	case d.Halt != nil:
		return fmt.Sprintf("%s is halted: it failed on %s", in.Target, d.Halt.Cluster)
	case in.Blind != "":
		return in.Target + " waits: " + in.Blind
	case m.state == away:
		return in.Target + " waits until the cluster can be seen: " + m.Away
	case m.ring < len(in.Rings) && in.Rings[m.ring].Name == present.Name && d.State == Upgrading:
		return in.Target + " waits for its turn in ring " + present.Name
	}
	return in.Target + " waits for ring " + present.Name
}

// proven is the newest version other than the target that a healthy cluster runs.
func proven(in Input, all []member) string {
	var best *semver.Version
	var out string
	for _, m := range all {
		v, err := semver.NewVersion(m.Tried)
		if err == nil && m.Healthy && m.Tried != in.Target && (best == nil || v.GreaterThan(best)) {
			best, out = v, m.Tried
		}
	}
	return out
}
