package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"

	"github.com/fairway-dev/fairway/api/event"
)

// Defaults of Options: room for some 60,000 events, more than a day of a cluster in trouble, in a file
// of at most 192 MiB.
const (
	DefaultBytes = 64 << 20
	DefaultAge   = 7 * 24 * time.Hour
)

// leastFile is room for a file that holds nearly nothing.
const leastFile = 1 << 20

// Options of an Outbox.
type Options struct {
	Path    string // of the file; its folder has to be there. Required
	Cluster string // whose events it holds. Required

	Environment, Cloud, Region string // on the gaps that it makes; empty: not known

	Bytes int           // of events that wait; 0: DefaultBytes
	Age   time.Duration // since the commit; 0: DefaultAge
	// FileBytes is what the file may grow to; 0: three times Bytes, since pages that were freed are
	// not always where they are needed.
	FileBytes int

	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger     // nil: silent
}

// Outbox is a queue of events on disk. It is safe for concurrent use: one goroutine commits,
// another takes.
type Outbox struct {
	opts  Options
	epoch string

	mu       sync.Mutex
	db       *bbolt.DB
	last     uint64 // sequence given last
	snapshot uint64 // with which the newest snapshot begins
	queue    []item // in the order of sending: gaps, then by sequence
	bytes    int    // of the queue
	taken    bool   // the first of the queue is with whoever sends
	acked    []uint64
	state    inventory
	gap      event.Gap // what was dropped and not told yet
	due      bool      // a snapshot has to follow what was dropped

	waiting []waiting // not on disk, since it cannot be written
	problem error     // of the last write
	counts  Counts

	filled chan struct{} // has a token when there may be something to take
}

// waiting is an event that has no sequence yet.
type waiting struct {
	event event.Event
	at    time.Time
}

// Counts of an outbox since it was opened.
type Counts struct {
	Dropped map[event.Kind]int // events that will never be sent
	Gaps    int                // that were made of them
	Failed  int                // writes
}

// Stats of an outbox at one moment.
type Stats struct {
	Events, Bytes int       // that wait to be sent
	Oldest        time.Time // commit of the oldest of them; zero: none waits
	Unwritten     int       // events that wait in memory for the disk
	Bound         int       // of Bytes
	Counts
}

// Open opens the file, or begins a new one with a new epoch. A file that cannot be used (damaged, of
// another cluster, of another version) is moved aside for somebody to look at, and logged. Errors
// are of the disk, or say that another process has the file.
func Open(o Options) (*Outbox, error) {
	o.Bytes, o.Age = cmp.Or(o.Bytes, DefaultBytes), cmp.Or(o.Age, DefaultAge)
	o.FileBytes = cmp.Or(o.FileBytes, max(leastFile, 3*o.Bytes))
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	b, err := load(o)
	var bad *unusableError
	if errors.As(err, &bad) {
		if err = setAside(o, bad); err == nil {
			b, err = load(o)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open outbox: %w", err)
	}
	return b, nil
}

// Close writes what can be written, and closes the file.
func (b *Outbox) Close() error {
	err := b.Flush()
	b.mu.Lock()
	defer b.mu.Unlock()
	return errors.Join(err, b.db.Close())
}

// Epoch is one life of the file, a UUIDv7.
func (b *Outbox) Epoch() string { return b.epoch }

// Commit gives the events their ids, the epoch and the next sequences, and writes them together
// with what they say of the state: one synced transaction for all of them. An error says that they
// are not on disk: they wait in memory, have no sequence yet and are not sent. The next Commit or
// Flush tries again. Only an event that cannot be encoded is not kept, nor are those after it.
func (b *Outbox) Commit(events ...event.Event) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.opts.Now()
	for _, e := range events {
		if err := check(&e, now); err != nil {
			return err
		}
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make event id: %w", err)
		}
		e.ID, e.Epoch = id.String(), b.epoch
		b.waiting = append(b.waiting, waiting{event: e, at: now})
	}
	return b.flush(now)
}

