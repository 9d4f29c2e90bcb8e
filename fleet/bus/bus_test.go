package bus_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/bus/bustest"
)

const limit = 20 * time.Second

func newEvent(t testing.TB, cluster, id string) *event.Event {
	t.Helper()
	e, err := event.New(cluster, event.FluxFailed, event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: "apps"},
		time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), event.Flux{APIVersion: "v1", Reason: "BuildFailed"})
	if err != nil {
		t.Fatal(err)
	}
	e.ID = id
	return &e
}

func publish(t testing.TB, c *bus.Conn, cluster string, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := c.Publish(t.Context(), cluster, newEvent(t, cluster, id)); err != nil {
			t.Fatal(err)
		}
	}
}

// log collects what a follower was given, for the test to wait on.
type log[T any] struct {
	mu    sync.Mutex
	items []T
	added chan struct{}
}

func newLog[T any]() *log[T] { return &log[T]{added: make(chan struct{}, 1)} }

func (l *log[T]) add(v T) {
	l.mu.Lock()
	l.items = append(l.items, v)
	l.mu.Unlock()
	select {
	case l.added <- struct{}{}:
	default:
	}
}

func (l *log[T]) all() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.items)
}

// until waits for the items to be as wanted.
func (l *log[T]) until(t *testing.T, what string, ok func([]T) bool) []T {
	t.Helper()
	deadline := time.After(limit)
	for {
		if items := l.all(); ok(items) {
			return items
		}
		select {
		case <-l.added:
		case <-deadline:
			t.Fatalf("%s: not within %s; there is %+v", what, limit, l.all())
		}
	}
}

func follow(t *testing.T, c *bus.Conn, from bus.Start) *log[string] {
	t.Helper()
	ids, done := newLog[string](), make(chan error, 1)
	go func() {
		done <- c.Follow(t.Context(), from, func(m bus.Message) {
			e, err := event.Decode(m.Data)
			if err != nil {
				t.Errorf("message %d: %v", m.Sequence, err)
			}
			ids.add(e.ID)
		}, func(subject string, err error) { t.Errorf("%s: %v", subject, err) })
	}()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Errorf("Follow() = %v, want nil when its context ends", err)
		}
	})
	return ids
}

func TestMoreThanOnePullHoldsIsFollowedInOrder(t *testing.T) {
	b := bustest.Start(t)
	hub := b.Hub(t)
	const events, size = 100, 200 << 10 // 20 MiB
	want := []string{}
	for i := range events {
		e := newEvent(t, "a", fmt.Sprint(i))
		e.Data = fmt.Appendf(nil, "%q", strings.Repeat("x", size))
		if err := hub.Publish(t.Context(), "a", e); err != nil {
			t.Fatal(err)
		}
		want = append(want, e.ID)
	}
	got := follow(t, hub, bus.Start{}).until(t, "all events", func(ids []string) bool { return len(ids) >= events })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-published +followed):\n%s", diff)
	}
}

func TestStreamsAreAsTheContractSays(t *testing.T) {
	b := bustest.Start(t)
	hub := b.Hub(t)
	if err := hub.EnsureStreams(t.Context(), bus.Retention{MaxAge: time.Hour, MaxBytes: 1 << 20}); err != nil {
		t.Errorf("bring the streams to other limits: %v", err)
	}
	state, err := hub.State(t.Context())
	if err != nil || state.First != 1 || state.Last != 0 {
		t.Errorf("State() = %+v, %v; want an empty stream that begins at 1", state, err)
	}
}

