package main

// ledger knows what was read of every cluster, so that nothing counts twice and nothing is missed in
// silence. The agent counts the events of an epoch from 1, without holes.
type ledger map[string]*account

// account is what was read of one cluster.
type account struct {
	epoch string
	next  uint64 // the sequence after the highest that was read
	holes []hole // sequences below next that were not, ascending
}

type hole struct{ first, last uint64 }

// sight is what one event means for the count.
type sight struct {
	fresh   bool   // not read before
	missing uint64 // events that should have come before it and did not
}

// see counts an event. What has no sequence (the platform's own) is always fresh.
func (l ledger) see(cluster, epoch string, sequence uint64) sight {
	if sequence == 0 {
		return sight{fresh: true}
	}
	a := l[cluster]
	switch {
	case a == nil: // the first of the cluster: what was before is not known
		l[cluster] = &account{epoch: epoch, next: sequence + 1}
		return sight{fresh: true}
	case epoch < a.epoch: // of an outbox that is gone; epochs sort by age
		return sight{}
	case epoch > a.epoch: // the agent has a new outbox, and begins with a snapshot
		*a = account{epoch: epoch, next: 1}
	}
	return a.see(sequence)
}

func (a *account) see(sequence uint64) sight {
	if sequence < a.next {
		return sight{fresh: a.fill(sequence)}
	}
	missing := sequence - a.next
	if missing > 0 {
		a.holes = append(a.holes, hole{a.next, sequence - 1})
	}
	a.next = sequence + 1
	return sight{fresh: true, missing: missing}
}

// fill takes a sequence out of the holes; false when it is in none.
func (a *account) fill(sequence uint64) bool {
	for i, h := range a.holes {
		if sequence < h.first || sequence > h.last {
			continue
		}
		var rest []hole
		if h.first < sequence {
			rest = append(rest, hole{h.first, sequence - 1})
		}
		if sequence < h.last {
			rest = append(rest, hole{sequence + 1, h.last})
		}
		a.holes = append(a.holes[:i:i], append(rest, a.holes[i+1:]...)...)
		return true
	}
	return false
}
