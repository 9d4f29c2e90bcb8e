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
	"time"
)

const (
	// every is short, so that a process that begins to work is seen before it has collected more than once or twice.
	every = 250 * time.Millisecond
	// collectWithin is within how long a process may have to collect again.
	collectWithin = 3 * time.Second
	// leastPercent is how much garbage there may be in any case, in hundredths of what lives.
	leastPercent = 5
	// least is what may live in a process before it saves any memory.
	least = 16 << 20
	// worth is how much has to be free to be worth a collection that gives it back.
	worth = 4 << 20
	// giveBackAfter is how long lies between two times that free memory is given back at once: about as long as between two collections of a
	// process that does little.
	giveBackAfter = 10 * time.Second
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

// percent is how much garbage there may be, as debug.SetGCPercent takes it: what the process allocated within collectWithin, and no more
// than most.
func percent(live, allocated uint64, most int) int {
	if live < least {
		return most
	}
	return int(min(max(allocated*100/live, leastPercent), uint64(most)))
}

// Save saves memory until ctx ends, and never lets the process have more garbage than most, in hundredths of what lives, or than GOGC said.
// busy says that the process is not to save anything just now; nil: it never is.
func Save(ctx context.Context, most int, busy func() bool) error {
	usual := debug.SetGCPercent(-1)
	debug.SetGCPercent(usual)
	if usual < 0 { // somebody has switched collections off
		return nil
	}
	most = min(most, usual)
	tick := time.NewTicker(every)
	defer tick.Stop()
	defer debug.SetGCPercent(usual)
	var lately [collectWithin / every]uint64 // what had been allocated by then
	given := time.Now()
	for i := 0; ; i = (i + 1) % len(lately) {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			now := read()
			garbage := most
			if since := lately[i]; since > 0 && (busy == nil || !busy()) {
				garbage = percent(now.live, now.allocated-since, most)
			}
			lately[i] = now.allocated
			debug.SetGCPercent(garbage)
			if garbage == leastPercent && now.free > worth && time.Since(given) >= giveBackAfter { // the runtime does so bit by bit
				debug.FreeOSMemory()
				given = time.Now()
			}
		}
	}
}
