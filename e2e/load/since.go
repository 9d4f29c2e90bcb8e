package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/e2e/load/sim"
	"github.com/fairway-dev/fairway/fleet/client"
)

const (
	sinceBar   = 100 // milliseconds
	sinceCalls = 200
)

// since asks the hub what happened to a team since yesterday: the first page, as the command line shows it. A call for each team
// before the others makes the connection and brings the caller's rights into the hub's memory.
func since(ctx context.Context, b *bench) ([]Result, error) {
	s, err := b.useScene(ctx)
	if err != nil {
		return nil, err
	}
	b.say("asking %d times what happened since yesterday", sinceCalls)
	var took []float64
	changes := 0
	for i := range len(sim.Teams) + sinceCalls {
		began := time.Now()
		page, err := s.yesterday(ctx, sim.Teams[i%len(sim.Teams)])
		if err != nil {
			return nil, err
		}
		if i >= len(sim.Teams) {
			took = append(took, milliseconds(time.Since(began)))
		}
		changes = page.Total
	}
	b.say("median %.1f ms, for about %d changes", median(took), changes)
	return []Result{atMost("since yesterday for a team, p99", quantile(took, 0.99), "ms", sinceBar)}, nil
}

// yesterday is the first page of what happened to a team in the last 24 hours.
func (s *scene) yesterday(ctx context.Context, team string) (*rest.Since, error) {
	for page, err := range s.client.Since(ctx, client.ChangeQuery{Team: team}) {
		if err == nil && len(page.Items) == 0 {
			err = fmt.Errorf("nothing happened to %s", team)
		}
		return page, err
	}
	return nil, errors.New("there is no page")
}
