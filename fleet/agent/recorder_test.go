package agent

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairway-dev/fairway/api/event"
)

// recorder is a bus that keeps what it gets. Publish fails while fail says so.
type recorder struct {
	mu      sync.Mutex
	events  []event.Event
	beats   []event.Heartbeat
	tries   int
	fail    func(*event.Event) error
	command func(string)
	changed chan struct{}
}

func newRecorder() *recorder { return &recorder{changed: make(chan struct{}, 1)} }

func (r *recorder) signal() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *recorder) Publish(_ context.Context, cluster string, e *event.Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.signal()
	r.tries++
	if r.fail != nil {
		if err := r.fail(e); err != nil {
			return err
		}
	}
	if _, err := e.Encode(); err != nil {
		return err
	}
	if e.Cluster() != cluster {
		return fmt.Errorf("%w: of %q on the subject of %q", event.ErrInvalid, e.Cluster(), cluster)
	}
	r.events = append(r.events, *e)
	return nil
}

func (r *recorder) Heartbeat(_ context.Context, _ string, h event.Heartbeat) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer r.signal()
	r.beats = append(r.beats, h)
	return nil
}

func (r *recorder) OnCommand(_ string, fn func(string)) (func(), error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.command = fn
	return func() {}, nil
}

// after returns the events from number n on, as lines.
func (r *recorder) after(n int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for i := n; i < len(r.events); i++ {
		out = append(out, line(&r.events[i]))
	}
	return out
}

func (r *recorder) all() []event.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]event.Event(nil), r.events...)
}

func line(e *event.Event) string {
	text := strings.TrimSpace(fmt.Sprintf("%s.%s %s", e.Type.Kind(), e.Type.What(), e.Subject))
	if e.Type.Kind() == event.KindEpisode {
		var data event.Episode
		if err := e.Payload(&data); err != nil {
			return err.Error()
		}
		text += " " + data.Reason
	}
	return text
}

// until waits until ok is true, looking again whenever the recorder gets something.
func (r *recorder) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-r.changed:
		case <-limit:
			t.Fatalf("waited 30 s for %s; events:\n%s", what, strings.Join(r.after(0), "\n"))
		}
	}
}
