package main

import (
	"strings"
	"testing"
)

func TestTheTableSetsBothSideBySide(t *testing.T) {
	seconds := 3.21
	first := Score{Name: "one", Phases: tallies(Tally{Happened: 60, Told: 60}, Tally{Happened: 50, Lost: 50}, Tally{Happened: 60, Told: 60}),
		Latencies: []Latency{{What: latencyFetched, Count: 24, P50: -12.4, P99: 8}}}
	second := Score{Name: "two", Phases: tallies(Tally{Happened: 60, Told: 60}, Tally{Happened: 50, Told: 50, Twice: 1}, Tally{Happened: 60, Told: 60}),
		CaughtUpSeconds: &seconds}
	var out strings.Builder
	if err := (Report{CutSeconds: 60.04, Scores: []Score{first, second}}).print(&out); err != nil {
		t.Fatal(err)
	}
	const want = `WHAT                                               one                two
before the cut: changes                            60                 60
  told                                             60                 60
  lost                                             0                  0
  told twice                                       0                  0
during the cut (60 s): changes                     50                 50
  told                                             0                  50
  lost                                             50                 0
  told twice                                       0                  1
after the cut: changes                             60                 60
  told                                             60                 60
  lost                                             0                  0
  told twice                                       0                  0
told and did not happen                            0                  0
all of the cut told, after its end                 never              3.2 s
outside the cut, p50 / p99: source fetched         -12 / 8 ms of 24   -
outside the cut, p50 / p99: applied                -                  -
outside the cut, p50 / p99: failed                 -                  -
outside the cut, p50 / p99: any, from the commit   -                  -
`
	if out.String() != want {
		t.Errorf("got\n%s", out.String())
	}
}