func TestOneClusterPushesNoOtherOutOfTheStream(t *testing.T) {
	b := bustest.Start(t)
	hub := b.Hub(t)
	if err := hub.EnsureStreams(t.Context(), bus.Retention{PerSubject: 3}); err != nil {
		t.Fatal(err)
	}
	quiet, noisy := bustest.Connect(t, b.AgentOptions(t, "a")), bustest.Connect(t, b.AgentOptions(t, "b"))
	publish(t, quiet, "a", "a1", "a2")
	for i := range 20 {
		publish(t, noisy, "b", fmt.Sprintf("b%d", i+1))
	}
	var ids []string
	if err := hub.Read(t.Context(), bus.Start{}, bus.Filter{}, func(m bus.Message) bool {
		e, err := event.Decode(m.Data)
		if err != nil {
			t.Error(err)
		}
		ids = append(ids, e.ID)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a1", "a2", "b18", "b19", "b20"}, ids); diff != "" {
		t.Errorf("stream (-want +got):\n%s", diff)
	}
}

func TestPublishedEventsAreFollowedOnceAndInOrder(t *testing.T) {
	b := bustest.Start(t)
	hub := b.Hub(t)
	agent := bustest.Connect(t, b.AgentOptions(t, "a"))
	publish(t, agent, "a", "1", "2", "2", "1", "3")
	want := []string{"1", "2", "3"}
	got := follow(t, hub, bus.Start{}).until(t, "three events", func(ids []string) bool { return len(ids) >= 3 })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("followed (-want +got):\n%s", diff)
	}
	from := follow(t, hub, bus.Start{Sequence: 3})
	publish(t, agent, "a", "4")
	got = from.until(t, "events from the third on", func(ids []string) bool { return len(ids) >= 2 })
	if diff := cmp.Diff([]string{"3", "4"}, got); diff != "" {
		t.Errorf("followed from 3 (-want +got):\n%s", diff)
	}
}

