package faults

import (
	"context"
	"fmt"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/e2e/load/sim"
	"github.com/fairway-dev/fairway/fleet/client"
)

// farthest is more than any clock here is off.
const farthest = 10 * time.Minute

// record is what the hub has, over REST: all events of the stream, and of what came after a position what
// the stream and the history say.
type record struct {
	seen    map[sim.Key]int // how often each is in the stream
	told    map[sim.Said]int
	kept    map[sim.Said]int
	spans   map[sim.Life][]event.Span     // that gaps name
	dropped map[string]map[event.Kind]int // by cluster, as gaps say
	gaps    int
	events  int
	copies  int
}

func read(ctx context.Context, after uint64) (*record, error) {
	r := &record{seen: map[sim.Key]int{}, told: map[sim.Said]int{}, kept: map[sim.Said]int{},
		spans: map[sim.Life][]event.Span{}, dropped: map[string]map[event.Kind]int{}}
	last, err := r.readStream(ctx, after)
	if err != nil {
		return nil, err
	}
	return r, r.readHistory(ctx, after, last)
}

func (r *record) readStream(ctx context.Context, after uint64) (last uint64, err error) {
	for page, err := range site.client.Events(ctx, client.EventQuery{Since: site.began.Add(-farthest)}) {
		if err != nil {
			return 0, err
		}
		for i := range page.Items {
			if page.Items[i].Derived {
				continue
			}
			last = page.Items[i].Sequence
			if err := r.take(&page.Items[i], last > after); err != nil {
				return 0, err
			}
		}
	}
	return last, nil
}

func (r *record) take(stored *client.Event, isNew bool) error {
	e := &stored.Event
	key := sim.KeyOf(stored.Cluster, e)
	r.seen[key]++
	first := r.seen[key] == 1
	if e.Type == event.AgentGap && first {
		if err := r.takeGap(key.Life, e, isNew); err != nil {
			return err
		}
	}
	switch {
	case !isNew:
	case !first:
		r.copies++
	default:
		r.events++
		if e.Type.Kind() != event.KindAgent {
			r.told[sim.SaidBy(stored.Cluster, e)]++
		}
	}
	return nil
}

func (r *record) takeGap(life sim.Life, e *event.Event, isNew bool) error {
	var gap event.Gap
	if err := e.Payload(&gap); err != nil {
		return err
	}
	r.spans[life] = append(r.spans[life], gap.Spans...)
	if !isNew {
		return nil
	}
	r.gaps++
	if r.dropped[life.Cluster] == nil {
		r.dropped[life.Cluster] = map[event.Kind]int{}
	}
	for kind, n := range gap.Dropped {
		r.dropped[life.Cluster][kind] += n
	}
	return nil
}

func (r *record) readHistory(ctx context.Context, after, last uint64) error {
	q := client.ChangeQuery{Since: site.began.Add(-farthest), Until: time.Now().Add(farthest), OldestFirst: true,
		Kinds: []event.Kind{event.KindFlux, event.KindWorkload, event.KindEpisode, event.KindCluster}}
	for page, err := range site.client.Since(ctx, q) {
		if err != nil {
			return err
		}
		if page.Sequence < last {
			return fmt.Errorf("the history is at %d of %d", page.Sequence, last)
		}
		for i := range page.Items {
			t := &page.Items[i]
			if t.Time.After(t.Stored) && t.Sequence > 0 {
				return fmt.Errorf("event %d of %s happened at %s, after the bus had it at %s", t.Sequence, t.Cluster, t.Time, t.Stored)
			}
			if t.Sequence > after && t.Sequence <= last {
				typ := event.Type(fmt.Sprintf("dev.fairway.%s.%s.v1", t.Kind, t.What))
				r.kept[sim.Said{Cluster: t.Cluster, Type: typ, Subject: t.Object, Artifact: t.Artifact}]++
			}
		}
	}
	return nil
}

// named says whether a gap names an event.
func (r *record) named(k sim.Key) bool {
	if from, ok := site.lost[k.Life]; ok && k.Sequence >= from {
		return true
	}
	for _, s := range r.spans[k.Life] {
		if s.First <= k.Sequence && k.Sequence <= s.Last {
			return true
		}
	}
	return false
}

// compare says what the history lacks of the stream, or has too often.
func (r *record) compare() error {
	for said, n := range r.told {
		if r.kept[said] != n {
			return fmt.Errorf("the stream has %+v %d times, the history %d times", said, n, r.kept[said])
		}
	}
	for said, n := range r.kept {
		if r.told[said] == 0 {
			return fmt.Errorf("the history has %+v %d times, the stream never", said, n)
		}
	}
	return nil
}
