package main

import (
	"context"
	"fmt"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/e2e/load/sim"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/client"
)

// exactlyOnce compares all that happened on the clusters, and all that their agents committed, with what the stream and
// the history have of it, after whatever was done to them in this run.
func exactlyOnce(ctx context.Context, b *bench) ([]Result, error) {
	s, err := b.useScene(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.converge(ctx); err != nil {
		return nil, err
	}
	seen, told, err := s.stored(ctx)
	if err != nil {
		return nil, err
	}
	a, steps := s.fleet.Account(seen, nil), s.fleet.Ledger.Steps()
	kept, err := s.kept(ctx)
	if err != nil {
		return nil, err
	}
	missing, extra := difference(told, kept)
	untold := sim.Untold(steps, kept)
	b.say("%d steps, %d of them untold; %d events committed, %d stored once, %d lost, %d twice; of the stored, the history lacks %d and has %d too many",
		len(steps), len(untold), a.Committed, a.Once, len(a.Lost), len(a.Twice), missing, extra)
	lost := len(a.Lost) + missing + len(untold)
	return []Result{
		atMost("events lost, of all that happened in this run", float64(lost), "events", 0),
		atMost("events in the history twice", float64(extra), "events", 0),
	}, nil
}

// stored counts every event that the fleet has put into the stream, by its key and by what it says.
func (s *scene) stored(ctx context.Context) (seen map[sim.Key]int, told map[sim.Said]int, err error) {
	conn, err := s.hub.Connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	seen, told = map[sim.Key]int{}, map[sim.Said]int{}
	var failed error
	err = conn.Read(ctx, bus.Start{Sequence: uint64(s.bench.size.events) + 1}, bus.Filter{}, func(m bus.Message) bool {
		var e event.Event
		if e, failed = event.Decode(m.Data); failed != nil {
			failed = fmt.Errorf("read event %d: %w", m.Sequence, failed)
			return false
		}
		k := sim.KeyOf(m.Subject.Cluster, &e)
		if seen[k]++; seen[k] == 1 && e.Type.Kind() != event.KindAgent {
			told[sim.SaidBy(m.Subject.Cluster, &e)]++
		}
		return true
	})
	if err != nil {
		return nil, nil, err
	}
	return seen, told, failed
}

// kept counts, by what it says, every event of the fleet that the history has.
func (s *scene) kept(ctx context.Context) (map[sim.Said]int, error) {
	out := map[sim.Said]int{}
	q := client.ChangeQuery{Since: s.connected.Add(-time.Minute), OldestFirst: true, Kinds: []event.Kind{event.KindFlux, event.KindWorkload, event.KindEpisode, event.KindCluster}}
	for page, err := range s.client.Since(ctx, q) {
		if err != nil {
			return nil, err
		}
		for _, t := range page.Items {
			if t.Sequence > uint64(s.bench.size.events) {
				typ := event.Type(fmt.Sprintf("dev.fairway.%s.%s.v1", t.Kind, t.What))
				out[sim.Said{Cluster: t.Cluster, Type: typ, Subject: t.Object, Artifact: t.Artifact}]++
			}
		}
	}
	return out, nil
}

// difference counts what b lacks of a, and what it has beyond it.
func difference(a, b map[sim.Said]int) (missing, extra int) {
	for said, n := range a {
		missing += max(0, n-b[said])
	}
	for said, n := range b {
		extra += max(0, n-a[said])
	}
	return missing, extra
}
