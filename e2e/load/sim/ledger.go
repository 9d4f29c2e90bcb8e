package sim

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"github.com/fairway-dev/fairway/api/event"
)

// Life is one life of a cluster's outbox.
type Life struct{ Cluster, Epoch string }

// Key names an event over all clusters.
type Key struct {
	Life
	Sequence uint64
}

// KeyOf names an event that was read back, on the subject of a cluster.
func KeyOf(cluster string, e *event.Event) Key { return Key{Life{cluster, e.Epoch}, e.Sequence} }

// Said is what an event says, however it was sent.
type Said struct {
	Cluster  string
	Type     event.Type
	Subject  string
	Artifact string
}

// SaidBy is what an event says, read on the subject of a cluster.
func SaidBy(cluster string, e *event.Event) Said { return Said{cluster, e.Type, e.Subject, e.Artifact} }

// Said is what the event of the step has to say.
func (s Step) Said() Said { return Said{s.Cluster, s.Type, s.Object.String(), s.Artifact} }

// Ledger is what really happened: every step on every cluster, and how many events each life of an
// outbox committed. It is safe for concurrent use.
type Ledger struct {
	mu    sync.Mutex
	steps []Step
	lives map[Life]uint64
}

func (l *Ledger) step(s Step) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.steps = append(l.steps, s)
}

// reached says that a life has committed events up to a sequence.
func (l *Ledger) reached(life Life, sequence uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lives == nil {
		l.lives = map[Life]uint64{}
	}
	l.lives[life] = max(l.lives[life], sequence)
}

// Steps are all that happened, in the order of every cluster.
func (l *Ledger) Steps() []Step {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.steps)
}

// Untold lists those of the steps that a record of events tells of less often than they happened. An
// agent that did not run tells of the Last step of an object only.
func Untold(steps []Step, told map[Said]int) []Step {
	left := maps.Clone(told)
	var out []Step
	for _, s := range steps {
		if said := s.Said(); left[said] > 0 {
			left[said]--
		} else {
			out = append(out, s)
		}
	}
	return out
}

// Last keeps of some steps the last one of each object.
func Last(steps []Step) []Step {
	at := map[string]int{}
	for i, s := range steps {
		at[s.Cluster+" "+s.Object.String()] = i
	}
	var out []Step
	for _, i := range slices.Sorted(maps.Values(at)) {
		out = append(out, steps[i])
	}
	return out
}

// Account is how a record of events, such as the history, compares with what was committed.
type Account struct {
	Committed uint64 // events
	Once      uint64 // of them, in the record exactly once
	InGaps    uint64 // not in the record, but named by a gap
	Lost      []Key  // neither
	Twice     []Key  // in the record more than once
}

// Account compares what the clusters committed up to now with a record: seen counts each event of
// it, inGap says whether a gap of the record names an event. inGap may be nil.
func (f *Fleet) Account(seen map[Key]int, inGap func(Key) bool) Account {
	var a Account
	for life, last := range f.Lives() {
		a.Committed += last
		for n := range last {
			k := Key{life, n + 1}
			switch times := seen[k]; {
			case times == 1:
				a.Once++
			case times > 1:
				a.Twice = append(a.Twice, k)
			case inGap != nil && inGap(k):
				a.InGaps++
			default:
				a.Lost = append(a.Lost, k)
			}
		}
	}
	slices.SortFunc(a.Lost, compareKeys)
	slices.SortFunc(a.Twice, compareKeys)
	return a
}

// Lives are all lives of outboxes, with the sequence that each has reached.
func (f *Fleet) Lives() map[Life]uint64 {
	for _, c := range f.Clusters {
		c.note()
	}
	f.Ledger.mu.Lock()
	defer f.Ledger.mu.Unlock()
	return maps.Clone(f.Ledger.lives)
}

func compareKeys(a, b Key) int {
	return cmp.Or(cmp.Compare(a.Cluster, b.Cluster), cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(a.Sequence, b.Sequence))
}
