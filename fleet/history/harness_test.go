package history

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/view"
)

const (
	limit  = 2 * time.Minute
	epoch1 = "0192f000-0000-7000-8000-000000000001"
	epoch2 = "0192f000-0000-7000-8000-000000000002"
)

var (
	start  = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	ledger = event.Object{Kind: "Deployment", Namespace: "payments", Name: "ledger"}
	root   = event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: "fairway"}
)

// tape is a stream as the bus has it: what was published, in its order.
type tape struct {
	t        testing.TB
	messages []bus.Message
	sequence map[string]uint64 // by cluster and epoch
	now      time.Time
	created  time.Time
	first    uint64 // messages up to here were dropped
}

func newTape(t testing.TB) *tape {
	return &tape{t: t, sequence: map[string]uint64{}, now: start, created: start}
}

// publish puts an event of a cluster's epoch on the tape, a second after the one before.
func (p *tape) publish(cluster, epoch string, typ event.Type, obj event.Object, data any, change ...func(*event.Event)) *event.Event {
	p.t.Helper()
	p.now = p.now.Add(time.Second)
	e, err := event.New(cluster, typ, obj, p.now.Add(-time.Second/2), data)
	if err != nil {
		p.t.Fatal(err)
	}
	if cluster != event.Platform {
		p.sequence[cluster+epoch]++
		e.Epoch, e.Sequence = epoch, p.sequence[cluster+epoch]
		e.Environment, e.Cloud, e.Region = "prod", "AWS", "eu-west-1"
	}
	if obj.Namespace == "payments" {
		e.Team, e.Service, e.Artifact, e.Revision = "payments", obj.Name, "main-1", "main@sha1:1"
	}
	e.ID = fmt.Sprintf("%s-%s-%d", cluster, epoch, len(p.messages))
	for _, c := range change {
		c(&e)
	}
	p.store(cluster, &e)
	return &e
}

// store appends an event as it is, also a second time.
func (p *tape) store(cluster string, e *event.Event) {
	p.t.Helper()
	data, err := e.Encode()
	if err != nil {
		p.t.Fatal(err)
	}
	p.messages = append(p.messages, bus.Message{Sequence: uint64(len(p.messages) + 1), Stored: p.now,
		Subject: event.OfCluster(cluster, e.Type.Kind()), Data: data})
}

// join is what a cluster says first: that it has started, and all that it has.
func (p *tape) join(cluster, epoch string, entries ...event.Entry) {
	p.publish(event.Platform, "", event.ClusterRegistered, event.Object{Kind: "WorkloadCluster", Namespace: "clusters", Name: cluster},
		event.Registration{Cluster: cluster, Namespace: "clusters", Environment: "prod", Cloud: "AWS", Region: "eu-west-1"})
	p.publish(cluster, epoch, event.AgentStarted, event.Object{}, event.Started{Version: "v0.1.0"})
	p.publish(cluster, epoch, event.AgentSnapshot, event.Object{}, event.Snapshot{ID: "s", Part: 1, Parts: 1, Entries: entries})
}

// State and Read make the tape a Source.
func (p *tape) State(context.Context) (bus.State, error) {
	return bus.State{First: p.first + 1, Last: uint64(len(p.messages)), Created: p.created}, nil
}

func (p *tape) Read(_ context.Context, from bus.Start, _ bus.Filter, fn func(bus.Message) bool) error {
	for _, m := range p.messages {
		if m.Sequence > p.first && m.Sequence >= from.Sequence && !fn(m) {
			break
		}
	}
	return nil
}

// running is a history that is written, on the tape's clock.
type running struct {
	*History
	tape *tape
	stop func()
}

func path(t testing.TB) string { return filepath.Join(t.TempDir(), "history.db") }

func run(t testing.TB, p *tape, file string, change ...func(*Options)) *running {
	t.Helper()
	o := Options{Path: file, Clock: func() time.Time { return p.now }, Log: logr.Discard()}
	for _, c := range change {
		c(&o)
	}
	r := &running{History: New(o), tape: p}
	state, _ := p.State(t.Context())
	if _, err := r.Open(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, p) }()
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(r.stop)
	return r
}

// add feeds messages of the tape, and waits until they are in the file.
func (r *running) add(t testing.TB, messages ...bus.Message) {
	t.Helper()
	for _, m := range messages {
		r.Add(t.Context(), record(m))
	}
	r.reach(t, messages[len(messages)-1].Sequence)
}

// reach waits until the file has the stream up to the position.
func (r *running) reach(t testing.TB, sequence uint64) {
	t.Helper()
	retry(t, func() error {
		if err := r.Flush(t.Context()); err != nil {
			return err
		}
		if got := r.Stats().Position; got < sequence {
			return errors.Join(fmt.Errorf("the history is at %d, want %d", got, sequence), r.Health())
		}
		return nil
	})
}

func retry(t testing.TB, fn func() error) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := fn()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %s: %v", limit, err)
		}
	}
}

// apply folds a message as the hub does.
func apply(t testing.TB, v *view.View, m bus.Message) {
	t.Helper()
	rec := record(m)
	if rec.Event == nil {
		t.Fatalf("message %d is no event", m.Sequence)
	}
	v.Apply(rec.Record)
}

// contents are the ids of all events in the file, by seq.
func contents(t testing.TB, h *History) []string {
	t.Helper()
	f := h.opened()
	tx, err := f.read.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback()
	var out []string
	var first, since int64
	var data []byte
	err = each(t.Context(), tx, "SELECT first, since, data FROM blocks ORDER BY first", nil, []any{&first, &since, &data}, func() error {
		events, err := f.unpack.unpack(first, since, data)
		for _, s := range events {
			e, err := event.Decode(s.data)
			if err != nil {
				return err
			}
			out = append(out, e.ID)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var rows, counted int
	if err := tx.QueryRowContext(t.Context(), "SELECT (SELECT COUNT(*) FROM events), rows FROM state").Scan(&rows, &counted); err != nil {
		t.Fatal(err)
	}
	if rows != len(out) || rows != counted {
		t.Errorf("%d rows for %d events, and the file counts %d", rows, len(out), counted)
	}
	return out
}
