package agent

import (
	"context"
	"fmt"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/observe"
	"github.com/fairway-dev/fairway/fleet/outbox"
)

// past is what the process before this one told last.
type past struct {
	told   map[string]uint64 // part of the state -> hash of its entry
	missed []observe.Draft   // what was observed since, before it is live
}

// recall gives the observer what was told before. An outbox without a state begins an epoch: its
// past is nil.
func (l *loop) recall() error {
	entries, err := l.outbox.State()
	if err != nil {
		return fmt.Errorf("read the outbox: %w", err)
	}
	if len(entries) == 0 {
		return nil
	}
	l.past = &past{told: make(map[string]uint64, len(entries))}
	for i := range entries {
		if key, _, ok := outbox.Member(&entries[i]); ok {
			l.past.told[key] = entries[i].Sum()
		}
	}
	l.obs.Restore(entries)
	return nil
}

// catchUp sends what the process before this one missed.
func (l *loop) catchUp(ctx context.Context) {
	events := 0
	for _, d := range l.past.missed {
		e, err := l.event(d)
		if err != nil {
			l.log.Error("make event", "error", err)
			l.lacking = true
			continue
		}
		if l.past.news(e.Entry()) {
			l.emit(ctx, d)
			events++
		}
	}
	l.log.Info("caught up", "epoch", l.outbox.Epoch(), "told before", len(l.past.told), "missed", events)
	l.past = nil
}

// news says whether an entry tells something else than what was told last, its time aside.
func (p *past) news(e event.Entry) bool {
	key, there, ok := outbox.Member(&e)
	if !ok {
		return true
	}
	before, known := p.told[key]
	if !there {
		delete(p.told, key)
		return known
	}
	sum := e.Sum()
	p.told[key] = sum
	return !known || before != sum
}
