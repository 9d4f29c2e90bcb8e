package outbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/event"
)

// open opens an outbox until the test ends.
func open(t testing.TB, o Options) *Outbox {
	t.Helper()
	if o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "outbox.db")
	}
	o.Cluster = "c1"
	b, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, bench := t.(*testing.B); !bench {
		b.db.NoSync = true // it is the process that is killed here, not the machine
	}
	t.Cleanup(func() { _ = b.db.Close() })
	return b
}

// crash opens a copy of the file as it is at this moment, as a process does that starts after the
// one before was killed.
func crash(t testing.TB, b *Outbox) *Outbox {
	t.Helper()
	o := b.opts
	o.Path = filepath.Join(t.TempDir(), "outbox.db")
	from, err := os.Open(b.opts.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, err := os.Create(o.Path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(to, from); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, o)
}

func made(typ event.Type, name string, data any) event.Event {
	e, err := event.New("c1", typ, event.Object{Kind: "Deployment", Namespace: "a", Name: name}, noon, data)
	if err != nil {
		panic(err) // plain structs can be written
	}
	return e
}

func workload(typ event.Type, name string, generation int64) event.Event {
	return made(typ, name, event.Workload{Generation: generation, Message: strings.Repeat("<", 50)})
}

func episode(typ event.Type, name, id string) event.Event {
	return made(typ, name, event.Episode{ID: id, Reason: event.ReasonCrashLoop})
}

func snapshot(entries ...event.Event) event.Event {
	s := event.Snapshot{ID: "s", Part: 1, Parts: 1}
	for i := range entries {
		s.Entries = append(s.Entries, entries[i].Entry())
	}
	e, err := event.New("c1", event.AgentSnapshot, event.Object{}, noon, s)
	if err != nil {
		panic(err)
	}
	return e
}

func commit(t testing.TB, b *Outbox, events ...event.Event) {
	t.Helper()
	if err := b.Commit(events...); err != nil {
		t.Fatal(err)
	}
}

func next(t testing.TB, b *Outbox) event.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	e, err := b.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// drain sends all that waits, as lines.
func drain(t testing.TB, b *Outbox) []string {
	t.Helper()
	var out []string
	for b.Stats().Events > 0 {
		e := next(t, b)
		b.Done(e.Sequence)
		out = append(out, strings.TrimSpace(fmt.Sprintf("%d %s.%s %s", e.Sequence, e.Type.Kind(), e.Type.What(), e.Object().Name)))
	}
	return out
}

func state(t testing.TB, b *Outbox) []string {
	t.Helper()
	entries, err := b.State()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	var sum uint64
	for i := range entries {
		key, _, _ := Member(&entries[i])
		out = append(out, key+" "+entries[i].Type.What())
		if key != keyCluster {
			sum += entries[i].Sum()
		}
	}
	if _, digest := b.Position(); digest != sum {
		t.Errorf("digest %d, want the sum over the state, %d", digest, sum)
	}
	return out
}

func TestEventsComeOutInOrderWithSequences(t *testing.T) {
	b := open(t, Options{})
	commit(t, b, workload(event.WorkloadRolling, "x", 1), episode(event.EpisodeOpened, "x", "e1"))
	commit(t, b, workload(event.WorkloadAvailable, "x", 1))
	first := next(t, b)
	if again := next(t, b); again.ID != first.ID || again.Sequence != 1 || again.Epoch != b.Epoch() || first.ID == "" {
		t.Errorf("Next before Done = %+v, want the first again", again)
	}
	b.Done(7)
	want := []string{"1 workload.rolling x", "2 episode.opened x", "3 workload.available x"}
	if diff := cmp.Diff(want, drain(t, b)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Next(ended); !errors.Is(err, context.Canceled) {
		t.Errorf("Next of an empty outbox: %v", err)
	}
}

func TestAProcessThatWasKilledGoesOn(t *testing.T) {
	b := open(t, Options{})
	commit(t, b, workload(event.WorkloadRolling, "x", 1), workload(event.WorkloadRolling, "y", 1), episode(event.EpisodeOpened, "x", "e1"))
	first := next(t, b)
	b.Done(1)
	after := crash(t, b)
	if after.Epoch() != b.Epoch() {
		t.Errorf("epoch %s, want %s", after.Epoch(), b.Epoch())
	}
	if again := next(t, after); again.ID != first.ID || !again.Time.Equal(first.Time) {
		t.Errorf("sent again as %s, want the same id: the ack was not on disk", again.ID)
	}
	commit(t, after, workload(event.WorkloadRemoved, "y", 1))
	want := []string{"1 workload.rolling x", "2 workload.rolling y", "3 episode.opened x", "4 workload.removed y"}
	if diff := cmp.Diff(want, drain(t, after)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if err := after.Flush(); err != nil {
		t.Fatal(err)
	}
	again := crash(t, after)
	if n := again.Stats().Events; n != 0 {
		t.Errorf("%d events wait after all were acknowledged", n)
	}
	if diff := cmp.Diff([]string{"Deployment/a/x rolling", "e1 opened"}, state(t, again)); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
	if _, want := after.Position(); again.state.digest != want || want == 0 {
		t.Errorf("digest %d after opening, want %d", again.state.digest, want)
	}
}

func TestTheStateIsWhatWasToldLast(t *testing.T) {
	b := open(t, Options{})
	connected, err := event.New("c1", event.ClusterConnected, event.Object{}, noon, event.Cluster{NodesTotal: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name   string
		events []event.Event
		want   []string
	}{
		{"what is told", []event.Event{workload(event.WorkloadRolling, "x", 1), episode(event.EpisodeOpened, "x", "e1")},
			[]string{"Deployment/a/x rolling", "e1 opened"}},
		{"the last of it", []event.Event{workload(event.WorkloadAvailable, "x", 1), workload(event.WorkloadAvailable, "x", 2), episode(event.EpisodeChanged, "x", "e1")},
			[]string{"Deployment/a/x available", "e1 changed"}},
		{"what is over is gone", []event.Event{episode(event.EpisodeResolved, "x", "e1"), workload(event.WorkloadRemoved, "x", 2), workload(event.WorkloadRolling, "y", 1)},
			[]string{"Deployment/a/y rolling"}},
		{"a snapshot replaces it all", []event.Event{snapshot(connected, workload(event.WorkloadAvailable, "z", 1)), workload(event.WorkloadRolling, "w", 1)},
			[]string{"Deployment/a/w rolling", "Deployment/a/z available", "cluster connected"}},
	} {
		commit(t, b, step.events...)
		if diff := cmp.Diff(step.want, state(t, b)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		if diff := cmp.Diff(step.want, state(t, crash(t, b))); diff != "" {
			t.Errorf("%s, after a crash (-want +got):\n%s", step.name, diff)
		}
	}
}

func TestAFullOutboxTellsWhatItDropped(t *testing.T) {
	b := open(t, Options{Bytes: 8 << 10, Environment: "prod"})
	commit(t, b, workload(event.WorkloadRolling, "taken", 1))
	taken := next(t, b)
	for i := range 100 {
		commit(t, b, workload(event.WorkloadRolling, fmt.Sprint(i), 1))
		if i%10 == 0 {
			commit(t, b, episode(event.EpisodeOpened, fmt.Sprint(i), fmt.Sprint("e", i)))
		}
	}
	if s := b.Stats(); s.Bytes > 8<<10 || s.Dropped[event.KindWorkload] == 0 || s.Dropped[event.KindEpisode] != 0 {
		t.Errorf("stats %+v, want at most 8 KiB and every episode", s)
	}
	if b.SnapshotDue() {
		t.Error("a snapshot is due before the gap was told")
	}
	b = crash(t, b)
	dropped := b.Stats().Dropped
	if e := next(t, b); e.Type != event.AgentGap { // what was taken when it crashed may go like the rest
		t.Fatalf("after a crash %s comes next, want the gap", e.Type)
	}
	_, _ = taken, dropped
	b = crash(t, b)
	told := next(t, b)
	var gap event.Gap
	if err := told.Payload(&gap); err != nil || told.Type != event.AgentGap || told.Environment != "prod" || told.Cluster() != "c1" {
		t.Fatalf("%+v, %v: want the gap again", told, err)
	}
	if told.Sequence != 112 {
		t.Errorf("the gap is %d, want the next sequence", told.Sequence)
	}
	b.Done(told.Sequence)
	if !b.SnapshotDue() {
		t.Error("no snapshot is due after the gap")
	}
	sent := map[uint64]bool{told.Sequence: true}
	for b.Stats().Events > 0 {
		e := next(t, b)
		sent[e.Sequence] = true
		b.Done(e.Sequence)
	}
	names := 0
	for _, span := range gap.Spans {
		for s := span.First; s <= span.Last; s++ {
			if sent[s] {
				t.Errorf("%d was sent and is in the gap", s)
			}
			sent[s] = true
			names++
		}
	}
	if last, _ := b.Position(); uint64(len(sent)) != last || gap.Dropped[event.KindWorkload] != names || gap.Reason != reasonFull {
		t.Errorf("%d of %d sequences are accounted for; gap %+v", len(sent), last, gap)
	}
	commit(t, b, snapshot(workload(event.WorkloadRolling, "0", 1)))
	if b.SnapshotDue() {
		t.Error("a snapshot is due after the snapshot")
	}
}

func TestWhatIsTooOldIsDropped(t *testing.T) {
	now := noon
	b := open(t, Options{Age: time.Hour, Now: func() time.Time { return now }})
	commit(t, b, episode(event.EpisodeOpened, "x", "e1"))
	now = now.Add(50 * time.Minute)
	commit(t, b, workload(event.WorkloadRolling, "x", 1))
	now = now.Add(11 * time.Minute)
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	if s := b.Stats(); s.Events != 1 || s.Dropped[event.KindEpisode] != 1 || !s.Oldest.Equal(noon.Add(50*time.Minute)) {
		t.Errorf("stats %+v", s)
	}
	if diff := cmp.Diff([]string{"3 agent.gap", "2 workload.rolling x"}, drain(t, b)); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestWhatTheBusRefusesIsInTheGap(t *testing.T) {
	b := open(t, Options{})
	commit(t, b, workload(event.WorkloadRolling, "x", 1), workload(event.WorkloadRolling, "y", 1))
	if err := b.Refuse(next(t, b).Sequence); err != nil {
		t.Fatal(err)
	}
	var gap event.Gap
	e := next(t, b)
	if err := e.Payload(&gap); err != nil || gap.Reason != reasonRefused || !cmp.Equal(gap.Spans, []event.Span{{First: 1, Last: 1}}) {
		t.Errorf("%s %+v, %v", e.Type, gap, err)
	}
}
