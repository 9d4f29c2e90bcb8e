package view

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/event"
)

func TestFluxHealthTellsOfWhatBeganSince(t *testing.T) {
	controller := event.Object{Kind: "Deployment", Namespace: "flux-system", Name: "kustomize-controller"}
	failure := func(id, reason string, opened time.Duration) event.Episode {
		p := crash(id)
		p.Reason, p.Message, p.OpenedAt = reason, "exit 2", start.Add(opened)
		return p
	}
	told := func(obj event.Object, reason string, opened time.Duration) *FluxFailure {
		return &FluxFailure{Object: obj.String(), Reason: reason, Message: "exit 2", Since: start.Add(opened)}
	}
	for name, c := range map[string]struct {
		do   func(*agent)
		skew time.Duration
		want FluxHealth
	}{
		"a cluster of which nothing failed is well": {do: func(*agent) {}},
		"a controller that crashes": {
			do: func(a *agent) {
				a.episode(event.EpisodeOpened, controller, failure("e1", "CrashLoopBackOff", time.Minute))
			},
			want: FluxHealth{Failure: told(controller, "CrashLoopBackOff", time.Minute)}},
		"a Kustomization that cannot be built": {
			do:   func(a *agent) { a.episode(event.EpisodeOpened, rootObject, failure("e1", "BuildFailed", time.Minute)) },
			want: FluxHealth{Failure: told(rootObject, "BuildFailed", time.Minute)}},
		"the oldest of several is told": {
			do: func(a *agent) {
				a.episode(event.EpisodeOpened, rootObject, failure("e1", "BuildFailed", 2*time.Minute))
				a.episode(event.EpisodeOpened, controller, failure("e2", "CrashLoopBackOff", time.Minute))
			},
			want: FluxHealth{Failure: told(controller, "CrashLoopBackOff", time.Minute)}},
		"a failure from before is none": {
			do: func(a *agent) { a.episode(event.EpisodeOpened, rootObject, failure("e1", "BuildFailed", -time.Second)) }},
		"an app that is not well is none": {
			do: func(a *agent) {
				a.episode(event.EpisodeOpened, ledger, failure("e1", "CrashLoopBackOff", time.Minute))
				a.episode(event.EpisodeOpened, rootObject, failure("e2", "HealthCheckFailed", time.Minute))
			}},
		"one that is over says when it calmed down": {
			do: func(a *agent) {
				p := failure("e1", "CrashLoopBackOff", time.Second)
				a.episode(event.EpisodeOpened, controller, p)
				a.episode(event.EpisodeResolved, controller, p)
			},
			want: FluxHealth{Calm: start.Add(4 * time.Second)}},
		"a clock that is fast is allowed for": {
			do: func(a *agent) {
				a.episode(event.EpisodeOpened, controller, failure("e1", "CrashLoopBackOff", time.Minute))
			},
			skew: 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			v := newView(t)
			a := connected(t, v, "a", c.do)
			v.Heartbeat("a", a.heartbeat(a.now().Add(time.Second+c.skew)), a.now().Add(time.Second))
			if c.skew != 0 { // two, since the first may have been slow on its way
				v.Heartbeat("a", a.heartbeat(a.now().Add(2*time.Second+c.skew)), a.now().Add(2*time.Second))
			}
			if diff := cmp.Diff(c.want, v.FluxHealth("a", start)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
	if diff := cmp.Diff(FluxHealth{}, newView(t).FluxHealth("nobody", start)); diff != "" {
		t.Errorf("of a cluster that was never heard (-want +have):\n%s", diff)
	}
}

func TestOfFlux(t *testing.T) {
	for subject, want := range map[string]bool{
		"Kustomization/apps/ledger": true, "Deployment/flux-system/source-controller": true,
		"Deployment/payments/ledger": false, "Deployment/payments/flux-system": false,
	} {
		obj, err := event.ParseObject(subject)
		if err != nil {
			t.Fatal(err)
		}
		for typ, about := range map[event.Type]bool{event.EpisodeOpened: true, event.WorkloadDegraded: false} {
			e, err := event.New("a", typ, obj, start, map[string]string{})
			if err != nil {
				t.Fatal(err)
			}
			if have := OfFlux(&e); have != (want && about) {
				t.Errorf("%s of %s: %v", typ, subject, have)
			}
		}
	}
}
