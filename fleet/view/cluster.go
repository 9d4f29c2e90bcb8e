package view

import (
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"time"
	"unique"

	"github.com/fairway-dev/fairway/api/event"
)

// cluster is all that is known of one cluster. Its lock is the caller's business.
type cluster struct {
	mu sync.RWMutex
	id string

	registration *registration // nil before the platform said anything
	heart        heart
	place        unique.Handle[place]

	epoch    string
	seen     tracker
	snapshot uint64  // sequence of the newest complete snapshot of this epoch; 0: none yet
	takenAt  int64   // when that was, UnixNano by the cluster's clock
	older    []taken // complete snapshots before that one, the oldest first, while events from before them are missing
	heard    int64   // when the bus had the newest event, UnixNano

	facts    facts
	factSeq  uint64
	placeSeq uint64
	version  unique.Handle[string] // of the agent, as agent.started said

	objects objects
	removed map[string]uint64   // removals that may still be overtaken by what was before them
	oldest  uint64              // none in removed has a lower sequence
	open    map[string]*episode // by the id that the agent gave it in this epoch
	done    map[string]*episode // resolved ones, by the same
	carried []*episode          // open ones of an earlier epoch
	past    []*episode          // resolved ones of earlier epochs
	parts   []*partial          // snapshots that are not complete

	digest   uint64 // sum of the sums of objects and open
	verified int64  // when the newest heartbeat came that has the same digest, UnixNano
	behind   behind
	ended    ended
	gaps     *gaps // nil: there never was one

	whole     bool // a snapshot of any epoch was complete
	diverged  bool // the agent's digest differed when last compared
	announced bool // connected, as Sweep last said
}

// facts are what the agent says of its cluster as a whole.
type facts struct {
	kubernetes, flux       unique.Handle[string]
	nodesReady, nodesTotal int32
}

// place is what the cluster's events say of where it is, for clusters that nobody registered.
type place struct{ environment, cloud, region string }

// fold takes one event of the kind, which the bus had at stored. complete is true when it made a
// snapshot whole.
func (c *cluster) fold(e *event.Event, kind event.Kind, stored int64) (complete bool, err error) {
	if e.Epoch != c.epoch {
		if e.Epoch < c.epoch {
			return false, nil // of an agent process that is gone
		}
		c.begin(e.Epoch)
	}
	what, err := c.prepare(e, kind, stored)
	if err != nil || !c.seen.see(e.Sequence) {
		return false, err
	}
	c.heard = max(c.heard, stored)
	if e.Sequence > c.placeSeq {
		c.locate(place{e.Environment, e.Cloud, e.Region}, e.Sequence)
	}
	if e.Type == event.AgentSnapshot { // it may be what shows that something is missing, and then no longer is
		c.lookBehind(stored, false)
	}
	switch {
	case what.known:
		c.put(what)
	case what.apply != nil:
		complete = what.apply()
	}
	c.forget()
	c.compare()
	c.lookBehind(stored, complete)
	return complete, nil
}

func (c *cluster) locate(now place, seq uint64) {
	if c.placeSeq == 0 || c.place.Value() != now {
		c.place = unique.Make(now)
	}
	c.placeSeq = seq
}

// change is what an event does to the cluster: an object's new state, or something rarer. Neither:
// the view has no use for it.
type change struct {
	object object
	known  bool // that object, which stands or would stand at
	at     int
	found  bool
	apply  func() (complete bool)
}

// prepare decodes the event. Nothing is changed before the payload is known to be right.
func (c *cluster) prepare(e *event.Event, kind event.Kind, stored int64) (what change, err error) {
	entry := e.Entry()
	if kind != event.KindFlux && kind != event.KindWorkload {
		what.apply, err = c.prepareOther(entry, kind, e.Sequence, stored)
		return what, err
	}
	var have *object
	if what.at, what.found = c.objects.find(entry.Subject); what.found {
		have = &c.objects[what.at]
	}
	what.object, what.known, err = objectOf(&entry, kind, e.Sequence, have)
	if err == nil && what.known && have == nil && len(c.objects) >= maxObjects && what.object.state != stateRemoved {
		err = ErrTooMuch
	}
	return what, err
}

func (c *cluster) prepareOther(entry event.Entry, kind event.Kind, seq uint64, stored int64) (apply func() (complete bool), err error) {
	switch {
	case kind == event.KindEpisode:
		ep, err := episodeOf(&entry, seq)
		if err != nil {
			return nil, err
		}
		if len(c.open) >= maxOpen && c.open[ep.id] == nil && ep.open() {
			return nil, ErrTooMuch
		}
		return func() bool { c.hear(ep); return false }, nil
	case kind == event.KindCluster, entry.Type == event.AgentStarted:
		f, version, err := factsOf(&entry)
		if err != nil {
			return nil, err
		}
		return func() bool { c.learn(f, version, seq); return false }, nil
	case entry.Type == event.AgentSnapshot:
		part, err := partOf(&entry, seq)
		if err != nil {
			return nil, err
		}
		return func() bool { return c.collect(part) }, nil
	case entry.Type == event.AgentGap:
		lost, err := gapOf(&entry)
		if err != nil {
			return nil, err
		}
		return func() bool { c.lose(lost, seq, stored); return false }, nil
	}
	return nil, nil
}

