package history

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/bus"
)

func available(p *tape, cluster string, n int) {
	for range n {
		p.publish(cluster, epoch1, event.WorkloadAvailable, ledger, event.Workload{Desired: 1, Ready: 1})
	}
}

func ids(messages []bus.Message) (out []string) {
	for _, m := range messages {
		e, err := event.Decode(m.Data)
		if err == nil {
			out = append(out, e.ID)
		}
	}
	return out
}

func TestEveryEventIsARowOnce(t *testing.T) {
	p := newTape(t)
	p.join("a", epoch1)
	available(p, "a", 10)
	r := run(t, p, path(t))
	r.add(t, p.messages...)
	r.add(t, p.messages...) // a consumer that begins again
	if diff := cmp.Diff(ids(p.messages), contents(t, r.History)); diff != "" {
		t.Errorf("events (-stream +history):\n%s", diff)
	}
	if err := r.Health(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoEventOnlyMovesThePosition(t *testing.T) {
	p := newTape(t)
	available(p, "a", 2)
	other := p.publish("b", epoch1, event.WorkloadAvailable, ledger, event.Workload{})
	p.store("a", other) // claims to be of another cluster than it was published by
	bad := bus.Message{Sequence: 5, Stored: p.now, Subject: event.OfCluster("a", event.KindFlux), Data: []byte("{}")}
	p.messages = append(p.messages, bad)
	r := run(t, p, path(t))
	r.add(t, p.messages...)
	if got := len(contents(t, r.History)); got != 3 {
		t.Errorf("%d rows, want 3", got)
	}
}

// Each restart is a hub that was killed: what was not committed is gone, and the stream is read again
// from where the file ends, with duplicates of what was before.
func TestAHubKilledBetweenBatchesNeitherLosesNorRepeatsARow(t *testing.T) {
	p, file := newTape(t), path(t)
	p.join("a", epoch1)
	p.join("b", epoch1)
	available(p, "a", 40)
	available(p, "b", 40)
	for round := range 8 {
		f, err := openFile(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		state, _ := p.State(t.Context())
		s, _, err := f.adopt(t.Context(), state)
		if err != nil {
			t.Fatal(err)
		}
		if f.encoder, err = f.newEncoder(t.Context(), s.base); err != nil {
			t.Fatal(err)
		}
		if f.writer, err = newWriter(t.Context(), f.write); err != nil {
			t.Fatal(err)
		}
		from := max(0, int(s.position)-5) // five are delivered again
		to := min(len(p.messages), from+16)
		for _, m := range p.messages[from:to] {
			f.encoder.add(record(m))
		}
		if err := f.writer.write(t.Context(), f.encoder.take()); err != nil {
			t.Fatal(err)
		}
		for _, m := range p.messages[to:min(len(p.messages), to+7)] { // encoded, and never written
			f.encoder.add(record(m))
		}
		f.encoder.take()
		if err := f.close(); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	r := run(t, p, file)
	r.add(t, p.messages...)
	if diff := cmp.Diff(ids(p.messages), contents(t, r.History)); diff != "" {
		t.Errorf("events (-stream +history):\n%s", diff)
	}
}

func TestAnyOrderAndAnyDuplicatesGiveEveryRowOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var l life
		want := map[uint64]bool{}
		for _, seq := range rapid.SliceOfN(rapid.Uint64Range(1, 60), 1, 150).Draw(t, "delivered") {
			if got := l.take(seq); got == want[seq] {
				t.Fatalf("take(%d) = %v, and it was there before: %v", seq, got, want[seq])
			}
			want[seq] = true
			if rapid.IntRange(0, 9).Draw(t, "restart") == 0 {
				holes, err := decodeHoles(encodeHoles(l.holes))
				if err != nil {
					t.Fatal(err)
				}
				l = life{last: l.last, holes: holes}
			}
		}
		for seq := uint64(1); seq <= l.last; seq++ {
			if inHole := slices.ContainsFunc(l.holes, func(h hole) bool { return h.first <= seq && seq <= h.last }); inHole == want[seq] {
				t.Fatalf("%d is in a hole: %v, and it was delivered: %v (%+v)", seq, inHole, want[seq], l)
			}
		}
	})
}

// deliver makes a stream of what clusters sent, in any order and with duplicates, as faults do it.
func TestAStreamWithDuplicatesAndDisorder(t *testing.T) {
	file := 0
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		sent := newTape(t)
		for range rapid.IntRange(1, 25).Draw(rt, "events") {
			cluster := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "cluster")
			epoch := rapid.SampledFrom([]string{epoch1, epoch2}).Draw(rt, "epoch")
			sent.publish(cluster, epoch, event.WorkloadAvailable, ledger, event.Workload{})
		}
		var order []int
		for i := range sent.messages {
			for range rapid.IntRange(1, 3).Draw(rt, "copies") {
				order = append(order, i)
			}
		}
		p := newTape(t)
		for _, i := range rapid.Permutation(order).Draw(rt, "order") {
			m := sent.messages[i]
			m.Sequence = uint64(len(p.messages) + 1)
			p.messages = append(p.messages, m)
		}
		file++
		r := run(t, p, fmt.Sprintf("%s/%d.db", dir, file))
		defer r.stop()
		r.add(t, p.messages...)
		got := contents(t, r.History)
		slices.Sort(got)
		want := ids(sent.messages)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("events (-sent +history):\n%s", diff)
		}
	})
}

