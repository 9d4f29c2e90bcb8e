package memory

import (
	"math"
	"runtime"
	"testing"
)

func TestAnIdleProcessSavesMemoryAndABusyOneDoesNot(t *testing.T) {
	const mebibyte = 1 << 20
	for name, c := range map[string]struct {
		room            Room
		live, allocated uint64
		want            int64
	}{
		"idle, small":                 {10, 20 * mebibyte, 0, least},
		"small, some work":            {10, 20 * mebibyte, 10 * mebibyte, least},
		"idle, large":                 {10, 200 * mebibyte, 4 * mebibyte, 220 * mebibyte},
		"busy":                        {10, 200 * mebibyte, 6 * mebibyte, math.MaxInt64},
		"some work, and room for it":  {100, 200 * mebibyte, 10 * mebibyte, 240 * mebibyte},
		"busy, with room":             {100, 200 * mebibyte, 60 * mebibyte, math.MaxInt64},
		"idle, with room for garbage": {100, 200 * mebibyte, 0, 220 * mebibyte},
	} {
		got := c.room.limit(c.live, c.allocated)
		if diff := got - c.want; diff < -100 || diff > 100 { // hundredths are rounded down
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
