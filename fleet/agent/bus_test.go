package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/client-go/rest"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/bus/bustest"
	"github.com/fairway-dev/fairway/fleet/outbox"
)

// talking is an agent that is connected to a real bus with these options, and to no cluster, until
// the test ends.
func talking(t *testing.T, o bus.Options, b *outbox.Outbox) *Agent {
	t.Helper()
	a, stop := talk(t, o, b, func(b Bus) Bus { return b })
	t.Cleanup(stop)
	return a
}

// talk is talking until stop. between may stand between the agent and the bus.
func talk(t *testing.T, o bus.Options, b *outbox.Outbox, between func(Bus) Bus) (a *Agent, stop func()) {
	t.Helper()
	a, err := New(Options{
		Cluster: "c1", Config: &rest.Config{Host: "http://127.0.0.1:1"}, Heartbeat: time.Second, Outbox: b,
		Denied: func(err error) bool { return errors.Is(err, bus.ErrDenied) },
		Connect: func(ctx context.Context, onError func(error)) (Bus, error) {
			o.OnError = onError
			conn, err := bus.Connect(ctx, o)
			if err != nil {
				return nil, err
			}
			context.AfterFunc(ctx, conn.Close)
			return between(conn), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.talk(ctx) }()
	return a, func() {
		cancel()
		<-done
	}
}

// read reads all events of the stream.
func read(t *testing.T, hub *bus.Conn) []event.Event {
	t.Helper()
	var out []event.Event
	if err := hub.Read(t.Context(), bus.Start{}, bus.Filter{}, func(m bus.Message) bool {
		e, err := event.Decode(m.Data)
		if err != nil {
			t.Error(err)
		}
		e.Data = append([]byte(nil), e.Data...)
		out = append(out, e)
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return out
}

// deaf is a bus whose acknowledgements do not arrive: what is published is stored, and the process is
// killed before it knows.
type deaf struct {
	Bus
	stored chan uint64
}

func (d deaf) Publish(ctx context.Context, cluster string, e *event.Event) error {
	if err := d.Bus.Publish(ctx, cluster, e); err != nil {
		return err
	}
	d.stored <- e.Sequence
	<-ctx.Done()
	return ctx.Err()
}

func TestAnAgentThatIsKilledWhileItSendsLosesAndRepeatsNothing(t *testing.T) {
	b := bustest.Start(t)
	hub := b.Hub(t)
	path := filepath.Join(t.TempDir(), "outbox.db")
	first := box(t, outbox.Options{Path: path})
	if err := first.Commit(sample(t, "a", 1), sample(t, "b", 1), sample(t, "c", 1)); err != nil {
		t.Fatal(err)
	}
	stored := make(chan uint64, 1)
	_, stop := talk(t, b.AgentOptions(t, "c1"), first, func(b Bus) Bus { return deaf{b, stored} })
	select {
	case <-stored:
	case <-time.After(30 * time.Second):
		t.Fatal("nothing was stored in 30 s")
	}
	stop()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second := box(t, outbox.Options{Path: path})
	if n := second.Stats().Events; n != 3 || second.Epoch() != first.Epoch() {
		t.Errorf("%d events wait in epoch %s, want all three in %s", n, second.Epoch(), first.Epoch())
	}
	if err := second.Commit(sample(t, "d", 1)); err != nil {
		t.Fatal(err)
	}
	talking(t, b.AgentOptions(t, "c1"), second)
	waitFor(t, "an empty outbox", func() bool { return second.Stats().Events == 0 })
	var got []string
	for i, e := range read(t, hub) {
		if e.Sequence != uint64(i+1) {
			t.Errorf("event %d has sequence %d", i, e.Sequence)
		}
		got = append(got, e.Object().Name)
	}
	if diff := cmp.Diff([]string{"a", "b", "c", "d"}, got); diff != "" {
		t.Errorf("stream (-want +got):\n%s", diff)
	}
}

func TestAnOutboxThatOverflowedAccountsForEverySequence(t *testing.T) {
	b := bustest.Start(t)
	hub := b.Hub(t)
	o := box(t, outbox.Options{Bytes: 16 << 10})
	for i := range 20 {
		var batch []event.Event
		for range 10 {
			batch = append(batch, sample(t, fmt.Sprint(i), 100))
		}
		if err := o.Commit(batch...); err != nil {
			t.Fatal(err)
		}
	}
	talking(t, b.AgentOptions(t, "c1"), o)
	waitFor(t, "an empty outbox", func() bool { return o.Stats().Events == 0 })
	events := read(t, hub)
	var gap event.Gap
	if err := events[0].Payload(&gap); err != nil || events[0].Type != event.AgentGap || events[0].Sequence != 201 {
		t.Fatalf("the stream begins with %s %d, %v; want the gap", events[0].Type, events[0].Sequence, err)
	}
	if want := []event.Span{{First: 1, Last: uint64(gap.Dropped[event.KindWorkload])}}; !cmp.Equal(gap.Spans, want) || len(gap.Spans) != 1 {
		t.Errorf("gap %+v, want the oldest, all of them dropped: %v", gap, want)
	}
	for i, e := range events[1:] {
		if want := gap.Spans[0].Last + uint64(i) + 1; e.Sequence != want {
			t.Errorf("sequence %d, want %d", e.Sequence, want)
		}
	}
	if len(events) != 201-int(gap.Spans[0].Last) {
		t.Errorf("%d events, and %d in the gap: want 201 in all", len(events), gap.Spans[0].Last)
	}
}

func TestEventsAndHeartbeatsReachTheStreams(t *testing.T) {
	b := bustest.Start(t)
	hub := b.Hub(t)
	a := talking(t, b.AgentOptions(t, "c1"), box(t, outbox.Options{}))
	beats := make(chan event.Heartbeat, 8)
	ctx, cancel := context.WithCancel(t.Context())
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		if err := hub.FollowHeartbeats(ctx, func(_ string, h event.Heartbeat, _ time.Time) { beats <- h }); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-followed
	})
	for _, name := range []string{"a", "b", "c"} {
		if err := a.outbox.Commit(sample(t, name, 1)); err != nil {
			t.Fatal(err)
		}
	}
	l := newLoop(a)
	l.heartbeat()
	select {
	case h := <-beats:
		if _, digest := a.outbox.Position(); h.Sequence != 3 || h.Digest != digest || digest == 0 || h.Epoch != a.outbox.Epoch() {
			t.Errorf("heartbeat %+v", h)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("no heartbeat in 30 s")
	}
	waitFor(t, "an empty outbox", func() bool { return a.outbox.Stats().Events == 0 })
	var got []string
	for _, e := range read(t, hub) {
		got = append(got, e.Subject)
	}
	if want := "Deployment/a/a Deployment/a/b Deployment/a/c"; strings.Join(got, " ") != want {
		t.Errorf("stream has %q; want %q", got, want)
	}
	if err := hub.Command(t.Context(), "c1", bus.Resync); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the command", func() bool { return len(a.resync) == 1 })
}

func TestSomeoneElsesCredentialsAreToldInReadyz(t *testing.T) {
	b := bustest.Start(t)
	b.Hub(t)
	a := talking(t, b.AgentOptions(t, "other"), box(t, outbox.Options{}))
	if err := a.outbox.Commit(sample(t, "a", 1)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "readyz to tell", func() bool {
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
		return w.Code == 503 && strings.Contains(w.Body.String(), "events: the event bus refuses it: the credentials are not this cluster's")
	})
	if n := a.outbox.Stats().Events; n != 1 {
		t.Errorf("%d events wait, want the one that was refused", n)
	}
}

// waitFor looks every few milliseconds.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !ok() {
		if pause(ctx, 5*time.Millisecond) != nil {
			t.Fatalf("waited 30 s for %s", what)
		}
	}
}
