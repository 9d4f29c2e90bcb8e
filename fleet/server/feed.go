package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/bus"
)

// Item is an event on its way to those who watch. It is encoded once for all of them.
type Item struct {
	Sequence uint64 // in the stream; 0 for derived ones
	Stored   time.Time
	Cluster  string
	Derived  bool // made by the view, and in no stream
	Event    *event.Event

	data   []byte // the event as JSON
	encode func() ([]byte, error)
}

// NewItem decodes a message of the stream. It refuses what the view refuses: events outside the
// contract, and those that claim another cluster than they were published by.
func NewItem(m bus.Message) (*Item, error) {
	e, err := event.Decode(m.Data)
	if err != nil {
		return nil, err
	}
	if e.Cluster() != m.Subject.Cluster {
		return nil, fmt.Errorf("%w: source %q on the subject of %s", event.ErrInvalid, e.Source, m.Subject.Cluster)
	}
	return newItem(Item{Sequence: m.Sequence, Stored: m.Stored, Cluster: m.Subject.Cluster, Event: &e, data: m.Data}), nil
}

// Derived makes an item of an event that the view came to by itself.
func Derived(e *event.Event, at time.Time) (*Item, error) {
	data, err := e.Encode()
	if err != nil {
		return nil, err
	}
	return newItem(Item{Stored: at, Cluster: e.Cluster(), Derived: true, Event: e, data: data}), nil
}

func newItem(i Item) *Item {
	item := &i
	item.encode = sync.OnceValues(func() ([]byte, error) {
		out, err := json.Marshal(item.stored())
		if err != nil {
			return nil, fmt.Errorf("encode event %d: %w", item.Sequence, err)
		}
		return out, nil
	})
	return item
}

// buffer is how many events a watcher may be behind.
const buffer = 256

// maxWatchers bounds the memory that watchers can take.
const maxWatchers = 1000

var errTooManyWatchers = errors.New("too many watch the events already")

// Feed hands every event to all who watch. Its zero value is ready. Send never waits: who cannot
// keep up is cut off, and told so.
type Feed struct {
	mu       sync.Mutex
	last     uint64 // sequence that was sent
	watchers map[*watcher]struct{}
	closed   bool
}

// watcher is one who watches. items is closed when they lag, or when the feed ends.
type watcher struct{ items chan *Item }

// Send hands an event on. The hub calls it after the view has folded the event.
func (f *Feed) Send(i *Item) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = max(f.last, i.Sequence)
	for w := range f.watchers {
		select {
		case w.items <- i:
		default:
			f.remove(w)
		}
	}
}

// Close ends every watch, so that the hub can stop.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	for w := range f.watchers {
		f.remove(w)
	}
}

// Watchers counts those who watch now.
func (f *Feed) Watchers() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.watchers)
}

// subscribe begins a watch after the event that last names.
func (f *Feed) subscribe() (w *watcher, last uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.watchers) >= maxWatchers {
		return nil, 0, errTooManyWatchers
	}
	w = &watcher{items: make(chan *Item, buffer)}
	if f.closed {
		close(w.items)
		return w, f.last, nil
	}
	if f.watchers == nil {
		f.watchers = map[*watcher]struct{}{}
	}
	f.watchers[w] = struct{}{}
	return w, f.last, nil
}

func (f *Feed) unsubscribe(w *watcher) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.remove(w)
}

// remove ends a watch; the lock is held.
func (f *Feed) remove(w *watcher) {
	if _, ok := f.watchers[w]; ok {
		delete(f.watchers, w)
		close(w.items)
	}
}
