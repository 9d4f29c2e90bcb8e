package sim

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/agent"
)

// tap stands between an agent and its connection. It holds events back, repeats and reorders them,
// and shifts the clock that they show.
type tap struct {
	mu        sync.Mutex
	open      chan struct{} // closed when events may pass; nil: they may
	skew      time.Duration
	random    *rand.Rand
	duplicate float64
	reorder   float64
	late      *event.Event // held back until after the next one
}

// through is the agent's bus, with the tap before it.
type through struct {
	agent.Bus
	tap    *tap
	repeat func(ctx context.Context, e *event.Event) error
}

// Publish implements agent.Publisher.
func (b *through) Publish(ctx context.Context, cluster string, e *event.Event) error {
	if err := b.tap.wait(ctx); err != nil {
		return err
	}
	shifted := *e
	shifted.Time = e.Time.Add(b.tap.clock())
	events, copies := b.tap.order(&shifted)
	for _, next := range events {
		if err := b.Bus.Publish(ctx, cluster, next); err != nil {
			return err
		}
	}
	for _, again := range copies {
		if err := b.repeat(ctx, again); err != nil {
			return err
		}
	}
	return nil
}

// Heartbeat implements agent.Heartbeater.
func (b *through) Heartbeat(ctx context.Context, cluster string, h event.Heartbeat) error {
	h.Time = h.Time.Add(b.tap.clock())
	return b.Bus.Heartbeat(ctx, cluster, h)
}

func (t *tap) clock() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.skew
}

// wait returns when events may pass.
func (t *tap) wait(ctx context.Context) error {
	t.mu.Lock()
	open := t.open
	t.mu.Unlock()
	if open == nil {
		return nil
	}
	select {
	case <-open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (t *tap) hold() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open == nil {
		t.open = make(chan struct{})
	}
}

func (t *tap) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open != nil {
		close(t.open)
		t.open = nil
	}
}

// order says what goes out now instead of e, and what once more after it.
func (t *tap) order(e *event.Event) (events, copies []*event.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if late := t.late; late != nil {
		t.late, events = nil, []*event.Event{e, late}
	} else if t.reorder > 0 && t.random.Float64() < t.reorder {
		t.late = e
		return nil, nil
	} else {
		events = []*event.Event{e}
	}
	if t.duplicate > 0 && t.random.Float64() < t.duplicate {
		copies = append(copies, events[t.random.IntN(len(events))])
	}
	return events, copies
}

// flush ends all disturbance and returns what was held back.
func (t *tap) flush() *event.Event {
	t.mu.Lock()
	defer t.mu.Unlock()
	late := t.late
	t.late, t.duplicate, t.reorder = nil, 0, 0
	return late
}

// repeater publishes events past the id by which the bus would know them again: a duplicate that
// arrives after the bus has forgotten.
type repeater struct {
	url   string
	creds []byte
	tls   nats.Option
	inbox string
}

func (r *repeater) publish(ctx context.Context, cluster string, e *event.Event) error {
	nc, err := nats.Connect(r.url, nats.UserCredentialBytes(r.creds), nats.CustomInboxPrefix(r.inbox), r.tls)
	if err != nil {
		return err
	}
	defer nc.Close()
	data, err := e.Encode()
	if err != nil {
		return err
	}
	_, err = nc.RequestMsgWithContext(ctx, &nats.Msg{
		Subject: event.OfCluster(cluster, e.Type.Kind()).String(), Data: data, Header: nats.Header{"Content-Type": {event.ContentType}}})
	return err
}
