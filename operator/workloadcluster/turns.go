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

// end gives a place back, and says whose turn it is.
func (t *turns) end() (next string, ok bool) {
	t.mu.Lock()
	t.running--
	t.mu.Unlock()
	return t.next()
}

// next says whose turn it is, if there is a place and somebody waits: for when one that was called wants no place any more.
func (t *turns) next() (id string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.waiting) == 0 || t.running >= t.most {
		return "", false
	}
	id = t.waiting[0]
	t.waiting = slices.Delete(t.waiting, 0, 1)
	return id, true
}
