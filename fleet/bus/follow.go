package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fairway-dev/fairway/api/event"
)

// How far the server may be ahead of whoever follows, in one pull: far enough that neither waits for the other while
// a long stream is read.
const (
	aheadMessages = 4096
	aheadBytes    = 16 << 20
)

// Message is what the stream keeps of one event. Data is not decoded: event.Decode.
type Message struct {
	Sequence uint64    // place in the stream
	Stored   time.Time // when the bus had it
	Subject  event.Subject
	Data     []byte // may be kept; never written to
}

// Start is where following or reading begins; the zero Start is the oldest message.
type Start struct {
	Sequence uint64    // the first that is wanted, when not 0
	Time     time.Time // stored at or after, when Sequence is 0
}

// Follow hands every event of FLEET_EVENTS to apply, in order and each once, from the start given
// until ctx ends, then returns nil. It outlives lost connections and restarts of the server. What
// is not on a subject of the contract goes to bad, as a *MessageError. Both run on one goroutine at a time.
//
// The only error is ErrStreamReplaced. A bus that is away or has no stream yet is waited for, and
// reported to Options.OnError.
func (c *Conn) Follow(ctx context.Context, from Start, apply func(Message), bad func(subject string, err error)) error {
	return c.follow(ctx, event.StreamEvents, from.config(), func(m jetstream.Msg, meta *jetstream.MsgMetadata) {
		subject, err := event.ParseSubject(m.Subject())
		if err != nil {
			bad(m.Subject(), &MessageError{Sequence: meta.Sequence.Stream, Stored: meta.Timestamp, Err: err})
			return
		}
		apply(Message{Sequence: meta.Sequence.Stream, Stored: meta.Timestamp, Subject: subject, Data: m.Data()})
	})
}

func (s Start) config() jetstream.OrderedConsumerConfig {
	switch {
	case s.Sequence > 0:
		return jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: s.Sequence}
	case !s.Time.IsZero():
		return jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &s.Time}
	}
	return jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}
}

// FollowHeartbeats hands the last heartbeat of every cluster to apply, then each new one, until
// ctx ends. received is when the bus had it, but not in the caller's future: that, and not the
// moment of reading, so that a restart does not make a dead cluster look alive. What is not a
// heartbeat is left out, since nothing stands behind it that could be told.
func (c *Conn) FollowHeartbeats(ctx context.Context, apply func(cluster string, h event.Heartbeat, received time.Time)) error {
	last := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy}
	return c.follow(ctx, event.StreamHeartbeats, last, func(m jetstream.Msg, meta *jetstream.MsgMetadata) {
		subject, err := event.ParseSubject(m.Subject())
		if err != nil {
			c.onError(fmt.Errorf("read heartbeat: %w", err))
			return
		}
		h, err := decodeHeartbeat(m.Data())
		if err != nil {
			c.onError(fmt.Errorf("read heartbeat of %s: %w", subject.Cluster, err))
			return
		}
		received := meta.Timestamp
		if now := time.Now(); received.After(now) {
			received = now
		}
		apply(subject.Cluster, h, received)
	})
}

func decodeHeartbeat(data []byte) (event.Heartbeat, error) {
	var h event.Heartbeat
	if err := json.Unmarshal(data, &h); err != nil {
		return h, fmt.Errorf("decode heartbeat: %w", err)
	}
	if h.Epoch == "" || h.Interval <= 0 || h.Time.IsZero() {
		return h, errors.New("epoch, interval or time is missing")
	}
	return h, nil
}

// follow keeps one ordered consumer on the stream. The consumer itself deals with lost
// connections; what it cannot see is that another stream took the name.
func (c *Conn) follow(ctx context.Context, stream string, cfg jetstream.OrderedConsumerConfig, apply func(jetstream.Msg, *jetstream.MsgMetadata)) error {
	f := follower{conn: c, stream: stream, apply: apply, check: make(chan struct{}, 1)}
	var err error
	if f.created, err = f.wait(ctx); err != nil {
		return endOf(ctx, err)
	}
	connected := c.nc.StatusChanged(nats.CONNECTED)
	defer c.nc.RemoveStatusListener(connected)
	for ctx.Err() == nil {
		if err := f.run(ctx, cfg, connected); err != nil {
			return endOf(ctx, err)
		}
		if f.last > 0 {
			cfg = Start{Sequence: f.last + 1}.config()
		}
	}
	return nil
}

func endOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

type follower struct {
	conn    *Conn
	stream  string
	apply   func(jetstream.Msg, *jetstream.MsgMetadata)
	created time.Time // of the stream that is followed
	last    uint64    // delivered; written by the consumer's goroutine while it runs, read when it has stopped
	check   chan struct{}
}

// wait returns when the stream is there.
func (f *follower) wait(ctx context.Context) (created time.Time, err error) {
	for {
		state, err := f.state(ctx)
		if err == nil {
			return state.Created, nil
		}
		f.conn.onError(err)
		select {
		case <-ctx.Done():
			return time.Time{}, err
		case <-time.After(reconnectWait):
		}
	}
}

func (f *follower) state(ctx context.Context) (State, error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	return f.conn.state(ctx, f.stream)
}

// run consumes until ctx ends, the stream is replaced, or the consumer has stopped by itself.
func (f *follower) run(ctx context.Context, cfg jetstream.OrderedConsumerConfig, connected <-chan nats.Status) error {
	sub, err := f.consume(ctx, cfg)
	if err != nil {
		f.conn.onError(fmt.Errorf("follow %s: %w", f.stream, asError(err)))
		select {
		case <-ctx.Done():
		case <-time.After(reconnectWait):
		}
		return nil
	}
	stopped := sub.Closed()
	defer func() {
		sub.Stop()
		<-stopped
	}()
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-stopped:
			return nil
		case <-connected:
		case <-f.check:
		case <-again:
		}
		state, err := f.state(ctx)
		switch again = nil; {
		case err != nil:
			f.conn.onError(err)
			again = time.After(reconnectWait)
		case !state.Created.Equal(f.created):
			return fmt.Errorf("follow %s: %w", f.stream, ErrStreamReplaced)
		}
	}
}

func (f *follower) consume(ctx context.Context, cfg jetstream.OrderedConsumerConfig) (jetstream.ConsumeContext, error) {
	created, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	consumer, err := f.conn.js.OrderedConsumer(created, f.stream, cfg)
	if err != nil {
		return nil, err
	}
	return consumer.Consume(f.deliver, jetstream.PullMaxMessagesWithBytesLimit(aheadMessages, aheadBytes), jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
		f.conn.onError(fmt.Errorf("follow %s: %w", f.stream, asError(err)))
		select {
		case f.check <- struct{}{}:
		default:
		}
	}))
}

func (f *follower) deliver(m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		f.conn.onError(fmt.Errorf("follow %s: %w", f.stream, err))
		return
	}
	f.last = meta.Sequence.Stream
	f.apply(m, meta)
}
