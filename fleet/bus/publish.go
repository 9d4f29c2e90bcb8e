package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fairway-dev/fairway/api/event"
)

// headerRoom is what an event's headers may take of the stream's message limit, in bytes: the
// limit counts both.
const headerRoom = 256

// Publish stores the event on the cluster's subject and returns when the bus has acknowledged it.
// The id makes a repeat within Duplicates harmless. While there is no connection it waits for one, as long
// as ctx lets it; then for the acknowledgement, 10 s where ctx has no deadline. A connection that is
// lost meanwhile ends it, stored or not. Errors: event.ErrInvalid (sending it again is of no use),
// ErrDenied, ErrDisconnected, ErrNoStream, or that of ctx.
func (c *Conn) Publish(ctx context.Context, cluster string, e *event.Event) error {
	data, err := e.Encode()
	if err != nil {
		return err
	}
	if len(data) > event.MaxSize-headerRoom || len(e.ID) > headerRoom/2 {
		return fmt.Errorf("%w: %s is %d bytes, at most %d can be stored", event.ErrInvalid, e.Type, len(data), event.MaxSize-headerRoom)
	}
	msg := &nats.Msg{Subject: event.OfCluster(cluster, e.Type.Kind()).String(), Data: data, Header: nats.Header{
		jetstream.MsgIDHeader: {e.ID},
		"Content-Type":        {event.ContentType},
	}}
	if err := c.connected(ctx); err != nil {
		return fmt.Errorf("publish on %s: %w", msg.Subject, err)
	}
	return c.publish(ctx, msg)
}

// Heartbeat stores the cluster's heartbeat in place of the one before. Without a connection it fails at
// once: later it would be an old one. Errors are Publish's.
func (c *Conn) Heartbeat(ctx context.Context, cluster string, h event.Heartbeat) error {
	data, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encode heartbeat: %w", err)
	}
	return c.publish(ctx, &nats.Msg{Subject: event.Heartbeats(cluster).String(), Data: data})
}

// publish waits for the stream's ack. It asks for no stream information, which agents may not
// have. A violation, or the end of the connection, arrives on the side and ends the wait, instead of the
// deadline.
func (c *Conn) publish(ctx context.Context, msg *nats.Msg) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer c.await(msg.Subject, &cancel)()
	_, err := c.js.PublishMsg(ctx, msg)
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); errors.Is(cause, ErrDenied) || errors.Is(cause, ErrDisconnected) {
		err = cause
	}
	return fmt.Errorf("publish on %s: %w", msg.Subject, asError(err))
}

func (c *Conn) await(subject string, cancel *context.CancelCauseFunc) (done func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pending[subject] == nil {
		c.pending[subject] = map[*context.CancelCauseFunc]struct{}{}
	}
	c.pending[subject][cancel] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if delete(c.pending[subject], cancel); len(c.pending[subject]) == 0 {
			delete(c.pending, subject)
		}
	}
}

// connected waits for a connection.
func (c *Conn) connected(ctx context.Context) error {
	for {
		c.mu.Lock()
		back := c.back
		c.mu.Unlock()
		if c.nc.IsConnected() {
			return nil
		}
		select {
		case <-back:
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrDisconnected, context.Cause(ctx))
		}
	}
}

// lost ends what waits for an answer of a connection that is gone.
func (c *Conn) lost(err error) {
	gone := ErrDisconnected
	if err != nil {
		gone = fmt.Errorf("%w: %w", ErrDisconnected, err)
		c.onError(gone)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, waiting := range c.pending {
		for cancel := range waiting {
			(*cancel)(gone)
		}
	}
}

// found wakes those that wait for a connection.
func (c *Conn) found() {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.back)
	c.back = make(chan struct{})
}
