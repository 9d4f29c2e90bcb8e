package outbox

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/event"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// of is an event of a type that takes 100 bytes and was committed so many minutes ago.
func of(sequence uint64, typ event.Type, minutes int) item {
	at := noon.Add(-time.Duration(minutes) * time.Minute)
	return item{sequence: sequence, bytes: 100, typ: typ, when: at, at: at}
}

func queueOf(types ...event.Type) []item {
	out := make([]item, len(types))
	for i, typ := range types {
		out[i] = of(uint64(i+1), typ, len(types)-i)
	}
	return out
}

func TestWhatAQueueLoses(t *testing.T) {
	for _, c := range []struct {
		name     string
		queue    []item
		snapshot uint64
		bounds   bounds
		want     []int
	}{
		{"nothing while there is room", queueOf(event.WorkloadRolling, event.EpisodeOpened), 0, bounds{bytes: 200}, nil},
		{"nothing without bounds", queueOf(event.WorkloadRolling, event.EpisodeOpened), 0, bounds{}, nil},
		{"the oldest of the routine events first",
			queueOf(event.EpisodeOpened, event.WorkloadRolling, event.FluxSucceeded, event.WorkloadAvailable), 0, bounds{bytes: 300}, []int{1, 2}},
		{"a tenth more than it must, so that the next one fits",
			queueOf(event.WorkloadRolling, event.WorkloadRolling, event.WorkloadRolling), 0, bounds{bytes: 250}, []int{0}},
		{"then what the cluster and the agent say of themselves",
			queueOf(event.FluxFailed, event.ClusterChanged, event.AgentStarted, event.WorkloadRemoved), 0, bounds{bytes: 230}, []int{1, 2}},
		{"then failures and removals, the oldest of them",
			queueOf(event.EpisodeOpened, event.WorkloadDegraded, event.FluxRemoved, event.FluxStalled), 0, bounds{bytes: 230}, []int{1, 2}},
		{"episodes last of all",
			queueOf(event.EpisodeOpened, event.FluxRemoved, event.EpisodeResolved), 0, bounds{bytes: 120}, []int{0, 1}},
		{"a new event of little weight before an old one of more",
			queueOf(event.EpisodeOpened, event.EpisodeOpened, event.WorkloadRolling), 0, bounds{bytes: 230}, []int{2}},
		{"a snapshot that a newer one replaces before anything else",
			queueOf(event.WorkloadRolling, event.AgentSnapshot, event.AgentSnapshot, event.WorkloadRolling), 3, bounds{bytes: 340}, []int{1}},
		{"the newest snapshot like the rest of what the agent says",
			queueOf(event.AgentSnapshot, event.WorkloadRolling, event.EpisodeOpened), 1, bounds{bytes: 120}, []int{0, 1}},
		{"never a gap", queueOf(event.AgentGap, event.AgentGap, event.EpisodeOpened), 0, bounds{bytes: 120}, []int{2}},
		{"all that is too old, whatever it says",
			[]item{of(1, event.AgentGap, 90), of(2, event.EpisodeOpened, 61), of(3, event.WorkloadRolling, 60), of(4, event.WorkloadRolling, 1)}, 0,
			bounds{bytes: 1000, age: time.Hour}, []int{1}},
		{"what is too old makes room for the rest",
			[]item{of(1, event.EpisodeOpened, 61), of(2, event.WorkloadRolling, 5), of(3, event.WorkloadRolling, 1)}, 0,
			bounds{bytes: 200, age: time.Hour}, []int{0}},
		{"a kind that is not known yet like a failure",
			queueOf("dev.fairway.release.refused.v1", event.AgentStarted), 0, bounds{bytes: 120}, []int{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, surplus(c.queue, c.snapshot, c.bounds, noon)); diff != "" {
				t.Errorf("dropped (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSpansStayAscendingAndFew(t *testing.T) {
	var spans []event.Span
	for _, sequence := range []uint64{5, 3, 9, 4, 4, 8, 1} {
		spans = addSpan(spans, sequence)
	}
	if diff := cmp.Diff([]event.Span{{First: 1, Last: 1}, {First: 3, Last: 5}, {First: 8, Last: 9}}, spans); diff != "" {
		t.Errorf("spans (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]event.Span{{First: 1, Last: 5}, {First: 8, Last: 9}}, coarsen(spans, 2)); diff != "" {
		t.Errorf("two spans (-want +got):\n%s", diff)
	}
	spans = nil
	for i := range uint64(2000) {
		spans = addSpan(spans, 3*i+1)
	}
	if len(spans) != event.MaxGapSpans || spans[0].First != 1 || spans[len(spans)-1].Last != 3*1999+1 {
		t.Errorf("%d spans from %d to %d", len(spans), spans[0].First, spans[len(spans)-1].Last)
	}
}

func TestAGapCountsWhatWasDropped(t *testing.T) {
	var g event.Gap
	for _, it := range []item{of(7, event.FluxFailed, 5), of(6, event.WorkloadRolling, 9), of(0, event.WorkloadRolling, 1)} {
		g = lose(g, it, reasonFull)
	}
	g = lose(g, of(9, event.EpisodeOpened, 3), reasonOld)
	want := event.Gap{
		Reason: "the outbox was full; older than the outbox keeps events", From: noon.Add(-9 * time.Minute), To: noon.Add(-time.Minute),
		Dropped: map[event.Kind]int{event.KindFlux: 1, event.KindWorkload: 2, event.KindEpisode: 1},
		Spans:   []event.Span{{First: 6, Last: 7}, {First: 9, Last: 9}},
	}
	if diff := cmp.Diff(want, g); diff != "" {
		t.Errorf("gap (-want +got):\n%s", diff)
	}
}
