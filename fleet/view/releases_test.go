package view

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// releaser speaks as the platform does of releases: each event after the one before.
type releaser struct {
	t    tester
	sent []*event.Event
}

func (r *releaser) now() time.Time { return start.Add(time.Duration(len(r.sent)) * time.Minute) }

func (r *releaser) say(typ event.Type, p event.Release) *event.Event {
	r.t.Helper()
	e, err := event.NewRelease(typ, p, r.now())
	return r.keep(e, err)
}

func (r *releaser) created(a event.Artifact) *event.Event {
	r.t.Helper()
	e, err := event.NewArtifact(a, r.now())
	return r.keep(e, err)
}

func (r *releaser) keep(e event.Event, err error) *event.Event {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
	e.ID = fmt.Sprintf("0193-%06d", len(r.sent))
	r.sent = append(r.sent, &e)
	return &e
}

func fold(v *View, events ...*event.Event) {
	for i, e := range events {
		v.Apply(Record{Sequence: uint64(i + 1), Stored: start, Cluster: event.Platform, Event: e})
	}
}

// asked is a release of the ledger to prod, as it is asked for.
func asked(name, artifact string, at time.Time) event.Release {
	return event.Release{Name: "payments/" + name, Team: "payments", Service: "ledger", Artifact: artifact, Environment: "prod", Intent: "Release",
		RequestedBy: "dev@example.com", RequestedAt: at, Phase: string(fleetv1.PhasePending), Total: 2}
}

func moved(p event.Release, phase fleetv1.Phase, at time.Time, targets ...event.ReleaseTarget) event.Release {
	p.Phase, p.StartedAt, p.Clusters = string(phase), at, targets
	if phase.Final() {
		p.FinishedAt = at.Add(time.Minute)
	}
	return p
}

func on(cluster string, state fleetv1.TargetState, previous string, told, well time.Time) event.ReleaseTarget {
	return event.ReleaseTarget{Cluster: cluster, Wave: "others", State: string(state), Previous: previous, MovedAt: told, AvailableAt: well}
}

func TestAReleaseIsAsItsNewestEventSays(t *testing.T) {
	v, r := newView(t), &releaser{t: t}
	first := asked("ledger-1", "main-1", start)
	r.say(event.ReleaseRequested, first)
	first.Approvals = []event.Approval{{By: "lead@example.com", At: start.Add(time.Second)}}
	first.Source = event.ArtifactSource{Commit: "4f1c9d2", Author: "dev@example.com"}
	r.say(event.ReleaseCommitted, moved(first, fleetv1.PhaseReleasing, start, on("a", fleetv1.TargetRollingOut, "main-0", start, time.Time{})))
	first.Commit = "main@sha1:2"
	r.say(event.ReleaseCommitted, moved(first, fleetv1.PhaseReleasing, start, on("b", fleetv1.TargetRollingOut, "main-0", start.Add(time.Minute), time.Time{})))
	well := start.Add(2 * time.Minute)
	r.say(event.ReleaseSucceeded, moved(first, fleetv1.PhaseSucceeded, start, on("a", fleetv1.TargetAvailable, "main-0", start, well)))
	fold(v, r.sent...)

	want := rest.Release{
		Name: "payments/ledger-1", Team: "payments", Service: "ledger", Artifact: "main-1", Environment: "prod", Intent: "Release",
		RequestedBy: "dev@example.com", RequestedAt: start, Approvals: []rest.Approval{{By: "lead@example.com", At: start.Add(time.Second)}},
		Phase: "Succeeded", StartedAt: start, FinishedAt: start.Add(time.Minute), UpdatedAt: start.Add(3 * time.Minute), Commit: "main@sha1:2",
		Source: rest.ArtifactSource{Commit: "4f1c9d2", Author: "dev@example.com"}, Total: 2, Available: 1,
		Clusters: []rest.ReleaseCluster{
			{Cluster: "a", Wave: "others", State: "Available", Previous: "main-0", MovedAt: start, AvailableAt: well},
			{Cluster: "b", Wave: "others", State: "RollingOut", Previous: "main-0", MovedAt: start.Add(time.Minute)}},
	}
	got, ok := v.Release("payments/ledger-1")
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("found: %v (-want +got):\n%s", ok, diff)
	}
	if _, ok := v.Release("payments/ledger-2"); ok {
		t.Error("a release that nobody asked for was found")
	}
}

