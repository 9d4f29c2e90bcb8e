package main

import (
	"context"
	"time"
)

const restartBar = 10 // seconds

// restart is how long a hub that is started again takes until its view is as the clusters are, beside what a bare
// ordered consumer takes to read the same stream.
func restart(ctx context.Context, b *bench) ([]Result, error) {
	s, err := b.useScene(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.converge(ctx); err != nil {
		return nil, err
	}
	conn, err := s.hub.Connect(ctx)
	if err != nil {
		return nil, err
	}
	state, err := conn.State(ctx)
	conn.Close()
	if err != nil {
		return nil, err
	}
	b.say("restarting the hub behind %d events", state.Last)
	if err := s.hub.Stop(); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := s.hub.Start(ctx); err != nil {
		return nil, err
	}
	ready := time.Since(began)
	if err := s.converge(ctx); err != nil {
		return nil, err
	}
	took := time.Since(began)
	b.say("ready after %s, converged after %s", ready.Round(time.Millisecond), took.Round(time.Millisecond))
	bare := time.Now()
	if err := readBare(ctx, s.hub.BusOptions(), int(state.Last)); err != nil {
		return nil, err
	}
	r := atMost("a restarted hub serves a converged view", took.Seconds(), "s", restartBar)
	r.Limit = time.Since(bare).Seconds()
	r.Ratio = r.Value / r.Limit
	return []Result{r}, nil
}
