package agent

import (
	"context"
	"encoding/json"
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
	"github.com/fairway-dev/fairway/fleet/observe"
	"github.com/fairway-dev/fairway/fleet/outbox"
)

var errDenied = errors.New("permissions violation")

// box opens an outbox until the test ends; path "" is a new one.
func box(t *testing.T, o outbox.Options) *outbox.Outbox {
	t.Helper()
	o.Cluster = "c1"
	if o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "outbox.db")
	}
	b, err := outbox.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() }) // a test may have closed it before
	return b
}

func offline(t *testing.T) *Agent {
	t.Helper()
	a, err := New(Options{Cluster: "c1", Config: &rest.Config{Host: "http://127.0.0.1:1"}, Outbox: box(t, outbox.Options{}),
		Denied: func(err error) bool { return errors.Is(err, errDenied) }})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func sample(t *testing.T, name string, size int) event.Event {
	t.Helper()
	e, err := event.New("c1", event.WorkloadRolling, event.Object{Kind: "Deployment", Namespace: "a", Name: name}, time.Now(),
		event.Workload{Message: strings.Repeat("x", size)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestPublishRetriesInOrder(t *testing.T) {
	a, bus := offline(t), newRecorder()
	failures := 3
	bus.fail = func(*event.Event) error {
		if failures--; failures >= 0 {
			return errors.New("no responders")
		}
		return nil
	}
	for i := range 5 {
		if err := a.outbox.Commit(sample(t, fmt.Sprint(i), 1)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.publish(ctx, bus) }()
	bus.until(t, "five events", func() bool { return len(bus.all()) == 5 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("publish ended with %v", err)
	}
	for i, e := range bus.all() {
		if e.Sequence != uint64(i+1) || e.Subject != fmt.Sprintf("Deployment/a/%d", i) {
			t.Errorf("event %d is %s, sequence %d", i, e.Subject, e.Sequence)
		}
	}
}

func TestAnEventThatTheContractForbidsIsInAGap(t *testing.T) {
	a, bus := offline(t), newRecorder()
	if err := a.outbox.Commit(sample(t, "large", event.MaxSize), sample(t, "small", 1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.publish(ctx, bus) }()
	bus.until(t, "the gap and the small event", func() bool { return len(bus.all()) == 2 })
	cancel()
	<-done
	var gap event.Gap
	if err := bus.all()[0].Payload(&gap); err != nil || !cmp.Equal(gap.Spans, []event.Span{{First: 1, Last: 1}}) {
		t.Errorf("gap %+v, %v; want the event that was left out", gap, err)
	}
	if diff := cmp.Diff([]string{"agent.gap", "workload.rolling Deployment/a/small"}, bus.after(0)); diff != "" {
		t.Errorf("published (-want +got):\n%s", diff)
	}
	if !a.outbox.SnapshotDue() {
		t.Error("no snapshot is due in place of the event")
	}
}

func TestANoisyClusterIsSlowedDown(t *testing.T) {
	bus := newRecorder()
	a, err := New(Options{Cluster: "c1", Config: &rest.Config{Host: "http://127.0.0.1:1"}, Outbox: box(t, outbox.Options{}), Rate: 1e-9, Burst: 9})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.outbox.Commit(sample(t, "small", 1), sample(t, "small", 1), sample(t, "large", 5*tokenBytes), sample(t, "late", 1), sample(t, "later", 1)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.publish(ctx, bus) }()
	bus.until(t, "what the burst pays for", func() bool { return len(bus.all()) == 4 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || len(bus.all()) != 4 {
		t.Errorf("%d events were sent, %v; want two small ones, a large one for six tokens, and one more", len(bus.all()), err)
	}
}

func TestReadyzSaysWhy(t *testing.T) {
	a := offline(t)
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		a.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Code, w.Body.String()
	}
	want := func(code int, text string) {
		t.Helper()
		if got, body := get("/readyz"); got != code || !strings.Contains(body, text) {
			t.Errorf("/readyz = %d %q, want %d and %q", got, body, code, text)
		}
	}
	want(503, "waiting for the first list of DaemonSet, Deployment, Job, Node, Pod, StatefulSet, discovery")
	for kind := range a.health.waiting {
		a.health.watchWorks(kind)
	}
	want(503, "not connected to the event bus yet")
	a.health.setConnected()
	want(200, "ok")
	a.health.busError(fmt.Errorf("publish: %w", errDenied))
	want(503, "the event bus refuses it: the credentials are not this cluster's, or were revoked: publish: permissions violation")
	a.health.published(event.KindFlux)
	want(200, "ok")
	a.health.watchFailed("Pod", errors.New("pods is forbidden"))
	want(503, "Pod: the cluster cannot be watched: pods is forbidden")
	if code, _ := get("/healthz"); code != 200 {
		t.Errorf("/healthz = %d", code)
	}
	a.health.turn.Store(time.Now().Add(-time.Hour).UnixNano())
	if code, body := get("/healthz"); code != 503 || !strings.Contains(body, "no turn") {
		t.Errorf("/healthz of a stuck loop = %d %q", code, body)
	}
	_, body := get("/metrics")
	for _, line := range []string{`fairway_agent_events_published_total{kind="flux"} 1`, "fairway_agent_denied_total 1", "fairway_agent_outbox_events 0",
		`fairway_agent_events_dropped_total{kind="episode"} 0`, "fairway_agent_gaps_total 0", "fairway_agent_publish_lag_seconds 0"} {
		if !strings.Contains(body, line) {
			t.Errorf("/metrics lacks %s", line)
		}
	}
}

func TestSnapshotParts(t *testing.T) {
	entry := func(size int) event.Entry {
		return event.Entry{Type: event.FluxFailed, Data: json.RawMessage(`"` + strings.Repeat("x", size) + `"`)}
	}
	many := make([]event.Entry, 1000)
	for i := range many {
		many[i] = entry(900)
	}
	for name, c := range map[string]struct {
		entries []event.Entry
		want    []int
	}{
		"nothing is one empty part":              {nil, []int{0}},
		"a little is one part":                   {many[:3], []int{3}},
		"much is several":                        {many, []int{144, 144, 144, 144, 144, 144, 136}},
		"one that is too large stands by itself": {[]event.Entry{entry(1), entry(partSize), entry(1)}, []int{1, 1, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []int
			for _, part := range split(c.entries) {
				got = append(got, len(part))
				if data, err := json.Marshal(event.Snapshot{Entries: part}); err != nil || len(part) > 1 && len(data) > event.MaxSize {
					t.Errorf("%d bytes, %v", len(data), err)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("entries a part (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFullOutboxTellsOfAGapAndThenSendsASnapshot(t *testing.T) {
	a, err := New(Options{Cluster: "c1", Config: &rest.Config{Host: "http://127.0.0.1:1"}, Outbox: box(t, outbox.Options{Bytes: 16 << 10})})
	if err != nil {
		t.Fatal(err)
	}
	l := newLoop(a)
	l.ready = true
	l.goLive(t.Context())
	for i := range 100 {
		l.send(draft(i))
		l.commit()
	}
	l.upkeep()
	if got := sent(t, a, 1); got[0].Type != event.AgentGap {
		t.Errorf("the first is %s, want the gap", got[0].Type)
	}
	l.upkeep()
	l.commit()
	if s := a.outbox.Stats(); s.Bytes > 16<<10 || s.Gaps != 1 {
		t.Errorf("stats %+v: a snapshot pushed out what it stands for", s)
	}
	l.pictured = time.Now().Add(-snapshotEvery)
	l.upkeep()
	l.commit()
	var last event.Event
	for a.outbox.Stats().Events > 0 {
		last = sent(t, a, 1)[0]
	}
	if last.Type != event.AgentSnapshot {
		t.Errorf("the last is %s, want the snapshot that stands for what was dropped", last.Type)
	}
}

// sent takes n events from the outbox as the publisher does.
func sent(t *testing.T, a *Agent, n int) []event.Event {
	t.Helper()
	var out []event.Event
	for range n {
		e, err := a.outbox.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		a.outbox.Done(e.Sequence)
		out = append(out, e)
	}
	return out
}

func TestADiskThatIsFullIsToldInReadyz(t *testing.T) {
	a, err := New(Options{Cluster: "c1", Config: &rest.Config{Host: "http://127.0.0.1:1"}, Outbox: box(t, outbox.Options{FileBytes: 128 << 10})})
	if err != nil {
		t.Fatal(err)
	}
	l := newLoop(a)
	l.ready = true
	l.goLive(t.Context())
	readyz := func() string { return strings.Join(a.health.reasons(), "\n") }
	for i := range 1000 {
		l.send(draft(i % 5))
		l.commit()
		if a.outbox.Problem() != nil {
			break
		}
	}
	if want := "outbox: the outbox cannot be written: events wait in memory: write outbox: "; !strings.Contains(readyz(), want) {
		t.Errorf("readyz says %q, want %q", readyz(), want)
	}
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{"fairway_agent_outbox_unwritten_events 1", "fairway_agent_outbox_write_errors_total 1"} {
		if !strings.Contains(w.Body.String(), line) {
			t.Errorf("/metrics lacks %s", line)
		}
	}
	sent(t, a, a.outbox.Stats().Events-1)
	l.upkeep()
	if strings.Contains(readyz(), "outbox") || a.outbox.Stats().Unwritten != 0 {
		t.Errorf("with room again, readyz says %q; %+v", readyz(), a.outbox.Stats())
	}
}

func TestWhatFollowsAnEpisodeWaitsForItsLines(t *testing.T) {
	a := offline(t) // no logs can be read: the episode says so, and is not lost
	l := newLoop(a)
	l.ready, l.live = true, true
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	episode := func(typ event.Type, logs *observe.LogRef) observe.Draft {
		return observe.Draft{Type: typ, Time: time.Now(), Object: event.Object{Kind: "Deployment", Namespace: "a", Name: "x"},
			Data: event.Episode{ID: "e1", Reason: event.ReasonCrashLoop}, Logs: logs}
	}
	l.emit(ctx, episode(event.EpisodeOpened, &observe.LogRef{Namespace: "a", Pod: "x", Container: "app"}))
	l.emit(ctx, episode(event.EpisodeResolved, nil))
	l.emit(ctx, draft(1))
	read := <-l.lines
	l.attach(ctx, read)
	l.commit()
	var got []event.Type
	for _, e := range sent(t, a, 3) {
		got = append(got, e.Type)
		var data event.Episode
		if err := e.Payload(&data); e.Type == event.EpisodeOpened && (err != nil || !strings.Contains(data.Message, "could not be read")) {
			t.Errorf("message %q, %v", data.Message, err)
		}
	}
	if diff := cmp.Diff([]event.Type{event.WorkloadRolling, event.EpisodeOpened, event.EpisodeResolved}, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestNewRefuses(t *testing.T) {
	for name, o := range map[string]Options{
		"an id that is none":              {Cluster: "Not A Cluster", Config: &rest.Config{}},
		"no outbox":                       {Cluster: "c1", Config: &rest.Config{}},
		"a cluster that cannot be dialed": {Cluster: "c1", Outbox: box(t, outbox.Options{}), Config: &rest.Config{TLSClientConfig: rest.TLSClientConfig{CAFile: "/nowhere"}}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("New took %s", name)
		}
	}
}
