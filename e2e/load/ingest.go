package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/view"
)

// rounds is how often both readers go over the stream, in turn; the median of each counts.
const rounds = 5

// The bars are from the design of the event pipeline: a plain encoding/json decode alone brings 0.45, and a
// plain SQLite insert per event 0.045.
const (
	ingestBar  = 0.5
	historyBar = 0.15
)

// The ingest measurements have a stream of their own: so many rounds over more events would take long.
const (
	ingestClusters = 100
	ingestEvents   = 200_000
)

// ingest reads a stream into the fleet view, and into view and history, beside a bare ordered consumer that reads the
// same stream.
func ingest(ctx context.Context, b *bench) ([]Result, error) {
	server, err := startServer(ctx)
	if err != nil {
		return nil, err
	}
	defer server.Close()
	n := size{clusters: min(b.size.clusters, ingestClusters), events: min(b.size.events, ingestEvents)}
	b.say("filling a stream: %d events of %d clusters", n.events, n.clusters)
	if err := server.fill(ctx, n); err != nil {
		return nil, err
	}
	var raw, folded, kept []float64
	for round := range rounds {
		bare, err := rate(n, func() error { return readBare(ctx, server.options(), n.events) })
		if err != nil {
			return nil, err
		}
		full, err := rate(n, func() error { return readIntoView(ctx, server, n) })
		if err != nil {
			return nil, err
		}
		both, err := rate(n, func() error { return readIntoHistory(ctx, server, n) })
		if err != nil {
			return nil, err
		}
		raw, folded, kept = append(raw, bare), append(folded, full), append(kept, both)
		b.say("round %d of %d: bare consumer %.0f/s, into the view %.0f/s, into view and history %.0f/s", round+1, rounds, bare, full, both)
	}
	return []Result{
		rateAtLeast("ingest into the view", median(folded), median(raw), ingestBar),
		rateAtLeast("ingest into the view and history", median(kept), median(raw), historyBar),
	}, nil
}

func rate(n size, read func() error) (float64, error) {
	began := time.Now()
	if err := read(); err != nil {
		return 0, err
	}
	return float64(n.events) / time.Since(began).Seconds(), nil
}

// readBare is the limit: an ordered consumer that looks at nothing.
func readBare(ctx context.Context, o bus.Options, want int) error {
	nc, err := dial(o)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	consumer, err := js.OrderedConsumer(ctx, event.StreamEvents, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return fmt.Errorf("make consumer: %w", err)
	}
	done, seen := make(chan struct{}), 0
	consuming, err := consumer.Consume(func(jetstream.Msg) {
		if seen++; seen == want {
			close(done)
		}
	})
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	defer consuming.Stop()
	return until(ctx, done)
}

// readIntoView is what the hub does.
func readIntoView(ctx context.Context, s *testServer, n size) error {
	conn, err := bus.Connect(ctx, s.options())
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	v := view.New(view.Options{})
	done, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- conn.Follow(ctx, bus.Start{}, func(m bus.Message) {
			e, err := event.Decode(m.Data)
			if err != nil {
				v.Reject(m.Subject.Cluster, err)
			}
			v.Apply(view.Record{Sequence: m.Sequence, Stored: m.Stored, Cluster: m.Subject.Cluster, Event: &e})
			if m.Sequence == uint64(n.events) {
				close(done)
			}
		}, v.Reject)
	}()
	if err := until(ctx, done); err != nil {
		return err
	}
	if _, rejected := v.Counts(); rejected > 0 {
		return fmt.Errorf("the view rejected %d events", rejected)
	}
	if got := len(v.Clusters(time.Now(), view.Filter{})); got != n.clusters {
		return fmt.Errorf("the view has %d clusters, want %d", got, n.clusters)
	}
	cancel()
	return <-ended
}

func until(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
