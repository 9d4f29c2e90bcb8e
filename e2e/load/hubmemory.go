package main

import (
	"context"
	"time"

	"github.com/fairway-dev/fairway/e2e/load/platform"
)

const (
	hubMemoryBar   = 256 // MiB
	agentMemoryBar = 40  // MiB
	settleLimit    = 90 * time.Second
)

// hubMemory is what the hub's process has resident when every cluster is connected and nothing happens.
func hubMemory(ctx context.Context, b *bench) ([]Result, error) {
	s, err := b.useScene(ctx)
	if err != nil {
		return nil, err
	}
	b.say("waiting for the hub's memory to settle")
	if err := s.hub.Collected(ctx, time.Now()); err != nil {
		return nil, err
	}
	m, err := platform.Settled(ctx, s.hub.Process().PID(), settleLimit)
	if err != nil {
		return nil, err
	}
	b.say("resident %d MiB, of which anonymous %d MiB; at most %d MiB so far", m.Resident/mebibyte, m.Anonymous/mebibyte, m.Peak/mebibyte)
	return []Result{atMost("hub memory, every cluster connected", float64(m.Resident)/mebibyte, "MiB", hubMemoryBar)}, nil
}
