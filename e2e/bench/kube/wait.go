package kube

import (
	"context"
	"fmt"
	"time"
)

// pollEvery is how often Wait asks.
const pollEvery = 100 * time.Millisecond

// Wait asks until done returns nil. When the limit passes, or ctx ends, its error says what was
// waited for and done's last answer, which is the last state.
func Wait(ctx context.Context, what string, limit time.Duration, done func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	var last error
	for {
		err := done(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil { // not the error of the end itself
			last = err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s, %s at most: %w: %w", what, limit, ctx.Err(), last)
		case <-tick.C:
		}
	}
}
