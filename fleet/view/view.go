// Package view folds the events of every cluster into one fleet view: what runs where, how it is,
// and how fresh that knowledge is. It is pure: events, heartbeats and the time come in as values.
//
// The events of one epoch of a cluster give the same view in whatever order and however often
// they arrive: every object and episode has the state of its highest sequence, and a complete
// snapshot stands for all that was before it. A newer epoch takes over from the older; what the
// older left stays visible until the newer epoch's snapshot is complete.
package view

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fairway-dev/fairway/api/event"
)

// Defaults of Options, and bounds on what one cluster can make the view hold.
const (
	defaultMisses = 3
	maxInterval   = 10 * time.Minute // of heartbeats; a longer one is taken for this
	maxObjects    = 50_000
	maxOpen       = 2_000            // open episodes
	maxResolved   = 32               // resolved episodes
	keepResolved  = 24 * time.Hour   // at most
	keepStranger  = 24 * time.Hour   // a silent cluster that nobody registered
	maxLines      = 64 << 10         // bytes of log lines, over all resolved episodes of a cluster
	skewTolerance = 10 * time.Second // between the clocks of the bus and of the caller
)

// Options of a View.
type Options struct {
	// MissesUntilUnknown is how many intervals a heartbeat may be late; 0: three.
	MissesUntilUnknown int
	// Changed is called when a cluster connects, falls silent (by Sweep), is registered or
	// deregistered, or has its snapshot complete. It must not block and holds no lock of the view.
	Changed func(cluster string)
	// Rejected is called for every event that the view refuses, with the reason. As Changed.
	Rejected func(cluster string, err error)
}

// Record is an event with its place in the stream.
type Record struct {
	Sequence uint64    // stream position; 0 when it is not from a stream
	Stored   time.Time // when the bus had it
	Cluster  string    // by the subject that it was published on
	Event    *event.Event
}

// Reasons for refusing an event, as Options.Rejected gets them.
var (
	ErrSource  = errors.New("the event claims another cluster than its subject")
	ErrEpoch   = errors.New("the event has no epoch or no sequence")
	ErrPayload = errors.New("the event's data is not what its type says")
	ErrTooMuch = errors.New("the cluster has more objects or episodes than the view holds")
)

// View is the fleet view. It is safe for concurrent use.
type View struct {
	options Options

	mu       sync.RWMutex
	clusters map[string]*cluster
	gone     map[string]uint64 // deregistered clusters: the sequence of the event that said so
	book     *book

	sequence atomic.Uint64
	stored   atomic.Int64
	applied  [kindCount]atomic.Uint64
	rejected atomic.Uint64
}

// New makes an empty view.
func New(o Options) *View {
	if o.MissesUntilUnknown <= 0 {
		o.MissesUntilUnknown = defaultMisses
	}
	if o.Changed == nil {
		o.Changed = func(string) {}
	}
	if o.Rejected == nil {
		o.Rejected = func(string, error) {}
	}
	return &View{options: o, clusters: map[string]*cluster{}, gone: map[string]uint64{}, book: newBook()}
}

// Apply folds one event. It keeps nothing of r.Event.
func (v *View) Apply(r Record) {
	kind := r.Event.Type.Kind()
	changed, err := v.fold(r, kind)
	if err != nil {
		v.Reject(r.Cluster, err)
	} else {
		v.applied[kindIndex(kind)].Add(1)
	}
	v.Advance(r.Sequence, r.Stored)
	if changed != "" {
		v.options.Changed(changed)
	}
}

// Reject counts an event that could not even be decoded, as Apply does with what it refuses.
func (v *View) Reject(cluster string, err error) {
	v.rejected.Add(1)
	v.options.Rejected(cluster, err)
}

// Advance tells the view that the stream was read up to this position.
func (v *View) Advance(sequence uint64, stored time.Time) {
	if sequence > v.sequence.Load() {
		v.sequence.Store(sequence)
		v.stored.Store(stored.UnixNano())
	}
}

// Position is the stream position that the view contains, and when the bus had that event.
func (v *View) Position() (sequence uint64, stored time.Time) {
	sequence = v.sequence.Load()
	if sequence == 0 {
		return 0, time.Time{}
	}
	return sequence, time.Unix(0, v.stored.Load()).UTC()
}

