package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/fairway-dev/fairway/api/event"
)

const (
	retryFirst = 200 * time.Millisecond
	retryMost  = 30 * time.Second
)

// newBackoff waits longer from one failure to the next, with jitter, so that a fleet does not come
// back in one instant.
func newBackoff() wait.Backoff {
	return wait.Backoff{Duration: retryFirst, Factor: 2, Jitter: 0.5, Steps: 32, Cap: retryMost}
}

// tokenBytes is how much of an event's data one token of the rate limit pays for: a snapshot's part
// weighs as much as fifty events.
const tokenBytes = 4 << 10

// publish empties the outbox in order, no faster than the rate limit. An event leaves it when the
// bus has acknowledged it, or will never take it.
func (a *Agent) publish(ctx context.Context, bus Publisher) error {
	for {
		e, err := a.outbox.Next(ctx)
		if err != nil {
			return fmt.Errorf("read the outbox: %w", err)
		}
		if err := a.limit.WaitN(ctx, min(1+len(e.Data)/tokenBytes, a.opts.Burst)); err != nil {
			return fmt.Errorf("wait for the rate limit: %w", err)
		}
		switch err := a.publishOne(ctx, bus, &e); {
		case errors.Is(err, event.ErrInvalid):
			a.log.Error("an event cannot be sent", "type", e.Type, "subject", e.Subject, "error", err)
			a.health.outbox(a.outbox.Refuse(e.Sequence))
		case err != nil:
			return err
		default:
			a.outbox.Done(e.Sequence)
		}
	}
}

// publishOne tries until the event is stored. One that the contract forbids can never be: that is
// event.ErrInvalid.
func (a *Agent) publishOne(ctx context.Context, bus Publisher, e *event.Event) error {
	backoff := newBackoff()
	for {
		err := bus.Publish(ctx, a.opts.Cluster, e)
		switch {
		case err == nil:
			a.health.published(e.Type.Kind())
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, event.ErrInvalid):
			return err
		}
		a.health.failed(channelEvents, err)
		if err := pause(ctx, backoff.Step()); err != nil {
			return err
		}
	}
}

// beat sends heartbeats. One that fails is not sent again: the next one says more.
func (a *Agent) beat(ctx context.Context, bus Heartbeater) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case h := <-a.beats:
			try, cancel := context.WithTimeout(ctx, a.opts.Heartbeat)
			if err := bus.Heartbeat(try, a.opts.Cluster, h); err == nil {
				a.health.beaten()
			} else if ctx.Err() == nil {
				a.health.failed(channelHeartbeats, err)
			}
			cancel()
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
