package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/view"
	"github.com/fairway-dev/fairway/operator/fleet"
	"github.com/fairway-dev/fairway/operator/rings"
)

// What the view knows of a cluster's Flux is what the Fleet's reconciler gets to decide on.
func TestFeedTellsOfFlux(t *testing.T) {
	start := time.Date(2026, 11, 28, 20, 0, 0, 0, time.UTC)
	clock := clocktesting.NewFakePassiveClock(start)
	f := newFeed(nil, nil, "", clock)
	if diff := cmp.Diff(fleet.Health{}, f.Flux("a", start)); diff != "" {
		t.Errorf("without a session (-want +have):\n%s", diff)
	}
	v := view.New(view.Options{Rejected: func(cluster string, err error) { t.Errorf("%s: %v", cluster, err) }})
	f.session.Store(&session{view: v})
	sequence := uint64(0)
	say := func(typ event.Type, object event.Object, data any) {
		t.Helper()
		sequence++
		e, err := event.New("a", typ, object, start.Add(time.Second), data)
		if err != nil {
			t.Fatal(err)
		}
		e.Epoch, e.Sequence = "0192f000-0000-7000-8000-000000000001", sequence
		v.Apply(view.Record{Sequence: sequence, Stored: e.Time, Cluster: "a", Event: &e})
	}
	controller := event.Object{Kind: "Deployment", Namespace: "flux-system", Name: "kustomize-controller"}
	crash := event.Episode{ID: "e1", Reason: "CrashLoopBackOff", Message: "exit 2", OpenedAt: start.Add(time.Second)}
	beat := event.Heartbeat{Epoch: "0192f000-0000-7000-8000-000000000001", Interval: event.Duration(time.Second), Time: start}

	say(event.AgentSnapshot, event.Object{}, event.Snapshot{ID: "s", Part: 1, Parts: 1, Entries: []event.Entry{}})
	v.Heartbeat("a", beat, start)
	if diff := cmp.Diff(fleet.Health{Connected: true}, f.Flux("a", start)); diff != "" {
		t.Errorf("of a cluster that is well (-want +have):\n%s", diff)
	}
	say(event.EpisodeOpened, controller, crash)
	want := fleet.Health{Connected: true, Failure: &rings.Trouble{
		Reason: "CrashLoopBackOff", Message: "Deployment/flux-system/kustomize-controller: exit 2", Since: start.Add(time.Second)}}
	if diff := cmp.Diff(want, f.Flux("a", start)); diff != "" {
		t.Errorf("of a cluster whose controller crashes (-want +have):\n%s", diff)
	}
	say(event.EpisodeResolved, controller, crash)
	clock.SetTime(start.Add(time.Minute))
	if diff := cmp.Diff(fleet.Health{Silent: start, Calm: start.Add(time.Second)}, f.Flux("a", start)); diff != "" {
		t.Errorf("of a cluster that fell silent (-want +have):\n%s", diff)
	}
}
