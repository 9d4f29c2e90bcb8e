package main

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"
)

const (
	memoryEvery = time.Second
	// quiet is for how many times of memoryEvery a hub has nothing to do before it saves memory.
	quiet = 10
	// collectWithin is within how many times of memoryEvery a hub that saves memory may have to collect again.
	collectWithin = 4
	// leastMemory is what a hub may take before it saves any.
	leastMemory = 64 << 20
)

// memory is what Go's runtime says of this process, in bytes.
type memory struct {
	live      uint64 // objects that the last collection kept, stacks, the runtime's own
	allocated uint64 // since the process began
}

// readMemory reads runtime/metrics.
func readMemory() memory {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}, {Name: "/memory/classes/metadata/other:bytes"},
		{Name: "/memory/classes/metadata/mspan/inuse:bytes"}, {Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(samples)
	last := len(samples) - 1
	out := memory{allocated: samples[last].Value.Uint64()}
	for _, s := range samples[:last] {
		out.live += s.Value.Uint64()
	}
	return out
}

// memoryLimit is what the process is to stay below, as debug.SetMemoryLimit takes it. An idle hub of
// many clusters holds mostly their connections: a tenth more than what lives is enough for it, and the
// garbage of a busier time is given back. One that allocates more than that has room for would collect
// all the time: Go's usual rule, twice what lives, holds for it, as it does before it has caught up.
// allocated is how much it lately did within memoryEvery.
func memoryLimit(live, allocated uint64, caughtUp bool) int64 {
	limit := max(leastMemory, live+live/10)
	if !caughtUp || allocated > (limit-live)/collectWithin {
		return math.MaxInt64
	}
	return int64(limit)
}

// saveMemory keeps the limit as memoryLimit says until ctx ends, but never above what GOMEMLIMIT said.
func (h *hub) saveMemory(ctx context.Context, tick *time.Ticker) error {
	defer tick.Stop()
	before, most := readMemory(), debug.SetMemoryLimit(-1)
	lately := [quiet]uint64{}
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			now := readMemory()
			lately[i%quiet] = now.allocated - before.allocated
			before = now
			debug.SetMemoryLimit(min(most, memoryLimit(now.live, slices.Max(lately[:]), h.caughtUp() == nil)))
		}
	}
}
