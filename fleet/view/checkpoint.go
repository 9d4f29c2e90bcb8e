package view

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"unique"

	"github.com/cespare/xxhash/v2"
)

// checkpointMark begins every checkpoint. Its last byte is the version of the format: whoever
// changes what is written, counts it up, and views start from the stream once.
const checkpointMark = "fairway view\x04"

// Save writes the whole view: with it and the stream from the position that it contains, a view
// goes on where this one was. It may run beside everything else and holds one cluster at a time,
// so that clusters may contain events after the position. The view that follows the stream drops
// these when they come again.
func (v *View) Save(w io.Writer) error {
	sum := xxhash.New()
	c := &coder{}
	c.mark()
	sequence, stored := v.sequence.Load(), v.stored.Load() // before anything that must contain it
	c.uint(&sequence)
	number(c, &stored)
	v.mu.RLock()
	dict(c, &v.gone, (*coder).uint)
	v.mu.RUnlock()
	all := v.all()
	c.length(len(all))
	out := io.MultiWriter(w, sum)
	for _, one := range all {
		one.mu.RLock()
		c.cluster(one)
		one.mu.RUnlock()
		if err := c.flush(out); err != nil {
			return err
		}
	}
	v.book.mu.RLock()
	c.book(v.book)
	v.book.mu.RUnlock()
	if err := c.flush(out); err != nil {
		return err
	}
	check := sum.Sum64()
	c.hash(&check)
	return c.flush(w)
}

// mark writes the beginning, or holds what is there to it.
func (c *coder) mark() {
	if !c.reading {
		c.data = append(c.data, checkpointMark...)
		return
	}
	if len(c.data) < len(checkpointMark) || string(c.data[:len(checkpointMark)]) != checkpointMark {
		c.fail()
		return
	}
	c.data = c.data[len(checkpointMark):]
}

func (c *coder) flush(w io.Writer) error {
	if c.err != nil {
		return fmt.Errorf("write checkpoint: %w", c.err)
	}
	if _, err := w.Write(c.data); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	c.data = c.data[:0]
	return nil
}

// Load replaces what the view has by a checkpoint that Save wrote. Where it cannot be read, or is
// not whole (ErrCheckpoint), the view stays as it was. It tells nobody of changes; counts of events
// go on.
func (v *View) Load(r io.Reader) error {
	data, err := io.ReadAll(r)
	if err != nil {
		return fmt.Errorf("read checkpoint: %w", err)
	}
	whole := len(data) - 8
	if whole < 0 {
		return fmt.Errorf("read checkpoint: %w", ErrCheckpoint)
	}
	c := &coder{reading: true, data: data[whole:]}
	var check uint64
	if c.hash(&check); check != xxhash.Sum64(data[:whole]) {
		return fmt.Errorf("read checkpoint: %w", ErrCheckpoint)
	}
	c.data = data[:whole]
	return v.restore(c)
}

