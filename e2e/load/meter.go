package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/e2e/load/sim"
	"github.com/fairway-dev/fairway/fleet/client"
)

// meter tells how long it takes from a step on a cluster until its event is seen.
type meter struct {
	mu      sync.Mutex
	begun   map[happening]time.Time
	samples []sample
}

// happening names a step of a rollout: a crash may repeat types within one artifact, and is not measured.
type happening struct {
	cluster, subject, artifact string
	typ                        event.Type
}

type sample struct {
	cluster string
	begun   time.Time
	took    time.Duration
}

func newMeter() *meter { return &meter{begun: map[happening]time.Time{}} }

// begin takes a step, as sim.Options.Stepped.
func (m *meter) begin(s sim.Step) {
	switch s.Type {
	case event.EpisodeOpened, event.WorkloadDegraded:
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.begun[happening{s.Cluster, s.Object.String(), s.Artifact, s.Type}] = s.At
}

// seen takes an event of the watch, now.
func (m *meter) seen(cluster string, e *event.Event, now time.Time) {
	h := happening{cluster, e.Subject, e.Artifact, e.Type}
	m.mu.Lock()
	defer m.mu.Unlock()
	if begun, ok := m.begun[h]; ok {
		delete(m.begun, h)
		m.samples = append(m.samples, sample{cluster, begun, now.Sub(begun)})
	}
}

// between lists, in milliseconds, what began between two times on the clusters that are wanted.
func (m *meter) between(from, to time.Time, wanted func(cluster string) bool) []float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []float64
	for _, s := range m.samples {
		if !s.begun.Before(from) && s.begun.Before(to) && (wanted == nil || wanted(s.cluster)) {
			out = append(out, milliseconds(s.took))
		}
	}
	return out
}

// watch reads the hub's event stream into a meter.
type watch struct {
	cancel context.CancelFunc
	ended  chan struct{}

	mu     sync.Mutex
	breaks int // times that the stream was interrupted, for being read too slowly or for another reason
	why    error
}

// startWatch returns when the stream is open.
func startWatch(ctx context.Context, c *client.Client, m *meter) (*watch, error) {
	ctx, cancel := context.WithCancel(ctx)
	w := &watch{cancel: cancel, ended: make(chan struct{})}
	open, failed := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		defer close(w.ended)
		for update, err := range c.Watch(ctx, 0, client.EventQuery{}) {
			if err != nil {
				failed <- err
				return
			}
			w.take(update, m, open)
		}
	}()
	select {
	case <-open:
		return w, nil
	case err := <-failed:
		cancel()
		return nil, fmt.Errorf("watch events: %w", err)
	case <-w.ended:
		cancel()
		return nil, errors.Join(errors.New("watch events: it has ended"), ctx.Err())
	}
}

func (w *watch) take(update client.Update, m *meter, open chan<- struct{}) {
	switch u := update.(type) {
	case client.Stored:
		m.seen(u.Event.Cluster, &u.Event.Event, time.Now())
	case client.Lagged:
		w.broke(errors.New("it was read too slowly"))
	case client.Disconnected:
		w.broke(u.Err)
	case client.Connected:
		select {
		case open <- struct{}{}:
		default:
		}
	}
}

func (w *watch) broke(why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.breaks, w.why = w.breaks+1, why
}

// interrupted says how often the stream was, and why last.
func (w *watch) interrupted() (times int, why error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.breaks, w.why
}

func (w *watch) stop() {
	w.cancel()
	<-w.ended
}
