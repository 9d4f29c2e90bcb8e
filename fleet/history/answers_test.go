package history

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/view"
)

var update = flag.Bool("update", false, "write golden files")

const revision2 = "main@sha1:4f1c9d2a81b03e7700aa11bb22cc33dd44ee55ff"

// incident is a morning on two clusters: the same failure on both, a week apart in spirit, and what ended it.
func incident(t testing.TB) *tape {
	p := newTape(t)
	p.join("a", epoch1, event.Entry{Type: event.WorkloadAvailable, Subject: ledger.String(), Time: start, Team: "payments", Service: "ledger", Data: []byte(`{}`)})
	p.join("b", epoch2)
	code := int32(1)
	for _, c := range []struct{ cluster, epoch, id string }{{"b", epoch2, "e1"}, {"a", epoch1, "e2"}} {
		released := func(e *event.Event) { e.Revision, e.Artifact = revision2, "main-2" }
		crash := event.Episode{ID: c.id, Reason: event.ReasonCrashLoop, Message: "back-off restarting | failed `container`", Container: "app", ExitCode: &code,
			Signature: "sig", Lines: []string{"starting ledger", "```", "fatal: no database"}}
		p.publish(c.cluster, c.epoch, event.FluxSucceeded, root, event.Flux{Reason: "ReconciliationSucceeded", AttemptedRevision: revision2, AppliedRevision: revision2})
		p.publish(c.cluster, c.epoch, event.WorkloadRolling, ledger, event.Workload{Desired: 2, Ready: 1}, released)
		crash.OpenedAt = p.now.Add(time.Second / 2)
		p.publish(c.cluster, c.epoch, event.EpisodeOpened, ledger, crash, released)
		p.publish(c.cluster, c.epoch, event.WorkloadDegraded, ledger, event.Workload{Desired: 2, Ready: 1, Reason: event.ReasonProgressDeadline}, released)
		if c.id == "e1" {
			crash.Lines, crash.ResolvedBy = nil, "rollout available"
			p.publish(c.cluster, c.epoch, event.WorkloadAvailable, ledger, event.Workload{Desired: 2, Ready: 2})
			p.publish(c.cluster, c.epoch, event.EpisodeResolved, ledger, crash)
		}
	}
	p.publish("a", epoch1, event.FluxSucceeded, event.Object{Kind: "Kustomization", Namespace: "shop", Name: "web"}, event.Flux{},
		func(e *event.Event) { e.Team, e.Service, e.Environment = "shop", "web", "staging" })
	p.publish("a", epoch1, event.AgentGap, event.Object{}, event.Gap{Reason: "the outbox was full", Dropped: map[event.Kind]int{event.KindFlux: 3}, From: start, To: p.now})
	return p
}

func answer(t testing.TB, p *tape) *running {
	r := run(t, p, path(t))
	r.add(t, p.messages...)
	return r
}

func whole(p *tape) Query { return Query{From: start, Until: p.now} }

