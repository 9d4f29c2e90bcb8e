package outbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/fairway-dev/fairway/api/event"
)

func TestADiskThatIsFullLosesNothingThatIsNotTold(t *testing.T) {
	b := open(t, Options{Bytes: 1 << 20, FileBytes: 512 << 10})
	var failed error
	committed := 0
	for ; committed < 1000 && failed == nil; committed++ {
		failed = b.Commit(workload(event.WorkloadRolling, fmt.Sprint(committed), 1))
	}
	if failed == nil || b.Problem() == nil {
		t.Fatalf("Commit on a full disk: %v", failed)
	}
	if err := b.Commit(episode(event.EpisodeOpened, "x", "e1")); err == nil {
		t.Error("Commit on a full disk: no error")
	}
	s := b.Stats()
	if last, _ := b.Position(); s.Unwritten != 2 || s.Failed != 2 || last != uint64(committed+1) {
		t.Errorf("stats %+v, position %d; want two events that wait for the disk, and count", s, last)
	}
	for range 50 { // what was acknowledged makes room
		e := next(t, b)
		b.Done(e.Sequence)
	}
	if err := b.Flush(); err != nil {
		t.Fatalf("Flush with room: %v", err)
	}
	if s := b.Stats(); s.Unwritten != 0 || b.Problem() != nil || len(s.Dropped) != 0 {
		t.Errorf("stats %+v, %v: want all on disk", s, b.Problem())
	}
	b = crash(t, b)
	if got := drain(t, b); len(got) != committed+1-50 || got[0] != "51 workload.rolling 50" || got[len(got)-1] != fmt.Sprintf("%d episode.opened x", committed+1) {
		t.Errorf("%d events, from %s to %s", len(got), got[0], got[len(got)-1])
	}
}

func TestWhatFindsNoRoomInMemoryEitherIsInTheGap(t *testing.T) {
	b := open(t, Options{Bytes: 200 << 10, FileBytes: 256 << 10})
	batch := make([]event.Event, 25)
	for i := range batch {
		batch[i] = workload(event.WorkloadRolling, fmt.Sprint(i%5), 1)
	}
	for range 40 {
		_ = b.Commit(batch...) // fails from some point on: that is the test
	}
	if s := b.Stats(); s.Failed == 0 || s.Unwritten == 0 || s.Dropped[event.KindWorkload] == 0 {
		t.Fatalf("stats %+v, want a disk and a memory that are full", s)
	}
	e := next(t, b)
	for ; e.Type != event.AgentGap; e = next(t, b) { // there has to be room for it first
		b.Done(e.Sequence)
		_ = b.Flush() // it works once there is room
	}
	var gap event.Gap
	if err := e.Payload(&gap); err != nil || gap.Dropped[event.KindWorkload] == 0 || gap.Reason != reasonFull {
		t.Errorf("gap %+v, %v", gap, err)
	}
	for b.Stats().Events > 0 {
		b.Done(next(t, b).Sequence)
		_ = b.Flush()
	}
	if b.Problem() != nil {
		t.Errorf("with all sent, %v", b.Problem())
	}
}

func TestAFileThatCannotBeUsedIsMovedAside(t *testing.T) {
	fill := func(t *testing.T, path string) string {
		b, err := Open(Options{Path: path, Cluster: "c1"})
		if err != nil {
			t.Fatal(err)
		}
		var batch []event.Event
		for i := range 200 {
			batch = append(batch, workload(event.WorkloadRolling, fmt.Sprint(i), 1))
		}
		commit(t, b, batch...)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Epoch()
	}
	rewrite := func(change func(tx *bbolt.Tx) error) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Update(change), db.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, path string)
	}{
		{"something else", func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(strings.Repeat("no database", 1000)), 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"cut short", func(t *testing.T, path string) {
			if err := os.Truncate(path, 3*int64(os.Getpagesize())); err != nil {
				t.Fatal(err)
			}
		}},
		{"pages overwritten", func(t *testing.T, path string) {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for i := 2 * os.Getpagesize(); i < len(data); i++ {
				data[i] ^= 0xa5
			}
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
		{"of another cluster", rewrite(func(tx *bbolt.Tx) error {
			return putJSON(tx.Bucket(bucketMeta), keyLabel, label{Format: format, Cluster: "c2", Epoch: "01890a5d-ac96-774b-bcce-b302099a8057"})
		})},
		{"of a later version", rewrite(func(tx *bbolt.Tx) error {
			return putJSON(tx.Bucket(bucketMeta), keyLabel, label{Format: format + 1, Cluster: "c1", Epoch: "01890a5d-ac96-774b-bcce-b302099a8057"})
		})},
		{"without a bucket", rewrite(func(tx *bbolt.Tx) error { return tx.DeleteBucket(bucketState) })},
		{"an event that is none", rewrite(func(tx *bbolt.Tx) error { return tx.Bucket(bucketQueue).Put(keyOf(3), []byte("123456789")) })},
		{"an entry that is none", rewrite(func(tx *bbolt.Tx) error { return tx.Bucket(bucketState).Put([]byte("x"), []byte("{")) })},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "outbox.db")
			epoch := fill(t, path)
			c.spoil(t, path)
			spoilt, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			b := open(t, Options{Path: path})
			if b.Epoch() <= epoch {
				t.Errorf("epoch %s, want one after %s", b.Epoch(), epoch)
			}
			if s := state(t, b); b.Stats().Events != 0 || len(s) != 0 {
				t.Errorf("it begins with %d events and %v", b.Stats().Events, s)
			}
			if aside, err := os.ReadFile(path + asideSuffix); err != nil || len(aside) != len(spoilt) {
				t.Errorf("%d bytes were moved aside, %v; want the %d of the file", len(aside), err, len(spoilt))
			}
			commit(t, b, workload(event.WorkloadRolling, "x", 1))
		})
	}
}

func TestOpenSaysWhenTheDiskIsNoUse(t *testing.T) {
	if _, err := Open(Options{Path: filepath.Join(t.TempDir(), "nowhere", "outbox.db"), Cluster: "c1"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open in a folder that is not there: %v", err)
	}
}
