package history

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/view"
)

// Add takes the next message of the stream. It waits for a history that is slow, but only shortly for
// one that cannot write: what it does not take then, Run reads again from the stream. So nothing is
// skipped, and the view goes on.
func (h *History) Add(ctx context.Context, r Record) {
	h.mu.Lock()
	h.heard = r.Sequence
	leave := h.behind || r.Sequence <= h.accepted
	h.mu.Unlock()
	if leave {
		return
	}
	taken := h.offer(ctx, item{record: r}, patience)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.behind = !taken; taken {
		h.accepted = r.Sequence
	}
}

// offer puts an item into the queue; false when there was no room in time.
func (h *History) offer(ctx context.Context, i item, wait time.Duration) bool {
	select {
	case h.items <- i:
		return true
	default:
	}
	if h.failure.Load() != nil {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case h.items <- i:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// flushWithin bounds the wait for what is added to be written.
const flushWithin = 10 * time.Second

// Flush returns when all that was added before is in the file. It fails while the file cannot be written.
func (h *History) Flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, flushWithin)
	defer cancel()
	done := make(chan struct{})
	if !h.offer(ctx, item{done: done}, flushWithin) {
		return fmt.Errorf("write the newest events: %w", errors.Join(h.Health(), ctx.Err()))
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("write the newest events: %w", errors.Join(h.Health(), context.Cause(ctx)))
	}
}

var errBusy = errors.New("the history takes no more at this moment")

// follow reads again what Add could not take, whenever there is something, until ctx ends.
func (h *History) follow(ctx context.Context, source Source) {
	tick := time.NewTicker(catchUp)
	defer tick.Stop()
	for {
		if h.missing() {
			if err := h.readAgain(ctx, source); err != nil && ctx.Err() == nil {
				h.o.Log.Info("history waits", "reason", err.Error())
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (h *History) missing() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.behind && h.file != nil && h.failure.Load() == nil
}

// readAgain reads up to where the stream ends, and again until Add can take over.
func (h *History) readAgain(ctx context.Context, source Source) error {
	for {
		state, err := source.State(ctx)
		if err != nil {
			return err
		}
		h.mu.Lock()
		h.lose(state.First)
		h.mu.Unlock()
		var full error
		err = source.Read(ctx, bus.Start{Sequence: h.Position() + 1}, bus.Filter{}, func(m bus.Message) bool {
			if !h.offer(ctx, item{record: record(m)}, time.Minute) {
				full = errBusy
				return false
			}
			h.again.Add(1)
			h.accept(m.Sequence)
			return true
		})
		if err := errors.Join(err, full); err != nil {
			return err
		}
		if h.takeOver(state.Last) {
			return nil
		}
	}
}

// accept notes that everything up to the position is on its way.
func (h *History) accept(sequence uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.accepted = max(h.accepted, sequence)
}

// lose counts what the stream, which begins with first now, dropped before it could be read. A history that has nothing
// yet begins where the stream does. It is called with mu held.
func (h *History) lose(first uint64) {
	if h.accepted == 0 || first <= h.accepted+1 {
		return
	}
	n := first - h.accepted - 1
	h.lost.Add(n)
	h.o.Log.Error(errDropped, "the history lacks events", "events", n, "after", h.accepted, "before", first)
	h.accepted = first - 1
}

var errDropped = errors.New("the stream dropped them before the history could read them")

// takeOver ends the reading when it has reached all that Add has heard: from here on Add takes what comes.
func (h *History) takeOver(last uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.accepted = max(h.accepted, last)
	h.behind = h.heard > h.accepted
	return !h.behind
}

// record decodes a message as the hub does. What cannot be decoded is a position only.
func record(m bus.Message) Record {
	r := Record{Record: view.Record{Sequence: m.Sequence, Stored: m.Stored, Cluster: m.Subject.Cluster}, Data: m.Data}
	if e, err := event.Decode(m.Data); err == nil {
		r.Event = &e
	}
	return r
}