func TestFollowOutlivesARestartOfTheServer(t *testing.T) {
	b := bustest.Start(t)
	hub := b.Hub(t)
	agent := bustest.Connect(t, b.AgentOptions(t, "a"))
	ids := follow(t, hub, bus.Start{})
	publish(t, agent, "a", "1", "2")
	ids.until(t, "events before the restart", func(ids []string) bool { return len(ids) == 2 })

	b.Server.Close()
	if err := agent.Publish(shortly(t), "a", newEvent(t, "a", "3")); err == nil {
		t.Error("Publish() without a server succeeded")
	}
	b.Restart(t)
	var want []string
	for i := 1; i <= 20; i++ {
		want = append(want, fmt.Sprint(i))
	}
	for _, id := range want {
		retry(t, func() error { return agent.Publish(shortly(t), "a", newEvent(t, "a", id)) })
	}
	got := ids.until(t, "every event, also those of after the restart", func(ids []string) bool { return len(ids) >= len(want) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("followed over a restart (-want +got):\n%s", diff)
	}
}

func TestFollowTellsWhenTheStreamWasReplaced(t *testing.T) {
	b := bustest.Start(t)
	hub := b.Hub(t)
	publish(t, hub, "a", "1")
	seen, done := newLog[uint64](), make(chan error, 1)
	go func() {
		done <- hub.Follow(t.Context(), bus.Start{}, func(m bus.Message) { seen.add(m.Sequence) }, func(string, error) {})
	}()
	seen.until(t, "the first event", func(all []uint64) bool { return len(all) == 1 })
	b.Replace(t, hub)
	select {
	case err := <-done:
		if !errors.Is(err, bus.ErrStreamReplaced) {
			t.Errorf("Follow() = %v, want ErrStreamReplaced", err)
		}
	case <-time.After(limit):
		t.Fatal("Follow() did not notice")
	}
}

func TestReadReplaysWhatIsStored(t *testing.T) {
	b := bustest.Start(t)
	hub := b.Hub(t)
	for i := range 1200 {
		cluster := "a"
		if i%3 == 0 {
			cluster = "b"
		}
		publish(t, hub, cluster, fmt.Sprint(i))
	}
	read := func(from bus.Start, filter bus.Filter, most int) (out []uint64) {
		err := hub.Read(t.Context(), from, filter, func(m bus.Message) bool {
			out = append(out, m.Sequence)
			return len(out) < most
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, test := range map[string]struct {
		from        bus.Start
		filter      bus.Filter
		most        int
		first, last uint64
		count       int
	}{
		"everything":                        {most: 9999, first: 1, last: 1200, count: 1200},
		"from a sequence on":                {from: bus.Start{Sequence: 1000}, most: 9999, first: 1000, last: 1200, count: 201},
		"from a time on":                    {from: bus.Start{Time: time.Now().Add(-time.Hour)}, most: 9999, first: 1, last: 1200, count: 1200},
		"one cluster":                       {filter: bus.Filter{Clusters: []string{"b"}}, most: 9999, first: 1, last: 1198, count: 400},
		"two clusters and a kind":           {filter: bus.Filter{Clusters: []string{"a", "b", "a"}, Kinds: []event.Kind{"flux"}}, most: 9999, first: 1, last: 1200, count: 1200},
		"no more than was asked for":        {most: 7, first: 1, last: 7, count: 7},
		"a kind that nothing has":           {filter: bus.Filter{Kinds: []event.Kind{event.KindAgent}}, most: 1},
		"a cluster that is unknown":         {filter: bus.Filter{Clusters: []string{"c"}}, most: 1},
		"beyond the end":                    {from: bus.Start{Sequence: 1201}, most: 1},
		"from a time that is still to come": {from: bus.Start{Time: time.Now().Add(time.Hour)}, most: 1},
	} {
		t.Run(name, func(t *testing.T) {
			got := read(test.from, test.filter, test.most)
			if len(got) != test.count || test.count > 0 && (got[0] != test.first || got[len(got)-1] != test.last) {
				t.Errorf("Read() = %d messages %v…, want %d from %d to %d", len(got), got[:min(3, len(got))], test.count, test.first, test.last)
			}
		})
	}
}

func TestHeartbeatsKeepTheirTimeOverARestartOfTheReader(t *testing.T) {
	b := bustest.Start(t)
	hub := b.Hub(t)
	agent := bustest.Connect(t, b.AgentOptions(t, "a"))
	beat := event.Heartbeat{Epoch: "e", Sequence: 1, Time: time.Now().UTC(), Interval: event.Duration(time.Second)}
	for beat.Sequence = 1; beat.Sequence <= 3; beat.Sequence++ {
		if err := agent.Heartbeat(t.Context(), "a", beat); err != nil {
			t.Fatal(err)
		}
	}
	type seen struct {
		Cluster  string
		Sequence uint64
		Received time.Time
	}
	start := func() *log[seen] {
		out := newLog[seen]()
		go func() {
			err := hub.FollowHeartbeats(t.Context(), func(cluster string, h event.Heartbeat, received time.Time) {
				out.add(seen{cluster, h.Sequence, received})
			})
			if err != nil {
				t.Error(err)
			}
		}()
		return out
	}
	first := start().until(t, "the last heartbeat", func(all []seen) bool { return len(all) == 1 })
	again := start().until(t, "the last heartbeat", func(all []seen) bool { return len(all) == 1 })
	if first[0].Sequence != 3 || first[0].Cluster != "a" {
		t.Errorf("first heartbeat = %+v, want the last one only", first[0])
	}
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("a second reader sees another time (-first +second):\n%s", diff)
	}
}

func TestCommandsReachTheAgent(t *testing.T) {
	b := bustest.Start(t)
	hub := b.Hub(t)
	if err := hub.Command(t.Context(), "a", bus.Resync); !errors.Is(err, bus.ErrNoAgent) {
		t.Errorf("Command() without an agent = %v, want ErrNoAgent", err)
	}
	agent := bustest.Connect(t, b.AgentOptions(t, "a"))
	commands := newLog[string]()
	stop, err := agent.OnCommand("a", commands.add)
	if err != nil {
		t.Fatal(err)
	}
	retry(t, func() error { return hub.Command(shortly(t), "a", bus.Resync) })
	commands.until(t, "the command", func(all []string) bool { return slices.Equal(all, []string{bus.Resync}) })
	stop()
	retry(t, func() error {
		if err := hub.Command(shortly(t), "a", bus.Resync); !errors.Is(err, bus.ErrNoAgent) {
			return fmt.Errorf("want ErrNoAgent after stop, got: %w", err)
		}
		return nil
	})
}

func TestPublishRefusesWhatTheStreamWould(t *testing.T) {
	b := bustest.Start(t)
	hub := b.Hub(t)
	e := newEvent(t, "a", "1")
	e.Data = []byte(`"` + strings.Repeat("x", event.MaxSize-600) + `"`)
	if err := hub.Publish(t.Context(), "a", e); err != nil {
		t.Errorf("Publish() of nearly the limit = %v", err)
	}
	e.ID, e.Data = "2", []byte(`"`+strings.Repeat("x", event.MaxSize-400)+`"`)
	if err := hub.Publish(t.Context(), "a", e); !errors.Is(err, event.ErrInvalid) {
		t.Errorf("Publish() of what fits without headers only = %v, want ErrInvalid", err)
	}
}

func TestAConnectionGoesThroughItsDialer(t *testing.T) {
	b := bustest.Start(t)
	o := b.AgentOptions(t, "c1")
	var dialed atomic.Int32
	o.Dial = func(network, address string) (net.Conn, error) {
		dialed.Add(1)
		return net.Dial(network, address)
	}
	if bustest.Connect(t, o); dialed.Load() != 1 {
		t.Errorf("dialed %d times, want once", dialed.Load())
	}
}
