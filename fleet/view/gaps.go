package view

import (
	"cmp"
	"slices"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

const (
	maxGaps = 8 // closed ones that are kept of a cluster
	// onTheWay is how long what a heartbeat counts may take to arrive before it is called a gap.
	onTheWay = 30 * time.Second
	// stall is how long nothing may arrive of what a heartbeat counts before a snapshot is asked for.
	stall = 10 * time.Second
)

// behind is the stretch in which something is missing.
type behind struct {
	since int64  // by the bus, UnixNano; 0: nothing is missing
	most  uint64 // events that were missing at once
	hole  bool   // later events than some of the missing ones have arrived
}

// ended is what the last heartbeat of the epoch said, once one of a newer epoch has come: an agent that
// lost its outbox is heard before its first event is.
type ended struct {
	sequence uint64
	received int64 // UnixNano, by the bus; 0: the epoch goes on
}

// gaps are what a cluster's events lacked.
type gaps struct {
	lost   []*gap // for good, until a snapshot stands above them: at most one a reason
	closed []*gap // the last ones, the oldest first
}

// gap is a stretch of a cluster's events that the view has, or had, to do without. Times are
// UnixNano: opened and closed by the bus, from and to by the cluster.
type gap struct {
	reason         rest.GapReason
	said           string // the sender's own word
	opened, closed int64
	closedBy       rest.GapEnd
	events         uint64
	dropped        [kindCount]uint64
	from, to       int64
	until          uint64 // a snapshot above this sequence closes it
}

// gapOf reads an agent.gap.
func gapOf(e *event.Entry) (*event.Gap, error) {
	var p event.Gap
	if err := payload(e, &p); err != nil {
		return nil, err
	}
	if len(p.Spans) > event.MaxGapSpans {
		return nil, ErrPayload
	}
	for _, s := range p.Spans {
		if s.First < 1 || s.Last < s.First || s.Last >= 1<<63 {
			return nil, ErrPayload
		}
	}
	return &p, nil
}

// lose takes what the sender says of events that it dropped.
func (c *cluster) lose(p *event.Gap, seq uint64, stored int64) {
	g := &gap{reason: rest.GapDropped, said: cut(p.Reason), opened: stored, from: nanos(p.From), to: nanos(p.To), until: seq}
	if len(p.Spans) > 0 {
		g.until = 0
	}
	for _, s := range p.Spans {
		g.until = max(g.until, s.Last)
		if s.Last > c.snapshot {
			c.seen.drop(span{s.First, s.Last})
		}
	}
	for i, kind := range event.Kinds {
		n := uint64(max(0, p.Dropped[kind]))
		g.dropped[i] += n
		g.events += n
	}
	c.addLost(g)
	c.closeLost(stored)
}

// turn records that a newer epoch has begun: what the outbox of the one before still held is lost,
// and so is what happened between the two, until the new epoch's snapshot.
func (c *cluster) turn() {
	if c.epoch == "" {
		return
	}
	g := &gap{reason: rest.GapEpoch, opened: c.heard, events: c.seen.missing(c.snapshot, c.seen.end())}
	last := c.ended
	if c.heart.epoch == c.epoch {
		last = ended{c.heart.sequence, c.heart.received}
	}
	if last.received != 0 {
		g.opened, g.events = max(g.opened, last.received), c.seen.missing(c.snapshot, max(last.sequence, c.seen.end()))
	}
	if c.behind.since != 0 {
		g.opened = min(g.opened, c.behind.since)
	}
	c.behind, c.ended = behind{}, ended{}
	c.addLost(g)
	for _, g := range c.gaps.lost {
		g.until = 0
	}
}

// addLost opens a gap, or extends the one of the same reason that is open.
func (c *cluster) addLost(news *gap) {
	if c.gaps == nil {
		c.gaps = &gaps{}
	}
	at := slices.IndexFunc(c.gaps.lost, func(g *gap) bool { return g.reason == news.reason })
	if at < 0 {
		c.gaps.lost = append(c.gaps.lost, news)
		return
	}
	g := c.gaps.lost[at]
	g.opened, g.from, g.to = min(g.opened, news.opened), earlier(g.from, news.from), max(g.to, news.to)
	g.said, g.events, g.until = cmp.Or(news.said, g.said), g.events+news.events, max(g.until, news.until)
	for i, n := range news.dropped {
		g.dropped[i] += n
	}
}

// closeLost closes what the newest snapshot stands above.
func (c *cluster) closeLost(at int64) {
	if c.gaps == nil {
		return
	}
	c.gaps.lost = slices.DeleteFunc(c.gaps.lost, func(g *gap) bool {
		if c.snapshot <= g.until {
			return false
		}
		c.close(g, at, rest.BySnapshot)
		return true
	})
}

// close keeps a gap that is over.
func (c *cluster) close(g *gap, at int64, by rest.GapEnd) {
	if c.gaps == nil {
		c.gaps = &gaps{}
	}
	g.closed, g.closedBy = max(g.opened, at), by
	if c.gaps.closed = append(c.gaps.closed, g); len(c.gaps.closed) > maxGaps {
		c.gaps.closed = slices.Delete(c.gaps.closed, 0, 1)
	}
}

// lookBehind opens, follows and closes the stretch in which something is missing. What came late
// but soon is no gap, and neither is what was before the first event that the view got.
func (c *cluster) lookBehind(at int64, snapshot bool) {
	if snapshot {
		c.closeLost(at)
	}
	missing, b := c.missing(), &c.behind
	if missing == 0 {
		c.catchUp(at, snapshot)
		return
	}
	before := c.seen.before(c.snapshot)
	b.most = max(b.most, missing-min(missing, before))
	if b.since == 0 {
		b.since = at
	}
	if holes := c.seen.missing(c.snapshot, c.seen.end()); holes > before && !b.hole {
		b.hole, b.since = true, min(b.since, at)
	}
}

// catchUp ends the stretch in which something was missing.
func (c *cluster) catchUp(at int64, snapshot bool) {
	b := c.behind
	if b.since == 0 {
		return
	}
	c.behind = behind{}
	by, lost := rest.ByEvents, false
	if snapshot {
		by, lost = rest.BySnapshot, b.hole
	}
	if b.most > 0 && (lost || at-b.since > int64(onTheWay)) {
		c.close(&gap{reason: rest.GapMissing, opened: b.since, events: b.most}, at, by)
	}
}

// lacks says whether something is missing that is not merely on its way.
func (c *cluster) lacks(now time.Time) bool {
	return c.behind.since != 0 && (c.behind.hole || now.UnixNano()-c.behind.since > int64(onTheWay))
}

// stalled says whether something is missing and nothing of it has come for a while.
func (c *cluster) stalled(now time.Time) bool {
	b := c.behind
	return b.since != 0 && (b.hole || now.UnixNano()-max(b.since, c.heard) > int64(stall))
}

// openGaps lists the gaps that are open, the one that opened last first.
func (c *cluster) openGaps(now time.Time) []*gap {
	var out []*gap
	if c.gaps != nil {
		out = slices.Clone(c.gaps.lost)
	}
	if c.lacks(now) {
		out = append(out, &gap{reason: rest.GapMissing, opened: c.behind.since, events: c.missing()})
	}
	slices.SortFunc(out, func(a, b *gap) int { return cmp.Compare(b.opened, a.opened) })
	return out
}

// allGaps lists the open ones, then those that were closed last.
func (c *cluster) allGaps(now time.Time) []rest.Gap {
	out := []rest.Gap{}
	for _, g := range c.openGaps(now) {
		out = append(out, g.rest())
	}
	if c.gaps != nil {
		for _, g := range slices.Backward(c.gaps.closed) {
			out = append(out, g.rest())
		}
	}
	return out
}

func (g *gap) rest() rest.Gap {
	out := rest.Gap{Reason: g.reason, Message: g.said, Opened: timeOf(g.opened), Closed: timeOf(g.closed), ClosedBy: g.closedBy,
		Events: g.events, From: timeOf(g.from), To: timeOf(g.to)}
	for i, n := range g.dropped {
		if n == 0 {
			continue
		}
		if out.Dropped == nil {
			out.Dropped = map[string]uint64{}
		}
		out.Dropped[string(event.Kinds[i])] = n
	}
	return out
}

// earlier is the earlier of two times, of which 0 is none.
func earlier(a, b int64) int64 {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}
