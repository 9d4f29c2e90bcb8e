// Package memo remembers the answers of slow questions for a while, however many ask.
package memo

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// maxEntries bounds what is remembered; past it, what is oldest goes first.
const maxEntries = 256

// Memo remembers answers by key. It is safe for concurrent use. Now must be set.
type Memo[V any] struct {
	Failure time.Duration    // how long an error is remembered
	Now     func() time.Time // clock

	flights singleflight.Group
	mu      sync.Mutex
	entries map[string]entry[V]
}

type entry[V any] struct {
	value V
	err   error
	asked time.Time
}

// Get returns the answer when it was remembered less than life ago, or asks. Who asks at the same time waits for the same answer,
// or until its ctx ends. ask is not cancelled when one of them goes away: it must bound itself.
func (m *Memo[V]) Get(ctx context.Context, key string, life time.Duration, ask func(context.Context) (V, error)) (V, error) {
	if found, ok := m.lookup(key, life); ok {
		return found.value, found.err
	}
	shared := context.WithoutCancel(ctx)
	answer := m.flights.DoChan(key, func() (any, error) {
		if found, ok := m.lookup(key, life); ok { // another flight has landed since
			return found.value, found.err
		}
		value, err := ask(shared)
		m.store(key, value, err)
		return value, err
	})
	select {
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	case result := <-answer:
		return result.Val.(V), result.Err
	}
}

func (m *Memo[V]) lookup(key string, life time.Duration) (entry[V], bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found, ok := m.entries[key]
	if found.err != nil {
		life = m.Failure
	}
	return found, ok && m.Now().Before(found.asked.Add(life))
}

func (m *Memo[V]) store(key string, value V, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries == nil {
		m.entries = map[string]entry[V]{}
	}
	m.entries[key] = entry[V]{value: value, err: err, asked: m.Now()}
	if len(m.entries) > maxEntries {
		m.dropOldest()
	}
}

func (m *Memo[V]) dropOldest() {
	var oldest string
	for key, each := range m.entries {
		if oldest == "" || each.asked.Before(m.entries[oldest].asked) {
			oldest = key
		}
	}
	delete(m.entries, oldest)
}
