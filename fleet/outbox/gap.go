package outbox

import (
	"slices"
	"strings"

	"github.com/fairway-dev/fairway/api/event"
)

// Reasons that an agent.gap gives.
const (
	reasonFull    = "the outbox was full"
	reasonOld     = "older than the outbox keeps events"
	reasonRefused = "outside the contract"
)

// lose adds a dropped event to a gap, and returns the new one.
func lose(g event.Gap, it item, reason string) event.Gap {
	dropped := map[event.Kind]int{it.typ.Kind(): 1}
	for kind, n := range g.Dropped {
		dropped[kind] += n
	}
	g.Dropped = dropped
	if !slices.Contains(strings.Split(g.Reason, "; "), reason) {
		g.Reason = strings.TrimPrefix(g.Reason+"; "+reason, "; ")
	}
	if g.From.IsZero() || it.when.Before(g.From) {
		g.From = it.when
	}
	if it.when.After(g.To) {
		g.To = it.when
	}
	if it.sequence != 0 {
		g.Spans = addSpan(g.Spans, it.sequence)
	}
	return g
}

// addSpan puts a sequence into ascending, disjoint spans, and returns new ones.
func addSpan(spans []event.Span, sequence uint64) []event.Span {
	at, found := slices.BinarySearchFunc(spans, sequence, func(s event.Span, sequence uint64) int {
		switch {
		case s.Last < sequence:
			return -1
		case s.First > sequence:
			return 1
		}
		return 0
	})
	if found {
		return spans
	}
	out := slices.Insert(slices.Clone(spans), at, event.Span{First: sequence, Last: sequence})
	return coarsen(joined(out, at), event.MaxGapSpans)
}

// joined joins the span with its neighbours where nothing lies between them.
func joined(spans []event.Span, at int) []event.Span {
	if at+1 < len(spans) && spans[at].Last+1 == spans[at+1].First {
		spans[at].Last = spans[at+1].Last
		spans = slices.Delete(spans, at+1, at+2)
	}
	if at > 0 && spans[at-1].Last+1 == spans[at].First {
		spans[at-1].Last = spans[at].Last
		spans = slices.Delete(spans, at, at+1)
	}
	return spans
}

// coarsen joins the spans with the least between them until there are at most limit.
func coarsen(spans []event.Span, limit int) []event.Span {
	for len(spans) > limit {
		best := 1
		for i := 2; i < len(spans); i++ {
			if spans[i].First-spans[i-1].Last < spans[best].First-spans[best-1].Last {
				best = i
			}
		}
		spans[best-1].Last = spans[best].Last
		spans = slices.Delete(spans, best, best+1)
	}
	return spans
}
