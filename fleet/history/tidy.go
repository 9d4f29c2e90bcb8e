package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// tidyBlocks is how many blocks one step of retention deletes: some thousand rows, some milliseconds.
const tidyBlocks = 32

// releasesLonger is for how long releases are kept after their events have gone: whoever asks how an artifact came to a
// cluster, asks late.
const releasesLonger = 365 * 24 * time.Hour

// tidy deletes what is too old or too much, a little at a time, and gives the room back. What is too old can wait
// for what is new.
func (h *History) tidy(ctx context.Context, f *file) error {
	if f.writer == nil || h.failure.Load() != nil {
		return nil
	}
	return h.retain(ctx, f, func() bool { return h.o.MaxBytes == 0 && len(h.items) > queue/2 })
}

// makeRoom does what can be done about a full disk: the log gives its room back, and what is to go, goes before more
// comes. That may need a little room itself.
func (h *History) makeRoom(ctx context.Context, f *file) error {
	if f.writer == nil {
		return nil
	}
	return errors.Join(f.emptyLog(ctx), h.retain(ctx, f, func() bool { return false }), f.emptyLog(ctx))
}

// retain makes steps until none is due, or there were enough.
func (h *History) retain(ctx context.Context, f *file, enough func() bool) error {
	for ctx.Err() == nil {
		rows, more, err := f.tidy(ctx, h.o.Clock().Add(-h.o.MaxAge), h.o.MaxBytes)
		if err != nil {
			return err
		}
		h.rows.Add(-rows)
		if !more || enough() {
			return nil
		}
	}
	return nil
}

// emptyLog brings what the write-ahead log has into the file.
func (f *file) emptyLog(ctx context.Context) error {
	if _, err := f.writer.conn.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return fmt.Errorf("empty the log: %w", err)
	}
	return nil
}

// tidy makes one step; more says that another one is due.
func (f *file) tidy(ctx context.Context, oldest time.Time, maxBytes int64) (rows int64, more bool, err error) {
	doomed, err := f.doomed(ctx, oldest, maxBytes)
	if err != nil || doomed.blocks == 0 {
		return 0, false, err
	}
	tx, err := f.writer.conn.BeginTx(ctx, nil)
	if err != nil {
		return 0, false, fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	rows, err = doomed.delete(ctx, tx, oldest)
	if err != nil {
		return 0, false, fmt.Errorf("delete old events: %w", err)
	}
	if err := tx.Commit(); err != nil {
		return 0, false, fmt.Errorf("delete old events: %w", err)
	}
	if _, err := f.writer.conn.ExecContext(ctx, "PRAGMA incremental_vacuum(256)"); err != nil {
		return rows, false, fmt.Errorf("give room back: %w", err)
	}
	return rows, doomed.blocks == tidyBlocks, nil
}

// doomed is a run of the oldest blocks.
type doomed struct {
	blocks int
	bytes  int64
	last   int64 // seq
	until  int64 // UnixNano, when the bus had it
}

// doomed are the oldest blocks that are to go: of before oldest, or above maxBytes.
func (f *file) doomed(ctx context.Context, oldest time.Time, maxBytes int64) (d doomed, err error) {
	var have, last, until, size int64
	if err := f.writer.conn.QueryRowContext(ctx, "SELECT bytes FROM state").Scan(&have); err != nil {
		return d, fmt.Errorf("read size: %w", err)
	}
	err = each(ctx, f.writer.conn, "SELECT last, until, length(data) FROM blocks ORDER BY first LIMIT ?", []any{tidyBlocks}, []any{&last, &until, &size}, func() error {
		if until < oldest.UnixNano() || maxBytes > 0 && have-d.bytes > maxBytes {
			d = doomed{d.blocks + 1, d.bytes + size, last, until}
		}
		return nil
	})
	if err != nil {
		return d, fmt.Errorf("find old events: %w", err)
	}
	return d, nil
}

// delete takes the blocks and their rows out, and what else is as old. A row is never later than the
// bus had its event, so those of the blocks are found by time. Releases have a time of their own.
func (d doomed) delete(ctx context.Context, tx *sql.Tx, oldest time.Time) (rows int64, err error) {
	before, releases := d.until/int64(time.Millisecond), oldest.Add(-releasesLonger).UnixMilli()
	result, err := tx.ExecContext(ctx, "DELETE FROM events WHERE team IN (SELECT id FROM teams) AND at <= ? AND seq <= ?", before, d.last)
	if err == nil {
		rows, err = result.RowsAffected()
	}
	if err != nil {
		return 0, err
	}
	for _, s := range []statement{
		{"DELETE FROM blocks WHERE last <= ?", []any{d.last}},
		{"UPDATE state SET rows = rows - ?, bytes = bytes - ?", []any{rows, d.bytes}},
		{"DELETE FROM episodes WHERE resolved > 0 AND resolved < ?", []any{before}},
		{"DELETE FROM snapshots WHERE at < ?", []any{before}},
		{"DELETE FROM parts WHERE at < ?", []any{before}},
		{"DELETE FROM lives WHERE used < ?", []any{before/day - 1}},
		// Of what is a state and no event, the newest of before is what it was at the beginning of the rest.
		{"DELETE FROM transitions WHERE id < (SELECT max(t.id) FROM transitions t WHERE t.cluster = transitions.cluster AND t.at < ?)", []any{before}},
		{"DELETE FROM heartbeats WHERE received < (SELECT max(b.received) FROM heartbeats b WHERE b.cluster = heartbeats.cluster AND b.received < ?)", []any{before}},
		{"DELETE FROM watched WHERE until < ?", []any{before}},
		{"DELETE FROM targets WHERE release IN (SELECT name FROM releases WHERE requested < ?)", []any{releases}},
		{"DELETE FROM releases WHERE requested < ?", []any{releases}},
		{"DELETE FROM checkpoints WHERE seq < (SELECT max(seq) FROM checkpoints WHERE at < ?)", []any{before}},
	} {
		if _, err := tx.ExecContext(ctx, s.sql, s.args...); err != nil {
			return 0, err
		}
	}
	return rows, nil
}
