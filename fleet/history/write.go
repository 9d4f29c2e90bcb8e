package history

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
)

// perInsert is how many rows one INSERT has.
const perInsert = 100

// writer owns the one connection that writes. Rows go straight to the driver: database/sql looks at
// every argument on its own, which costs as much as storing it.
type writer struct {
	conn *sql.Conn
	many driver.StmtExecContext // perInsert rows
	one  driver.StmtExecContext
	args []driver.NamedValue
}

func newWriter(ctx context.Context, db *sql.DB) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("connect for writing: %w", err)
	}
	w := &writer{conn: conn, args: make([]driver.NamedValue, perInsert*columns)}
	for i := range w.args {
		w.args[i].Ordinal = i + 1
	}
	err = conn.Raw(func(c any) (err error) {
		if w.many, err = insertOf(ctx, c, perInsert); err != nil {
			return err
		}
		w.one, err = insertOf(ctx, c, 1)
		return err
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare rows: %w", err), conn.Close())
	}
	return w, nil
}

func insertOf(ctx context.Context, c any, rows int) (driver.StmtExecContext, error) {
	query := "INSERT INTO events (team, at, seq, cluster, owner, type) VALUES " + strings.Repeat("(?, ?, ?, ?, ?, ?), ", rows-1) + "(?, ?, ?, ?, ?, ?)"
	s, err := c.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.(driver.StmtExecContext), nil
}

// write stores the batch and the position that it reaches in one transaction.
func (w *writer) write(ctx context.Context, b *batch) (err error) {
	tx, err := w.conn.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreDone(tx.Rollback()))
		}
	}()
	for _, s := range b.news {
		if _, err := tx.ExecContext(ctx, s.sql, s.args...); err != nil {
			return fmt.Errorf("write %s: %w", firstWords(s.sql), err)
		}
	}
	if err := w.rows(ctx, b.rows); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	for _, p := range b.blocks {
		if _, err := tx.ExecContext(ctx, "INSERT INTO blocks (first, last, since, until, data) VALUES (?, ?, ?, ?, ?)", p.first, p.last, p.since, p.until, p.data); err != nil {
			return fmt.Errorf("write block: %w", err)
		}
	}
	if b.position > 0 {
		if _, err := tx.ExecContext(ctx, "UPDATE state SET position = ?, stored = ?, rows = rows + ?, bytes = bytes + ?", b.position, b.stored, b.count(), b.bytes); err != nil {
			return fmt.Errorf("write position: %w", err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// rows inserts the rows, many at a time. The driver's connection is in the transaction already.
func (w *writer) rows(ctx context.Context, rows []int64) error {
	return w.conn.Raw(func(any) error {
		for len(rows) > 0 {
			n, insert := perInsert*columns, w.many
			if len(rows) < n {
				n, insert = columns, w.one
			}
			for i, v := range rows[:n] {
				w.args[i].Value = v
			}
			if _, err := insert.ExecContext(ctx, w.args[:n]); err != nil {
				return err
			}
			rows = rows[n:]
		}
		return nil
	})
}

func (w *writer) close() error { return w.conn.Close() }

func ignoreDone(err error) error {
	if errors.Is(err, sql.ErrTxDone) {
		return nil
	}
	return err
}

func firstWords(statement string) string {
	words := strings.Fields(statement)
	return strings.Join(words[:min(len(words), 3)], " ")
}
