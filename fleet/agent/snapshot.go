package agent

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/observe"
)

// partSize is how large a part of a snapshot gets, in bytes: well below event.MaxSize.
const partSize = 200 << 10

// entryOverhead is about what an entry takes beside its data, in bytes.
const entryOverhead = 512

// snapshotEvery is the least time between two snapshots for which an outbox without room has to
// drop events, so that snapshots do not push out what they stand for.
const snapshotEvery = time.Minute

// snapshot adds the full state, in parts, to what is committed next. While the disk cannot be
// written it would only fill the memory: it is tried again with a later heartbeat.
func (l *loop) snapshot() {
	events, err := l.snapshotEvents()
	if err == nil {
		err = l.outbox.Problem()
	}
	if l.lacking = err != nil; l.lacking {
		l.log.Error("make snapshot", "error", err)
		return
	}
	l.batch, l.pictured = append(l.batch, events...), time.Now()
}

// upkeep lets the outbox forget and write what it could not, and brings the snapshot that readers
// lack since something was dropped.
func (l *loop) upkeep() {
	l.health.outbox(l.outbox.Flush())
	if !l.live || !l.lacking && !l.outbox.SnapshotDue() {
		return
	}
	if s := l.outbox.Stats(); s.Bytes < s.Bound/2 || time.Since(l.pictured) >= snapshotEvery {
		l.snapshot()
	}
}

func (l *loop) snapshotEvents() ([]event.Event, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("make snapshot id: %w", err)
	}
	var entries []event.Entry
	for _, d := range l.obs.Snapshot() {
		e, err := l.event(d)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e.Entry())
	}
	now, parts := time.Now(), split(entries)
	out := make([]event.Event, len(parts))
	for i, part := range parts {
		out[i], err = l.event(observe.Draft{Type: event.AgentSnapshot, Time: now, Data: event.Snapshot{
			ID: id.String(), Part: i + 1, Parts: len(parts), Entries: part,
		}})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// split divides entries into parts of about partSize bytes; at least one, be it empty.
func split(entries []event.Entry) [][]event.Entry {
	parts := [][]event.Entry{{}}
	bytes := 0
	for _, e := range entries {
		n := len(e.Data) + entryOverhead
		if last := len(parts) - 1; bytes+n > partSize && len(parts[last]) > 0 {
			parts, bytes = append(parts, []event.Entry{}), 0
		}
		parts[len(parts)-1], bytes = append(parts[len(parts)-1], e), bytes+n
	}
	return parts
}
