package outbox

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/fairway-dev/fairway/api/event"
)

// format is the version of what the file holds. Another one is not read.
const format = 1

// lockWait is how long another process may have the file: one that is just ending.
const lockWait = 5 * time.Second

// asideSuffix is added to the name of a file that cannot be used. There is one: the newest.
const asideSuffix = ".unusable"

// Buckets of the file, and keys of bucketMeta.
var (
	bucketMeta  = []byte("meta")
	bucketQueue = []byte("queue") // sequence, 8 bytes big endian -> time of commit, 8 bytes, and the event
	bucketState = []byte("state") // member -> event.Entry

	keyLabel = []byte("label")
	keyHead  = []byte("head")
)

// label says what the file is. It is written once.
type label struct {
	Format  int    `json:"format"`
	Cluster string `json:"cluster"`
	Epoch   string `json:"epoch"`
}

// head is where the epoch stands.
type head struct {
	Last     uint64    `json:"last"`
	Snapshot uint64    `json:"snapshot,omitempty"`
	Due      bool      `json:"due,omitempty"`
	Gap      event.Gap `json:"gap,omitzero"`
}

func (b *Outbox) head() head {
	return head{Last: b.last, Snapshot: b.snapshot, Due: b.due, Gap: b.gap}
}

// unusableError: the file holds something else than the outbox of this cluster.
type unusableError struct{ error }

func (e *unusableError) Unwrap() error { return e.error }

func unusable(text string, args ...any) error { return &unusableError{fmt.Errorf(text, args...)} }

// load opens the file and reads what it holds. Whatever is wrong with the content is an
// *unusableError; other errors are the disk's.
func load(o Options) (b *Outbox, err error) {
	var db *bbolt.DB
	// bbolt panics on pages that make no sense, and a file that was cut short faults when its map
	// is read.
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = unusable("damaged file: %v", r)
		}
		if err != nil && db != nil {
			_ = db.Close() // the error that matters is there already
		}
	}()
	limit := o.FileBytes
	if info, err := os.Stat(o.Path); err == nil {
		limit = max(limit, int(info.Size()))
	}
	db, err = bbolt.Open(o.Path, 0o600, &bbolt.Options{
		Timeout: lockWait, FreelistType: bbolt.FreelistMapType, MaxSize: limit,
	})
	var errno syscall.Errno
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return nil, fmt.Errorf("another process has %s: %w", o.Path, err)
	case errors.As(err, &errno):
		return nil, err
	case err != nil:
		return nil, unusable("damaged file: %w", err)
	}
	b = &Outbox{opts: o, db: db, state: inventory{sums: map[string]uint64{}}, filled: make(chan struct{}, 1)}
	err = db.View(b.recall) // before anything is written: bbolt may hang when a damaged file is written
	if errors.Is(err, errNew) {
		if err = db.Update(b.begin); err == nil {
			err = db.View(b.recall)
		}
	}
	if err != nil {
		return nil, err
	}
	b.signal()
	return b, nil
}

// errNew: the file is empty.
var errNew = errors.New("new file")

// begin gives a new file its label and its buckets.
func (b *Outbox) begin(tx *bbolt.Tx) error {
	epoch, err := uuid.NewV7()
	if err != nil {
		return fmt.Errorf("make epoch: %w", err)
	}
	for _, name := range [][]byte{bucketMeta, bucketQueue, bucketState} {
		if _, err := tx.CreateBucket(name); err != nil {
			return fmt.Errorf("create bucket %s: %w", name, err)
		}
	}
	if err := putJSON(tx.Bucket(bucketMeta), keyLabel, label{Format: format, Cluster: b.opts.Cluster, Epoch: epoch.String()}); err != nil {
		return err
	}
	return putJSON(tx.Bucket(bucketMeta), keyHead, head{})
}

// recall reads the file into memory: the whole label, what orders the queue, the hashes of the state.
func (b *Outbox) recall(tx *bbolt.Tx) error {
	if root, _ := tx.Cursor().First(); root == nil {
		return errNew
	}
	meta, queue, state := tx.Bucket(bucketMeta), tx.Bucket(bucketQueue), tx.Bucket(bucketState)
	if meta == nil || queue == nil || state == nil {
		return unusable("a bucket is missing")
	}
	var l label
	if err := json.Unmarshal(meta.Get(keyLabel), &l); err != nil {
		return unusable("read label: %w", err)
	}
	switch _, err := uuid.Parse(l.Epoch); {
	case l.Format != format:
		return unusable("format %d, want %d", l.Format, format)
	case l.Cluster != b.opts.Cluster:
		return unusable("it is the outbox of cluster %q", l.Cluster)
	case err != nil:
		return unusable("read epoch: %w", err)
	}
	var h head
	if err := json.Unmarshal(meta.Get(keyHead), &h); err != nil {
		return unusable("read head: %w", err)
	}
	b.epoch, b.last, b.snapshot, b.due, b.gap = l.Epoch, h.Last, h.Snapshot, h.Due, h.Gap
	if err := queue.ForEach(b.recallEvent); err != nil {
		return err
	}
	slices.SortStableFunc(b.queue, func(a, c item) int { return rankOf(a) - rankOf(c) })
	return state.ForEach(b.recallEntry)
}

