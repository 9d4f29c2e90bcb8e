package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// BucketSnapshots is the object store in which the replicas of the hub leave each other their history.
const BucketSnapshots = "FLEET_SNAPSHOTS"

// Snapshot is a file in BucketSnapshots.
type Snapshot struct {
	Name   string
	Bytes  uint64
	Stored time.Time
}

// Snapshots lists what is in BucketSnapshots, the newest first. A bucket that is not there is empty.
func (c *Conn) Snapshots(ctx context.Context) ([]Snapshot, error) {
	bucket, err := c.js.ObjectStore(ctx, BucketSnapshots)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up %s: %w", BucketSnapshots, asError(err))
	}
	return list(ctx, bucket)
}

func list(ctx context.Context, bucket jetstream.ObjectStore) ([]Snapshot, error) {
	objects, err := bucket.List(ctx)
	if err != nil && !errors.Is(err, jetstream.ErrNoObjectsFound) {
		return nil, fmt.Errorf("list %s: %w", BucketSnapshots, asError(err))
	}
	var out []Snapshot
	for _, o := range objects {
		out = append(out, Snapshot{o.Name, o.Size, o.ModTime})
	}
	slices.SortFunc(out, func(a, b Snapshot) int { return b.Stored.Compare(a.Stored) })
	return out, nil
}

// PutSnapshot stores a file under the name, and deletes all but the newest keep. replicas is how many
// servers keep the bucket, when it is made. Give ctx a deadline that the size allows: without one it is 10 s.
func (c *Conn) PutSnapshot(ctx context.Context, name string, file io.Reader, keep, replicas int) error {
	bucket, err := c.js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
		Bucket: BucketSnapshots, Description: "The history, as replicas of the hub leave it for each other",
		Storage: jetstream.FileStorage, Replicas: max(1, replicas),
	})
	if err != nil {
		return fmt.Errorf("make %s: %w", BucketSnapshots, asError(err))
	}
	if _, err := bucket.Put(ctx, jetstream.ObjectMeta{Name: name}, file); err != nil {
		return fmt.Errorf("put %s: %w", name, asError(err))
	}
	have, err := list(ctx, bucket)
	if err != nil {
		return err
	}
	for _, old := range have[min(len(have), keep):] {
		if err := bucket.Delete(ctx, old.Name); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
			return fmt.Errorf("delete %s: %w", old.Name, asError(err))
		}
	}
	return nil
}

// ErrStalled is wrapped by GetSnapshot for a file of which nothing came for a while: another replica deletes
// the oldest, also while they are read.
var ErrStalled = errors.New("nothing more of it arrives")

const (
	stallLook   = 500 * time.Millisecond // between looks whether ctx has ended
	stallWithin = 5 * time.Second
)

// GetSnapshot writes a file of BucketSnapshots to out; what arrives is checked against its digest. For
// ctx see PutSnapshot. After an error, out has a part of it.
func (c *Conn) GetSnapshot(ctx context.Context, name string, out io.Writer) error {
	bucket, err := c.js.ObjectStore(ctx, BucketSnapshots)
	if err != nil {
		return fmt.Errorf("look up %s: %w", BucketSnapshots, asError(err))
	}
	object, err := bucket.Get(looking{ctx}, name)
	if err != nil {
		return fmt.Errorf("get %s: %w", name, asError(err))
	}
	_, err = io.Copy(out, &patient{ctx: ctx, from: object})
	if err = errors.Join(err, object.Close()); err != nil {
		return fmt.Errorf("get %s: %w", name, asError(err))
	}
	return nil
}

// looking is a context whose deadline is always near. An object's Read takes the deadline as its own, and does not notice that
// the context has ended before.
type looking struct{ context.Context }

// Deadline implements context.Context.
func (l looking) Deadline() (time.Time, bool) { return time.Now().Add(stallLook), true }

// patient reads an object that is looking, until nothing came for stallWithin.
type patient struct {
	ctx  context.Context
	from io.Reader
}

// Read implements io.Reader.
func (p *patient) Read(b []byte) (int, error) {
	for began := time.Now(); ; {
		n, err := p.from.Read(b)
		var timeout net.Error
		switch {
		case n > 0 || !errors.As(err, &timeout) || !timeout.Timeout():
			return n, err
		case p.ctx.Err() != nil:
			return 0, context.Cause(p.ctx)
		case time.Since(began) > stallWithin:
			return 0, ErrStalled
		}
	}
}
