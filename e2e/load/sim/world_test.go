package sim

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/agent"
	"github.com/fairway-dev/fairway/fleet/observe"
)

// observed is an agent.Sink that keeps what the observer says.
type observed struct {
	*observe.Observer
	drafts []observe.Draft
}

func (o *observed) List(_ string, objects []observe.Object) {
	for _, obj := range objects {
		o.Apply(obj)
	}
}
func (o *observed) Apply(obj observe.Object) {
	o.drafts = append(o.drafts, o.Observer.Apply(obj, time.Now()).Drafts...)
}
func (o *observed) Remove(obj observe.Object) {
	o.drafts = append(o.drafts, o.Observer.Remove(obj, time.Now()).Drafts...)
}
func (o *observed) Version(string) {}

var _ agent.Sink = (*observed)(nil)

func (o *observed) take(q *watcher) []observe.Draft {
	o.drafts = nil
	for _, change := range q.take() {
		change(o)
	}
	return o.drafts
}

func TestEveryStepIsToldByItsEvent(t *testing.T) {
	w := NewWorld("c1", 50, 7, nil)
	o := &observed{Observer: observe.New(observe.Options{Cluster: "c1"})}
	q := w.open()
	if first := o.take(q); len(first) != 51 || o.Objects() != 50 || w.Objects() != 50 {
		t.Fatalf("%d drafts of %d objects, want 50 and one of the cluster", len(first), o.Objects())
	}
	seen := map[event.Type]int{}
	check := func(step Step) {
		t.Helper()
		drafts := o.take(q)
		if len(drafts) == 0 {
			t.Fatalf("nothing is said of %s %s", step.Type, step.Object)
		}
		d := drafts[len(drafts)-1]
		got := Step{Cluster: "c1", Type: d.Type, Object: d.Object, Artifact: d.Artifact, At: step.At}
		if diff := cmp.Diff(step, got); diff != "" {
			t.Fatalf("(-step +event):\n%s", diff)
		}
		if more := len(drafts) > 1; more && (drafts[0].Type != event.EpisodeResolved || len(drafts) > 2) {
			t.Fatalf("%s is told by %d events", step.Type, len(drafts))
		}
		seen[step.Type]++
	}
	for range 2000 {
		check(w.Step())
	}
	for _, typ := range []event.Type{event.FluxProgressing, event.WorkloadRolling, event.WorkloadAvailable, event.FluxSucceeded,
		event.EpisodeOpened, event.WorkloadDegraded} {
		if seen[typ] == 0 {
			t.Errorf("no %s in 2,000 steps", typ)
		}
	}
}

func TestTheSameSeedGivesTheSameHistory(t *testing.T) {
	a, b := NewWorld("c1", 50, 3, nil), NewWorld("c1", 50, 3, nil)
	for range 200 {
		x, y := a.Step(), b.Step()
		x.At, y.At = time.Time{}, time.Time{}
		if x != y {
			t.Fatalf("%+v and %+v", x, y)
		}
	}
}

func TestASettledWorldIsWell(t *testing.T) {
	w := NewWorld("c1", 20, 1, nil)
	for range 37 {
		w.Step()
	}
	w.Settle()
	o := &observed{Observer: observe.New(observe.Options{Cluster: "c1"})}
	for _, obj := range w.List() {
		o.Apply(obj)
	}
	for _, d := range o.drafts {
		if d.Type.Kind() != event.KindCluster && d.Type != event.FluxSucceeded && d.Type != event.WorkloadAvailable {
			t.Errorf("%s of %s", d.Type, d.Object)
		}
	}
}