// rankOf brings gaps to the front.
func rankOf(it item) int {
	if it.typ == event.AgentGap {
		return 0
	}
	return 1
}

func (b *Outbox) recallEvent(key, value []byte) error {
	if len(key) != 8 {
		return unusable("key of %d bytes in the queue", len(key))
	}
	sequence := binary.BigEndian.Uint64(key)
	if sequence > b.last { // of a write that was reported as failed; it will be written over
		b.acked = append(b.acked, sequence)
		return nil
	}
	e, at, err := parse(value)
	if err != nil || e.Sequence != sequence {
		return unusable("event %d: %w", sequence, errors.Join(err, errors.New("it is not readable")))
	}
	b.queue = append(b.queue, item{sequence: sequence, bytes: len(value), typ: interned(e.Type), when: e.Time, at: at})
	b.bytes += len(value)
	return nil
}

// interned makes the types of many events share their text.
func interned(t event.Type) event.Type {
	if i := slices.Index(event.Types, t); i >= 0 {
		return event.Types[i]
	}
	return t
}

func (b *Outbox) recallEntry(key, value []byte) error {
	var entry event.Entry
	if err := json.Unmarshal(value, &entry); err != nil {
		return unusable("state of %s: %w", key, err)
	}
	if string(key) != keyCluster {
		b.state.put(string(key), entry.Sum())
	}
	return nil
}

// setAside moves a file out of the way of a new one.
func setAside(o Options, why error) error {
	aside := o.Path + asideSuffix
	if err := os.Rename(o.Path, aside); err != nil {
		return fmt.Errorf("move unusable file aside: %w", err)
	}
	o.Logger.Error("the outbox cannot be used and was moved aside: a new epoch begins, with a snapshot", "file", aside, "error", why)
	return nil
}

// State is the last entry that was told of every member of the inventory and of the cluster; empty
// until the epoch had its first snapshot.
func (b *Outbox) State() ([]event.Entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []event.Entry
	err := b.db.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketState).ForEach(func(_, value []byte) error {
			var entry event.Entry
			if err := json.Unmarshal(value, &entry); err != nil {
				return fmt.Errorf("decode entry: %w", err)
			}
			out = append(out, entry)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	return out, nil
}

// read reads an event of the queue.
func (b *Outbox) read(sequence uint64) (e event.Event, err error) {
	err = b.db.View(func(tx *bbolt.Tx) error {
		e, _, err = parse(tx.Bucket(bucketQueue).Get(keyOf(sequence)))
		return err
	})
	if err != nil {
		return e, fmt.Errorf("read event %d: %w", sequence, err)
	}
	return e, nil
}

// queueFill is how full pages of the queue are made: it only grows at its end.
const queueFill = 0.9

// apply is the transaction.
func (d *delta) apply(tx *bbolt.Tx) error {
	queue := tx.Bucket(bucketQueue)
	queue.FillPercent = queueFill
	for _, sequence := range d.acked {
		if err := queue.Delete(keyOf(sequence)); err != nil {
			return err
		}
	}
	gone := d.gone()
	for i, it := range d.put {
		if gone[it.sequence] {
			continue
		}
		if err := queue.Put(keyOf(it.sequence), d.values[i]); err != nil {
			return err
		}
	}
	for sequence := range gone {
		if err := queue.Delete(keyOf(sequence)); err != nil {
			return err
		}
	}
	if err := d.news.write(tx.Bucket(bucketState)); err != nil {
		return err
	}
	return putJSON(tx.Bucket(bucketMeta), keyHead, d.head)
}

func (n *news) write(state *bbolt.Bucket) error {
	if n.whole {
		cursor := state.Cursor()
		var old [][]byte
		for key, _ := cursor.First(); key != nil; key, _ = cursor.Next() {
			if _, stays := n.set[string(key)]; !stays {
				old = append(old, key)
			}
		}
		for _, key := range old {
			if err := state.Delete(key); err != nil {
				return err
			}
		}
	}
	for key := range n.gone {
		if err := state.Delete([]byte(key)); err != nil {
			return err
		}
	}
	for key, entry := range n.set {
		if err := putJSON(state, []byte(key), entry); err != nil {
			return err
		}
	}
	return nil
}

// putJSON writes a value, unless it is there already.
func putJSON(bucket *bbolt.Bucket, key []byte, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", key, err)
	}
	if bytes.Equal(bucket.Get(key), data) {
		return nil
	}
	return bucket.Put(key, data)
}

func keyOf(sequence uint64) []byte { return binary.BigEndian.AppendUint64(nil, sequence) }

// stored is an event as the queue keeps it.
func stored(e *event.Event, at time.Time) ([]byte, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", e.Type, err)
	}
	out := make([]byte, 0, 8+len(data))
	return append(binary.BigEndian.AppendUint64(out, uint64(at.UnixNano())), data...), nil
}

// parse reads what stored wrote.
func parse(value []byte) (e event.Event, at time.Time, err error) {
	if len(value) < 8 {
		return e, at, errors.New("too short")
	}
	if err := json.Unmarshal(value[8:], &e); err != nil {
		return e, at, fmt.Errorf("decode: %w", err)
	}
	return e, time.Unix(0, int64(binary.BigEndian.Uint64(value))), nil
}
