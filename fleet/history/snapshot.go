package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
)

// Snapshot writes the history, as it is at this moment and whole, to a new file. It runs beside
// everything else.
func (h *History) Snapshot(ctx context.Context, path string) (err error) {
	if h.opened() == nil {
		return ErrNotOpen
	}
	if err := removeIfThere(path); err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	db, err := sql.Open("sqlite", dsn(h.o.Path, "_pragma=temp_store(memory)"))
	if err != nil {
		return fmt.Errorf("write snapshot: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", path); err != nil {
		return fmt.Errorf("write snapshot: %w", errors.Join(err, removeIfThere(path))) // half of one only takes room
	}
	return nil
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
