package history

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/fairway-dev/fairway/fleet/view"
)

const (
	// A checkpoint is due after this many events, so that a hub that starts again has no more to read,
	// or this much time.
	checkpointEvents = 50_000
	checkpointTime   = 5 * time.Minute
	// maxCheckpoints are kept, spread over all the events: what At has to fold is at most about one in
	// so many of them.
	maxCheckpoints = 64
)

// Checkpoint saves the view, which contains the event that was added last, when it is time for that. The
// caller is who applies events to the view, so that it stays as it is meanwhile.
func (h *History) Checkpoint(ctx context.Context, v *view.View) error {
	sequence, stored := v.Position()
	now := h.o.Clock()
	if !h.due(sequence, now) {
		return nil
	}
	h.mu.Lock()
	h.checkpoint, h.checkpointed = sequence, now // also where it fails: the next one comes in time
	h.mu.Unlock()
	var raw bytes.Buffer
	if err := v.Save(&raw); err != nil {
		return fmt.Errorf("save checkpoint: %w", err)
	}
	h.offer(ctx, item{apply: func(e *encoder) { e.checkpoint(int64(sequence), stored, raw.Bytes()) }}, patience)
	return nil
}

// due says whether a checkpoint at this position is worth its while. The file has to have all events up to it.
func (h *History) due(sequence uint64, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.file == nil || h.behind || sequence != h.accepted || sequence <= h.checkpoint {
		return false
	}
	return sequence-h.checkpoint >= checkpointEvents || now.Sub(h.checkpointed) >= checkpointTime
}

func (e *encoder) checkpoint(sequence int64, stored time.Time, raw []byte) {
	e.batch.news = append(e.batch.news,
		statement{"INSERT OR REPLACE INTO checkpoints (seq, at, data) VALUES (?, ?, ?)", []any{e.base + sequence, stored.UnixMilli(), e.packs.pack(raw)}},
		// Where two neighbours are nearest, the one between them is missed least.
		statement{`DELETE FROM checkpoints WHERE (SELECT count(*) FROM checkpoints) > ? AND seq = (SELECT seq FROM
(SELECT seq, lead(seq) OVER w - lag(seq) OVER w AS gap FROM checkpoints WINDOW w AS (ORDER BY seq)) WHERE gap IS NOT NULL ORDER BY gap, seq LIMIT 1)`,
			[]any{maxCheckpoints}})
}

// Restore gives an empty view what the newest checkpoint of this stream has. The view goes on with the
// event after sequence; 0: there is none.
func (h *History) Restore(ctx context.Context, v *view.View) (sequence uint64, err error) {
	f := h.opened()
	if f == nil {
		return 0, ErrNotOpen
	}
	var seq int64
	var data []byte
	err = f.read.QueryRowContext(ctx, "SELECT seq, data FROM checkpoints WHERE seq > (SELECT base FROM state) AND seq <= (SELECT position FROM state) ORDER BY seq DESC LIMIT 1").
		Scan(&seq, &data)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err == nil {
		err = f.loadView(v, data)
	}
	if err != nil {
		return 0, fmt.Errorf("read checkpoint: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.checkpoint, h.checkpointed = uint64(seq-f.base), h.o.Clock()
	return h.checkpoint, nil
}

// restoreAt loads the newest checkpoint of the moment or before into the view, and says which seq it has;
// 0: there is none that this version can read, and the fold begins with the oldest event.
func (f *file) restoreAt(ctx context.Context, v *view.View, at time.Time) (seq int64, err error) {
	var data []byte
	err = f.read.QueryRowContext(ctx, "SELECT seq, data FROM checkpoints WHERE at <= ? ORDER BY seq DESC LIMIT 1", at.UnixMilli()).Scan(&seq, &data)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err == nil {
		err = f.loadView(v, data)
	}
	if errors.Is(err, view.ErrCheckpoint) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read checkpoint: %w", err)
	}
	return seq, nil
}

func (f *file) loadView(v *view.View, data []byte) error {
	raw, err := f.unpack.zstd.DecodeAll(data, nil)
	if err != nil {
		return err
	}
	return v.Load(bytes.NewReader(raw))
}
