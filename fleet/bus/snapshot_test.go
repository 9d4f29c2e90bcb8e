package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/bus/bustest"
)

func TestTheNewestSnapshotsAreKept(t *testing.T) {
	hub := bustest.Start(t).Hub(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if got, err := hub.Snapshots(ctx); err != nil || len(got) != 0 {
		t.Fatalf("Snapshots() before there are any = %v, %v", got, err)
	}
	content := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 300_000+i) } // several chunks
	for i := range 4 {
		if err := hub.PutSnapshot(ctx, fmt.Sprint("history-", i), bytes.NewReader(content(i)), 2, 1); err != nil {
			t.Fatal(err)
		}
	}
	got, err := hub.Snapshots(ctx)
	if err != nil || len(got) != 2 || got[0].Name != "history-3" || got[1].Name != "history-2" || got[0].Bytes != 300_003 {
		t.Fatalf("Snapshots() = %+v, %v, want the newest two", got, err)
	}
	var out bytes.Buffer
	if err := hub.GetSnapshot(ctx, "history-3", &out); err != nil || !bytes.Equal(out.Bytes(), content(3)) {
		t.Errorf("GetSnapshot() = %d bytes, %v", out.Len(), err)
	}
	if err := hub.GetSnapshot(ctx, "history-0", &out); err == nil {
		t.Error("a snapshot that was deleted is there")
	}
}

// onFirst calls a function when the first bytes are written to it.
type onFirst struct {
	n     int
	first func()
}

func (o *onFirst) Write(p []byte) (int, error) {
	if o.n == 0 {
		o.first()
	}
	o.n += len(p)
	return len(p), nil
}

func TestASnapshotThatIsDeletedWhileItIsReadEndsWithAnError(t *testing.T) {
	hub := bustest.Start(t).Hub(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	put := func(name string, size int) {
		t.Helper()
		if err := hub.PutSnapshot(ctx, name, bytes.NewReader(make([]byte, size)), 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	put("history-0", 128<<20) // more than is on its way at once
	out := &onFirst{first: func() { put("history-1", 1) }}
	if err := hub.GetSnapshot(ctx, "history-0", out); !errors.Is(err, bus.ErrStalled) {
		t.Errorf("GetSnapshot() of what was deleted = %v after %d bytes, want ErrStalled", err, out.n)
	}
	put("history-2", 128<<20)
	reading, stop := context.WithCancel(ctx)
	if err := hub.GetSnapshot(reading, "history-2", &onFirst{first: stop}); !errors.Is(err, context.Canceled) {
		t.Errorf("GetSnapshot() that is stopped = %v, want that it was", err)
	}
}