func TestAHistoryThatCannotWriteReadsAgainWhatItMissed(t *testing.T) {
	p, file := newTape(t), path(t)
	available(p, "a", 2000)
	r := run(t, p, file)
	r.add(t, p.messages[:10]...)
	lock := r.opened().read // a lock that another process holds
	conn, err := lock.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), "PRAGMA query_only(0); BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	for _, m := range p.messages[10:] {
		r.Add(t.Context(), record(m))
	}
	retry(t, func() error {
		if r.Health() == nil {
			return errors.New("a history that cannot write says it is well")
		}
		return nil
	})
	if _, err := r.Since(t.Context(), Query{From: start, Until: p.now}); err != nil {
		t.Errorf("it does not answer: %v", err)
	}
	if _, err := r.At(t.Context(), p.now); !errors.Is(err, ErrBehind) {
		t.Errorf("At() of what is not in the file = %v, want ErrBehind", err)
	}
	if _, err := r.At(t.Context(), p.messages[5].Stored); err != nil {
		t.Errorf("At() of what is in the file: %v", err)
	}
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	r.reach(t, 2000)
	if diff := cmp.Diff(ids(p.messages), contents(t, r.History)); diff != "" {
		t.Errorf("events (-stream +history):\n%s", diff)
	}
	retry(t, r.Health)
	if r.Stats().Retries == 0 {
		t.Error("no retry is counted")
	}
}