func TestSinceCountsWhatChangedAndNotWhatWasFound(t *testing.T) {
	p := incident(t)
	r := answer(t, p)
	for _, c := range []struct {
		name string
		q    func(*Query)
		want map[string]int
	}{
		{"all of it", func(*Query) {}, map[string]int{"cluster.registered": 2, "agent.started": 2, "flux.succeeded": 3, "workload.rolling": 2,
			"episode.opened": 2, "workload.degraded": 2, "workload.available": 1, "episode.resolved": 1, "agent.gap": 1}},
		{"one team", func(q *Query) { q.Team = "shop" }, map[string]int{"flux.succeeded": 1}},
		{"one service of a team", func(q *Query) { q.Team, q.Service = "payments", "ledger" }, map[string]int{"workload.rolling": 2,
			"episode.opened": 2, "workload.degraded": 2, "workload.available": 1, "episode.resolved": 1}},
		{"a service that the team has not", func(q *Query) { q.Team, q.Service = "shop", "ledger" }, map[string]int{}},
		{"one cluster", func(q *Query) { q.Cluster = "b" }, map[string]int{"cluster.registered": 1, "agent.started": 1, "flux.succeeded": 1,
			"workload.rolling": 1, "episode.opened": 1, "workload.degraded": 1, "workload.available": 1, "episode.resolved": 1}},
		{"one environment", func(q *Query) { q.Environment = "staging" }, map[string]int{"flux.succeeded": 1}},
		{"kinds", func(q *Query) { q.Kinds = []event.Kind{event.KindEpisode, event.KindAgent} }, map[string]int{"agent.started": 2, "episode.opened": 2, "episode.resolved": 1, "agent.gap": 1}},
		{"a team that nobody has", func(q *Query) { q.Team = "nobody" }, map[string]int{}},
		{"a cluster or a service", func(q *Query) { q.Cluster, q.Team, q.Service, q.Either = "a", "payments", "ledger", true },
			map[string]int{"cluster.registered": 1, "agent.started": 1, "flux.succeeded": 2, "workload.rolling": 2, "episode.opened": 2,
				"workload.degraded": 2, "workload.available": 1, "episode.resolved": 1, "agent.gap": 1}},
		{"later", func(q *Query) { q.From = p.now.Add(-1400 * time.Millisecond) }, map[string]int{"agent.gap": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := whole(p)
			c.q(&q)
			got, err := r.Since(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got.Summary.ByType); diff != "" {
				t.Errorf("types (-want +got):\n%s", diff)
			}
			if got.Total != len(got.Items) {
				t.Errorf("total is %d, and there are %d items", got.Total, len(got.Items))
			}
		})
	}
	all, err := r.Since(t.Context(), whole(p))
	if err != nil {
		t.Fatal(err)
	}
	all.Summary.ByType = nil
	want := rest.Summary{Rollouts: 1, Failures: 2, EpisodesOpened: 2, EpisodesResolved: 1, Gaps: 1, ClustersJoined: 2}
	if diff := cmp.Diff(want, all.Summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
}

func TestPagesHaveEveryChangeOnceInBothOrders(t *testing.T) {
	p := incident(t)
	r := answer(t, p)
	r.connect(t, "a", true, p.now.Add(-4*time.Second))
	r.connect(t, "a", false, p.now.Add(-2*time.Second))
	all, err := r.Since(t.Context(), whole(p))
	if err != nil {
		t.Fatal(err)
	}
	for _, oldest := range []bool{false, true} {
		var got []rest.Transition
		q := whole(p)
		q.Limit, q.OldestFirst = 3, oldest
		for page := 0; page == 0 || q.Cursor != ""; page++ {
			answer, err := r.Since(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, answer.Items...)
			q.Cursor = answer.Next
		}
		want := slices.Clone(all.Items)
		if oldest {
			slices.Reverse(want)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("oldest first: %v (-one page +pages):\n%s", oldest, diff)
		}
	}
	if _, err := r.Since(t.Context(), Query{Cursor: "x"}); err == nil {
		t.Error("a cursor that is none is taken")
	}
}

// connect tells the history of a transition, and waits until it is stored.
func (r *running) connect(t testing.TB, cluster string, connected bool, at time.Time) {
	t.Helper()
	typ := event.ClusterSilent
	if connected {
		typ = event.ClusterConnected
	}
	e, err := event.New(cluster, typ, event.Object{}, at, event.Cluster{KubernetesVersion: "v1.36.4"})
	if err != nil {
		t.Fatal(err)
	}
	e.ID, e.Environment = cluster+typ.What()+at.String(), "prod"
	r.Transition(view.Transition{Cluster: cluster, Connected: connected, At: at}, &e)
	if err := r.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestSilenceIsATransitionOnce(t *testing.T) {
	p := incident(t)
	r := answer(t, p)
	r.connect(t, "a", true, start.Add(3*time.Second))
	r.connect(t, "a", false, start.Add(8*time.Second))
	r.stop()
	again := run(t, p, r.o.Path)
	again.connect(t, "a", false, start.Add(9*time.Second)) // a restarted hub says what it finds
	got, err := again.Since(t.Context(), Query{From: start, Until: p.now, Kinds: []event.Kind{event.KindCluster}, Cluster: "a"})
	if err != nil {
		t.Fatal(err)
	}
	got.Summary.ByType = nil
	if diff := cmp.Diff(rest.Summary{ClustersJoined: 1, ClustersConnected: 1, ClustersSilent: 1}, got.Summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if first := got.Items[0]; first.What != "silent" || first.Sequence != 0 || first.Message != "Kubernetes v1.36.4, 0 of 0 nodes ready" {
		t.Errorf("the newest is %+v", first)
	}
}

func TestSimilarEpisodesSayWhatEndedThem(t *testing.T) {
	p := incident(t)
	r := answer(t, p)
	e, err := r.Episode(t.Context(), "e2")
	if err != nil {
		t.Fatal(err)
	}
	if e.Cluster != "a" || e.Reason != event.ReasonCrashLoop || len(e.Lines) != 3 || e.Signature != "sig" || !e.ResolvedAt.IsZero() {
		t.Errorf("episode is %+v", e)
	}
	got, err := r.Similar(t.Context(), e.Signature, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := []rest.SimilarEpisode{{ID: "e1", Cluster: "b", Environment: "prod", Object: ledger.String(), Team: "payments", Service: "ledger",
		Reason: event.ReasonCrashLoop, ResolvedBy: "rollout available", Artifact: "main-2", Revision: revision2, ResolvedArtifact: "main-1", ResolvedRevision: "main@sha1:1"}}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(rest.SimilarEpisode{}, "OpenedAt", "ResolvedAt")); diff != "" {
		t.Errorf("similar (-want +got):\n%s", diff)
	}
	if got[0].OpenedAt.IsZero() || !got[0].ResolvedAt.After(got[0].OpenedAt) {
		t.Errorf("it opened at %s and was resolved at %s", got[0].OpenedAt, got[0].ResolvedAt)
	}
	if _, err := r.Episode(t.Context(), "none"); err == nil {
		t.Error("an episode that never was is found")
	}
}

func TestMarkdownOfATimeline(t *testing.T) {
	p := incident(t)
	r := answer(t, p)
	e, err := r.Episode(t.Context(), "e1")
	if err != nil {
		t.Fatal(err)
	}
	q := whole(p)
	q.Cluster, q.Team, q.Service, q.Either = e.Cluster, e.Team, e.Service, true
	timeline, err := r.Timeline(t.Context(), q, e.OpenedAt)
	if err != nil {
		t.Fatal(err)
	}
	timeline.Episode = &e
	golden(t, "timeline.md", Markdown(timeline))
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it):\n%s", file, diff)
	}
}

func TestWhatAnAgentFindsIsQuietUntilItsSnapshot(t *testing.T) {
	p := newTape(t)
	found := func(e string) { p.publish("a", e, event.FluxSucceeded, root, event.Flux{}) }
	found(epoch1) // the first event of the life
	p.publish("a", epoch1, event.AgentSnapshot, event.Object{}, event.Snapshot{ID: "s", Part: 1, Parts: 2})
	found(epoch1)
	p.publish("a", epoch1, event.AgentSnapshot, event.Object{}, event.Snapshot{ID: "s", Part: 2, Parts: 2})
	p.publish("a", epoch1, event.FluxFailed, root, event.Flux{}) // this happened
	p.sequence["b"+epoch2] = 7
	p.publish("b", epoch2, event.FluxFailed, root, event.Flux{}) // a life whose beginning nobody saw
	p.publish("c", epoch1, event.FluxSucceeded, root, event.Flux{})
	p.now = p.now.Add(quietFor)
	p.publish("c", epoch1, event.FluxFailed, root, event.Flux{}) // the snapshot never came
	r := answer(t, p)
	got, err := r.Since(t.Context(), whole(p))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{"flux.failed": 3}, got.Summary.ByType); diff != "" {
		t.Errorf("types (-want +got):\n%s", diff)
	}
	if n := len(contents(t, r.History)); n != len(p.messages) {
		t.Errorf("%d events are kept, want all %d", n, len(p.messages))
	}
}
