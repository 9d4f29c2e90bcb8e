package history

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

const (
	openAgain = 5 * time.Second
	tidyEvery = time.Second
)

// Run writes until ctx ends, then writes what is left, closes the file and returns nil. While the file
// cannot be opened or written it tries again, and reads from source what was missed.
func (h *History) Run(ctx context.Context, source Source) error {
	if !h.openUntil(ctx, source) {
		return nil
	}
	f := h.opened()
	batches := make(chan *batch, 1)
	var parts sync.WaitGroup
	parts.Go(func() { h.follow(ctx, source) })
	parts.Go(func() { h.encode(ctx, f.encoder, batches) })
	h.store(ctx, f, batches)
	parts.Wait()
	h.mu.Lock()
	h.file = nil
	h.mu.Unlock()
	closed := error(ErrNotOpen)
	h.failure.Store(&closed)
	if err := f.close(); err != nil {
		return fmt.Errorf("close history: %w", err)
	}
	return nil
}

// openUntil opens the file unless it is open; false when ctx ended first.
func (h *History) openUntil(ctx context.Context, source Source) bool {
	for h.opened() == nil {
		stream, err := source.State(ctx)
		if err == nil {
			_, err = h.Open(ctx, stream)
		}
		if err == nil {
			break
		}
		h.o.Log.Info("history cannot be opened", "file", h.o.Path, "reason", err.Error())
		select {
		case <-ctx.Done():
			return false
		case <-time.After(openAgain):
		}
	}
	return true
}

// encode makes batches of what is in the queue: as large as one transaction may be while there is much,
// after a short while when there is little.
func (h *History) encode(ctx context.Context, e *encoder, out chan<- *batch) {
	defer close(out)
	var due <-chan time.Time
	for {
		select {
		case i := <-h.items:
			if e.accept(i) {
				out <- e.take()
				due = nil
			} else if due == nil {
				due = time.After(maxWait)
			}
		case <-due:
			out <- e.take()
			due = nil
		case <-ctx.Done():
			h.drain(e)
			out <- e.take()
			return
		}
	}
}

// drain takes what is in the queue when the history ends.
func (h *History) drain(e *encoder) {
	for {
		select {
		case i := <-h.items:
			e.accept(i)
		default:
			return
		}
	}
}

// accept puts an item into the batch; true when the batch is full or is waited for.
func (e *encoder) accept(i item) (full bool) {
	switch {
	case i.done != nil:
		e.batch.done = append(e.batch.done, i.done)
		return true
	case i.apply != nil:
		i.apply(e)
	default:
		e.add(i.record)
	}
	return e.batch.count() >= maxRows || e.raw >= maxRaw
}

// store writes batches until there are none, and tidies in between. When ctx has ended and a batch
// cannot be written, it and those after it are left for the next start to read again.
func (h *History) store(ctx context.Context, f *file, batches <-chan *batch) {
	tick := time.NewTicker(tidyEvery)
	defer tick.Stop()
	lost := false
	for {
		select {
		case b, ok := <-batches:
			if !ok {
				return
			}
			lost = lost || !h.commit(ctx, f, b)
			if h.o.MaxBytes == 0 || lost { // a bound of bytes is one also while much comes
				continue
			}
		case <-tick.C:
		}
		if err := h.tidy(ctx, f); err != nil && ctx.Err() == nil {
			h.o.Log.Info("history is not tidied", "reason", err.Error())
		}
	}
}

// commit writes the batch, again and again until it is written; false when ctx ended before.
func (h *History) commit(ctx context.Context, f *file, b *batch) bool {
	for {
		err := h.write(ctx, f, b)
		if err == nil {
			break
		}
		if h.failure.Load() == nil {
			h.o.Log.Error(err, "history cannot be written; trying again", "file", h.o.Path)
		}
		h.fail(err)
		h.retries.Add(1)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(retryWait):
		}
		if isFull(err) {
			if err := h.makeRoom(ctx, f); err != nil {
				h.o.Log.V(1).Info("no room can be made", "reason", err.Error())
			}
		}
	}
	h.failure.Store(nil)
	h.rows.Add(int64(b.count()))
	if b.position > 0 {
		h.committed.Store(b.position)
		h.stored.Store(b.stored)
	}
	for _, done := range b.done {
		close(done)
	}
	return true
}

func isFull(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_FULL
}

// write stores a batch. After a failure it makes sure that the batch is not in the file after all, and
// prepares its statements anew.
func (h *History) write(ctx context.Context, f *file, b *batch) error {
	ctx = context.WithoutCancel(ctx)
	if h.failure.Load() != nil {
		if err := f.renewWriter(ctx); err != nil {
			return err
		}
		var position int64
		if err := f.writer.conn.QueryRowContext(ctx, "SELECT position FROM state").Scan(&position); err != nil {
			return fmt.Errorf("read position: %w", err)
		}
		if b.position > 0 && position >= b.position {
			return nil
		}
	}
	return f.writer.write(ctx, b)
}

func (f *file) renewWriter(ctx context.Context) error {
	if f.writer != nil {
		_ = f.writer.close() // it failed already
		f.writer = nil
	}
	w, err := newWriter(ctx, f.write)
	if err != nil {
		return err
	}
	f.writer = w
	return nil
}
