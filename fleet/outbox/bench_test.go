package outbox

import (
	"fmt"
	"path/filepath"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/fairway-dev/fairway/api/event"
)

// BenchmarkCommit is one synced commit of one and of 32 events, beside a bare synced bbolt Put of
// the same size. The difference is what the outbox itself costs.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 32} {
		b.Run(fmt.Sprintf("events=%d", n), func(b *testing.B) {
			box := open(b, Options{})
			batch := make([]event.Event, n)
			for i := range batch {
				batch[i] = workload(event.WorkloadRolling, fmt.Sprint(i), 1)
			}
			for b.Loop() {
				if err := box.Commit(batch...); err != nil {
					b.Fatal(err)
				}
				for range batch {
					e, err := box.Next(b.Context())
					if err != nil {
						b.Fatal(err)
					}
					box.Done(e.Sequence)
				}
			}
		})
	}
	b.Run("bare Put", func(b *testing.B) {
		db, err := bbolt.Open(filepath.Join(b.TempDir(), "bare.db"), 0o600, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = db.Close() })
		value := make([]byte, 700)
		for b.Loop() {
			if err := db.Update(func(tx *bbolt.Tx) error {
				bucket, err := tx.CreateBucketIfNotExists([]byte("b"))
				if err != nil {
					return err
				}
				return bucket.Put([]byte("key"), value)
			}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
