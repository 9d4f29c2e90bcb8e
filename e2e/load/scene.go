package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/e2e/load/platform"
	"github.com/fairway-dev/fairway/e2e/load/sim"
	"github.com/fairway-dev/fairway/fleet/client"
)

// scene is a hub process with a history, and a fleet of simulated clusters that are connected to it.
type scene struct {
	bench  *bench
	hub    *platform.Hub
	client *client.Client
	fleet  *sim.Fleet
	meter  *meter
	watch  *watch

	connected time.Time // when the fleet began
}

const (
	fillLimit     = 5 * time.Minute // for the hub to read what was there before
	convergeLimit = 3 * time.Minute
)

// newScene fills the stream with what an earlier life of every cluster sent, and connects the fleet, whose agents begin
// anew: a history behind every cluster, and a snapshot that takes over from it.
func newScene(ctx context.Context, b *bench, p *platform.Platform) (_ *scene, err error) {
	s := &scene{bench: b, meter: newMeter()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.hub, err = p.NewHub("hub"); err != nil {
		return nil, err
	}
	b.say("starting the hub")
	if err := s.hub.Start(ctx); err != nil {
		return nil, err
	}
	if s.client, err = s.hub.Client(); err != nil {
		return nil, err
	}
	if err := s.fill(ctx); err != nil {
		return nil, err
	}
	return s, s.connect(ctx, p)
}

// fill publishes the earlier events and waits until the hub has them.
func (s *scene) fill(ctx context.Context) error {
	n := s.bench.size
	s.bench.say("filling the stream: %d events of %d clusters", n.events, n.clusters)
	conn, err := dial(s.hub.BusOptions())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := fill(ctx, conn, n, sim.Name); err != nil {
		return err
	}
	return wait(ctx, "the hub to read the stream", fillLimit, func(ctx context.Context) error {
		list, err := s.client.Clusters(ctx, client.Filter{Cluster: sim.Name(0)})
		if err == nil && list.Sequence < uint64(n.events) {
			err = fmt.Errorf("it is at %d of %d", list.Sequence, n.events)
		}
		return err
	})
}

// connect starts the agents and waits until the view has all that they say.
func (s *scene) connect(ctx context.Context, p *platform.Platform) (err error) {
	n := s.bench.size
	s.bench.say("connecting %d clusters", n.clusters)
	s.connected = time.Now()
	s.fleet, err = sim.Start(ctx, sim.Options{
		Clusters: n.clusters, Seed: 1, Dir: filepath.Join(p.Dir, "outboxes"), URL: s.hub.Bus, CA: s.hub.CA, Keys: s.hub.Keys, Stepped: s.meter.begin,
	})
	if err != nil {
		return err
	}
	if err := s.converge(ctx); err != nil {
		return err
	}
	s.watch, err = startWatch(ctx, s.client, s.meter)
	return err
}

// converge waits until the view says of every cluster what its agent says.
func (s *scene) converge(ctx context.Context) error {
	return wait(ctx, "the view to have every cluster as it is", convergeLimit, func(ctx context.Context) error {
		if err := s.fleet.Drained(); err != nil {
			return err
		}
		return s.converged(ctx)
	})
}

func (s *scene) converged(ctx context.Context) error {
	list, err := s.client.Clusters(ctx, client.Filter{})
	if err != nil {
		return err
	}
	known := make(map[string]*rest.Cluster, len(list.Items))
	for i := range list.Items {
		known[list.Items[i].ID] = &list.Items[i]
	}
	behind, example := 0, error(nil)
	for _, c := range s.fleet.Clusters {
		if err := asItIs(c, known[c.ID]); err != nil {
			behind, example = behind+1, err
		}
	}
	if behind > 0 {
		return fmt.Errorf("%d clusters are not: %w", behind, example)
	}
	return nil
}

// asItIs compares a cluster with what the view says of it: the digest is of every object and open episode.
func asItIs(c *sim.Cluster, seen *rest.Cluster) error {
	state, _ := c.State()
	switch {
	case seen == nil:
		return fmt.Errorf("%s is not in the view", c.ID)
	case !seen.Freshness.Known:
		return fmt.Errorf("%s is unknown since %s", c.ID, seen.Freshness.LastHeartbeat.Format(time.TimeOnly))
	case seen.Freshness.Missing > 0:
		return fmt.Errorf("%s misses %d events", c.ID, seen.Freshness.Missing)
	case seen.Freshness.Digest != state.Digest:
		return fmt.Errorf("%s has the digest %x, the view %x", c.ID, state.Digest, seen.Freshness.Digest)
	case seen.Objects != c.World.Objects():
		return fmt.Errorf("%s has %d objects, the view %d", c.ID, c.World.Objects(), seen.Objects)
	}
	return nil
}

// load lets the fleet change at the size's rate until stop.
func (s *scene) load(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.fleet.Traffic(ctx, s.bench.size.rate, s.fleet.Clusters)
	}()
	return func() {
		cancel()
		<-ended
	}
}

func (s *scene) close() error {
	var errs []error
	if s.watch != nil {
		s.watch.stop()
	}
	if s.fleet != nil {
		errs = append(errs, s.fleet.Close())
	}
	if s.client != nil {
		errs = append(errs, s.client.Close())
	}
	return errors.Join(errs...)
}

// pause waits, or ends with ctx.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
