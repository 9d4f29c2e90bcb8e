package history

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/delivery"
	"github.com/fairway-dev/fairway/fleet/view"
)

// say is a word of the platform about a release.
func (p *tape) say(typ event.Type, r event.Release) {
	p.t.Helper()
	e, err := event.NewRelease(typ, r, p.now.Add(time.Second/2))
	if err != nil {
		p.t.Fatal(err)
	}
	p.now = p.now.Add(time.Second)
	e.ID = fmt.Sprintf("0193-%06d", len(p.messages))
	p.store(event.Platform, &e)
}

// promotion is a release of the ledger to prod, on two clusters.
var promotion = event.Release{Name: "payments/ledger-1", Team: "payments", Service: "ledger", Artifact: "main-1", Environment: "prod", Intent: "Promote", From: "staging",
	RequestedBy: "dev@example.com", RequestedAt: start, Comment: "as agreed", Phase: string(fleetv1.PhasePending), Total: 2, Digest: "sha256:1",
	Source: event.ArtifactSource{Repository: "https://git.example.com/ledger", Branch: "main", Commit: "4f1c9d2", Author: "author@example.com", Created: start.Add(-time.Hour)}}

// promoted is a promotion from beginning to end.
func promoted(t testing.TB) *tape {
	p, r := newTape(t), promotion
	p.say(event.ReleaseRequested, r)
	r.Approvals = []event.Approval{{By: "lead@example.com", At: start.Add(time.Second)}}
	p.say(event.ReleaseRequested, r)
	r.Phase, r.StartedAt, r.Commit = string(fleetv1.PhaseReleasing), start.Add(time.Minute), "main@sha1:1"
	a := event.ReleaseTarget{Cluster: "a", Wave: "canary", State: string(fleetv1.TargetRollingOut), Previous: "main-0", MovedAt: start.Add(time.Minute)}
	r.Clusters = []event.ReleaseTarget{a}
	p.say(event.ReleaseCommitted, r)
	a.State, a.AvailableAt = string(fleetv1.TargetAvailable), start.Add(2*time.Minute)
	b := event.ReleaseTarget{Cluster: "b", Wave: "others", State: string(fleetv1.TargetAvailable), Previous: "main-0", MovedAt: start.Add(3 * time.Minute), AvailableAt: start.Add(5 * time.Minute)}
	r.Phase, r.FinishedAt, r.Clusters, r.Commit = string(fleetv1.PhaseSucceeded), start.Add(5*time.Minute), []event.ReleaseTarget{a, b}, "main@sha1:2"
	p.say(event.ReleaseSucceeded, r)
	return p
}

func TestAnAuditTellsHowAnArtifactCameToACluster(t *testing.T) {
	r := answer(t, promoted(t))
	want := rest.AuditEntry{
		Artifact: "main-1", Digest: "sha256:1", Team: "payments", Service: "ledger", Environment: "prod", Cluster: "b", Source: rest.ArtifactSource(promotion.Source),
		Release: "payments/ledger-1", Phase: "Succeeded", Intent: "Promote", From: "staging", RequestedBy: "dev@example.com", RequestedAt: start, Comment: "as agreed",
		Approvals: []rest.Approval{{By: "lead@example.com", At: start.Add(time.Second)}}, Commit: "main@sha1:2", State: "Available", Previous: "main-0",
		MovedAt: start.Add(3 * time.Minute), AvailableAt: start.Add(5 * time.Minute)}
	got, err := r.Audit(t.Context(), AuditQuery{Artifact: "main-1", ReleaseFilter: view.ReleaseFilter{Cluster: "b"}})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]rest.AuditEntry{want}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for name, test := range map[string]struct {
		query AuditQuery
		want  int
	}{
		"everything":          {AuditQuery{}, 2},
		"of an artifact":      {AuditQuery{Artifact: "main-1"}, 2},
		"of another artifact": {AuditQuery{Artifact: "main-2"}, 0},
		"on a cluster":        {AuditQuery{ReleaseFilter: view.ReleaseFilter{Cluster: "a"}}, 1},
		"of another team":     {AuditQuery{ReleaseFilter: view.ReleaseFilter{Team: "search"}}, 0},
		"of a service":        {AuditQuery{ReleaseFilter: view.ReleaseFilter{Team: "payments", Service: "ledger", Environment: "prod"}}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := r.Audit(t.Context(), test.query)
			if err != nil || got == nil || len(got) != test.want {
				t.Errorf("%d entries (%v), want %d", len(got), err, test.want)
			}
		})
	}
}

