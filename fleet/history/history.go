package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"

	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/view"
)

// Options of a History. Path is required.
type Options struct {
	Path string // of the file; it is made where there is none
	// MaxAge is how long events are kept after the bus had them; 0: 30 days. MaxBytes bounds their
	// compressed size; 0: no bound. The oldest go first.
	MaxAge   time.Duration
	MaxBytes int64
	// View are the options of the views that At folds; those of the hub's own, without its callbacks.
	View  view.Options
	Clock func() time.Time // nil: time.Now
	Log   logr.Logger
}

const (
	defaultMaxAge = 30 * 24 * time.Hour

	queue     = 512                    // records that wait to be encoded
	maxRows   = 2000                   // of one transaction
	maxRaw    = 4 << 20                // bytes of events of one transaction
	maxWait   = 200 * time.Millisecond // until an event is in a transaction
	patience  = 3 * time.Second        // of the stream with a history that is slow
	retryWait = time.Second
	catchUp   = time.Second // between looks whether something has to be read again
)

// Errors of queries.
var (
	// ErrNotOpen: the file cannot be opened, or was not yet. Health says why.
	ErrNotOpen = errors.New("the history is not open")
	// ErrTooOld: the moment is before what the history keeps.
	ErrTooOld = errors.New("the history does not reach back that far")
	// ErrBehind: the moment is so new that the history has not all of it yet, and cannot be written.
	ErrBehind = errors.New("the history is behind the stream")
	// ErrNoEpisode: no event of such an episode is kept.
	ErrNoEpisode = errors.New("there is no such episode in the history")
)

// Source is the stored event stream, to read again what the history missed while it could not write;
// *bus.Conn is one.
type Source interface {
	Read(ctx context.Context, from bus.Start, filter bus.Filter, fn func(bus.Message) bool) error
	State(ctx context.Context) (bus.State, error)
}

// History is safe for concurrent use, but Add: one goroutine calls it.
type History struct {
	o     Options
	items chan item

	mu       sync.Mutex
	file     *file  // nil until it is open
	behind   bool   // events have to be read again from the stream: those after accepted
	accepted uint64 // stream position up to which everything is in items or in the file
	heard    uint64 // stream position of the last Add

	checkpoint   uint64    // stream position of the newest one
	checkpointed time.Time // when it was made

	failure   atomic.Pointer[error] // why the file cannot be written now
	committed atomic.Int64          // seq that the file has reached
	stored    atomic.Int64          // when the bus had that, UnixNano
	rows      atomic.Int64
	again     atomic.Uint64 // events that were read again
	lost      atomic.Uint64 // events that the stream no longer had then
	retries   atomic.Uint64

	silence silence
	views   views
}

// file is an open file and what belongs to it.
type file struct {
	write, read *sql.DB
	blockOf     *sql.Stmt // the block that has a seq
	recent      recent
	unpack      *unpacker
	encoder     *encoder
	writer      *writer
	base        int64
}

// item is what goes through the pipeline in its order.
type item struct {
	record Record
	apply  func(*encoder) // instead of a record
	done   chan struct{}  // closed when all before it is in the file
}

