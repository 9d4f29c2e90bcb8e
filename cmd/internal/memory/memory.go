// Package memory keeps what a process takes close to what it holds. Go's usual rule, twice what lives, is right for a process that
// works; one that is idle most of the time, and holds a lot, need not take as much again for garbage, nor keep what a busier time took.
package memory

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"
)

const (
	every = time.Second
	// quiet is for how many times of every a process has little to do before it saves memory.
	quiet = 10
	// collectWithin is within how many times of every a process that saves memory may have to collect again.
	collectWithin = 4
	// least is what a process may take before it saves any.
	least = 64 << 20
)

// Room says how much garbage a process that saves memory may hold, in hundredths of what lives. One that allocates more within a few
// seconds than that has room for would collect all the time: Go's usual rule holds for it.
type Room int

// The least room is what an idle process has in any case.
const leastRoom Room = 10

// state is what Go's runtime says of this process, in bytes.
type state struct {
	live      uint64 // objects that the last collection kept, stacks, the runtime's own
	allocated uint64 // since the process began
}

// read reads runtime/metrics.
func read() state {
	samples := []metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}, {Name: "/memory/classes/metadata/other:bytes"},
		{Name: "/memory/classes/metadata/mspan/inuse:bytes"}, {Name: "/gc/heap/allocs:bytes"},
	}
	metrics.Read(samples)
	last := len(samples) - 1
	out := state{allocated: samples[last].Value.Uint64()}
	for _, s := range samples[:last] {
		out.live += s.Value.Uint64()
	}
	return out
}

// limit is what the process is to stay below, as debug.SetMemoryLimit takes it. allocated is how much it lately did within every.
func (r Room) limit(live, allocated uint64) int64 {
	of := func(r Room) uint64 { return live / 100 * uint64(r) }
	needed := allocated * collectWithin
	if live+needed > max(least, live+of(r)) {
		return math.MaxInt64
	}
	return int64(max(least, live+max(needed, of(leastRoom))))
}

// Save keeps the limit until ctx ends, but never above what GOMEMLIMIT said. busy says that the process is not to save anything just
// now; nil: it never is.
func (r Room) Save(ctx context.Context, busy func() bool) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	before, most := read(), debug.SetMemoryLimit(-1)
	lately := [quiet]uint64{}
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			now := read()
			lately[i%quiet] = now.allocated - before.allocated
			before = now
			limit := int64(math.MaxInt64)
			if busy == nil || !busy() {
				limit = r.limit(now.live, slices.Max(lately[:]))
			}
			debug.SetMemoryLimit(min(most, limit))
		}
	}
}
