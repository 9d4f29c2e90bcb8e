package view

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/fairway-dev/fairway/api/event"
)

// taken is a complete snapshot that is not the newest of its epoch. Events that are late may still
// be older than it.
type taken struct {
	seq uint64
	at  int64 // UnixNano by the cluster's clock
}

const (
	maxParts   = 512
	maxTaken   = 16
	maxPending = 2 // snapshots under way; more than one only where one was cut off
)

// part is one part of a snapshot, decoded as far as the view needs it.
type part struct {
	id       string
	seq      uint64
	at       int64
	number   int
	parts    int
	objects  []object
	episodes []*episode
	facts    *facts
}

// partial collects the parts of one snapshot.
type partial struct {
	id   string
	seq  uint64 // the lowest of the parts that are there
	have map[int]*part
}

// partOf decodes a snapshot part. Entries of types that the view is too old for are left out.
func partOf(e *event.Entry, seq uint64) (*part, error) {
	var p event.Snapshot
	if err := payload(e, &p); err != nil {
		return nil, err
	}
	if p.ID == "" || p.Part < 1 || p.Part > p.Parts || p.Parts > maxParts {
		return nil, ErrPayload
	}
	out := &part{id: p.ID, seq: seq, at: e.Time.UnixNano(), number: p.Part, parts: p.Parts}
	for i := range p.Entries {
		if err := out.add(&p.Entries[i]); err != nil {
			return nil, err
		}
	}
	if len(out.objects) > maxObjects || len(out.episodes) > maxOpen {
		return nil, ErrTooMuch
	}
	return out, nil
}

func (p *part) add(e *event.Entry) error {
	switch kind := e.Type.Kind(); kind {
	case event.KindFlux, event.KindWorkload:
		o, known, err := objectOf(e, kind, 0, nil)
		if err != nil || !known || o.state == stateRemoved {
			return err
		}
		p.objects = append(p.objects, o)
	case event.KindEpisode:
		ep, err := episodeOf(e, 0)
		if err != nil || ep.resolvedAt != 0 {
			return err
		}
		p.episodes = append(p.episodes, ep)
	case event.KindCluster:
		f, _, err := factsOf(e)
		if err != nil {
			return err
		}
		p.facts = &f
	}
	return nil
}

// collect keeps the part; complete is true when it was the last one and the snapshot is applied.
func (c *cluster) collect(p *part) (complete bool) {
	at := slices.IndexFunc(c.parts, func(s *partial) bool { return s.id == p.id })
	if at < 0 {
		c.parts = append(c.parts, &partial{id: p.id, seq: p.seq, have: map[int]*part{}})
		at = len(c.parts) - 1
	}
	s := c.parts[at]
	s.seq = min(s.seq, p.seq)
	s.add(p)
	if len(s.have) < p.parts {
		c.abandon()
		return false
	}
	c.parts = slices.Delete(c.parts, at, at+1)
	c.replace(s)
	return true
}

// add keeps a part, of all parts together no more than the view holds of a cluster.
func (s *partial) add(p *part) {
	objects, episodes := maxObjects, maxOpen
	for _, other := range s.have {
		objects -= len(other.objects)
		episodes -= len(other.episodes)
	}
	p.objects = p.objects[:min(len(p.objects), max(0, objects))]
	p.episodes = p.episodes[:min(len(p.episodes), max(0, episodes))]
	s.have[p.number] = p
}

// abandon drops the oldest of too many snapshots under way.
func (c *cluster) abandon() {
	if len(c.parts) <= maxPending {
		return
	}
	oldest := slices.MinFunc(c.parts, func(a, b *partial) int { return cmp.Compare(a.seq, b.seq) })
	c.parts = slices.DeleteFunc(c.parts, func(s *partial) bool { return s == oldest })
}

// replace puts a complete snapshot in the place of all that was before its first part. It was
// taken when the first part got its sequence, so later events stand above it.
func (c *cluster) replace(s *partial) {
	newest, at := s.seq >= c.snapshot, s.ordered()[0].at
	if newest {
		c.outdate(taken{c.snapshot, c.takenAt})
		c.snapshot, c.takenAt, c.whole, c.diverged = s.seq, at, true, false
		c.seen.settle(c.snapshot)
		c.inventory(s)
	} else {
		c.outdate(taken{s.seq, at})
	}
	for _, p := range s.ordered() {
		if newest && p.facts != nil {
			c.learn(*p.facts, "", s.seq)
		}
		for _, ep := range p.episodes {
			ep.seq, ep.known = s.seq, at
			c.adopt(ep)
			if len(c.open) < maxOpen || c.open[ep.id] != nil {
				c.hear(ep)
			}
		}
	}
	c.resolveAbsent()
	c.settle()
}

