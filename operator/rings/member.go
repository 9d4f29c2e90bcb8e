package rings

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// state of a cluster on its way to the target.
type state int

const (
	leftOut  state = iota
	fresh          // it never had a Flux
	away           // it has another version, and cannot be upgraded or seen now
	old            // it has another version
	onTarget       // those below got the target
	joined         // with its first Flux: it proves nothing before it is healthy, and stops nobody
	moving         // and is not healthy yet
	failed         // while it was to become healthy, or soaked
	unwell         // of something that began later
	healthy
)

// member is a cluster in its ring.
type member struct {
	Cluster
	ring    int // index; len(Input.Rings): none selects it
	state   state
	trouble *Trouble // of one that failed or is unwell
}

// members are the clusters, ordered by id.
func members(in Input) []member {
	out := make([]member, 0, len(in.Clusters))
	for _, c := range in.Clusters {
		m := member{Cluster: c, ring: slices.IndexFunc(in.Rings, func(r Ring) bool { return r.has(c) })}
		var soak time.Duration
		if m.ring < 0 {
			m.ring = len(in.Rings)
		} else {
			soak = in.Rings[m.ring].Soak
		}
		m.state, m.trouble = judge(in, c, soak)
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b member) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

func (r Ring) has(c Cluster) bool {
	return (len(r.Environments) == 0 || slices.Contains(r.Environments, c.Environment)) && r.Selector.Matches(labels.Set(c.Labels))
}

// judge says how far a cluster is, and what is wrong there when it failed or is unwell. While nothing can be
// seen, nothing is held against it.
func judge(in Input, c Cluster, soak time.Duration) (state, *Trouble) {
	got := c.Tried == in.Target || c.Tried == "" && c.Installed == in.Target
	switch {
	case c.LeftOut != "":
		return leftOut, nil
	case c.Tried == "" && c.Installed == "":
		return fresh, nil
	case !got && c.Away != "":
		return away, nil
	case !got:
		return old, nil
	case c.Healthy:
		return healthy, nil
	case c.Joined:
		return joined, nil
	case in.Blind != "":
		return moving, nil
	}
	wrong := Trouble{Reason: c.Lacks.Reason, Message: c.Lacks.Message, Since: c.Since}
	if c.Trouble != nil {
		wrong = *c.Trouble
	}
	end := c.Since.Add(in.Timeout)
	switch {
	case wrong.Since.After(c.TriedAt.Add(in.Timeout + soak)):
		return unwell, &wrong
	case c.Trouble != nil:
		return failed, &wrong
	case !c.Since.IsZero() && !in.Now.Before(end):
		wrong.Message, wrong.Since = fmt.Sprintf("not healthy after %s: %s", in.Timeout, wrong.Message), end
		return failed, &wrong
	}
	return moving, nil
}

// mended says whether the cluster has got over what is remembered of it: it is healthy on the version
// that it should have.
func (m member) mended() bool { return m.state == healthy }

// tally is what counts of a ring.
type tally struct {
	size   int // its clusters, but for those left out
	open   int // that are still to become healthy on the target
	moving int // of those, that got it
	away   int // that are skipped
	unwell int
	proven int       // that are healthy on the target
	since  time.Time // when the last of those became so
}

// sum counts a ring. Who joined meanwhile does not make the others soak anew.
func sum(all []member, ring int) tally {
	var t tally
	var joined time.Time
	for _, m := range all {
		if m.ring != ring || m.state == leftOut {
			continue
		}
		t.size++
		switch m.state {
		case old, failed:
			t.open++
		case moving:
			t.open, t.moving = t.open+1, t.moving+1
		case away:
			t.away++
		case unwell:
			t.unwell++
		case healthy:
			t.proven++
			if m.Joined {
				joined = latest(joined, m.Since)
			} else {
				t.since = latest(t.since, m.Since)
			}
		}
	}
	if t.since.IsZero() {
		t.since = joined
	}
	return t
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// limit is how many clusters of a ring of that size may be on their way at the same time.
func limit(in Input, size int) int {
	n, err := intstr.GetScaledValueFromIntOrPercent(&in.MaxConcurrent, size, false)
	if err != nil {
		return 1 // the API server refuses such
	}
	return max(1, n)
}