// check finds what could never be written, before it is in the way of all that follows.
func check(e *event.Event, now time.Time) error {
	if _, err := stored(e, now); err != nil {
		return err
	}
	if e.Type == event.AgentSnapshot {
		if _, err := new(news).learn(e); err != nil {
			return err
		}
	}
	return nil
}

// Flush writes what waits for the disk, forgets what was acknowledged, and drops what is too old.
// It writes nothing when there is nothing to write.
func (b *Outbox) Flush() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.flush(b.opts.Now())
}

// Next is the event to send next, which stays until Done. It waits for one until ctx ends. An error
// that is not that of ctx says that the file is damaged: open it again.
func (b *Outbox) Next(ctx context.Context) (event.Event, error) {
	for {
		e, ok, err := b.take()
		if ok || err != nil {
			return e, err
		}
		select {
		case <-ctx.Done():
			return event.Event{}, context.Cause(ctx)
		case <-b.filled:
		}
	}
}

func (b *Outbox) take() (e event.Event, ok bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.taken && len(b.gap.Dropped) > 0 {
		b.takeGap(b.opts.Now())
	}
	if len(b.queue) == 0 {
		return e, false, nil
	}
	if e, err = b.read(b.queue[0].sequence); err != nil {
		return e, false, err
	}
	b.taken = true
	return e, true, nil
}

// Done forgets the event with that sequence, if it is the one that was taken. It is deleted with the
// next write: after a crash before that, it is sent again with the same id.
func (b *Outbox) Done(sequence uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if it, ok := b.release(sequence); ok {
		b.acked = append(b.acked, it.sequence)
	}
}

// Refuse drops the event with that sequence, if it is the one that was taken: the bus will never
// take it. The next gap tells.
func (b *Outbox) Refuse(sequence uint64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	it, ok := b.release(sequence)
	if !ok {
		return nil
	}
	b.acked = append(b.acked, it.sequence)
	b.gap = lose(b.gap, it, reasonRefused)
	b.due = b.due || it.typ != event.AgentSnapshot // another snapshot would be refused as well
	b.count(it)
	return b.flush(b.opts.Now())
}

func (b *Outbox) release(sequence uint64) (item, bool) {
	if !b.taken || b.queue[0].sequence != sequence {
		return item{}, false
	}
	it := b.queue[0]
	b.queue, b.taken, b.bytes = b.queue[1:], false, b.bytes-it.bytes
	return it, true
}

// Position is the sequence given last and the digest of the state after it. Events that wait for
// the disk count, so that readers know that they are behind.
func (b *Outbox) Position() (sequence, digest uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last + uint64(len(b.waiting)), b.state.digest
}

// SnapshotDue says whether readers lack what was dropped, and have been told so.
func (b *Outbox) SnapshotDue() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.due && !b.gapWaits()
}

// gapWaits says whether a gap has not been sent yet.
func (b *Outbox) gapWaits() bool {
	return len(b.gap.Dropped) > 0 || len(b.queue) > 0 && b.queue[0].typ == event.AgentGap
}

// Problem is why the last write failed; nil when it did not.
func (b *Outbox) Problem() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.problem
}

// Stats of this moment.
func (b *Outbox) Stats() Stats {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := Stats{Events: len(b.queue) + len(b.waiting), Bytes: b.bytes, Unwritten: len(b.waiting), Bound: b.opts.Bytes, Counts: b.counts}
	s.Dropped = maps.Clone(s.Dropped)
	for i := range b.waiting {
		s.Bytes += size(&b.waiting[i].event)
	}
	for i := range b.queue {
		if it := &b.queue[i]; it.typ != event.AgentGap {
			s.Oldest = it.at
			break
		}
	}
	if s.Oldest.IsZero() && len(b.waiting) > 0 {
		s.Oldest = b.waiting[0].at
	}
	return s
}

func (b *Outbox) count(it item) {
	if b.counts.Dropped == nil {
		b.counts.Dropped = map[event.Kind]int{}
	}
	b.counts.Dropped[it.typ.Kind()]++
}

func (b *Outbox) signal() {
	select {
	case b.filled <- struct{}{}:
	default:
	}
}

// envelope is about what an event takes beside its data, in bytes.
const envelope = 512

func size(e *event.Event) int { return len(e.Data) + envelope }
