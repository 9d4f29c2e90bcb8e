package bus_test

import (
	"context"
	"testing"
	"time"
)

// shortly is a context for calls that are expected to fail, or that are repeated.
func shortly(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	t.Cleanup(cancel)
	return ctx
}

// retry repeats fn until it succeeds.
func retry(t *testing.T, fn func() error) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := fn()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %s: %v", limit, err)
		}
	}
}

func contextOf(b *testing.B) (context.Context, context.CancelFunc) {
	b.Helper()
	return context.WithCancel(b.Context())
}
