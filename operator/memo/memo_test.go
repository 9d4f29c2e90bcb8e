package memo

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestMemo(t *testing.T) {
	now := time.Unix(1e9, 0)
	m := Memo[int]{Failure: 2 * time.Second, Now: func() time.Time { return now }}
	asked := 0
	var failure error
	get := func(key string) (int, error) {
		return m.Get(t.Context(), key, 10*time.Second, func(context.Context) (int, error) { asked++; return asked, failure })
	}
	expect := func(name string, key string, want int, wantErr error) {
		t.Helper()
		if got, err := get(key); got != want || !errors.Is(err, wantErr) {
			t.Errorf("%s: %d, %v; want %d, %v", name, got, err, want, wantErr)
		}
	}
	expect("the first asks", "a", 1, nil)
	now = now.Add(9 * time.Second)
	expect("within its life an answer is remembered", "a", 1, nil)
	expect("another key asks", "b", 2, nil)
	now = now.Add(time.Second)
	expect("after its life it is asked for again", "a", 3, nil)
	failure = errors.New("boom")
	expect("an error is an answer", "c", 4, failure)
	now = now.Add(time.Second)
	expect("and is remembered, for a shorter time", "c", 4, failure)
	now = now.Add(time.Second)
	expect("and no longer", "c", 5, failure)
	failure = nil
	for i := range 2 * maxEntries {
		now = now.Add(time.Millisecond)
		if _, err := get(strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(m.entries) > maxEntries {
		t.Errorf("it remembers %d answers", len(m.entries))
	}
}

func TestMemoIsAskedOnce(t *testing.T) {
	m := Memo[int]{Now: time.Now}
	var asked atomic.Int32
	release := make(chan struct{})
	ask := func(context.Context) (int, error) {
		<-release
		return int(asked.Add(1)), nil
	}
	gone, leave := context.WithCancel(t.Context())
	var group sync.WaitGroup
	first := make(chan error, 1)
	group.Go(func() {
		_, err := m.Get(gone, "k", time.Hour, ask)
		first <- err
	})
	leave()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("who goes away is kept: %v", err)
	}
	for range 10 {
		group.Go(func() {
			if got, err := m.Get(t.Context(), "k", time.Hour, ask); got != 1 || err != nil {
				t.Errorf("%d, %v", got, err)
			}
		})
	}
	close(release)
	group.Wait()
}
