package history

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/view"
)

const (
	// keptViews are held for who asks for the next page, or another list, of the same moment.
	keptViews = 4
	// unwatched is how long nobody may have watched before it is said that nobody knows who was silent:
	// as long as a hub takes to start again.
	unwatched = time.Minute
)

// views are the newest that At has made; the lock lets one be made at a time, which bounds the memory.
type views struct {
	mu   sync.Mutex
	have []viewAt
}

type viewAt struct {
	at   int64
	view *view.View
}

// At makes the view that a hub had at this moment: the checkpoint before it, and what the bus had up
// to it, folded as the hub folds. Ask it with the moment as its now: clusters that were silent then are
// unknown. Of those that were connected the last heartbeat is told as of the moment, since heartbeats
// are not kept. Errors: ErrNotOpen, ErrTooOld, ErrBehind, and SQLite's.
func (h *History) At(ctx context.Context, at time.Time) (*view.View, error) {
	f := h.opened()
	if f == nil {
		return nil, ErrNotOpen
	}
	h.views.mu.Lock()
	defer h.views.mu.Unlock()
	key := at.UnixMilli()
	if i := slices.IndexFunc(h.views.have, func(v viewAt) bool { return v.at == key }); i >= 0 {
		return h.views.have[i].view, nil
	}
	if at.UnixNano() >= h.stored.Load() { // not all of it may be in the file yet
		if err := errors.Join(h.Health(), h.Flush(ctx)); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBehind, err)
		}
	}
	v, err := f.viewAt(ctx, h.o.View, at)
	if err != nil {
		return nil, err
	}
	if len(h.views.have) == keptViews {
		h.views.have = h.views.have[1:]
	}
	h.views.have = append(h.views.have, viewAt{key, v})
	return v, nil
}

func (f *file) viewAt(ctx context.Context, o view.Options, at time.Time) (*view.View, error) {
	v := view.New(o)
	from, err := f.restoreAt(ctx, v, at)
	if err != nil {
		return nil, err
	}
	if err := f.fold(ctx, v, from, at); err != nil {
		return nil, err
	}
	if err := f.beat(ctx, v, at); err != nil {
		return nil, err
	}
	v.Sweep(at)
	return v, nil
}

// fold applies the events after from that the bus had up to the moment.
func (f *file) fold(ctx context.Context, v *view.View, from int64, at time.Time) error {
	var first, since int64
	var data []byte
	rows := 0
	err := each(ctx, f.read, "SELECT first, since, data FROM blocks WHERE last > ? AND since <= ? ORDER BY first", []any{from, at.UnixNano()},
		[]any{&first, &since, &data}, func() error {
			events, err := f.unpack.unpack(first, since, data)
			if err != nil {
				return err
			}
			for _, s := range events {
				if s.seq <= from || s.at.After(at) {
					continue
				}
				e, err := event.Decode(s.data)
				if err != nil {
					return fmt.Errorf("event %d: %w", s.seq, err)
				}
				v.Apply(view.Record{Sequence: uint64(s.seq), Stored: s.at, Cluster: e.Cluster(), Event: &e})
				rows++
			}
			return nil
		})
	if err != nil {
		return fmt.Errorf("fold the events up to %s: %w", at.UTC().Format(time.RFC3339), err)
	}
	if from == 0 && rows == 0 {
		return fmt.Errorf("%w: %s", ErrTooOld, at.UTC().Format(time.RFC3339))
	}
	return nil
}

// beat gives the view the heartbeats up to the moment, and one at the moment for every cluster that was
// connected then.
func (f *file) beat(ctx context.Context, v *view.View, at time.Time) error {
	last := map[string]beat{}
	var name string
	var received int64
	var body []byte
	err := each(ctx, f.read, "SELECT c.name, h.received, h.body FROM heartbeats h JOIN clusters c ON c.id = h.cluster WHERE h.received <= ? ORDER BY h.received",
		[]any{at.UnixMilli()}, []any{&name, &received, &body}, func() error {
			b := beat{received: timeOf(received)}
			if err := json.Unmarshal(body, &b.heartbeat); err != nil {
				return err
			}
			last[name] = b
			return nil
		})
	if err != nil {
		return fmt.Errorf("read heartbeats: %w", err)
	}
	connected, err := f.connected(ctx, at)
	if err != nil {
		return err
	}
	for name, b := range last {
		v.Heartbeat(name, b.heartbeat, b.received)
		if connected[name] {
			b.heartbeat.Time = at.Add(b.heartbeat.Time.Sub(b.received))
			v.Heartbeat(name, b.heartbeat, at)
		}
	}
	return nil
}

// connected are the clusters that were connected at the moment; nobody, when no hub watched then.
func (f *file) connected(ctx context.Context, at time.Time) (map[string]bool, error) {
	out := map[string]bool{}
	var watched int64
	err := f.read.QueryRowContext(ctx, "SELECT since FROM watched WHERE since <= ? AND until >= ? LIMIT 1",
		at.Add(unwatched).UnixMilli(), at.Add(-unwatched).UnixMilli()).Scan(&watched)
	if errors.Is(err, sql.ErrNoRows) {
		return out, nil
	}
	var name string
	var connected bool
	if err == nil {
		err = each(ctx, f.read, "SELECT c.name, t.connected FROM transitions t JOIN clusters c ON c.id = t.cluster WHERE t.at <= ? ORDER BY t.id",
			[]any{at.UnixMilli()}, []any{&name, &connected}, func() error { out[name] = connected; return nil })
	}
	if err != nil {
		return nil, fmt.Errorf("read who was connected: %w", err)
	}
	return out, nil
}
