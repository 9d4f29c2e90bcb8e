package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"sync"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/view"
)

// watchedEvery is how often the file is told that somebody still watches.
const watchedEvery = 10 * time.Second

// silence is what the history knows of heartbeats, which are no events: who is connected, and the
// last heartbeat of everybody.
type silence struct {
	mu        sync.Mutex
	connected map[string]bool // as the last transition that was stored says
	last      map[string]beat
	told      map[string]event.Heartbeat // the last that was stored
	pending   []change                   // not stored yet
	since     int64                      // of the watch, Unix milliseconds; 0: none yet
	until     int64                      // as it was stored
}

type beat struct {
	heartbeat event.Heartbeat
	received  time.Time
}

// load reads who was connected when the last hub stopped, so that a restart makes no transitions.
func (s *silence) load(ctx context.Context, db *sql.DB) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connected, s.told = map[string]bool{}, map[string]event.Heartbeat{}
	if s.last == nil {
		s.last = map[string]beat{}
	}
	var name string
	var connected bool
	return each(ctx, db, "SELECT c.name, t.connected FROM transitions t JOIN clusters c ON c.id = t.cluster ORDER BY t.id", nil,
		[]any{&name, &connected}, func() error { s.connected[name] = connected; return nil })
}

// Heartbeat notes a cluster's heartbeat, as the view gets it. What it says anew is stored.
func (h *History) Heartbeat(cluster string, b event.Heartbeat, received time.Time) {
	s := &h.silence
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = map[string]beat{}
	}
	if received.Before(s.last[cluster].received) {
		return
	}
	s.last[cluster] = beat{b, received}
	if told, ok := s.told[cluster]; s.told == nil || ok && facts(told) == facts(b) {
		return
	}
	if h.offerNow(item{apply: s.last[cluster].store(cluster)}) {
		s.told[cluster] = b
	}
}

// facts is what of a heartbeat does not change from one to the next.
func facts(b event.Heartbeat) event.Heartbeat {
	b.Sequence, b.Objects, b.Digest, b.Time = 0, 0, 0, time.Time{}
	return b
}

func (b beat) store(cluster string) func(*encoder) {
	return func(e *encoder) {
		body, err := json.Marshal(b.heartbeat)
		if err != nil {
			return // a struct of texts and numbers
		}
		id := e.names.cluster(cluster, &e.batch.news)
		e.batch.news = append(e.batch.news, statement{"INSERT OR REPLACE INTO heartbeats (cluster, received, body) VALUES (?, ?, ?)",
			[]any{id, b.received.UnixMilli(), body}})
	}
}

// offerNow puts an item into the queue if there is room at once.
func (h *History) offerNow(i item) bool {
	select {
	case h.items <- i:
		return true
	default:
		return false
	}
}

// Transition stores that a cluster connected or fell silent, as view.Sweep says it, with the event that
// those who watch are told. What the history knows already, such as from before a restart, it stores
// not again. It does not wait: what cannot be stored now is stored with a later call of Watched.
func (h *History) Transition(t view.Transition, e *event.Event) {
	s := &h.silence
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending) < maxPending {
		s.pending = append(s.pending, change{t, e})
	}
	h.settle()
}

// maxPending bounds what waits for a file that cannot be opened.
const maxPending = 10_000

type change struct {
	view.Transition
	event *event.Event
}

// settle stores what waits; the lock is held.
func (h *History) settle() {
	s := &h.silence
	for s.connected != nil && len(s.pending) > 0 {
		c := s.pending[0]
		if was, ok := s.connected[c.Cluster]; !ok || was != c.Connected {
			last, heard := s.last[c.Cluster]
			if !h.offerNow(item{apply: func(e *encoder) {
				if heard {
					last.store(c.Cluster)(e)
				}
				e.transition(c.Transition, c.event)
			}}) {
				return
			}
			s.connected[c.Cluster] = c.Connected
		}
		s.pending = s.pending[1:]
	}
}

func (e *encoder) transition(t view.Transition, ev *event.Event) {
	body, err := ev.Encode()
	if err != nil {
		return // the hub has sent it to those who watch
	}
	id := e.names.cluster(t.Cluster, &e.batch.news)
	e.batch.news = append(e.batch.news, statement{"INSERT INTO transitions (at, cluster, environment, connected, event) VALUES (?, ?, ?, ?, ?)",
		[]any{t.At.UnixMilli(), id, ev.Environment, t.Connected, body}})
}

// Watched tells the history that the hub has looked for silent clusters at this moment. Outside of
// these moments nobody knows who was silent.
func (h *History) Watched(now time.Time) {
	s := &h.silence
	s.mu.Lock()
	defer s.mu.Unlock()
	h.settle()
	at := now.UnixMilli()
	if s.connected == nil || s.since != 0 && at-s.until < watchedEvery.Milliseconds() {
		return
	}
	since := s.since
	if since == 0 {
		since = at
	}
	if h.offerNow(item{apply: func(e *encoder) {
		e.batch.news = append(e.batch.news, statement{"INSERT OR REPLACE INTO watched (since, until) VALUES (?, ?)", []any{since, at}})
	}}) {
		s.since, s.until = since, at
	}
}
