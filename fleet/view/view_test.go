package view

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// connected is an agent whose snapshot is in the view and whose heart beats.
func connected(t *testing.T, v *View, cluster string, do func(*agent)) *agent {
	t.Helper()
	a := newAgent(t, cluster, epoch1)
	a.started()
	a.snapshot("s1", 100)
	if do != nil {
		do(a)
	}
	a.fold(v, a.sent...)
	v.Heartbeat(cluster, a.heartbeat(a.now()), a.now())
	return a
}

func platform(v *View, sequence uint64, typ event.Type, p event.Registration) {
	e, err := event.New(event.Platform, typ, event.Object{Kind: "WorkloadCluster", Namespace: "clusters", Name: p.Cluster}, start, p)
	if err != nil {
		panic(err)
	}
	v.Apply(Record{Sequence: sequence, Stored: start, Cluster: event.Platform, Event: &e})
}

func TestStatusOfACluster(t *testing.T) {
	registered := func(conditions ...event.Condition) func(*View) {
		return func(v *View) {
			platform(v, 1, event.ClusterRegistered, event.Registration{Cluster: "a", Namespace: "clusters", Environment: "prod", Conditions: conditions})
		}
	}
	agentOf := func(do func(*agent)) func(*testing.T, *View) {
		return func(t *testing.T, v *View) { connected(t, v, "a", do) }
	}
	for name, test := range map[string]struct {
		registered func(*View)
		agent      func(*testing.T, *View)
		after      time.Duration
		want       rest.Status
		reason     string
		message    string
	}{
		"a registered cluster that was never heard is unknown, for the step that blocks it": {
			registered: registered(event.Condition{Type: fleetv1.ConditionReachable, Status: "True"},
				event.Condition{Type: fleetv1.ConditionFluxReady, Status: "False", Reason: fleetv1.ReasonArtifactFailed, Message: "no such tag"}),
			want: rest.Unknown, reason: fleetv1.ReasonArtifactFailed, message: "FluxReady: no such tag"},
		"a silent cluster is unknown, however well it was": {
			agent: agentOf(nil), after: 46 * time.Second,
			want: rest.Unknown, reason: fleetv1.ReasonAgentSilent, message: "no heartbeat since 2026-11-22T08:00:02Z; everything is as of then"},
		"a cluster that missed two heartbeats is still known": {agent: agentOf(nil), after: 45 * time.Second, want: rest.Ready},
		"an open episode degrades": {
			agent: agentOf(func(a *agent) { a.episode(event.EpisodeOpened, ledger, crash("e1")) }),
			want:  rest.Degraded, reason: "CrashLoopBackOff", message: "Deployment/payments/ledger: exit 1"},
		"an object that failed degrades": {
			agent: agentOf(func(a *agent) {
				a.object(event.FluxFailed, rootObject, event.Flux{Reason: "BuildFailed", Message: "no such file"})
			}),
			want: rest.Degraded, reason: "BuildFailed", message: "Kustomization/flux-system/fairway: no such file"},
		"a rollout is progress": {
			agent: agentOf(func(a *agent) { a.object(event.WorkloadRolling, ledger, event.Workload{Reason: "Progressing"}) }),
			want:  rest.Progressing, reason: "Progressing", message: "Deployment/payments/ledger"},
		"a step of onboarding that is left is progress": {
			registered: registered(event.Condition{Type: fleetv1.ConditionSynced, Status: "Unknown", Reason: fleetv1.ReasonSyncing}),
			agent:      agentOf(nil), want: rest.Progressing, reason: fleetv1.ReasonSyncing, message: "Synced"},
		"a suspended cluster says so": {
			registered: func(v *View) {
				platform(v, 1, event.ClusterRegistered, event.Registration{Cluster: "a", Suspended: true})
			},
			agent: agentOf(nil), want: rest.Suspended, reason: fleetv1.ReasonSuspended,
			message: "the WorkloadCluster is suspended: nothing is reconciled on the cluster"},
		"a suspended Kustomization leaves the cluster ready": {
			agent: agentOf(func(a *agent) { a.object(event.FluxSuspended, rootObject, event.Flux{}) }), want: rest.Ready},
		"before the snapshot nothing is ready": {
			agent: func(t *testing.T, v *View) {
				a := newAgent(t, "a", epoch1)
				a.fold(v, a.started())
				v.Heartbeat("a", a.heartbeat(start), start)
			},
			want: rest.Progressing, reason: fleetv1.ReasonProgress, message: "the agent is connected; its snapshot has not arrived yet"},
	} {
		t.Run(name, func(t *testing.T) {
			v := newView(t)
			now := start
			if test.registered != nil {
				test.registered(v)
			}
			if test.agent != nil {
				test.agent(t, v)
				if agent, _ := v.Agent(start, "a"); !agent.LastHeartbeat.IsZero() {
					now = agent.LastHeartbeat.Add(test.after)
				}
			}
			got := v.Clusters(now, Filter{})
			if len(got) != 1 {
				t.Fatalf("Clusters() = %+v, want one", got)
			}
			c := got[0]
			want := []string{string(test.want), test.reason, test.message}
			if diff := cmp.Diff(want, []string{string(c.Status), c.Reason, c.Message}); diff != "" {
				t.Errorf("status, reason, message (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEverythingOnASilentClusterIsUnknown(t *testing.T) {
	v := newView(t)
	a := connected(t, v, "a", func(a *agent) {
		a.object(event.WorkloadAvailable, ledger, event.Workload{Desired: 2, Ready: 2})
		a.episode(event.EpisodeOpened, ledger, crash("e1"))
	})
	now := a.now().Add(time.Hour)
	detail, _ := v.Cluster(now, "a")
	if detail.Freshness.Known || detail.Inventory[0].Status != rest.Unknown || detail.Open[0].Known {
		t.Errorf("after an hour: %+v, want nothing known", detail)
	}
	service := v.Services(now, Filter{})[0]
	if service.Status != rest.Unknown || service.Clusters[0].Status != rest.Unknown || !service.Clusters[0].AsOf.Equal(a.now()) {
		t.Errorf("service = %+v, want unknown as of the last heartbeat", service)
	}
}

func TestAServiceIsAsItsWorstCluster(t *testing.T) {
	v := newView(t)
	connected(t, v, "a", func(a *agent) {
		a.object(event.WorkloadAvailable, ledger, event.Workload{Desired: 2, Ready: 2})
	})
	b := connected(t, v, "b", func(a *agent) {
		a.object(event.WorkloadAvailable, ledger, event.Workload{Desired: 3, Ready: 3})
		worker := ledger
		worker.Kind = "StatefulSet"
		a.object(event.WorkloadDegraded, worker, event.Workload{Desired: 1, Reason: "ReplicasMissing"})
		a.episode(event.EpisodeOpened, ledger, crash("e1"))
	})
	want := []rest.Service{{Team: "payments", Name: "ledger", Status: rest.Degraded, Clusters: []rest.ServiceCluster{
		{Cluster: "a", Environment: "prod", Cloud: "AWS", Status: rest.Ready, Artifact: "main-1", Desired: 2, Ready: 2,
			Since: start.Add(3 * time.Second), AsOf: start.Add(3 * time.Second)},
		{Cluster: "b", Environment: "prod", Cloud: "AWS", Status: rest.Degraded, Reason: "CrashLoopBackOff", Artifact: "main-1",
			Desired: 4, Ready: 3, Episodes: 1, Since: start.Add(4 * time.Second), AsOf: start.Add(5 * time.Second)},
	}, Environments: []rest.ServiceEnvironment{{Environment: "prod", Failures: []rest.Attribution{{Artifact: "main-1", Scope: rest.ScopeCluster,
		Message: "fails on b only: cluster-specific", Failing: []string{"b"}, Healthy: []string{"a"}, Undecided: []string{},
		Reasons: []string{"CrashLoopBackOff"}, Episodes: []string{"e1"}}}}}}}
	if diff := cmp.Diff(want, v.Services(b.now(), Filter{})); diff != "" {
		t.Errorf("Services() (-want +got):\n%s", diff)
	}
}

func TestANewerEpochTakesOver(t *testing.T) {
	v := newView(t)
	old := connected(t, v, "a", func(a *agent) {
		a.object(event.WorkloadAvailable, ledger, event.Workload{})
		a.object(event.FluxSucceeded, rootObject, event.Flux{AppliedRevision: "main@sha1:1"})
		a.episode(event.EpisodeOpened, ledger, crash("e1"))
		gone := crash("e2")
		gone.Reason = "OOMKilled"
		a.episode(event.EpisodeOpened, ledger, gone)
	})
	next := newAgent(t, "a", epoch2)
	next.sequence = 0
	started := next.started()
	next.fold(v, started)
	if got, _ := v.Cluster(old.now(), "a"); got.Objects != 2 || got.Episodes != 2 {
		t.Errorf("before the new snapshot: %d objects and %d episodes, want the 2 and 2 that were known", got.Objects, got.Episodes)
	}
	if agent, _ := v.Agent(old.now(), "a"); agent.Snapshot {
		t.Error("Agent().Snapshot before the new epoch's snapshot, want false")
	}

	// The new agent knows the crash under an id of its own, and nothing of the rest.
	root := next.object(event.FluxFailed, rootObject, event.Flux{AppliedRevision: "main@sha1:2"})
	again := next.episode(event.EpisodeOpened, ledger, crash("new-id"))
	next.snapshot("s2", 1)
	next.fold(v, append(next.sent[len(next.sent)-2:], root, again)...)
	late := old.object(event.WorkloadAvailable, event.Object{Kind: "Deployment", Name: "late", Namespace: "x"}, event.Workload{})
	old.fold(v, late)

	got, _ := v.Cluster(old.now(), "a")
	if got.Objects != 1 || got.Inventory[0].State != "failed" || got.Inventory[0].Revision != "main@sha1:2" {
		t.Errorf("inventory = %+v, want the new epoch's root only", got.Inventory)
	}
	if len(got.Open) != 1 || got.Open[0].ID != "e1" || !got.Open[0].OpenedAt.Equal(start.Add(3*time.Second)) {
		t.Errorf("open = %+v, want e1, with the id and beginning that it had", got.Open)
	}
	resolved := v.Episodes(old.now(), Filter{Resolved: true, Status: rest.Ready})
	if len(resolved) != 1 || resolved[0].ID != "e2" || resolved[0].ResolvedBy != "snapshot" {
		t.Errorf("resolved = %+v, want e2 by the snapshot", resolved)
	}
	if ep, ok := v.Episode(old.now(), "new-id"); !ok || ep.ID != "e1" {
		t.Errorf("Episode(new-id) = %+v, %v; want e1, which it is", ep, ok)
	}
	next.fold(v, next.episode(event.EpisodeResolved, ledger, event.Episode{ID: "new-id", ResolvedBy: "rollout available"}))
	if ep, _ := v.Episode(old.now(), "e1"); ep.ResolvedBy != "rollout available" || len(ep.Lines) != 1 {
		t.Errorf("e1 = %+v, want it resolved, with the lines that it had", ep)
	}
}

func TestGapsAreCountedUntilTheyClose(t *testing.T) {
	v := newView(t)
	a := connected(t, v, "a", nil)
	missing := func() uint64 {
		agent, _ := v.Agent(a.now(), "a")
		return agent.Missing
	}
	lost := a.object(event.WorkloadAvailable, ledger, event.Workload{})
	seen := a.object(event.FluxSucceeded, rootObject, event.Flux{})
	a.fold(v, seen)
	if got := missing(); got != 1 {
		t.Errorf("missing = %d with one event lost, want 1", got)
	}
	a.object(event.WorkloadAvailable, ledger, event.Workload{})
	v.Heartbeat("a", a.heartbeat(a.now()), a.now())
	if got := missing(); got != 2 {
		t.Errorf("missing = %d when the heartbeat counts one more, want 2", got)
	}
	if got := v.Incomplete(a.now()); len(got) != 1 {
		t.Errorf("Incomplete() = %v, want the cluster", got)
	}
	before := len(a.sent)
	a.snapshot("again", 100)
	a.fold(v, a.sent[before:]...)
	if got := missing(); got != 0 {
		t.Errorf("missing = %d after a snapshot, want 0", got)
	}
	a.fold(v, lost)
	if got, _ := v.Cluster(a.now(), "a"); got.Objects != 2 || !got.Inventory[0].Since.After(lost.Time) {
		t.Errorf("a lost event that came after the snapshot changed it: %+v", got.Inventory)
	}
	if got := v.Incomplete(a.now()); len(got) != 0 {
		t.Errorf("Incomplete() = %v, want none", got)
	}
}

func TestRefusedEvents(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*event.Event)
		want   error
	}{
		"one that claims another cluster": {func(e *event.Event) { e.Source = event.Source("b") }, ErrSource},
		"one of the platform's source":    {func(e *event.Event) { e.Source = event.Source(event.Platform) }, ErrSource},
		"one without an epoch":            {func(e *event.Event) { e.Epoch = "" }, ErrEpoch},
		"one without a sequence":          {func(e *event.Event) { e.Sequence = 0 }, ErrEpoch},
		"one whose data is none":          {func(e *event.Event) { e.Data = []byte(`[]`) }, ErrPayload},
		"an episode without an id":        {func(e *event.Event) { e.Type, e.Data = event.EpisodeOpened, []byte(`{}`) }, ErrPayload},
		"a snapshot part beyond its end": {func(e *event.Event) {
			e.Type, e.Data = event.AgentSnapshot, []byte(`{"id":"s","part":3,"parts":2}`)
		}, ErrPayload},
	} {
		t.Run(name, func(t *testing.T) {
			var got error
			v := New(Options{Rejected: func(_ string, err error) { got = err }})
			a := newAgent(t, "a", epoch1)
			e := a.object(event.WorkloadAvailable, ledger, event.Workload{})
			test.change(e)
			a.fold(v, e)
			if !errors.Is(got, test.want) {
				t.Errorf("refused with %v, want %v", got, test.want)
			}
			if _, rejected := v.Counts(); rejected != 1 {
				t.Errorf("rejected = %d, want 1", rejected)
			}
			if c, ok := v.Cluster(start, "a"); ok && c.Objects+len(c.Open) > 0 {
				t.Errorf("it changed the view: %+v", c)
			}
		})
	}
}

func TestTypesOfTheFutureAreLeftAlone(t *testing.T) {
	v := newView(t)
	a := connected(t, v, "a", nil)
	a.fold(v, a.send("dev.fairway.flux.pondering.v1", rootObject, map[string]int{"x": 1}),
		a.send("dev.fairway.release.committed.v1", event.Object{}, nil))
	if got, _ := v.Cluster(a.now(), "a"); got.Objects != 0 || got.Freshness.Missing != 0 {
		t.Errorf("%d objects, %d missing; want none of both", got.Objects, got.Freshness.Missing)
	}
}

func TestRegistrationOutlivesEvents(t *testing.T) {
	v := newView(t)
	platform(v, 5, event.ClusterRegistered, event.Registration{Cluster: "a", Namespace: "clusters", Environment: "staging", Cloud: "Azure", Account: "1"})
	platform(v, 4, event.ClusterRegistered, event.Registration{Cluster: "a", Environment: "older"})
	a := connected(t, v, "a", nil)
	c := v.Clusters(a.now(), Filter{})[0]
	if c.Environment != "staging" || c.Cloud != "Azure" || c.Namespace != "clusters" || c.Account != "1" {
		t.Errorf("cluster = %+v, want what the newest registration says", c)
	}
	platform(v, 9, event.ClusterDeregistered, event.Registration{Cluster: "a"})
	v.Heartbeat("a", a.heartbeat(a.now()), a.now())
	a.fold(v, a.started())
	platform(v, 8, event.ClusterRegistered, event.Registration{Cluster: "a"})
	if got := v.Clusters(a.now(), Filter{}); len(got) != 0 {
		t.Errorf("a deregistered cluster is still there: %+v", got)
	}
	platform(v, 10, event.ClusterRegistered, event.Registration{Cluster: "a"})
	if got := v.Clusters(a.now(), Filter{}); len(got) != 1 || got[0].Status != rest.Unknown {
		t.Errorf("a cluster that came back is %+v, want it unknown", got)
	}
}

func TestSweepTellsOfSilenceOnce(t *testing.T) {
	var changed []string
	v := New(Options{Changed: func(cluster string) { changed = append(changed, cluster) }})
	platform(v, 1, event.ClusterRegistered, event.Registration{Cluster: "never-heard"})
	a := connected(t, v, "a", nil)
	heard := a.now()
	steps := []struct {
		at   time.Time
		beat bool
		want []Transition
	}{
		{at: heard, want: []Transition{{"a", true, heard}}},
		{at: heard.Add(45 * time.Second)},
		{at: heard.Add(60 * time.Second), want: []Transition{{"a", false, heard.Add(45 * time.Second)}}},
		{at: heard.Add(61 * time.Second)},
		{at: heard.Add(90 * time.Second), beat: true, want: []Transition{{"a", true, heard.Add(90 * time.Second)}}},
	}
	for i, step := range steps {
		if step.beat {
			v.Heartbeat("a", a.heartbeat(step.at), step.at)
		}
		if diff := cmp.Diff(step.want, v.Sweep(step.at), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
	want := []string{"never-heard", "a", "a", "a", "a"} // registered, snapshot, connected, silent, connected
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Errorf("Changed was called for (-want +got):\n%s", diff)
	}
}

func TestHeartbeats(t *testing.T) {
	v := newView(t)
	a := connected(t, v, "a", nil)
	now := a.now().Add(10 * time.Second)
	h := a.heartbeat(now.Add(7 * time.Second))
	h.NodesReady, h.Version = 1, "v0.2.0"
	v.Heartbeat("a", h, now)
	v.Heartbeat("a", a.heartbeat(now), now.Add(-time.Second)) // an older one, late
	c := v.Clusters(now, Filter{})[0]
	if c.Freshness.ClockSkew != 7 || c.NodesReady != 1 || c.AgentVersion != "v0.2.0" || !c.Freshness.LastHeartbeat.Equal(now) {
		t.Errorf("cluster = %+v, want what the newest heartbeat says", c)
	}
	a.fold(v, a.send(event.ClusterChanged, event.Object{}, event.Cluster{KubernetesVersion: "v1.37.0", NodesReady: 2, NodesTotal: 3}))
	if c := v.Clusters(now, Filter{})[0]; c.NodesReady != 2 || c.KubernetesVersion != "v1.37.0" || c.AgentVersion != "v0.2.0" {
		t.Errorf("cluster = %+v, want what the event after the heartbeat says", c)
	}
}

func TestResolvedEpisodesAreBounded(t *testing.T) {
	v := newView(t)
	a := connected(t, v, "a", func(a *agent) {
		for i := range 2 * maxResolved {
			p := crash(fmt.Sprintf("e%d", i))
			a.episode(event.EpisodeOpened, ledger, p)
			p.ResolvedBy = "rollout available"
			a.episode(event.EpisodeResolved, ledger, p)
		}
	})
	if got := len(v.Episodes(a.now(), Filter{Resolved: true})); got != maxResolved {
		t.Errorf("%d resolved episodes are kept, want %d", got, maxResolved)
	}
	if got := len(v.Episodes(a.now().Add(25*time.Hour), Filter{Resolved: true})); got != 0 {
		t.Errorf("%d episodes are shown a day later, want none", got)
	}
	v.Sweep(a.now().Add(25 * time.Hour))
	if got := len(v.find("a").done); got != 0 {
		t.Errorf("%d episodes are kept a day later, want none", got)
	}
}
