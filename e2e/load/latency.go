package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"
)

const (
	latencyBar = 3
	warmUp     = 5 * time.Second
	// drainLimit is how long what happened last may take to be seen.
	drainLimit = time.Minute
)

// latency is how long an event takes from its cluster to whoever watches the hub, under load, beside the least that it
// could take: one synced write and one bare way through JetStream.
func latency(ctx context.Context, b *bench) (_ []Result, err error) {
	s, err := b.useScene(ctx)
	if err != nil {
		return nil, err
	}
	limit, err := startProbe(ctx, s.hub.BusOptions(), filepath.Join(b.dir, "probe.db"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, limit.close()) }()
	b.say("%.0f events a second for %s", b.size.rate, b.size.lasting)
	stop := s.load(ctx)
	from, to, bare, err := s.measured(ctx, limit)
	stop()
	if err != nil {
		return nil, err
	}
	if err := s.drained(ctx); err != nil {
		return nil, err
	}
	full := s.meter.between(from, to, nil)
	b.say("%d events seen, %d bare ways", len(full), len(bare))
	if len(full) == 0 || len(bare) == 0 {
		return nil, errors.New("nothing was measured")
	}
	return []Result{
		delayAtMost("event happens to visible over SSE, p50", quantile(full, 0.50), quantile(bare, 0.50), latencyBar),
		delayAtMost("event happens to visible over SSE, p99", quantile(full, 0.99), quantile(bare, 0.99), latencyBar),
	}, nil
}

// measured lets the load warm up, then last, while the limit is taken.
func (s *scene) measured(ctx context.Context, p *probe) (from, to time.Time, bare []float64, err error) {
	if err = pause(ctx, min(warmUp, s.bench.size.lasting)); err != nil {
		return
	}
	from = time.Now()
	bare, err = p.repeat(ctx, s.bench.size.lasting)
	return from, time.Now(), bare, err
}

// drained waits until all that happened is seen.
func (s *scene) drained(ctx context.Context) error {
	return wait(ctx, "every event to be seen", drainLimit, func(context.Context) error {
		if err := s.fleet.Drained(); err != nil {
			return err
		}
		if n, example := s.meter.unseen(); n > 0 {
			times, why := s.watch.interrupted()
			return fmt.Errorf("%d are not, one of them %+v; the watch was interrupted %d times: %w", n, example, times, why)
		}
		return nil
	})
}

func (m *meter) unseen() (n int, example happening) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for example = range m.begun {
		break
	}
	return len(m.begun), example
}
