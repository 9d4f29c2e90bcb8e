package outbox

import (
	"slices"
	"time"

	"github.com/fairway-dev/fairway/api/event"
)

// item is what is kept in memory of an event that waits to be sent.
type item struct {
	sequence uint64 // 0: it is not on disk yet
	bytes    int
	typ      event.Type
	when     time.Time // it happened
	at       time.Time // it was committed
}

// bounds of a queue.
type bounds struct {
	bytes int           // 0: any number
	age   time.Duration // since the commit; 0: any
}

// room is how much is freed when a queue is too large, as a part of its bound: so that the next
// event does not drop the next one.
const room = 10

// surplus chooses what a queue loses, as indices in ascending order: all that is too old, then the
// oldest of the least severe until what is left is a tenth below the bound. snapshot is the sequence
// with which the newest whole snapshot begins: earlier ones say nothing that it does not say. A gap
// is never chosen.
func surplus(queue []item, snapshot uint64, b bounds, now time.Time) []int {
	var out []int
	bytes := 0
	for i, it := range queue {
		if b.age > 0 && now.Sub(it.at) > b.age && it.typ != event.AgentGap {
			out = append(out, i)
		} else {
			bytes += it.bytes
		}
	}
	if b.bytes <= 0 || bytes <= b.bytes {
		return out
	}
	old, target := len(out), b.bytes-b.bytes/room
	for severity := superseded; severity < never && bytes > target; severity++ {
		for i, it := range queue {
			if bytes <= target {
				break
			}
			if _, gone := slices.BinarySearch(out[:old], i); gone || severityOf(it, snapshot) != severity {
				continue
			}
			out = append(out, i)
			bytes -= it.bytes
		}
	}
	slices.Sort(out)
	return out
}

// severity orders what is dropped: the lowest first.
type severity int

const (
	superseded severity = iota // a snapshot that a newer one replaces
	routine                    // progress and success
	about                      // the cluster and the agent
	trouble                    // failures, and what is gone
	episodes
	never // gaps
)

func severityOf(it item, snapshot uint64) severity {
	switch it.typ {
	case event.AgentGap:
		return never
	case event.AgentSnapshot:
		if it.sequence != 0 && it.sequence < snapshot {
			return superseded
		}
		return about
	case event.WorkloadRolling, event.WorkloadAvailable, event.WorkloadSucceeded,
		event.FluxProgressing, event.FluxSucceeded, event.FluxSuspended:
		return routine
	}
	switch it.typ.Kind() {
	case event.KindEpisode:
		return episodes
	case event.KindCluster, event.KindAgent:
		return about
	}
	return trouble
}