func TestTheHistoryShowsAReleaseAsTheViewDoes(t *testing.T) {
	p := promoted(t)
	r, v := answer(t, p), view.New(view.Options{})
	for _, m := range p.messages {
		apply(t, v, m)
	}
	want, _ := v.Release("payments/ledger-1")
	want.UpdatedAt = want.UpdatedAt.Truncate(time.Millisecond)
	got, err := r.Release(t.Context(), "payments/ledger-1")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-view +history):\n%s", err, diff)
	}
	if _, err := r.Release(t.Context(), "payments/ledger-2"); !errors.Is(err, ErrNoRelease) {
		t.Errorf("a release that nobody asked for: %v, want ErrNoRelease", err)
	}
	for name, test := range map[string]struct {
		filter view.ReleaseFilter
		want   int
	}{
		"since it was asked for": {view.ReleaseFilter{Since: start}, 1},
		"since it was over":      {view.ReleaseFilter{Since: p.now.Add(time.Minute)}, 0},
		"in its phase":           {view.ReleaseFilter{Phase: "Succeeded"}, 1},
		"in another phase":       {view.ReleaseFilter{Phase: "Failed"}, 0},
		"to a cluster of it":     {view.ReleaseFilter{Cluster: "a"}, 1},
		"to another cluster":     {view.ReleaseFilter{Cluster: "c"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := r.Releases(t.Context(), test.filter)
			if err != nil || got == nil || len(got) != test.want {
				t.Errorf("%d releases (%v), want %d", len(got), err, test.want)
			}
		})
	}
}

func TestReleasesAreTheSameInAnyOrderWithAnyDuplicates(t *testing.T) {
	dir, file := t.TempDir(), 0
	rapid.Check(t, func(rt *rapid.T) {
		sent := promoted(t)
		var order []int
		for i := range sent.messages {
			for range rapid.IntRange(1, 3).Draw(rt, "copies") {
				order = append(order, i)
			}
		}
		p := newTape(t)
		p.now = sent.now
		for _, i := range rapid.Permutation(order).Draw(rt, "order") {
			m := sent.messages[i]
			m.Sequence = uint64(len(p.messages) + 1)
			p.messages = append(p.messages, m)
		}
		answers := [2]rest.Release{}
		for i, tape := range []*tape{sent, p} {
			file++
			r := run(t, tape, fmt.Sprintf("%s/%d.db", dir, file))
			r.add(t, tape.messages...)
			var err error
			if answers[i], err = r.Release(t.Context(), "payments/ledger-1"); err != nil {
				rt.Fatal(err)
			}
			r.stop()
		}
		if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
			rt.Fatalf("(-in order +shuffled):\n%s", diff)
		}
	})
}

func TestOnlyThePlatformSpeaksOfReleasesInTheHistory(t *testing.T) {
	p := newTape(t)
	p.publish("a", epoch1, event.ReleaseSucceeded, event.Object{Kind: "Release", Namespace: "payments", Name: "ledger-1"}, promotion)
	r := answer(t, p)
	if got, err := r.Releases(t.Context(), view.ReleaseFilter{}); err != nil || len(got) != 0 {
		t.Errorf("a cluster made a release: %+v (%v)", got, err)
	}
}

