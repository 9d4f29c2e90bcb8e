package main

import (
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// refusals logs what the view refuses. A cluster that floods the hub with nonsense gets a line for
// its first, second, fourth, eighth … event of a minute, so that it costs the others nothing.
type refusals struct {
	log logr.Logger

	mu     sync.Mutex
	since  time.Time
	counts map[string]int // of this minute, by cluster or subject
}

func (r *refusals) tell(now time.Time, cluster string, err error) {
	if n, worth := r.count(now, cluster); worth {
		r.log.Info("event refused", "cluster", cluster, "inThisMinute", n, "reason", err.Error())
	}
}

func (r *refusals) count(now time.Time, cluster string) (n int, worth bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counts == nil || now.Sub(r.since) >= time.Minute {
		r.since, r.counts = now, map[string]int{}
	}
	r.counts[cluster]++
	n = r.counts[cluster]
	return n, n&(n-1) == 0
}
