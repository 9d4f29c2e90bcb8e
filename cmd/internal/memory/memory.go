// Package memory keeps what a process takes close to what it holds. Go's usual rule, as much garbage as there is that lives, is right
// for a process that works; one that is idle most of the time, and holds a lot, need not take twice as much, nor keep what a busier
// time took.
//
// It sets how much garbage there may be in relation to what lives, and no limit: below a limit that is too low, as one is when memory
// is fragmented, a process does nothing but collect.
package memory

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"time"
)

const (
	every = time.Second
	// quiet is for how many times of every a process has little to do before it saves memory.
	quiet = 10
	// collectWithin is within how many times of every a process may have to collect again.
	collectWithin = 3
	// leastPercent is how much garbage there may be in any case, in hundredths of what lives.
	leastPercent = 10
	// least is what may live in a process before it saves any memory.
	least = 16 << 20
	// giveBackAfter is how many times of every lie between two times that free memory is given back at once.
	giveBackAfter = 60
)

// state is what Go's runtime says of this process, in bytes.
type state struct {
	live      uint64 // objects that the last collection kept
	free      uint64 // mapped, and used for nothing
	allocated uint64 // since the process began
}

// read reads runtime/metrics.
func read() state {
	samples := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(samples)
	return state{samples[0].Value.Uint64(), samples[1].Value.Uint64(), samples[2].Value.Uint64()}
}

// percent is how much garbage there may be, as debug.SetGCPercent takes it: what the process lately allocated within a few seconds, and
// at most as much as usual. allocated is how much that was within every.
func percent(live, allocated uint64, usual int) int {
	if live < least {
		return usual
	}
	return int(min(max(allocated*collectWithin*100/live, leastPercent), uint64(usual)))
}

// much says whether so much memory is free that it is worth a collection to give it back at once; the runtime does so bit by bit.
func (s state) much() bool { return s.free > max(least, s.live/4) }

// Save saves memory until ctx ends, and never lets the process have more garbage than GOGC said. busy says that the process is not to
// save anything just now; nil: it never is.
func Save(ctx context.Context, busy func() bool) error {
	usual := debug.SetGCPercent(-1)
	debug.SetGCPercent(usual)
	if usual < 0 { // somebody has switched collections off
		return nil
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	defer debug.SetGCPercent(usual)
	before, lately, given := read(), [quiet]uint64{}, 0
	for i := 1; ; i++ {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			now := read()
			lately[i%quiet] = now.allocated - before.allocated
			before = now
			if i < quiet || busy != nil && busy() {
				debug.SetGCPercent(usual)
				continue
			}
			debug.SetGCPercent(percent(now.live, slices.Max(lately[:]), usual))
			if now.much() && i-given >= giveBackAfter {
				debug.FreeOSMemory()
				given = i
			}
		}
	}
}
