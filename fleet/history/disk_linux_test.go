package history

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/event"
)

// disk is a file system of its own, which is small.
type disk struct {
	t      *testing.T
	folder string
}

func smallDisk(t *testing.T, kib int) disk {
	t.Helper()
	d := disk{t, t.TempDir()}
	if err := syscall.Mount("tmpfs", d.folder, "tmpfs", 0, fmt.Sprintf("size=%dk", kib)); err != nil {
		t.Skipf("a small disk needs the right to mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return d
}

func (d disk) path(name string) string { return filepath.Join(d.folder, name) }

// fill leaves no room at all.
func (d disk) fill() {
	d.t.Helper()
	f, err := os.Create(d.path("filler"))
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for chunk := make([]byte, 4096); err == nil; {
		_, err = f.Write(chunk)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatalf("filling the disk ended with %v", err)
	}
}

func (d disk) makeRoom() {
	d.t.Helper()
	if err := os.Remove(d.path("filler")); err != nil {
		d.t.Fatal(err)
	}
}

// noisy publishes events of 4 KiB that compress to 3.
func noisy(p *tape, cluster string, n int) {
	source, text := rand.NewChaCha8([32]byte{}), make([]byte, 3<<10)
	for range n {
		_, _ = source.Read(text) // never fails
		p.publish(cluster, epoch1, event.WorkloadDegraded, ledger, event.Workload{Desired: 1, Message: base64.StdEncoding.EncodeToString(text)})
	}
}

func full(err error) bool { return err != nil && strings.Contains(err.Error(), "full") }

func (r *running) waitUntilFull(t *testing.T) {
	t.Helper()
	retry(t, func() error {
		if err := r.Health(); !full(err) {
			return fmt.Errorf("Health() = %w, want that the disk is full", err)
		}
		return nil
	})
}

func TestAFullDiskIsSaidAndLosesNothing(t *testing.T) {
	d := smallDisk(t, 16<<10)
	p := newTape(t)
	p.join("a", epoch1)
	noisy(p, "a", 1000)
	r := run(t, p, d.path("history.db"))
	r.add(t, p.messages[:100]...)
	d.fill()
	began := time.Now()
	for _, m := range p.messages[100:] {
		r.Add(t.Context(), record(m))
	}
	if waited := time.Since(began); waited > 2*patience {
		t.Errorf("the stream waited %s for a history that cannot write", waited)
	}
	r.waitUntilFull(t)
	if got, err := r.Since(t.Context(), Query{From: start, Until: p.now}); err != nil || got.Total != 99 {
		t.Errorf("since tells %d changes, %v; want those 99 that are in the file", got.Total, err)
	}
	if err := r.Snapshot(t.Context(), d.path("snapshot")); !full(err) {
		t.Errorf("Snapshot() = %v, want that the disk is full", err)
	}
	if _, err := os.Stat(d.path("snapshot")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a snapshot is left: %v", err)
	}
	d.makeRoom()
	r.reach(t, p.last())
	if diff := cmp.Diff(ids(p.messages), contents(t, r.History)); diff != "" {
		t.Errorf("events (-stream +history):\n%s", diff)
	}
	retry(t, r.Health)
}

func TestAHistoryThatStartsOnAFullDiskBeginsWhenThereIsRoom(t *testing.T) {
	for name, before := range map[string]int{"without a file": 0, "with a file": 100} {
		t.Run(name, func(t *testing.T) {
			d := smallDisk(t, 16<<10)
			p := newTape(t)
			p.join("a", epoch1)
			noisy(p, "a", 300)
			if before > 0 {
				r := run(t, p, d.path("history.db"))
				r.add(t, p.messages[:before]...)
				r.stop()
			}
			d.fill()
			h := New(Options{Path: d.path("history.db"), Clock: func() time.Time { return p.now }, Log: logr.Discard()})
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- h.Run(ctx, p) }()
			r := &running{History: h, tape: p}
			for _, m := range p.messages {
				h.Add(t.Context(), record(m))
			}
			retry(t, func() error {
				if err := h.Health(); err == nil || errors.Is(err, ErrNotOpen) {
					return fmt.Errorf("Health() = %w", err)
				}
				return nil
			})
			d.makeRoom()
			r.reach(t, p.last())
			if diff := cmp.Diff(ids(p.messages), contents(t, h)); diff != "" {
				t.Errorf("events (-stream +history):\n%s", diff)
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// A history that has filled its disk cannot delete anything, since deleting takes room first. It is content with room
// for that: it does not need as much as all that it has missed.
func TestABoundOfBytesHoldsAlsoWhileAHistoryCatchesUp(t *testing.T) {
	const size = 8 << 10
	d := smallDisk(t, size)
	p := newTape(t)
	p.join("a", epoch1)
	noisy(p, "a", 6_000)
	r := run(t, p, d.path("history.db"))
	for _, m := range p.messages {
		r.Add(t.Context(), record(m))
	}
	r.waitUntilFull(t)
	r.stop()

	r = run(t, p, d.path("history.db"), func(o *Options) { o.MaxBytes = 1 << 20 })
	for _, m := range p.messages {
		r.Add(t.Context(), record(m))
	}
	r.waitUntilFull(t)
	if got, err := r.Since(t.Context(), Query{From: start, Until: p.now}); err != nil || got.Total == 0 {
		t.Errorf("after a restart it tells %d changes, %v", got.Total, err)
	}
	d.resize(size + 6<<10)
	r.reach(t, p.last())
	retry(t, r.Health)
	want, got := ids(p.messages), contents(t, r.History)
	if len(got) == 0 || len(got) == len(want) || !slices.Equal(want[len(want)-len(got):], got) {
		t.Errorf("%d events of %d are kept, want the last ones without a hole", len(got), len(want))
	}
}

func (d disk) resize(kib int) {
	d.t.Helper()
	if err := syscall.Mount("tmpfs", d.folder, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%dk", kib)); err != nil {
		d.t.Fatal(err)
	}
}

func (p *tape) last() uint64 { return uint64(len(p.messages)) }