func (v *View) restore(c *coder) error {
	var sequence uint64
	var stored int64
	gone := map[string]uint64{}
	c.mark()
	c.uint(&sequence)
	number(c, &stored)
	dict(c, &gone, (*coder).uint)
	clusters := map[string]*cluster{}
	for n := c.length(0); n > 0 && c.err == nil; n-- {
		one := &cluster{}
		c.cluster(one)
		one.derive()
		clusters[one.id] = one
	}
	kept := newBook()
	c.book(kept)
	if len(c.data) > 0 {
		c.fail()
	}
	if c.err != nil {
		return fmt.Errorf("read checkpoint: %w", c.err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.clusters, v.gone = clusters, gone
	v.book.replace(kept)
	v.sequence.Store(sequence)
	v.stored.Store(stored)
	return nil
}

// derive fills in what a checkpoint leaves out, since it follows from the rest.
func (c *cluster) derive() {
	c.digest = c.recount()
	if len(c.removed) > 0 {
		c.oldest = slices.Min(slices.Collect(maps.Values(c.removed)))
	}
}

func (c *coder) cluster(v *cluster) {
	str(c, &v.id)
	pointer(c, &v.registration, (*coder).registration)
	c.heart(&v.heart)
	handle(c, &c.places, &v.place, func(c *coder, p *place) {
		str(c, &p.environment)
		str(c, &p.cloud)
		str(c, &p.region)
	})
	str(c, &v.epoch)
	c.tracker(&v.seen)
	c.uint(&v.snapshot)
	number(c, &v.takenAt)
	list(c, &v.older, func(c *coder, v *taken) {
		c.uint(&v.seq)
		number(c, &v.at)
	})
	number(c, &v.heard)
	c.facts(&v.facts)
	c.uint(&v.factSeq)
	c.uint(&v.placeSeq)
	c.handle(&v.version)
	list(c, (*[]object)(&v.objects), (*coder).object)
	dict(c, &v.removed, (*coder).uint)
	episodes := made((*coder).episode)
	dict(c, &v.open, episodes)
	dict(c, &v.done, episodes)
	list(c, &v.carried, episodes)
	list(c, &v.past, episodes)
	list(c, &v.parts, made((*coder).partial))
	number(c, &v.verified)
	number(c, &v.behind.since)
	c.uint(&v.behind.most)
	c.flag(&v.behind.hole)
	c.uint(&v.ended.sequence)
	number(c, &v.ended.received)
	pointer(c, &v.gaps, (*coder).gaps)
	c.flag(&v.whole)
	c.flag(&v.diverged)
	c.flag(&v.announced)
}

func (c *coder) handle(v *unique.Handle[string]) { handle(c, &c.texts, v, str[string]) }

func (c *coder) registration(r *registration) {
	c.uint(&r.sequence)
	must(c, &c.registered, &r.of, func(c *coder, v *registered) {
		for _, field := range []*string{&v.namespace, &v.environment, &v.cloud, &v.region, &v.account} {
			str(c, field)
		}
	})
	c.flag(&r.suspended)
	list(c, &r.conditions, func(c *coder, v *condition) {
		must(c, &c.conditions, &v.said, func(c *coder, v *conditionText) {
			for _, field := range []*string{&v.kind, &v.status, &v.reason, &v.message} {
				str(c, field)
			}
		})
		number(c, &v.since)
	})
}

func (c *coder) heart(h *heart) {
	number(c, &h.received)
	number(c, &h.skew)
	number(c, &h.lag)
	number(c, &h.interval)
	str(c, &h.epoch)
	c.uint(&h.sequence)
	c.hash(&h.digest)
	c.facts(&h.facts)
	c.handle(&h.version)
}

func (c *coder) facts(f *facts) {
	c.handle(&f.kubernetes)
	c.handle(&f.flux)
	number(c, &f.nodesReady)
	number(c, &f.nodesTotal)
}

func (c *coder) tracker(t *tracker) {
	c.uint(&t.upTo)
	c.uint(&t.lost)
	one := func(c *coder, s *span) {
		c.uint(&s.first)
		c.uint(&s.last)
	}
	list(c, (*[]span)(&t.spans), one)
	list(c, (*[]span)(&t.gone), one)
}

func (c *coder) object(o *object) {
	str(c, &o.key)
	c.uint(&o.seq)
	c.hash(&o.sum)
	number(c, &o.since)
	c.origin(&o.origin)
	must(c, &c.said, &o.said, func(c *coder, v *said) {
		str(c, &v.reason)
		str(c, &v.message)
	})
	must(c, &c.texts, &o.images, str[string])
	number(c, &o.desired)
	number(c, &o.ready)
	state_ := int(o.state)
	if number(c, &state_); c.reading {
		if state_ < 0 || state_ >= int(stateRemoved) {
			c.fail()
			return
		}
		o.state = state(state_)
	}
}

func (c *coder) origin(h *unique.Handle[origin]) {
	must(c, &c.origins, h, func(c *coder, v *origin) {
		for _, field := range []*string{&v.team, &v.service, &v.artifact, &v.revision, &v.owner, &v.source} {
			str(c, field)
		}
	})
}

func (c *coder) episode(ep *episode) {
	str(c, &ep.id)
	str(c, &ep.as)
	str(c, &ep.subject)
	number(c, &ep.opened)
	c.origin(&ep.from)
	c.json(&ep.detail)
	c.uint(&ep.seq)
	c.hash(&ep.sum)
	number(c, &ep.known)
	number(c, &ep.resolvedAt)
	str(c, &ep.resolvedBy)
	c.uint(&ep.resolvedSeq)
}

func (c *coder) partial(s *partial) {
	str(c, &s.id)
	c.uint(&s.seq)
	parts := s.ordered()
	list(c, &parts, made((*coder).part))
	if !c.reading {
		return
	}
	s.have = make(map[int]*part, len(parts))
	for _, p := range parts {
		s.have[p.number] = p
	}
}

func (c *coder) part(p *part) {
	str(c, &p.id)
	c.uint(&p.seq)
	number(c, &p.at)
	number(c, &p.number)
	number(c, &p.parts)
	list(c, &p.objects, (*coder).object)
	list(c, &p.episodes, made((*coder).episode))
	pointer(c, &p.facts, (*coder).facts)
}

func (c *coder) gaps(g *gaps) {
	list(c, &g.lost, made((*coder).gap))
	list(c, &g.closed, made((*coder).gap))
}

func (c *coder) gap(g *gap) {
	str(c, &g.reason)
	str(c, &g.said)
	number(c, &g.opened)
	number(c, &g.closed)
	str(c, &g.closedBy)
	c.uint(&g.events)
	for i := range g.dropped {
		c.uint(&g.dropped[i])
	}
	number(c, &g.from)
	number(c, &g.to)
	c.uint(&g.until)
}