// begin enters a newer epoch: its sequences start again. What was known stays until the epoch's
// snapshot says what of it still is.
func (c *cluster) begin(epoch string) {
	c.turn()
	c.epoch = strings.Clone(epoch)
	c.seen, c.snapshot, c.factSeq, c.placeSeq = tracker{}, 0, 0, 0
	c.diverged, c.verified = false, 0
	c.removed, c.parts, c.older = nil, nil, nil
	for i := range c.objects {
		c.objects[i].seq = 0
	}
	for _, id := range slices.Sorted(maps.Keys(c.open)) {
		c.digest -= c.open[id].sum
		c.open[id].as = id
		c.carried = append(c.carried, c.open[id])
	}
	for _, id := range slices.Sorted(maps.Keys(c.done)) {
		c.past = append(c.past, c.done[id])
	}
	c.open, c.done = nil, nil
}

// put keeps the object's newest state, where no snapshot stands above it.
func (c *cluster) put(what change) {
	o := &what.object
	if o.seq < c.snapshot || o.seq < c.removed[o.key] {
		return
	}
	if what.found {
		have := &c.objects[what.at]
		if have.seq > o.seq {
			return
		}
		c.digest -= have.sum
	}
	if o.state != stateRemoved {
		delete(c.removed, o.key)
		c.objects = c.objects.putAt(what.at, what.found, *o)
		c.digest += o.sum
		return
	}
	if what.found {
		c.objects = slices.Delete(c.objects, what.at, what.at+1)
	}
	if len(c.removed) == 0 {
		c.removed, c.oldest = map[string]uint64{}, o.seq
	}
	if len(c.removed) < maxObjects { // beyond, only disorder can bring it back, and the digest tells
		c.removed[strings.Clone(o.key)] = o.seq
		c.oldest = min(c.oldest, o.seq)
	}
}

// forget drops the removals that nothing can overtake any more: all before them was seen, or
// stands below a snapshot, and no snapshot under way could bring the object back.
func (c *cluster) forget() {
	settled := func(seq uint64) bool { return seq <= c.seen.upTo || seq < c.snapshot }
	underWay := func(s *partial) bool { return s.seq >= c.snapshot }
	if len(c.removed) == 0 || !settled(c.oldest) || slices.ContainsFunc(c.parts, underWay) {
		return
	}
	c.oldest = math.MaxUint64
	for key, seq := range c.removed {
		if settled(seq) {
			delete(c.removed, key)
		} else {
			c.oldest = min(c.oldest, seq)
		}
	}
	if len(c.removed) == 0 {
		c.removed = nil
	}
}

func factsOf(e *event.Entry) (f facts, version string, err error) {
	var p event.Started // with the fields of event.Cluster
	if err := payload(e, &p); err != nil {
		return facts{}, "", err
	}
	return newFacts(p.Cluster), p.Version, nil
}

func newFacts(c event.Cluster) facts {
	return facts{
		kubernetes: unique.Make(c.KubernetesVersion), flux: unique.Make(c.FluxVersion),
		nodesReady: int32(c.NodesReady), nodesTotal: int32(c.NodesTotal),
	}
}

// learn keeps the newest facts. Of the events only agent.started has the agent's version.
func (c *cluster) learn(f facts, version string, seq uint64) {
	if version != "" {
		c.version = unique.Make(version)
	}
	if seq >= c.factSeq {
		c.facts, c.factSeq = f, seq
	}
}

// missing counts the events that the agent has committed, by its last heartbeat, and that are
// neither in the view nor covered by a snapshot.
func (c *cluster) missing() uint64 {
	switch strings.Compare(c.heart.epoch, c.epoch) {
	case -1:
		return c.seen.missing(c.snapshot, c.seen.end())
	case 1:
		return c.heart.sequence
	}
	return c.seen.missing(c.snapshot, max(c.heart.sequence, c.seen.end()))
}

func (c *cluster) registeredAt() uint64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.registration == nil {
		return 0
	}
	return c.registration.sequence
}

func (c *cluster) register(p *event.Registration, sequence uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.registration = newRegistration(p, sequence)
}

func timeOf(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos).UTC()
}

// nanos is the inverse of timeOf.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}
