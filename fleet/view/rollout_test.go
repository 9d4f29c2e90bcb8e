package view

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fairway-dev/fairway/api/event"
)

var (
	kustomization = event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: "payments.ledger"}
	worker        = event.Object{Kind: "StatefulSet", Namespace: "payments", Name: "worker"}
)

// on sends an event of an object of the service payments/ledger with an artifact.
func (a *agent) on(artifact string, typ event.Type, obj event.Object, data any) {
	a.t.Helper()
	e := a.send(typ, obj, data)
	e.Team, e.Service, e.Artifact = "payments", "ledger", artifact
	if typ.Kind() == event.KindEpisode {
		a.episodes[data.(event.Episode).ID] = e.Entry()
	} else {
		a.objects[e.Subject] = e.Entry()
	}
}

func TestRollout(t *testing.T) {
	const id, old = "main-2", "main-1"
	running := event.Workload{Desired: 2, Ready: 2}
	failure := func(reason string, opened time.Duration) event.Episode {
		return event.Episode{ID: reason, Reason: reason, Message: "exit 2", OpenedAt: start.Add(opened), Lines: []string{"panic"}}
	}
	crashed := &RolloutFailure{Object: ledger.String(), Reason: "CrashLoopBackOff", Message: "exit 2", Lines: []string{"panic"}, Since: start.Add(time.Minute)}
	for name, c := range map[string]struct {
		do   func(*agent)
		want Rollout
	}{
		"a service that nobody heard of": {func(*agent) {}, Rollout{Message: "Kustomization/flux-system/payments.ledger is not there yet"}},
		"one that runs in health": {func(a *agent) {
			a.on(id, event.FluxSucceeded, kustomization, event.Flux{})
			a.on(id, event.WorkloadAvailable, ledger, running)
		}, Rollout{Artifact: id, Workloads: 1, Applied: true, Available: true, Since: start.Add(4 * time.Second)}},
		"one that still runs the artifact before": {func(a *agent) {
			a.on(id, event.FluxProgressing, kustomization, event.Flux{Message: "waits"})
			a.on(old, event.WorkloadAvailable, ledger, running)
		}, Rollout{Artifact: old, Workloads: 1, Available: true, Since: start.Add(4 * time.Second),
			Message: "Deployment/payments/ledger: available, 2 of 2 ready, on main-1"}},
		"one that rolls out": {func(a *agent) {
			a.on(id, event.FluxProgressing, kustomization, event.Flux{})
			a.on(id, event.WorkloadRolling, ledger, event.Workload{Desired: 2, Ready: 1})
		}, Rollout{Artifact: id, Workloads: 1, Applied: true, Since: start.Add(4 * time.Second), Message: "Deployment/payments/ledger: rolling, 1 of 2 ready, on main-2"}},
		"of several workloads all count, and the last one says since when": {func(a *agent) {
			a.on(id, event.FluxSucceeded, kustomization, event.Flux{})
			a.on(id, event.WorkloadAvailable, ledger, running)
			a.on(old, event.WorkloadAvailable, worker, running)
		}, Rollout{Workloads: 2, Available: true, Since: start.Add(5 * time.Second), Message: "StatefulSet/payments/worker: available, 2 of 2 ready, on main-1"}},
		"without workloads it is Flux that tells": {func(a *agent) { a.on(id, event.FluxSucceeded, kustomization, event.Flux{}) },
			Rollout{Artifact: id, Applied: true, Available: true}},
		"without workloads, while Flux is at it": {func(a *agent) { a.on(id, event.FluxProgressing, kustomization, event.Flux{Message: "builds"}) },
			Rollout{Message: "Kustomization/flux-system/payments.ledger: progressing on main-2: builds"}},
		"what Flux could not apply is a failure of Flux": {func(a *agent) {
			a.on(id, event.FluxFailed, kustomization, event.Flux{Reason: "BuildFailed", Message: "no kind"})
			a.on(id, event.EpisodeOpened, kustomization, failure("BuildFailed", time.Minute))
		}, Rollout{Message: "Kustomization/flux-system/payments.ledger: failed on main-2: no kind",
			Failure: &RolloutFailure{Flux: true, Object: kustomization.String(), Reason: "BuildFailed", Message: "exit 2", Lines: []string{"panic"}, Since: start.Add(time.Minute)}}},
		"that Flux waits for health is none": {func(a *agent) {
			a.on(id, event.FluxFailed, kustomization, event.Flux{Message: "timeout"})
			a.on(id, event.EpisodeOpened, kustomization, failure("HealthCheckFailed", time.Minute))
		}, Rollout{Message: "Kustomization/flux-system/payments.ledger: failed on main-2: timeout"}},
		"the oldest failure is told": {func(a *agent) {
			a.on(id, event.EpisodeOpened, ledger, failure("OOMKilled", 2*time.Minute))
			a.on(id, event.EpisodeOpened, ledger, failure("CrashLoopBackOff", time.Minute))
		}, Rollout{Message: "Kustomization/flux-system/payments.ledger is not there yet", Failure: crashed}},
		"one from before, and one of another artifact, are none": {func(a *agent) {
			a.on(id, event.EpisodeOpened, ledger, failure("OOMKilled", -time.Minute))
			a.on(old, event.EpisodeOpened, ledger, failure("CrashLoopBackOff", time.Minute))
		}, Rollout{Message: "Kustomization/flux-system/payments.ledger is not there yet"}},
		"another service's is none": {func(a *agent) { a.episode(event.EpisodeOpened, worker, failure("CrashLoopBackOff", time.Minute)) },
			Rollout{Message: "Kustomization/flux-system/payments.ledger is not there yet"}},
	} {
		t.Run(name, func(t *testing.T) {
			v := newView(t)
			a := connected(t, v, "a", c.do)
			v.Heartbeat("a", a.heartbeat(a.now().Add(time.Second)), a.now().Add(time.Second))
			c.want.Known = true
			have := v.Rollout(a.now().Add(time.Second), "a", "payments", "ledger", id, start)
			if diff := cmp.Diff(c.want, have, cmpopts.IgnoreFields(Rollout{}, "AsOf")); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
			if have.AsOf.IsZero() {
				t.Error("it is of no time")
			}
			if late := v.Rollout(a.now().Add(time.Hour), "a", "payments", "ledger", id, start); late.Known {
				t.Error("after an hour of silence it is still known")
			}
		})
	}
	if diff := cmp.Diff(Rollout{}, newView(t).Rollout(start, "nobody", "payments", "ledger", id, start)); diff != "" {
		t.Errorf("of a cluster that was never heard (-want +have):\n%s", diff)
	}
}

func TestServiceOf(t *testing.T) {
	for typ, want := range map[event.Type]bool{event.WorkloadAvailable: true, event.FluxFailed: true, event.EpisodeOpened: true, event.AgentStarted: false} {
		e, err := event.New("a", typ, ledger, start, map[string]string{})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, ok := ServiceOf(&e); ok {
			t.Errorf("%s without a service has one", typ)
		}
		e.Team, e.Service = "payments", "ledger"
		if team, service, ok := ServiceOf(&e); ok != want || want && team+"/"+service != "payments/ledger" {
			t.Errorf("%s: %s/%s, %t", typ, team, service, ok)
		}
	}
}
