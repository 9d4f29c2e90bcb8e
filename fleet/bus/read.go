package bus

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/fairway-dev/fairway/api/event"
)

const (
	readBatch   = 512
	maxSubjects = 64               // filters that are worth their cost to the server
	forget      = 30 * time.Second // after which the server drops a reader that went away
)

// Filter selects events by what their subject says; the zero Filter selects all.
type Filter struct {
	Clusters []string
	Kinds    []event.Kind
}

// Match says whether an event on this subject is selected.
func (f Filter) Match(s event.Subject) bool {
	return (len(f.Clusters) == 0 || slices.Contains(f.Clusters, s.Cluster)) &&
		(len(f.Kinds) == 0 || slices.Contains(f.Kinds, s.Kind))
}

// subjects are the subjects that the server filters by, none overlapping another. They select at
// least what Match does; nil selects all.
func (f Filter) subjects() []string {
	clusters, kinds := unique(f.Clusters), unique(f.Kinds)
	switch {
	case len(clusters)*max(1, len(kinds)) > maxSubjects && len(kinds) == 0, len(clusters)+len(kinds) == 0:
		return nil
	case len(clusters)*max(1, len(kinds)) > maxSubjects:
		clusters = nil
	}
	if len(clusters) == 0 {
		clusters = []string{"*"}
	}
	if len(kinds) == 0 {
		kinds = []event.Kind{"*"}
	}
	var out []string
	for _, cluster := range clusters {
		for _, kind := range kinds {
			out = append(out, event.OfCluster(cluster, kind).String())
		}
	}
	return out
}

func unique[T ~string](in []T) []T {
	return slices.Compact(slices.Sorted(slices.Values(in)))
}

// Read replays the stored events that the filter selects, oldest first, up to the end of the
// stream at the time of the call, or until fn returns false.
func (c *Conn) Read(ctx context.Context, from Start, filter Filter, fn func(Message) bool) error {
	state, err := c.State(ctx)
	if err != nil {
		return err
	}
	if state.First > state.Last || from.Sequence > state.Last {
		return nil
	}
	consumer, err := c.reader(ctx, from, filter)
	if err != nil {
		return fmt.Errorf("read %s: %w", event.StreamEvents, asError(err))
	}
	defer c.dismiss(ctx, consumer)
	r := reader{end: state.Last, filter: filter, fn: fn}
	for pending := consumer.CachedInfo().NumPending; pending > 0 && !r.done; {
		if pending, err = r.batch(ctx, consumer); err != nil {
			return fmt.Errorf("read %s: %w", event.StreamEvents, asError(err))
		}
	}
	return nil
}

func (c *Conn) reader(ctx context.Context, from Start, filter Filter) (jetstream.Consumer, error) {
	start := from.config()
	return c.js.CreateConsumer(ctx, event.StreamEvents, jetstream.ConsumerConfig{
		DeliverPolicy:     start.DeliverPolicy,
		OptStartSeq:       start.OptStartSeq,
		OptStartTime:      start.OptStartTime,
		FilterSubjects:    filter.subjects(),
		AckPolicy:         jetstream.AckNonePolicy,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: forget,
	})
}

// dismiss drops the consumer now rather than when the server forgets it.
func (c *Conn) dismiss(ctx context.Context, consumer jetstream.Consumer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	if err := c.js.DeleteConsumer(ctx, event.StreamEvents, consumer.CachedInfo().Name); err != nil {
		c.onError(fmt.Errorf("end reading: %w", asError(err)))
	}
}

type reader struct {
	end    uint64
	filter Filter
	fn     func(Message) bool
	next   uint64 // of the consumer's own count, without holes
	done   bool
}

// batch delivers what one request brings and returns how much the server has left.
func (r *reader) batch(ctx context.Context, consumer jetstream.Consumer) (pending uint64, err error) {
	msgs, err := consumer.FetchNoWait(readBatch)
	if err != nil {
		return 0, err
	}
	for m := range msgs.Messages() {
		meta, err := m.Metadata()
		if err != nil {
			return 0, err
		}
		if r.next++; meta.Sequence.Consumer != r.next {
			return 0, fmt.Errorf("message %d is missing", r.next)
		}
		pending = meta.NumPending
		r.deliver(m, meta)
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return pending, msgs.Error()
}

func (r *reader) deliver(m jetstream.Msg, meta *jetstream.MsgMetadata) {
	if r.done || meta.Sequence.Stream > r.end {
		r.done = true
		return
	}
	r.done = meta.Sequence.Stream == r.end
	subject, err := event.ParseSubject(m.Subject())
	if err != nil || !r.filter.Match(subject) {
		return // what is outside the contract was reported when it was followed
	}
	if !r.fn(Message{Sequence: meta.Sequence.Stream, Stored: meta.Timestamp, Subject: subject, Data: m.Data()}) {
		r.done = true
	}
}
