package main

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/e2e/load/sim"
)

func TestABarIsHeldOrNot(t *testing.T) {
	for name, c := range map[string]struct {
		got  Result
		want Result
	}{
		"a figure at its bar": {atMost("memory", 40, "MiB", 40), Result{Name: "memory", Value: 40, Unit: "MiB", Bar: "<= 40 MiB", Holds: true}},
		"a figure above it":   {atMost("memory", 41, "MiB", 40), Result{Name: "memory", Value: 41, Unit: "MiB", Bar: "<= 40 MiB"}},
		"a ratio below its bar": {delayAtMost("latency", 6, 4, 3),
			Result{Name: "latency", Value: 6, Unit: "ms", Limit: 4, Ratio: 1.5, Bar: "ratio <= 3.00", Holds: true}},
		"a ratio above it": {delayAtMost("latency", 16, 4, 3), Result{Name: "latency", Value: 16, Unit: "ms", Limit: 4, Ratio: 4, Bar: "ratio <= 3.00"}},
		"a share too small": {rateAtLeast("ingest", 2, 5, 0.5),
			Result{Name: "ingest", Value: 2, Unit: "events/s", Limit: 5, Ratio: 0.4, Bar: "ratio >= 0.50"}},
		"nothing measured holds nothing": {delayAtMost("latency", quantile([]float64{}, 0.5), 4, 3),
			Result{Name: "latency", Value: math.NaN(), Unit: "ms", Limit: 4, Ratio: math.NaN(), Bar: "ratio <= 3.00"}},
	} {
		equalNaN := cmp.Comparer(func(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) })
		if diff := cmp.Diff(c.want, c.got, equalNaN); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestTheTableSaysWhatDoesNotHold(t *testing.T) {
	var out strings.Builder
	err := printTable(&out, []Result{rateAtLeast("ingest", 53762, 120108, 0.5), atMost("memory", 30.13, "MiB", 40)})
	want := `WHAT     VALUE   UNIT       LIMIT    RATIO   BAR             HOLDS
ingest   53762   events/s   120108   0.45    ratio >= 0.50   NO
memory   30.1    MiB        -        -       <= 40 MiB       yes
`
	if diff := cmp.Diff(want, out.String()); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestOnlyTheChosenRun(t *testing.T) {
	for only, want := range map[string]string{"": names(), "latency": "latency", "dark, ingest": "dark, ingest", "dark,nonsense": ""} {
		chosen, err := selected(only)
		var got []string
		for _, m := range chosen {
			got = append(got, m.name)
		}
		if strings.Join(got, ", ") != want || (err != nil) != (want == "") {
			t.Errorf("%q chooses %v, %v; want %s", only, got, err, want)
		}
	}
}

func TestQuantiles(t *testing.T) {
	values := []float64{5, 1, 4, 2, 3}
	for share, want := range map[float64]float64{0: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := quantile(values, share); got != want {
			t.Errorf("quantile(%v) = %v, want %v", share, got, want)
		}
	}
}

func TestTheMeterMeetsAStepWithItsEvent(t *testing.T) {
	m, now := newMeter(), time.Now()
	object := event.Object{Kind: "Deployment", Namespace: "payments", Name: "ledger"}
	step := func(typ event.Type, at time.Time) {
		m.begin(sim.Step{Cluster: "a", Type: typ, Object: object, Artifact: "x", At: at})
	}
	seen := func(cluster string, typ event.Type, at time.Time) {
		m.seen(cluster, &event.Event{Type: typ, Subject: object.String(), Artifact: "x"}, at)
	}
	step(event.WorkloadRolling, now)
	step(event.WorkloadAvailable, now.Add(time.Second))
	step(event.EpisodeOpened, now) // a crash is not measured
	seen("b", event.WorkloadRolling, now)
	seen("a", event.WorkloadRolling, now.Add(7*time.Millisecond))
	seen("a", event.WorkloadRolling, now.Add(9*time.Millisecond)) // nor is an event that comes again
	if n, what := m.unseen(); n != 1 || what.typ != event.WorkloadAvailable {
		t.Errorf("%d unseen, such as %+v", n, what)
	}
	seen("a", event.WorkloadAvailable, now.Add(1005*time.Millisecond))
	if diff := cmp.Diff([]float64{7}, m.between(now, now.Add(time.Second), nil)); diff != "" {
		t.Errorf("in the first second (-want +got):\n%s", diff)
	}
	if got := m.between(now, now.Add(time.Hour), func(cluster string) bool { return cluster != "a" }); got != nil {
		t.Errorf("of other clusters: %v", got)
	}
}
