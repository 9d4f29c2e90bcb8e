package view

import "slices"

// maxSpans bounds the memory of a tracker: a cluster with more holes than this has its oldest
// counted as lost.
const maxSpans = 256

// tracker knows which sequences of an epoch were seen: all up to a point, and spans beyond it.
type tracker struct {
	upTo  uint64
	spans spans
	lost  uint64 // sequences up to upTo that were given up
	gone  spans  // those that the sender says it dropped; whoever sees one after all is right
}

// see marks a sequence; false when it was seen, or given up, before.
func (t *tracker) see(seq uint64) bool {
	if seq == t.upTo+1 && len(t.spans) == 0 { // nearly always
		t.upTo = seq
		return true
	}
	if seq <= t.upTo || t.spans.has(seq) {
		return false
	}
	t.spans = t.spans.add(span{seq, seq})
	if len(t.spans) > maxSpans {
		t.lost += t.holes(t.upTo, t.spans[0].first-1)
		t.swallow()
	}
	if t.spans[0].first == t.upTo+1 {
		t.swallow()
	}
	return true
}

// swallow makes all up to the end of the first span seen.
func (t *tracker) swallow() {
	t.upTo = t.spans[0].last
	t.spans = slices.Delete(t.spans, 0, 1)
}

// drop marks sequences that will never come, and are therefore not missing.
func (t *tracker) drop(s span) {
	if t.gone = t.gone.add(s); len(t.gone) > maxSpans { // the oldest count as missing again, which asks for a snapshot
		t.gone = slices.Delete(t.gone, 0, 1)
	}
}

// settle forgets what only matters above floor.
func (t *tracker) settle(floor uint64) {
	t.lost = 0
	if t.gone = slices.DeleteFunc(t.gone, func(s span) bool { return s.last <= floor }); len(t.gone) == 0 {
		t.gone = nil
	}
}

// end is the highest sequence that was seen.
func (t *tracker) end() uint64 {
	if len(t.spans) > 0 {
		return t.spans[len(t.spans)-1].last
	}
	return t.upTo
}

// before counts the sequences above floor that were before the first that was seen.
func (t *tracker) before(floor uint64) uint64 {
	if t.upTo > 0 || len(t.spans) == 0 {
		return 0
	}
	return t.holes(floor, t.spans[0].first-1)
}

// missing counts the sequences above floor, up to last, that were neither seen nor dropped.
func (t *tracker) missing(floor, last uint64) uint64 { return t.holes(floor, last) + t.lost }

func (t *tracker) holes(floor, last uint64) uint64 {
	if last <= max(floor, t.upTo) {
		return 0
	}
	floor = max(floor, t.upTo)
	n := last - floor - t.spans.count(floor, last)
	if len(t.gone) > 0 {
		n -= t.gone.count(floor, last) - t.gone.common(t.spans, floor, last)
	}
	return n
}
