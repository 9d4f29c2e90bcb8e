package main

import (
	"math"
	"runtime"
	"testing"
)

func TestAnIdleHubSavesMemoryAndABusyOneDoesNot(t *testing.T) {
	const mebibyte = 1 << 20
	for name, c := range map[string]struct {
		live, allocated uint64
		behind          bool
		want            int64
	}{
		"idle, small":        {live: 20 * mebibyte, want: leastMemory},
		"small, some work":   {live: 20 * mebibyte, allocated: 10 * mebibyte, want: leastMemory},
		"idle, large":        {live: 200 * mebibyte, allocated: 5 * mebibyte, want: 220 * mebibyte},
		"busy":               {live: 200 * mebibyte, allocated: 6 * mebibyte, want: math.MaxInt64},
		"reading its stream": {live: 20 * mebibyte, behind: true, want: math.MaxInt64},
	} {
		if got := memoryLimit(c.live, c.allocated, !c.behind); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestMemoryIsReadFromTheRuntime(t *testing.T) {
	before := readMemory()
	runtime.GC()
	if now := readMemory(); now.allocated <= before.allocated || now.live == 0 || now.live > 1<<40 {
		t.Errorf("after a collection %+v, before %+v", now, before)
	}
}