func TestAFileThatIsNoDatabaseIsLeftAlone(t *testing.T) {
	p, file := newTape(t), path(t)
	available(p, "a", 3)
	if err := os.WriteFile(file, []byte("this is not a database, and somebody may want it"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := New(Options{Path: file, Clock: time.Now})
	state, _ := p.State(t.Context())
	if _, err := h.Open(t.Context(), state); err == nil {
		t.Fatal("Open() succeeded")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx, p) }()
	for _, m := range p.messages {
		h.Add(t.Context(), record(m)) // does not wait
	}
	if h.Health() == nil {
		t.Error("Health() = nil")
	}
	if _, err := h.Since(t.Context(), Query{}); !errors.Is(err, ErrNotOpen) {
		t.Errorf("Since() = %v, want ErrNotOpen", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(file); err != nil || len(data) != 48 {
		t.Errorf("the file was changed: %q, %v", data, err)
	}
}

func TestAnotherStreamGoesOnAfterTheOldOne(t *testing.T) {
	old, file := newTape(t), path(t)
	available(old, "a", 5)
	r := run(t, old, file)
	r.add(t, old.messages...)
	r.stop()

	p := newTape(t)
	p.created = start.Add(time.Hour)
	p.store("a", mustDecode(t, old.messages[4])) // the new stream may have some of the old events
	p.sequence["a"+epoch1] = 5
	available(p, "a", 2)
	r = run(t, p, file)
	if got := r.Position(); got != 0 {
		t.Errorf("it goes on at %d of a stream that it never saw", got)
	}
	r.add(t, p.messages...)
	want := append(ids(old.messages), ids(p.messages[1:])...)
	if diff := cmp.Diff(want, contents(t, r.History)); diff != "" {
		t.Errorf("events (-streams +history):\n%s", diff)
	}
	got, err := r.Since(t.Context(), Query{From: start, Until: p.now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for _, item := range got.Items {
		if item.Sequence > 3 {
			t.Errorf("%+v has a place in a stream of three", item)
		}
	}
}

func mustDecode(t *testing.T, m bus.Message) *event.Event {
	t.Helper()
	e, err := event.Decode(m.Data)
	if err != nil {
		t.Fatal(err)
	}
	return &e
}

func TestRetentionDeletesTheOldestAndKeepsTheRest(t *testing.T) {
	p := newTape(t)
	p.join("a", epoch1)
	available(p, "a", 3000)
	kept := p.messages[len(p.messages)-1].Stored
	var maxAge = 30 * time.Minute
	r := run(t, p, path(t), func(o *Options) { o.MaxAge = maxAge })
	r.add(t, p.messages...)
	oldest := kept.Add(-maxAge)
	retry(t, func() error {
		got := contents(t, r.History)
		if len(got) == len(p.messages) {
			return errors.New("nothing was deleted")
		}
		first := len(p.messages) - len(got)
		if diff := cmp.Diff(ids(p.messages[first:]), got); diff != "" {
			t.Fatalf("events (-tail of the stream +history):\n%s", diff)
		}
		if p.messages[first].Stored.Before(oldest.Add(-10 * time.Minute)) {
			return fmt.Errorf("the oldest is of %s, want about %s", p.messages[first].Stored, oldest)
		}
		if p.messages[first].Stored.After(oldest) {
			t.Fatalf("the oldest is of %s, and nothing after %s should go", p.messages[first].Stored, oldest)
		}
		return nil
	})
}

func TestRetentionByBytes(t *testing.T) {
	p := newTape(t)
	for i := range 3000 {
		p.publish("a", epoch1, event.FluxFailed, root, event.Flux{Message: fmt.Sprintf("%x", i*i*7919)})
	}
	r := run(t, p, path(t), func(o *Options) { o.MaxBytes = 40_000 })
	r.add(t, p.messages...)
	retry(t, func() error {
		var bytes int64
		if err := r.opened().read.QueryRowContext(t.Context(), "SELECT bytes FROM state").Scan(&bytes); err != nil {
			t.Fatal(err)
		}
		if bytes > 40_000 || bytes < 10_000 {
			return fmt.Errorf("%d bytes are kept, want at most 40,000 and not much less", bytes)
		}
		return nil
	})
	contents(t, r.History)
}

func TestAnOlderFileIsMigratedAndANewerOneRefused(t *testing.T) {
	file := path(t)
	write, read, err := open(t.Context(), file, migrations)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := write.ExecContext(t.Context(), "INSERT INTO teams VALUES (1, 'payments')"); err != nil {
		t.Fatal(err)
	}
	write.Close()
	read.Close()
	newer := append(slices.Clone(migrations), "ALTER TABLE teams ADD COLUMN alias TEXT NOT NULL DEFAULT 'none'")
	if write, read, err = open(t.Context(), file, newer); err != nil {
		t.Fatal(err)
	}
	var alias string
	if err := read.QueryRowContext(t.Context(), "SELECT alias FROM teams WHERE name = 'payments'").Scan(&alias); err != nil || alias != "none" {
		t.Errorf("after the migration: %q, %v", alias, err)
	}
	write.Close()
	read.Close()
	if _, _, err := open(t.Context(), file, migrations); !errors.Is(err, ErrNewer) {
		t.Errorf("open() of a newer file = %v, want ErrNewer", err)
	}
	broken := append(slices.Clone(newer), "ALTER TABLE teams ADD COLUMN x TEXT; SELECT nothing FROM nowhere")
	if _, _, err := open(t.Context(), file, broken); err == nil {
		t.Error("a migration that fails does not fail")
	}
	if write, read, err = open(t.Context(), file, newer); err != nil {
		t.Errorf("after a migration that failed: %v", err)
	}
	write.Close()
	read.Close()
}

func TestASnapshotIsTheWholeHistory(t *testing.T) {
	p := newTape(t)
	p.join("a", epoch1)
	available(p, "a", 50)
	r := run(t, p, path(t))
	r.add(t, p.messages[:30]...)
	copied := path(t)
	for range 2 { // the second replaces the first
		if err := r.Snapshot(t.Context(), copied); err != nil {
			t.Fatal(err)
		}
	}
	other := run(t, p, copied)
	if got := other.Position(); got != 30 {
		t.Errorf("the snapshot goes on after %d, want 30", got)
	}
	other.add(t, p.messages[30:]...)
	r.add(t, p.messages[30:]...)
	if diff := cmp.Diff(contents(t, r.History), contents(t, other.History)); diff != "" {
		t.Errorf("events (-first +from its snapshot):\n%s", diff)
	}
}

func TestWhatTheStreamDroppedBeforeItWasReadIsCounted(t *testing.T) {
	p, file := newTape(t), path(t)
	available(p, "a", 40)
	r := run(t, p, file)
	r.add(t, p.messages[:10]...)
	if lost := r.Stats().Lost; lost != 0 {
		t.Errorf("%d events are lost before anything was", lost)
	}
	r.stop()
	p.first = 20
	r = run(t, p, file)
	r.add(t, p.messages[20:]...)
	if lost := r.Stats().Lost; lost != 10 {
		t.Errorf("%d events are lost, want those 10 that the stream dropped", lost)
	}
	if diff := cmp.Diff(append(ids(p.messages[:10]), ids(p.messages[20:])...), contents(t, r.History)); diff != "" {
		t.Errorf("events (-stream +history):\n%s", diff)
	}
	r.stop()
	r = run(t, p, path(t))
	r.add(t, p.messages[20:]...)
	if lost := r.Stats().Lost; lost != 0 {
		t.Errorf("a new history says that it lost %d events", lost)
	}
}
