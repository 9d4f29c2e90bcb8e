package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func second(n float64) time.Time { return noon.Add(time.Duration(n * float64(time.Second))) }

func did(c change, at float64) happened { return happened{c, second(at)} }

func said(c change, id string, at float64) told { return told{c, id, second(at)} }

// The run of these tests: before the cut until 10, cut until 20, after it until 30.
var run30 = phases{Begin: second(0), Cut: second(10), Healed: second(20), End: second(30)}

var (
	a1   = change{web, "main@sha1:1", applied}
	a2   = change{web, "main@sha1:2", applied}
	bad2 = change{web, "main@sha1:2", failed}
	a3   = change{web, "main@sha1:3", applied}
)

func tallies(before, during, after Tally) []Tally {
	before.Phase, during.Phase, after.Phase = phaseNames[0], phaseNames[1], phaseNames[2]
	return []Tally{before, during, after}
}

func TestWhatWasToldIsHeldToWhatHappened(t *testing.T) {
	one, none, seconds := Tally{Happened: 1, Told: 1}, Tally{}, func(n float64) *float64 { return &n }
	for name, c := range map[string]struct {
		happened []happened
		told     []told
		once     bool
		want     Score
	}{
		"all was told, that of the cut after it": {
			happened: []happened{did(a1, 1), did(bad2, 11), did(a3, 21)},
			told:     []told{said(a1, "1", 1.5), said(bad2, "2", 23), said(a3, "3", 23.5)},
			want:     Score{Phases: tallies(one, one, one), CaughtUpSeconds: seconds(3)},
		},
		"what nobody told is lost, and then the cut is never caught up with": {
			happened: []happened{did(a1, 1), did(bad2, 11), did(a3, 21)},
			told:     []told{said(a3, "3", 23)},
			want:     Score{Phases: tallies(Tally{Happened: 1, Lost: 1}, Tally{Happened: 1, Lost: 1}, one)},
		},
		"that it failed is not told by that it was applied": {
			happened: []happened{did(bad2, 11)},
			told:     []told{said(a2, "2", 12)},
			want:     Score{Phases: tallies(none, Tally{Happened: 1, Lost: 1}, none), Strange: 1},
		},
		"told before the status was written, or during the cut, is told": {
			happened: []happened{did(a1, 1), did(a2, 11)},
			told:     []told{said(a1, "1", 0.9), said(a2, "2", 11.2)},
			want:     Score{Phases: tallies(one, one, none), CaughtUpSeconds: seconds(0)},
		},
		"a message that comes again is one too many": {
			happened: []happened{did(a1, 1), did(a2, 2)},
			told:     []told{said(a1, "1", 1.5), said(a1, "1", 25), said(a2, "2", 3)},
			want:     Score{Phases: tallies(Tally{Happened: 2, Told: 2, Twice: 1}, none, none), CaughtUpSeconds: seconds(0)},
		},
		"who tells in several messages may": {
			happened: []happened{did(a1, 1)},
			told:     []told{said(a1, "configured", 1), said(a1, "healthy", 2)},
			want:     Score{Phases: tallies(one, none, none), CaughtUpSeconds: seconds(0)},
		},
		"who means to tell once may not": {
			happened: []happened{did(a1, 1)},
			told:     []told{said(a1, "1", 1), said(a1, "2", 2)}, once: true,
			want: Score{Phases: tallies(Tally{Happened: 1, Told: 1, Twice: 1}, none, none), CaughtUpSeconds: seconds(0)},
		},
		"what happens twice has to be told twice": {
			happened: []happened{did(a2, 1), did(bad2, 2), did(a2, 11), did(a3, 12)},
			told:     []told{said(a2, "1", 1.5), said(bad2, "2", 2.5), said(a2, "3", 21), said(a3, "4", 22)}, once: true,
			want: Score{Phases: tallies(Tally{Happened: 2, Told: 2}, Tally{Happened: 2, Told: 2}, none), CaughtUpSeconds: seconds(2)},
		},
		"what happened before the run counts for nothing, and may be told": {
			happened: []happened{did(a1, -1), did(a2, 1)},
			told:     []told{said(a1, "1", 1), said(a2, "2", 2)},
			want:     Score{Phases: tallies(one, none, none), CaughtUpSeconds: seconds(0)},
		},
	} {
		got := score(c.happened, teller{Name: name, Once: c.once, Told: c.told}, run30, nil)
		c.want.Name, got.Latencies = name, nil
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

func TestLatencyIsOfWhatHappenedOutsideTheCut(t *testing.T) {
	fetched1 := change{source, "main@sha1:1", applied}
	changes := []happened{did(fetched1, 1), did(a1, 2), did(bad2, 11), did(a3, 21)}
	messages := []told{said(fetched1, "0", 1.1), said(a1, "1", 1.5), said(bad2, "2", 28), said(a3, "3", 21.3)}
	commits := map[string]time.Time{"1": second(0.5), "2": second(10), "3": second(20.5)}
	got := score(changes, teller{Told: messages}, run30, commits).Latencies
	want := []Latency{
		{What: latencyFetched, Count: 1, P50: 100, P99: 100},
		{What: latencyApplied, Count: 2, P50: -500, P99: 300},
		{What: latencyCommit, Count: 3, P50: 800, P99: 1000},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestAQuantileIsAValueThatWasMeasured(t *testing.T) {
	values := []float64{1, 2, 3, 4}
	for share, want := range map[float64]float64{0: 1, 0.25: 1, 0.5: 2, 0.51: 3, 0.99: 4, 1: 4} {
		if got := quantile(values, share); got != want {
			t.Errorf("%v of %v: %v, want %v", share, values, got, want)
		}
	}
}