// New makes a history. Open opens its file, Run writes.
func New(o Options) *History {
	if o.MaxAge <= 0 {
		o.MaxAge = defaultMaxAge
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	h := &History{o: o, items: make(chan item, queue), behind: true}
	notOpen := error(ErrNotOpen)
	h.failure.Store(&notOpen)
	return h
}

// Open opens the file for the stream that was made at created and ends at last. A file of another
// stream, or of one that was longer, begins anew after what it has; replaced says so. Run tries again
// what failed here.
func (h *History) Open(ctx context.Context, stream bus.State) (replaced bool, err error) {
	f, err := openFile(ctx, h.o.Path)
	if err != nil {
		h.fail(err)
		return false, err
	}
	s, replaced, err := f.adopt(ctx, stream)
	if err == nil {
		f.encoder, err = f.newEncoder(ctx, s.base)
	}
	if err == nil {
		f.writer, err = newWriter(ctx, f.write)
	}
	if err == nil {
		err = h.silence.load(ctx, f.read)
	}
	if err != nil {
		h.fail(err)
		return false, errors.Join(err, f.close())
	}
	f.base = s.base
	h.mu.Lock()
	h.file, h.accepted = f, uint64(s.position-s.base)
	h.lose(stream.First)
	h.behind = h.heard > h.accepted
	h.mu.Unlock()
	h.committed.Store(s.position)
	h.stored.Store(s.stored)
	h.rows.Store(s.rows)
	h.failure.Store(nil)
	return replaced, nil
}

func openFile(ctx context.Context, path string) (*file, error) {
	u, err := newUnpacker()
	if err != nil {
		return nil, err
	}
	write, read, err := open(ctx, path, migrations)
	if err != nil {
		return nil, err
	}
	f := &file{write: write, read: read, unpack: u}
	if f.blockOf, err = read.PrepareContext(ctx, "SELECT first, last, since, data FROM blocks WHERE first <= ? ORDER BY first DESC LIMIT 1"); err != nil {
		return nil, errors.Join(fmt.Errorf("prepare reading: %w", err), read.Close(), write.Close())
	}
	return f, nil
}

func (f *file) newEncoder(ctx context.Context, base int64) (*encoder, error) {
	n, err := loadNames(ctx, f.write)
	if err != nil {
		return nil, err
	}
	return newEncoder(n, base)
}

func (f *file) close() error {
	var err error
	if f.writer != nil {
		err = f.writer.close()
	}
	f.unpack.zstd.Close()
	return errors.Join(err, f.blockOf.Close(), f.read.Close(), f.write.Close())
}

// state is the one row that says how far the stream is in the file.
type state struct {
	created, base, position, stored, rows, bytes int64
}

func (f *file) state(ctx context.Context) (s state, err error) {
	err = f.write.QueryRowContext(ctx, "SELECT created, base, position, stored, rows, bytes FROM state").Scan(
		&s.created, &s.base, &s.position, &s.stored, &s.rows, &s.bytes)
	if err != nil {
		err = fmt.Errorf("read position: %w", err)
	}
	return s, err
}

// adopt makes the file one of this stream. After another stream its positions begin again, above all
// that is there.
func (f *file) adopt(ctx context.Context, stream bus.State) (s state, replaced bool, err error) {
	if s, err = f.state(ctx); err != nil {
		return s, false, err
	}
	created := stream.Created.UnixNano()
	if s.created == created && s.position-s.base <= int64(stream.Last) {
		return s, false, nil
	}
	replaced = s.created != 0
	s.created, s.base = created, s.position
	if _, err := f.write.ExecContext(ctx, "UPDATE state SET created = ?, base = ?", s.created, s.base); err != nil {
		return s, false, fmt.Errorf("begin with another stream: %w", err)
	}
	return s, replaced, nil
}

func (h *History) fail(err error) { h.failure.Store(&err) }

// Health is why the history cannot be written at this moment, or what it still has to read again; nil
// when all is well.
func (h *History) Health() error {
	if err := h.failure.Load(); err != nil {
		return fmt.Errorf("history: %w", *err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.behind && h.heard > h.accepted {
		return fmt.Errorf("history: reading again what it missed: at %d of %d", h.accepted, h.heard)
	}
	return nil
}

// Stats are figures for metrics.
type Stats struct {
	Position uint64 // in the stream, of what is in the file
	Rows     int64  // kept
	Again    uint64 // events that were read from the stream again
	Lost     uint64 // events that the stream had dropped before they were read
	Retries  uint64 // transactions that failed and were tried again
	Healthy  bool
}

// Stats tells how the history is.
func (h *History) Stats() Stats {
	s := Stats{Rows: h.rows.Load(), Again: h.again.Load(), Lost: h.lost.Load(), Retries: h.retries.Load(), Healthy: h.Health() == nil}
	if f := h.opened(); f != nil {
		s.Position = uint64(max(0, h.committed.Load()-f.base))
	}
	return s
}

func (h *History) opened() *file {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.file
}

// Position is the stream position up to which the history has everything, written or about to be.
func (h *History) Position() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.accepted
}
