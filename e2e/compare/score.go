package main

import (
	"math"
	"slices"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
)

// teller is one of those that are compared, and what it told.
type teller struct {
	Name string
	// Once says that it means to tell a change by one message. Else it may use several, and only a message that comes
	// again counts as one too many.
	Once bool
	Told []told
}

// phases are a run's: before, during and after the cut.
type phases struct{ Begin, Cut, Healed, End time.Time }

// phaseNames in their order.
var phaseNames = []string{"before the cut", "during the cut", "after the cut"}

const cutPhase = 1

// of is the index of the phase that a time is in, -1 for none.
func (p phases) of(at time.Time) int {
	for i, end := range []time.Time{p.Begin, p.Cut, p.Healed, p.End} {
		if at.Before(end) {
			return i - 1
		}
	}
	return -1
}

// Score is how one of them did.
type Score struct {
	Name    string  `json:"name"`
	Phases  []Tally `json:"phases"`
	Strange int     `json:"strange"` // messages of changes that did not happen
	// CaughtUpSeconds is how long after the end of the cut everything that happened in it was told. Absent: some of it never was.
	CaughtUpSeconds *float64 `json:"caughtUpSeconds,omitempty"`
	// Latencies are of what happened outside the cut.
	Latencies []Latency `json:"latencies"`
}

// Tally counts the changes of a phase.
type Tally struct {
	Phase    string `json:"phase"`
	Happened int    `json:"happened"`
	Told     int    `json:"told"`
	Lost     int    `json:"lost"`  // not told until the end of the run
	Twice    int    `json:"twice"` // messages beyond those that were needed
}

// Latency is over Count changes, in milliseconds. It is negative where the message was there before the status.
type Latency struct {
	What  string  `json:"what"`
	Count int     `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
}

// Kinds of latencies, in their order: from the status that says so to the message, and from the commit to the message.
const (
	latencyFetched = "source fetched"
	latencyApplied = "applied"
	latencyFailed  = "failed"
	latencyCommit  = "any, from the commit"
)

// score holds what was told to what happened. commits says when each Git commit was made.
func score(changes []happened, t teller, p phases, commits map[string]time.Time) Score {
	s := Score{Name: t.Name}
	for _, name := range phaseNames {
		s.Phases = append(s.Phases, Tally{Phase: name})
	}
	m, took, caughtUp := match(changes, t), map[string][]float64{}, p.Healed
	for i, h := range changes {
		phase, message := p.of(h.At), m.first[i]
		if phase < 0 {
			continue
		}
		s.Phases[phase].count(message != nil, m.more[i])
		switch {
		case message == nil:
		case phase == cutPhase:
			caughtUp = later(caughtUp, message.At)
		default:
			took[kindOf(h.change)] = append(took[kindOf(h.change)], milliseconds(message.At.Sub(h.At)))
			if made, ok := commits[h.commit()]; ok {
				took[latencyCommit] = append(took[latencyCommit], milliseconds(message.At.Sub(made)))
			}
		}
	}
	if s.Phases[cutPhase].Lost == 0 {
		seconds := caughtUp.Sub(p.Healed).Seconds()
		s.CaughtUpSeconds = &seconds
	}
	s.Strange, s.Latencies = m.strange, latencies(took)
	return s
}

func (t *Tally) count(wasTold bool, more int) {
	t.Happened++
	t.Twice += more
	if wasTold {
		t.Told++
	} else {
		t.Lost++
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func kindOf(c change) string {
	switch {
	case c.Outcome == failed:
		return latencyFailed
	case c.Object.Kind == sourcev1.GitRepositoryKind:
		return latencyFetched
	}
	return latencyApplied
}

// matching says which message told each change first, nil for none, and how many came that were not needed.
type matching struct {
	first   []*told
	more    []int
	strange int
}

// match gives the n-th message of a change to the n-th time that it happened. What is left is too much of the last time.
func match(changes []happened, t teller) matching {
	m := matching{first: make([]*told, len(changes)), more: make([]int, len(changes))}
	open, last := map[change][]int{}, map[change]int{}
	for i, h := range changes {
		open[h.change], last[h.change] = append(open[h.change], i), i
	}
	seen := map[string]bool{}
	for _, message := range slices.SortedStableFunc(slices.Values(t.Told), func(a, b told) int { return a.At.Compare(b.At) }) {
		i, known := last[message.change]
		again := seen[message.ID]
		seen[message.ID] = true
		switch waiting := open[message.change]; {
		case !known:
			m.strange++
		case again, len(waiting) == 0 && t.Once:
			m.more[i]++
		case len(waiting) > 0:
			m.first[waiting[0]], open[message.change] = &message, waiting[1:]
		}
	}
	return m
}

func latencies(took map[string][]float64) []Latency {
	out := []Latency{}
	for _, what := range []string{latencyFetched, latencyApplied, latencyFailed, latencyCommit} {
		if values := took[what]; len(values) > 0 {
			slices.Sort(values)
			out = append(out, Latency{What: what, Count: len(values), P50: quantile(values, 0.5), P99: quantile(values, 0.99)})
		}
	}
	return out
}

// quantile is the least of the sorted values that no smaller a share of them is at or below; there is at least one.
func quantile(sorted []float64, share float64) float64 {
	return sorted[max(0, int(math.Ceil(share*float64(len(sorted))))-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
