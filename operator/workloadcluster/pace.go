package workloadcluster

import (
	"slices"
	"sync"
	"time"
)

// pace has clusters asked one after another, in the order in which they came: one every so often, and one more at once for each that
// answers. Many that fall silent together are thus neither asked together nor given up together, which would be a burst of work each time,
// and many that come back are soon through. It is safe for concurrent use.
type pace struct {
	every time.Duration // between two; 0: nobody waits
	wake  func(id string)

	mu      sync.Mutex
	free    time.Time // from when on one that comes first need not wait
	waiting []string  // ids
	called  map[string]bool
	timer   *time.Timer // nil: nobody waits
}

// begin says whether a cluster may be asked. If not, wake tells when it is its turn.
func (p *pace) begin(id string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	switch {
	case p.called[id]:
		delete(p.called, id)
		return true
	case len(p.waiting) == 0 && !now.Before(p.free):
		p.free = now.Add(p.every)
		return true
	case !slices.Contains(p.waiting, id):
		p.waiting = append(p.waiting, id)
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(p.free.Sub(now), p.tick)
	}
	return false
}

// tick calls the next, and those behind it in their time.
func (p *pace) tick() {
	p.mu.Lock()
	p.free = time.Now().Add(p.every)
	p.timer = nil
	if len(p.waiting) > 1 {
		p.timer = time.AfterFunc(p.every, p.tick)
	}
	p.mu.Unlock()
	p.callNext()
}

// answered says that a cluster has answered: one more may be asked.
func (p *pace) answered() { p.callNext() }

func (p *pace) callNext() {
	p.mu.Lock()
	if len(p.waiting) == 0 {
		p.mu.Unlock()
		return
	}
	id := p.waiting[0]
	p.waiting = slices.Delete(p.waiting, 0, 1)
	p.call(id)
	p.mu.Unlock()
	p.wake(id)
}

// admit has a cluster wait no more: it has had its turn, and could not use it.
func (p *pace) admit(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.call(id)
}

// call gives a cluster its turn, until it comes. The pace is locked.
func (p *pace) call(id string) {
	if p.called == nil {
		p.called = map[string]bool{}
	}
	p.called[id] = true
}

// forget drops a cluster.
func (p *pace) forget(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.called, id)
	if at := slices.Index(p.waiting, id); at >= 0 {
		p.waiting = slices.Delete(p.waiting, at, at+1)
	}
}