func TestDeliveriesAreReleasesAndWhatFailedOfThem(t *testing.T) {
	p := promoted(t)
	failed := promotion
	failed.Name, failed.Artifact, failed.Phase = "payments/ledger-2", "main-2", string(fleetv1.PhaseReleasing)
	p.say(event.ReleaseFailed, failed)
	failedAt := p.now.Add(-time.Second / 2)
	failed.Phase = string(fleetv1.PhaseRolledBack)
	p.say(event.ReleaseRolledBack, failed)
	p.publish("a", epoch1, event.EpisodeOpened, ledger, event.Episode{ID: "e1", Reason: event.ReasonCrashLoop})
	opened := p.now.Add(-time.Second / 2)
	p.publish("a", epoch1, event.EpisodeResolved, ledger, event.Episode{ID: "e1", Reason: event.ReasonCrashLoop})
	r := answer(t, p)
	got, err := r.Deliveries(t.Context(), view.ReleaseFilter{Team: "payments", Since: start})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]delivery.Episode{{Cluster: "a", Team: "payments", Service: "ledger", Artifact: "main-1", Opened: opened, Resolved: p.now.Add(-time.Second / 2)}}, got.Episodes); diff != "" {
		t.Errorf("episodes (-want +got):\n%s", diff)
	}
	found := map[string]time.Time{}
	for _, r := range got.Releases {
		found[r.Name] = r.FailedAt
	}
	if diff := cmp.Diff(map[string]time.Time{"payments/ledger-1": {}, "payments/ledger-2": failedAt}, found); diff != "" {
		t.Errorf("releases, with when they failed (-want +got):\n%s", diff)
	}
	if got, err := r.Deliveries(t.Context(), view.ReleaseFilter{Team: "search", Since: start}); err != nil || len(got.Releases)+len(got.Episodes) != 0 {
		t.Errorf("of another team: %+v (%v)", got, err)
	}
}

func TestReleasesStayLongerThanTheirEvents(t *testing.T) {
	for name, test := range map[string]struct {
		later time.Duration
		kept  bool
	}{
		"half a year later it is there": {180 * 24 * time.Hour, true},
		"two years later it is not":     {2 * 365 * 24 * time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			p, file := promoted(t), path(t)
			r := run(t, p, file)
			r.add(t, p.messages...)
			r.stop()
			p.now = p.now.Add(test.later)
			available(p, "a", 3000)
			r = run(t, p, file)
			r.add(t, p.messages...)
			retry(t, func() error {
				if got := len(contents(t, r.History)); got == len(p.messages) {
					return errors.New("nothing was deleted")
				}
				return nil
			})
			retry(t, func() error {
				entries, err := r.Audit(t.Context(), AuditQuery{})
				if kept := len(entries) == 2; err != nil || kept != test.kept {
					return fmt.Errorf("%d entries (%w), want them kept: %v", len(entries), err, test.kept)
				}
				return nil
			})
		})
	}
}

func TestChangesTellOfReleases(t *testing.T) {
	p := promoted(t)
	bad := promotion
	bad.Name, bad.Phase, bad.Reason, bad.Message, bad.Lines = "payments/ledger-2", string(fleetv1.PhaseFailed), fleetv1.ReasonRolloutFailed, "prod-aws-eu1: it crashes", []string{"fatal"}
	p.say(event.ReleaseFailed, bad)
	p.publish(event.Platform, "", event.ArtifactCreated, event.Object{Kind: "Artifact", Namespace: "payments", Name: "main-1"},
		event.Artifact{Team: "payments", Service: "ledger", ID: "main-1", Source: event.ArtifactSource{Branch: "main", Commit: "4f1c9d2", Author: "author@example.com"}})
	r := answer(t, p)
	got, err := r.Since(t.Context(), Query{From: start, Until: p.now, Team: "payments"})
	if err != nil {
		t.Fatal(err)
	}
	if got.Summary.Releases != 2 {
		t.Errorf("%d releases are counted, want the two that ended", got.Summary.Releases)
	}
	type said struct{ What, Reason, Message, Line string }
	var told []said
	for _, item := range got.Items[:3] {
		s := said{item.Kind + " " + item.What, item.Reason, item.Message, ""}
		if len(item.Lines) > 0 {
			s.Line = item.Lines[0]
		}
		told = append(told, s)
	}
	want := []said{
		{What: "artifact created", Message: "main 4f1c9d2 author@example.com"},
		{What: "release failed", Reason: "RolloutFailed", Message: "payments/ledger main-1 to prod, promoted from staging by dev@example.com: prod-aws-eu1: it crashes", Line: "fatal"},
		{What: "release succeeded", Message: "payments/ledger main-1 to prod, promoted from staging by dev@example.com"},
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
