package bus

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/fairway-dev/fairway/api/event"
)

// Resync is the only command: send your snapshot again.
const Resync = "resync"

// Command sends a command to the cluster's agent and returns when the agent has taken it; what
// comes of it is seen on the stream. ErrNoAgent when none listens. ctx bounds the wait; without a
// deadline it is 10 s.
func (c *Conn) Command(ctx context.Context, cluster, name string) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	_, err := c.nc.RequestWithContext(ctx, event.Commands(cluster).String(), []byte(name))
	if errors.Is(err, nats.ErrNoResponders) {
		return fmt.Errorf("command %s to %s: %w", name, cluster, ErrNoAgent)
	}
	if err != nil {
		return fmt.Errorf("command %s to %s: %w", name, cluster, asError(err))
	}
	return nil
}

// OnCommand calls fn for every command to the cluster, one at a time, after it was acknowledged.
// fn must not block. The subscription lives as long as the connection, over reconnects; stop ends
// it before.
func (c *Conn) OnCommand(cluster string, fn func(name string)) (stop func(), err error) {
	subject := event.Commands(cluster).String()
	sub, err := c.nc.Subscribe(subject, func(m *nats.Msg) {
		if m.Reply != "" {
			if err := m.Respond(nil); err != nil {
				c.onError(fmt.Errorf("acknowledge command: %w", asError(err)))
			}
		}
		fn(string(m.Data))
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe %s: %w", subject, asError(err))
	}
	return func() {
		if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			c.onError(fmt.Errorf("unsubscribe %s: %w", subject, err))
		}
	}, nil
}
