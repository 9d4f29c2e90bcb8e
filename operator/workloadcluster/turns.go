package workloadcluster

import (
	"slices"
	"sync"
)

// turns let a few clusters at a time do what takes long. Those that find no place are called in the order in which they came. It is safe
// for concurrent use.
type turns struct {
	most int // at the same time; 0: any number

	mu      sync.Mutex
	running int
	waiting []string // ids
}

// begin takes a place. When all are taken, the cluster waits for its turn.
func (t *turns) begin(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := slices.Index(t.waiting, id)
	if t.most > 0 && t.running >= t.most {
		if at < 0 {
			t.waiting = append(t.waiting, id)
		}
		return false
	}
	if at >= 0 {
		t.waiting = slices.Delete(t.waiting, at, at+1)
	}
	t.running++
	return true
}

// end gives a place back, and says whose turn it is. Who does not come then leaves the place to whoever does.
func (t *turns) end() (next string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.running--
	if len(t.waiting) == 0 {
		return "", false
	}
	next = t.waiting[0]
	t.waiting = slices.Delete(t.waiting, 0, 1)
	return next, true
}