func TestReleasesAreSelected(t *testing.T) {
	v, r := newView(t), &releaser{t: t}
	r.say(event.ReleaseSucceeded, moved(asked("ledger-1", "main-1", start), fleetv1.PhaseSucceeded, start, on("a", fleetv1.TargetAvailable, "", start, start)))
	r.say(event.ReleaseCommitted, moved(asked("ledger-2", "main-2", start.Add(time.Hour)), fleetv1.PhaseReleasing, start, on("b", fleetv1.TargetMoving, "", start, start)))
	other := asked("index-1", "main-1", start.Add(-time.Hour))
	other.Name, other.Team, other.Service, other.Environment = "search/index-1", "search", "index", "staging"
	r.say(event.ReleaseRequested, other)
	fold(v, r.sent...)
	for name, test := range map[string]struct {
		filter ReleaseFilter
		want   []string
	}{
		"all, the newest first":             {ReleaseFilter{}, []string{"payments/ledger-2", "payments/ledger-1", "search/index-1"}},
		"those of a team":                   {ReleaseFilter{Team: "payments"}, []string{"payments/ledger-2", "payments/ledger-1"}},
		"those of a service":                {ReleaseFilter{Service: "index"}, []string{"search/index-1"}},
		"those to an environment":           {ReleaseFilter{Environment: "staging"}, []string{"search/index-1"}},
		"those to a cluster":                {ReleaseFilter{Cluster: "a"}, []string{"payments/ledger-1"}},
		"those in a phase":                  {ReleaseFilter{Phase: "Releasing"}, []string{"payments/ledger-2"}},
		"those since a moment":              {ReleaseFilter{Since: start.Add(time.Hour)}, []string{"payments/ledger-2"}},
		"those that were spoken of since":   {ReleaseFilter{Since: start.Add(time.Minute)}, []string{"payments/ledger-2", "search/index-1"}},
		"nothing, where two say no to all ": {ReleaseFilter{Team: "payments", Cluster: "c"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, r := range v.Releases(test.filter) {
				got = append(got, r.Name)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestArtifactsAreListed(t *testing.T) {
	v, r := newView(t), &releaser{t: t}
	for i := range keepArtifacts + 3 {
		r.created(event.Artifact{Team: "payments", Service: "ledger", ID: fmt.Sprintf("main-%02d", i), Source: event.ArtifactSource{Created: start.Add(time.Duration(i) * time.Hour)}})
	}
	r.created(event.Artifact{Team: "search", Service: "index", ID: "main-1", Digest: "sha256:1"})
	fold(v, r.sent...)
	want := []rest.Artifact{{Team: "search", Service: "index", ID: "main-1", Digest: "sha256:1"}}
	if diff := cmp.Diff(want, v.Artifacts("search", "")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got := v.Artifacts("payments", "ledger")
	if len(got) != keepArtifacts || got[0].ID != fmt.Sprintf("main-%d", keepArtifacts+2) || got[len(got)-1].ID != "main-03" {
		t.Errorf("%d artifacts, want the newest %d, the newest first: %+v", len(got), keepArtifacts, got)
	}
}

func TestOnlyThePlatformSpeaksOfReleases(t *testing.T) {
	v := newView(t)
	e, err := event.NewRelease(event.ReleaseSucceeded, asked("ledger-1", "main-1", start), start)
	if err != nil {
		t.Fatal(err)
	}
	e.Source, e.Epoch, e.Sequence = event.Source("a"), epoch1, 1
	v.Apply(Record{Sequence: 1, Stored: start, Cluster: "a", Event: &e})
	if got := v.Releases(ReleaseFilter{}); len(got) != 0 {
		t.Errorf("a cluster made a release: %+v", got)
	}
}

func TestWhatIsNoReleaseIsRefused(t *testing.T) {
	for name, change := range map[string]func(*event.Event){
		"a payload that is none":      func(e *event.Event) { e.Data = []byte(`[]`) },
		"a release without a name":    func(e *event.Event) { e.Data = []byte(`{"team":"a","service":"b","environment":"c"}`) },
		"a release without a service": func(e *event.Event) { e.Data = []byte(`{"name":"a/b","team":"a","environment":"c"}`) },
		"an artifact without an id":   func(e *event.Event) { e.Type, e.Data = event.ArtifactCreated, []byte(`{"team":"a","service":"b"}`) },
	} {
		t.Run(name, func(t *testing.T) {
			var refused error
			v := New(Options{Rejected: func(_ string, err error) { refused = err }})
			e, err := event.NewRelease(event.ReleaseRequested, asked("ledger-1", "main-1", start), start)
			if err != nil {
				t.Fatal(err)
			}
			change(&e)
			fold(v, &e)
			if !errors.Is(refused, ErrPayload) || len(v.Releases(ReleaseFilter{})) != 0 {
				t.Errorf("refused with %v, want ErrPayload", refused)
			}
		})
	}
}

func TestOfAServiceInAnEnvironmentTheNewestReleasesAreKept(t *testing.T) {
	v, r := newView(t), &releaser{t: t}
	for i := range keepReleases + 5 {
		p := moved(asked(fmt.Sprintf("ledger-%02d", i), "main-1", start.Add(time.Duration(i)*time.Hour)), fleetv1.PhaseFailed, start)
		p.Lines = []string{"fatal"}
		r.say(event.ReleaseFailed, p)
	}
	fold(v, r.sent...)
	got := v.Releases(ReleaseFilter{})
	if len(got) != keepReleases || got[0].Name != fmt.Sprintf("payments/ledger-%d", keepReleases+4) {
		t.Fatalf("%d releases, the newest is %s", len(got), got[0].Name)
	}
	for i, r := range got {
		if want := i < keepLines; (len(r.Lines) > 0) != want {
			t.Errorf("release %d has lines: %v, want %v", i, !want, want)
		}
	}
}

func TestOfTheSameMomentTheStreamDecides(t *testing.T) {
	r := &releaser{t: t}
	first := asked("ledger-1", "main-1", start)
	moving := *r.say(event.ReleaseWaveStarted, moved(first, fleetv1.PhaseReleasing, start, on("a", fleetv1.TargetMoving, "", start, time.Time{})))
	told := *r.say(event.ReleaseCommitted, moved(first, fleetv1.PhaseReleasing, start, on("a", fleetv1.TargetRollingOut, "", start, time.Time{})))
	moving.ID, told.ID, told.Time = "2", "1", moving.Time
	v := newView(t)
	for _, of := range []Record{{Sequence: 2, Event: &told}, {Sequence: 1, Event: &moving}} {
		of.Cluster, of.Stored = event.Platform, start
		v.Apply(of)
	}
	if got := v.Releases(ReleaseFilter{})[0].Clusters[0].State; got != string(fleetv1.TargetRollingOut) {
		t.Errorf("state = %s, want what was said last", got)
	}
}

func TestOutcomesAreCountedOnce(t *testing.T) {
	v, r := newView(t), &releaser{t: t}
	first, second := asked("ledger-1", "main-1", start), asked("ledger-2", "main-2", start.Add(time.Hour))
	r.say(event.ReleaseCommitted, moved(first, fleetv1.PhaseReleasing, start))
	r.say(event.ReleaseSucceeded, moved(first, fleetv1.PhaseSucceeded, start))
	r.say(event.ReleaseFailed, moved(second, fleetv1.PhaseFailed, start))
	fold(v, append(r.sent, r.sent...)...)
	want := map[Outcome]uint64{{"payments", "prod", "Succeeded"}: 1, {"payments", "prod", "Failed"}: 1}
	if diff := cmp.Diff(want, v.Outcomes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := v.NewestReleases(); len(got) != 1 || got[0].Name != "payments/ledger-2" {
		t.Errorf("newest = %+v, want the second", got)
	}
}

// randomReleases is what the platform says of a few services: releases that go on at their own pace.
func randomReleases(t *rapid.T) *releaser {
	r := &releaser{t: t}
	types := []event.Type{event.ReleaseRequested, event.ReleaseWaveStarted, event.ReleaseCommitted, event.ReleaseWaveHealthy, event.ReleaseSucceeded,
		event.ReleaseFailed, event.ReleaseRolledBack, event.ReleaseRefused, event.ReleaseSuperseded}
	phases := []fleetv1.Phase{fleetv1.PhasePending, fleetv1.PhaseReleasing, fleetv1.PhaseSucceeded, fleetv1.PhaseFailed, fleetv1.PhaseRolledBack}
	states := []fleetv1.TargetState{fleetv1.TargetMoving, fleetv1.TargetRollingOut, fleetv1.TargetAvailable, fleetv1.TargetRolledBack}
	for range rapid.IntRange(1, 60).Draw(t, "events") {
		if rapid.IntRange(0, 4).Draw(t, "artifact") == 0 {
			n := rapid.IntRange(0, 2*keepArtifacts).Draw(t, "number")
			r.created(event.Artifact{Team: "payments", Service: "ledger", ID: fmt.Sprintf("main-%d", n), Digest: fmt.Sprint(len(r.sent)),
				Source: event.ArtifactSource{Created: start.Add(time.Duration(n/2) * time.Hour)}})
			continue
		}
		n := rapid.IntRange(0, 2*keepReleases).Draw(t, "release")
		p := asked(fmt.Sprintf("ledger-%d", n), fmt.Sprintf("main-%d", n%4), start.Add(time.Duration(n/2)*time.Hour)) // some at the same moment
		p.Environment = []string{"prod", "staging"}[n%2]
		p.Lines = []string{fmt.Sprint(len(r.sent))}
		var targets []event.ReleaseTarget
		for _, cluster := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.ID).Draw(t, "clusters") {
			targets = append(targets, on(cluster, rapid.SampledFrom(states).Draw(t, "state"), "main-9", r.now(), time.Time{}))
		}
		r.say(rapid.SampledFrom(types).Draw(t, "type"), moved(p, rapid.SampledFrom(phases).Draw(t, "phase"), start, targets...))
	}
	return r
}

func TestReleasesAreTheSameInAnyOrderWithAnyDuplicates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := randomReleases(t)
		inOrder, shuffled := New(Options{}), New(Options{})
		fold(inOrder, r.sent...)
		var copies []*event.Event
		for _, e := range r.sent {
			for range rapid.IntRange(1, 3).Draw(t, "copies") {
				copies = append(copies, e)
			}
		}
		fold(shuffled, rapid.Permutation(copies).Draw(t, "order")...)
		if diff := cmp.Diff(inOrder.Releases(ReleaseFilter{}), shuffled.Releases(ReleaseFilter{})); diff != "" {
			t.Fatalf("releases (-in order +shuffled):\n%s", diff)
		}
		if diff := cmp.Diff(inOrder.Artifacts("", ""), shuffled.Artifacts("", "")); diff != "" {
			t.Fatalf("artifacts (-in order +shuffled):\n%s", diff)
		}
		for _, v := range []*View{inOrder, shuffled} {
			data := saved(t, v)
			again := loaded(t, data)
			if !bytes.Equal(data, saved(t, again)) {
				t.Fatal("what was loaded saves otherwise")
			}
			fold(again, r.sent...) // some of it is read again
			if diff := cmp.Diff(inOrder.Releases(ReleaseFilter{}), again.Releases(ReleaseFilter{})); diff != "" {
				t.Fatalf("(-in order +from a checkpoint):\n%s", diff)
			}
		}
	})
}

// runs makes a cluster of the environment prod on which the ledger runs an artifact.
func runs(t *testing.T, v *View, cluster, cloud, artifact string, typ event.Type) *agent {
	t.Helper()
	a := silently(t, v, cluster, cloud, artifact, typ)
	v.Heartbeat(cluster, a.heartbeat(a.now()), a.now())
	return a
}

// silently is runs on a cluster that is not heard.
func silently(t *testing.T, v *View, cluster, cloud, artifact string, typ event.Type) *agent {
	t.Helper()
	a := newAgent(t, cluster, epoch1)
	a.started()
	a.snapshot("s", 10)
	a.object(typ, ledger, event.Workload{Desired: 2, Ready: 2})
	for _, e := range a.sent {
		if e.Cloud = cloud; e.Artifact != "" {
			e.Artifact = artifact
		}
	}
	a.fold(v, a.sent...)
	return a
}

func prod(t *testing.T, v *View) (rest.Service, rest.ServiceEnvironment) {
	t.Helper()
	all := v.Services(start.Add(10*time.Second), Filter{})
	if len(all) != 1 || len(all[0].Environments) != 1 {
		t.Fatalf("services = %+v, want one in one environment", all)
	}
	return all[0], all[0].Environments[0]
}

var early = start.Add(-2 * time.Hour)

func TestAServiceSaysWhatIsWantedAndWhatRuns(t *testing.T) {
	since := start.Add(3 * time.Second) // the workload's event is the third
	for name, test := range map[string]struct {
		releases []event.Release
		want     rest.ServiceCluster
		lead     rest.ServiceEnvironment
	}{
		"no release is known: nothing is wanted, and nothing drifts": {},
		"what was released runs": {
			releases: []event.Release{moved(asked("ledger-1", "main-1", early), fleetv1.PhaseSucceeded, early, on("a", fleetv1.TargetAvailable, "main-0", early, early.Add(time.Minute)))},
			want:     rest.ServiceCluster{Wanted: "main-1", WantedSince: early, Release: "payments/ledger-1", RunningSince: early.Add(time.Minute)},
			lead:     rest.ServiceEnvironment{Wanted: "main-1", Release: "payments/ledger-1", Phase: "Succeeded", Intent: "Release", RequestedBy: "dev@example.com", RequestedAt: early},
		},
		"a cluster that is moving does not drift": {
			releases: []event.Release{moved(asked("ledger-2", "main-2", early), fleetv1.PhaseReleasing, early, on("a", fleetv1.TargetRollingOut, "main-1", early, time.Time{}))},
			want:     rest.ServiceCluster{Wanted: "main-2", WantedSince: early, Release: "payments/ledger-2"},
			lead:     rest.ServiceEnvironment{Wanted: "main-2", Release: "payments/ledger-2", Phase: "Releasing", Intent: "Release", RequestedBy: "dev@example.com", RequestedAt: early},
		},
		"a cluster whose commit is not pushed yet is to run what it runs": {
			releases: []event.Release{moved(asked("ledger-2", "main-2", early), fleetv1.PhaseReleasing, early, on("a", fleetv1.TargetMoving, "main-1", early, time.Time{}))},
			lead:     rest.ServiceEnvironment{Wanted: "main-2", Release: "payments/ledger-2", Phase: "Releasing", Intent: "Release", RequestedBy: "dev@example.com", RequestedAt: early},
		},
		"a cluster whose turn has not come is to run what it runs": {
			releases: []event.Release{
				moved(asked("ledger-1", "main-1", early), fleetv1.PhaseSucceeded, early, on("a", fleetv1.TargetAvailable, "", early, early)),
				moved(asked("ledger-2", "main-2", start), fleetv1.PhaseReleasing, start, on("a", fleetv1.TargetWaiting, "main-1", time.Time{}, time.Time{})),
			},
			want: rest.ServiceCluster{Wanted: "main-1", WantedSince: early, Release: "payments/ledger-1", RunningSince: early},
			lead: rest.ServiceEnvironment{Wanted: "main-2", Release: "payments/ledger-2", Phase: "Releasing", Intent: "Release", RequestedBy: "dev@example.com", RequestedAt: start},
		},
		"another artifact than was released runs since its workload changed": {
			releases: []event.Release{moved(asked("ledger-2", "main-2", early), fleetv1.PhaseSucceeded, early, on("a", fleetv1.TargetAvailable, "main-1", early, early))},
			want:     rest.ServiceCluster{Wanted: "main-2", WantedSince: early, Release: "payments/ledger-2", DriftSince: since},
			lead:     rest.ServiceEnvironment{Wanted: "main-2", Release: "payments/ledger-2", Phase: "Succeeded", Intent: "Release", RequestedBy: "dev@example.com", RequestedAt: early},
		},
		"what was taken back is not wanted, what was before is": {
			releases: []event.Release{moved(asked("ledger-2", "main-2", early), fleetv1.PhaseRolledBack, early, on("a", fleetv1.TargetRolledBack, "main-1", early, time.Time{}))},
			want:     rest.ServiceCluster{Wanted: "main-1", WantedSince: early.Add(time.Minute), Release: "payments/ledger-2"},
			lead:     rest.ServiceEnvironment{Wanted: "main-1", Release: "payments/ledger-2", Phase: "RolledBack", Intent: "Release", RequestedBy: "dev@example.com", RequestedAt: early},
		},
		"a release that was refused changes nothing": {
			releases: []event.Release{asked("ledger-3", "main-3", start)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			v, r := newView(t), &releaser{t: t}
			runs(t, v, "a", "AWS", "main-1", event.WorkloadAvailable)
			for _, p := range test.releases {
				r.say(event.ReleaseCommitted, p)
			}
			fold(v, r.sent...)
			service, environment := prod(t, v)
			test.lead.Environment, test.lead.Failures = "prod", []rest.Attribution{}
			if diff := cmp.Diff(test.lead, environment); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
			got := service.Clusters[0]
			ignore := cmpopts.IgnoreFields(rest.ServiceCluster{}, "Cluster", "Environment", "Cloud", "Status", "Artifact", "Desired", "Ready", "Since", "AsOf")
			if diff := cmp.Diff(test.want, got, ignore); diff != "" {
				t.Errorf("cluster (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSkewIsNamedAndAged(t *testing.T) {
	v, r := newView(t), &releaser{t: t}
	runs(t, v, "a", "AWS", "main-2", event.WorkloadAvailable)
	runs(t, v, "b", "Azure", "main-1", event.WorkloadAvailable)
	runs(t, v, "c", "Azure", "main-1", event.WorkloadAvailable)
	told := start.Add(-time.Hour)
	r.say(event.ReleaseSucceeded, moved(asked("ledger-1", "main-1", early), fleetv1.PhaseSucceeded, early,
		on("a", fleetv1.TargetAvailable, "", early, early.Add(time.Minute)), on("b", fleetv1.TargetAvailable, "", early, early.Add(2*time.Minute)),
		on("c", fleetv1.TargetAvailable, "", early, early.Add(3*time.Minute))))
	second := asked("ledger-2", "main-2", told)
	r.say(event.ReleaseWaveHealthy, moved(second, fleetv1.PhaseReleasing, told, on("a", fleetv1.TargetAvailable, "main-1", told, told.Add(time.Minute))))
	fold(v, r.sent...)
	want := &rest.Skew{Since: told.Add(time.Minute), Release: "payments/ledger-2", Artifacts: []rest.SkewArtifact{
		{Artifact: "main-2", Since: told.Add(time.Minute), Clusters: []string{"a"}},
		{Artifact: "main-1", Since: early.Add(2 * time.Minute), Clusters: []string{"b", "c"}},
	}}
	if _, got := prod(t, v); cmp.Diff(want, got.Skew) != "" {
		t.Errorf("while the release is under way (-want +got):\n%s", cmp.Diff(want, got.Skew))
	}
	fold(v, r.say(event.ReleaseFailed, moved(second, fleetv1.PhaseFailed, told)))
	want.Release = ""
	if _, got := prod(t, v); cmp.Diff(want, got.Skew) != "" {
		t.Errorf("after it has failed (-want +got):\n%s", cmp.Diff(want, got.Skew))
	}
	if got := v.Services(start.Add(10*time.Second), Filter{Cluster: "a"}); len(got) != 1 || len(got[0].Clusters) != 1 || got[0].Environments[0].Skew == nil {
		t.Errorf("asked for one cluster = %+v, want that cluster, and what is true of its environment", got)
	}
}
