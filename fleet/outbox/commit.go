package outbox

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/fairway-dev/fairway/api/event"
)

// memoryBytes bounds what waits in memory while the disk cannot be written.
const memoryBytes = 16 << 20

// delta is one transaction: what the file is to say, and what is done about the queue.
type delta struct {
	head
	put     []item // into the queue
	values  [][]byte
	first   bool // put goes before all that is in it
	waited  int  // how many of those that wait it takes
	dropped []item
	acked   []uint64
	news    news
}

// pieceBytes is how much is tried at once after a write has failed: there may be room for a part.
const pieceBytes = 64 << 10

// flush writes what waits and what changed since the last write. b.mu is held. After a failure it
// first deletes what was acknowledged, which makes room, and then goes in small pieces.
func (b *Outbox) flush(now time.Time) error {
	n := len(b.waiting)
	if b.problem != nil {
		n = 0
	}
	for {
		d, err := b.draft(n, now)
		if err != nil {
			return err
		}
		if len(d.put)+len(d.dropped)+len(d.acked) == 0 && b.problem == nil {
			return nil
		}
		if err := b.write(d, now); err != nil || len(b.waiting) == 0 {
			return err
		}
		n = b.piece()
	}
}

// piece is how many of the events that wait make up pieceBytes. The parts of a snapshot stay
// together.
func (b *Outbox) piece() int {
	bytes := 0
	for i := range b.waiting {
		e := &b.waiting[i].event
		if i > 0 && bytes+size(e) > pieceBytes && e.Type != event.AgentSnapshot {
			return i
		}
		bytes += size(e)
	}
	return len(b.waiting)
}

// draft numbers the first n events that wait, learns what they say, and drops what is too much.
func (b *Outbox) draft(n int, now time.Time) (*delta, error) {
	d := &delta{head: b.head(), acked: b.acked, waited: n}
	for _, w := range b.waiting[:n] {
		e := w.event
		d.Last++
		e.Sequence = d.Last
		begins, err := d.news.learn(&e)
		if err != nil {
			return nil, err
		}
		if begins {
			d.Snapshot = e.Sequence
		}
		value, err := stored(&e, w.at)
		if err != nil {
			return nil, err
		}
		d.add(&e, w.at, value)
	}
	if d.news.whole && !b.gapWaits() {
		d.Due = false
	}
	b.drop(d, now)
	return d, nil
}

func (d *delta) add(e *event.Event, at time.Time, value []byte) {
	d.put = append(d.put, item{sequence: e.Sequence, bytes: len(value), typ: e.Type, when: e.Time, at: at})
	d.values = append(d.values, value)
}

// drop moves to the gap what the queue must lose. What was taken stays.
func (b *Outbox) drop(d *delta, now time.Time) {
	from, bytes := 0, b.bytes
	if b.taken {
		from = 1
	}
	for i := range d.put {
		bytes += d.put[i].bytes
	}
	if bytes <= b.opts.Bytes && !b.outdated(from, now) {
		return
	}
	limit := bounds{bytes: b.opts.Bytes, age: b.opts.Age}
	if b.taken {
		limit.bytes = max(1, limit.bytes-b.queue[0].bytes)
	}
	all := slices.Concat(b.queue[from:], d.put)
	for _, i := range surplus(all, d.Snapshot, limit, now) {
		d.dropped = append(d.dropped, all[i])
		d.Gap, d.Due = lose(d.Gap, all[i], b.reason(all[i], now)), true
	}
}

// outdated says whether anything in the queue is too old. It is in the order of its commits, but
// for gaps.
func (b *Outbox) outdated(from int, now time.Time) bool {
	for _, it := range b.queue[from:] {
		if it.typ != event.AgentGap {
			return now.Sub(it.at) > b.opts.Age
		}
	}
	return false
}

func (b *Outbox) reason(it item, now time.Time) string {
	if now.Sub(it.at) > b.opts.Age {
		return reasonOld
	}
	return reasonFull
}

// write makes the file say what d says, and then what is in memory. When the file cannot be
// written, nothing has happened but that more waits.
func (b *Outbox) write(d *delta, now time.Time) error {
	if err := b.db.Update(d.apply); err != nil {
		b.problem = fmt.Errorf("write outbox: %w", err)
		b.counts.Failed++
		b.shed(now)
		return b.problem
	}
	b.last, b.snapshot, b.due, b.gap = d.Last, d.Snapshot, d.Due, d.Gap
	b.acked, b.problem = nil, nil
	b.waiting = slices.Delete(b.waiting, 0, d.waited)
	b.enqueue(d)
	b.state.apply(&d.news)
	for _, it := range d.dropped {
		b.count(it)
	}
	b.signal()
	return nil
}

func (b *Outbox) enqueue(d *delta) {
	if d.first {
		b.queue = slices.Insert(b.queue, 0, d.put...)
	} else {
		b.queue = append(b.queue, d.put...)
	}
	if gone := d.gone(); len(gone) > 0 {
		b.queue = slices.DeleteFunc(b.queue, func(it item) bool { return gone[it.sequence] })
	}
	b.bytes = 0
	for i := range b.queue {
		b.bytes += b.queue[i].bytes
	}
}

func (d *delta) gone() map[uint64]bool {
	out := make(map[uint64]bool, len(d.dropped))
	for _, it := range d.dropped {
		out[it.sequence] = true
	}
	return out
}

// shed bounds what waits in memory. What is dropped of it never had a sequence.
func (b *Outbox) shed(now time.Time) {
	items := make([]item, len(b.waiting))
	for i, w := range b.waiting {
		items[i] = item{bytes: size(&w.event), typ: w.event.Type, when: w.event.Time, at: w.at}
	}
	drop := surplus(items, 0, bounds{bytes: min(b.opts.Bytes, memoryBytes), age: b.opts.Age}, now)
	for _, i := range drop {
		b.gap, b.due = lose(b.gap, items[i], b.reason(items[i], now)), true
		b.count(items[i])
	}
	for _, i := range slices.Backward(drop) {
		b.waiting = slices.Delete(b.waiting, i, i+1)
	}
}

// takeGap makes an event of what was dropped and puts it before all that waits. When the file cannot
// be written, the gap waits for the next time.
func (b *Outbox) takeGap(now time.Time) {
	e, err := b.gapEvent(now)
	if err != nil {
		b.problem = err
		return
	}
	value, err := stored(&e, now)
	if err != nil {
		b.problem = err
		return
	}
	d := &delta{head: b.head(), acked: b.acked, first: true}
	d.Last, d.Gap = e.Sequence, event.Gap{}
	d.add(&e, now, value)
	if b.write(d, now) == nil {
		b.counts.Gaps++
		b.opts.Logger.Warn("events were dropped before they could be sent", "dropped", b.counts.Dropped)
	}
}

func (b *Outbox) gapEvent(now time.Time) (event.Event, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return event.Event{}, fmt.Errorf("make event id: %w", err)
	}
	e, err := event.New(b.opts.Cluster, event.AgentGap, event.Object{}, now, b.gap)
	if err != nil {
		return e, fmt.Errorf("make gap: %w", err)
	}
	e.ID, e.Epoch, e.Sequence = id.String(), b.epoch, b.last+1
	e.Environment, e.Cloud, e.Region = b.opts.Environment, b.opts.Cloud, b.opts.Region
	return e, nil
}