// outdate keeps what there is to know of a snapshot that another stands above.
func (c *cluster) outdate(s taken) {
	at := slices.IndexFunc(c.older, func(other taken) bool { return other.seq >= s.seq })
	if at < 0 {
		at = len(c.older)
	}
	c.older = slices.Insert(c.older, at, s)
}

// settle forgets the older snapshots before which nothing is missing.
func (c *cluster) settle() {
	c.older = slices.DeleteFunc(c.older, func(s taken) bool { return s.seq <= c.seen.upTo })
	c.older = slices.Delete(c.older, 0, max(0, len(c.older)-maxTaken))
	if len(c.older) == 0 {
		c.older = nil
	}
}

// lacked is when the first snapshot above the sequence was taken.
func (c *cluster) lacked(seq uint64) int64 {
	for _, s := range c.older {
		if s.seq > seq {
			return s.at
		}
	}
	return c.takenAt
}

// ordered are the parts in their order.
func (s *partial) ordered() []*part {
	return slices.SortedFunc(maps.Values(s.have), func(a, b *part) int { return cmp.Compare(a.number, b.number) })
}

// inventory replaces the objects: the snapshot's, and those that changed since it was taken.
func (c *cluster) inventory(s *partial) {
	total := len(c.objects)
	for _, p := range s.have {
		total += len(p.objects)
	}
	all := make(objects, 0, total)
	for _, p := range s.ordered() {
		for _, o := range p.objects {
			if o.seq = s.seq; o.seq >= c.removed[o.key] && len(all) < maxObjects {
				o.key = strings.Clone(o.key)
				all = append(all, o)
			}
		}
	}
	for i := range c.objects {
		c.digest -= c.objects[i].sum
		if c.objects[i].seq >= s.seq {
			all = append(all, c.objects[i])
		}
	}
	c.objects = slices.Clone(sorted(all))
	for i := range c.objects {
		c.digest += c.objects[i].sum
	}
}

// adopt gives an episode that an earlier epoch knew its id and beginning. One that the snapshot has is the same
// also under another id. Where two were alike, since the end of one was lost, the first snapshot that arrives decides
// which of them that is.
func (c *cluster) adopt(ep *episode) {
	if have := cmp.Or(c.open[ep.id], c.done[ep.id]); have != nil && have.as != "" {
		return // it is adopted already
	}
	if !c.adoptWhere(ep, func(old *episode) bool { return old.as == ep.id }) {
		c.adoptWhere(ep, func(old *episode) bool { return old.failure() == ep.failure() })
	}
}

func (c *cluster) adoptWhere(ep *episode, same func(*episode) bool) bool {
	at := slices.IndexFunc(c.carried, same)
	if at < 0 {
		return false
	}
	old := c.carried[at]
	c.carried = slices.Delete(c.carried, at, at+1)
	old.seq, old.sum = 0, 0 // of the earlier epoch
	old.resolvedAt, old.resolvedBy, old.resolvedSeq = 0, "", 0
	if heard := c.take(ep.id); heard != nil {
		old.merge(heard)
	}
	c.file(ep.id, old)
	return true
}

// resolveAbsent ends the episodes that were open before a snapshot and are not in it: by the first such snapshot.
func (c *cluster) resolveAbsent() {
	for _, id := range slices.Sorted(maps.Keys(c.open)) {
		if ep := c.open[id]; ep.seq < c.snapshot {
			c.take(id)
			ep.end(c.lacked(ep.seq))
			c.file(id, ep)
		}
	}
	for _, ep := range c.done {
		if ep.ended() {
			ep.end(min(ep.resolvedAt, c.lacked(ep.seq)))
		}
	}
	for _, ep := range c.carried {
		ep.seq, ep.sum = 0, 0 // of the earlier epoch
		if ep.end(c.lacked(0)); c.open[ep.as] != nil || c.done[ep.as] != nil {
			c.past = append(c.past, ep)
		} else {
			c.file(ep.as, ep)
		}
	}
	c.carried = nil
	c.trim()
}
