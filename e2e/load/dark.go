package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/client"
)

const (
	darkBar   = 1.10
	darkShare = 0.4
	darkLimit = 2 * time.Minute // for the hub to say that they are unknown
)

// dark cuts 40% of the clusters off, half-open, under load, and compares what the others' events take meanwhile with what
// they take before it and after all are back: a machine's own drift is in both.
func dark(ctx context.Context, b *bench) ([]Result, error) {
	s, err := b.useScene(ctx)
	if err != nil {
		return nil, err
	}
	gone := s.fleet.Clusters[:int(darkShare*float64(len(s.fleet.Clusters)))]
	silent := map[string]bool{}
	for _, c := range gone {
		silent[c.ID] = true
	}
	others := func(cluster string) bool { return !silent[cluster] }
	b.say("%.0f events a second; after %s, %d of %d clusters go dark", b.size.rate, b.size.lasting, len(gone), len(s.fleet.Clusters))
	stop := s.load(ctx)
	defer stop()
	if err := pause(ctx, min(warmUp, b.size.lasting)); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := pause(ctx, b.size.lasting); err != nil {
		return nil, err
	}
	cut := time.Now()
	for _, c := range gone {
		c.Network.Cut()
	}
	if err := s.unknown(ctx, len(gone)); err != nil {
		return nil, err
	}
	if err := pause(ctx, b.size.lasting/2); err != nil {
		return nil, err
	}
	end := time.Now()
	stop()
	for _, c := range gone {
		c.Network.Heal()
	}
	b.say("the dark clusters come back")
	if err := errors.Join(s.converge(ctx), s.drained(ctx)); err != nil {
		return nil, err
	}
	again, err := s.loaded(ctx, others)
	if err != nil {
		return nil, err
	}
	before, meanwhile := s.meter.between(began, cut, others), s.meter.between(cut, end, others)
	b.say("medians of the others: %.2f ms before, %.2f ms while it was dark, %.2f ms after", median(before), median(meanwhile), median(again))
	if len(before) == 0 || len(meanwhile) == 0 || len(again) == 0 {
		return nil, errors.New("nothing was measured")
	}
	light := max(median(before), median(again)) // they differ by what the machine does of itself
	return []Result{delayAtMost("40% of clusters dark: the others' latency, p50, beside before and after", median(meanwhile), light, darkBar)}, nil
}

// loaded is what the events of some clusters take under a load of its own.
func (s *scene) loaded(ctx context.Context, of func(cluster string) bool) ([]float64, error) {
	stop := s.load(ctx)
	defer stop()
	if err := pause(ctx, min(warmUp, s.bench.size.lasting)); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := pause(ctx, s.bench.size.lasting); err != nil {
		return nil, err
	}
	end := time.Now()
	stop()
	if err := s.drained(ctx); err != nil {
		return nil, err
	}
	return s.meter.between(began, end, of), nil
}

// unknown waits until the hub says of so many clusters that it does not know them any more.
func (s *scene) unknown(ctx context.Context, want int) error {
	return wait(ctx, fmt.Sprintf("%d clusters to be unknown", want), darkLimit, func(ctx context.Context) error {
		list, err := s.client.Clusters(ctx, client.Filter{Status: rest.Unknown})
		if err == nil && len(list.Items) < want {
			err = fmt.Errorf("%d are", len(list.Items))
		}
		return err
	})
}