// Counts are the events that were folded, by kind, and those that were refused.
func (v *View) Counts() (applied map[event.Kind]uint64, rejected uint64) {
	applied = make(map[event.Kind]uint64, len(event.Kinds))
	for i, kind := range event.Kinds {
		applied[kind] = v.applied[i].Load()
	}
	return applied, v.rejected.Load()
}

const kindCount = 7

func kindIndex(kind event.Kind) int { return max(0, slices.Index(event.Kinds, kind)) }

// fold returns the cluster for which something changed that Options.Changed is about.
func (v *View) fold(r Record, kind event.Kind) (changed string, err error) {
	e := r.Event
	if e.Cluster() != r.Cluster {
		return "", ErrSource
	}
	switch {
	case r.Cluster != event.Platform:
	case kind == event.KindRelease, kind == event.KindArtifact:
		return "", v.book.take(r, kind)
	default:
		return v.register(r)
	}
	if e.Epoch == "" || e.Sequence == 0 {
		return "", ErrEpoch
	}
	c := v.cluster(r.Cluster)
	if c == nil {
		return "", nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	complete, err := c.fold(e, kind, nanos(r.Stored))
	if complete {
		changed = r.Cluster
	}
	return changed, err
}

// cluster finds the cluster or makes it; nil when it was deregistered.
func (v *View) cluster(id string) *cluster {
	v.mu.RLock()
	c, gone := v.clusters[id], v.gone[id] > 0
	v.mu.RUnlock()
	if c != nil || gone {
		return c
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone[id] > 0 {
		return nil
	}
	return v.make(id)
}

func (v *View) make(id string) *cluster {
	c := v.clusters[id]
	if c == nil {
		c = &cluster{id: id}
		v.clusters[id] = c
	}
	return c
}

// register folds what the platform says of a cluster. The newest place in the stream decides,
// since the platform is one writer and each of its events is a full state.
func (v *View) register(r Record) (changed string, err error) {
	e := r.Event
	if e.Type != event.ClusterRegistered && e.Type != event.ClusterDeregistered {
		return "", nil
	}
	var p event.Registration
	if err := e.Payload(&p); err != nil {
		return "", errors.Join(ErrPayload, err)
	}
	if !event.ValidCluster(p.Cluster) {
		return "", ErrPayload
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if c := v.clusters[p.Cluster]; r.Sequence < v.gone[p.Cluster] || c != nil && r.Sequence < c.registeredAt() {
		return "", nil
	}
	if e.Type == event.ClusterDeregistered {
		delete(v.clusters, p.Cluster)
		v.gone[p.Cluster] = max(1, r.Sequence)
		return p.Cluster, nil
	}
	delete(v.gone, p.Cluster)
	v.make(p.Cluster).register(&p, r.Sequence)
	return p.Cluster, nil
}

// Heartbeat takes a cluster's heartbeat. received is when the platform had it; an older one than
// the view has changes nothing.
func (v *View) Heartbeat(cluster string, h event.Heartbeat, received time.Time) {
	c := v.cluster(cluster)
	if c == nil {
		return
	}
	c.mu.Lock()
	woke := c.beat(h, received, v.options.MissesUntilUnknown)
	c.mu.Unlock()
	if woke {
		v.options.Changed(cluster)
	}
}

// Transition is a cluster that connected or fell silent.
type Transition struct {
	Cluster   string
	Connected bool
	// At is when it happened: the heartbeat that was heard, or the moment the patience ended.
	At time.Time
}

// Sweep returns, ordered by cluster, those that connected or fell silent since the last call:
// silence is no event, only the passing of time. It also drops episodes that were resolved long
// ago. Clusters that were never heard are neither.
func (v *View) Sweep(now time.Time) []Transition {
	var out []Transition
	for _, c := range v.all() {
		c.mu.Lock()
		t, changed := c.sweep(now, v.options.MissesUntilUnknown)
		c.mu.Unlock()
		if !changed {
			continue
		}
		out = append(out, t)
		if !t.Connected {
			v.options.Changed(t.Cluster)
		}
	}
	return out
}

// all lists the clusters, ordered by id.
func (v *View) all() []*cluster {
	v.mu.RLock()
	out := make([]*cluster, 0, len(v.clusters))
	for _, c := range v.clusters {
		out = append(out, c)
	}
	v.mu.RUnlock()
	slices.SortFunc(out, func(a, b *cluster) int { return cmp.Compare(a.id, b.id) })
	return out
}

func (v *View) find(id string) *cluster {
	v.mu.RLock()
	defer v.mu.RUnlock()
	return v.clusters[id]
}
