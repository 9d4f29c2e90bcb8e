package memory

import (
	"context"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnIdleProcessSavesMemoryAndABusyOneDoesNot(t *testing.T) {
	const mebibyte = 1 << 20
	for name, c := range map[string]struct {
		live, allocated uint64
		most, want      int
	}{
		"small":              {10 * mebibyte, 0, 100, 100},
		"idle":               {200 * mebibyte, 0, 100, leastPercent},
		"some work":          {200 * mebibyte, 60 * mebibyte, 100, 30},
		"busy":               {200 * mebibyte, 300 * mebibyte, 100, 100},
		"somebody knew less": {200 * mebibyte, 300 * mebibyte, 50, 50},
	} {
		if got := percent(c.live, c.allocated, c.most); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestMemoryIsReadFromTheRuntime(t *testing.T) {
	before := read()
	runtime.GC()
	if now := read(); now.allocated <= before.allocated || now.live == 0 || now.live > 1<<40 {
		t.Errorf("after a collection %+v, before %+v", now, before)
	}
}

// now is the percentage that holds.
func now() int {
	percent := debug.SetGCPercent(100)
	debug.SetGCPercent(percent)
	return percent
}

func TestMemoryIsSavedUntilTheEnd(t *testing.T) {
	held := make([]byte, 2*least)
	runtime.GC()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		busy, ended := false, make(chan error)
		go func() { ended <- Save(ctx, 80, func() bool { return busy }) }()
		for _, step := range []struct {
			busy bool
			want int
		}{{false, leastPercent}, {true, 80}, {false, leastPercent}} {
			busy = step.busy
			time.Sleep(2 * collectWithin) //nolint:forbidigo // in a bubble, where it takes no time
			synctest.Wait()
			if got := now(); got != step.want {
				t.Errorf("busy %t: %d, want %d", step.busy, got, step.want)
			}
		}
		cancel()
		if err := <-ended; err != nil || now() != 100 {
			t.Errorf("at the end %d (%v), want the usual", now(), err)
		}
	})
	runtime.KeepAlive(held)
}
