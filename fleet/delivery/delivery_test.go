package delivery

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

var (
	day    = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	clouds = map[string]string{"a": "AWS", "z": "Azure"}
)

func at(minutes int) time.Time { return day.Add(time.Duration(minutes) * time.Minute) }

// target is a cluster that was told to run it, and ran it in health; 0: it did not.
func target(cluster string, state fleetv1.TargetState, told, well int) event.ReleaseTarget {
	t := event.ReleaseTarget{Cluster: cluster, State: string(state), MovedAt: at(told)}
	if well > 0 {
		t.AvailableAt = at(well)
	}
	return t
}

// released is the ledger's artifact n, made at minute n, released to prod.
func released(n int, phase fleetv1.Phase, started, ended int, targets ...event.ReleaseTarget) Release {
	return Release{Release: event.Release{
		Name: fmt.Sprintf("payments/ledger-%d-%d", n, started), Team: "payments", Service: "ledger", Environment: "prod", Artifact: fmt.Sprintf("main-%d", n),
		Intent: string(fleetv1.IntentRelease), Phase: string(phase), RequestedAt: at(started), StartedAt: at(started), FinishedAt: at(ended),
		Source: event.ArtifactSource{Created: at(n)}, Clusters: targets}}
}

func fine(n, started, ended int) Release {
	return released(n, fleetv1.PhaseSucceeded, started, ended,
		target("a", fleetv1.TargetAvailable, started, ended-1), target("z", fleetv1.TargetAvailable, started, ended))
}

func episode(cluster string, n, opened, resolved int) Episode {
	e := Episode{Cluster: cluster, Team: "payments", Service: "ledger", Artifact: fmt.Sprintf("main-%d", n), Opened: at(opened)}
	if resolved > 0 {
		e.Resolved = at(resolved)
	}
	return e
}

func minutes(count int, median, p90, most float64) *rest.Spread {
	return &rest.Spread{Count: count, Median: median * 60, P90: p90 * 60, Max: most * 60}
}

func TestDelivery(t *testing.T) {
	rollback := fine(10, 60, 70)
	rollback.Intent = string(fleetv1.IntentRollback)
	failed := released(20, fleetv1.PhaseFailed, 30, 45, target("a", fleetv1.TargetAvailable, 30, 35), target("z", fleetv1.TargetFailed, 30, 0))
	failed.FailedAt = at(40)
	back := released(20, fleetv1.PhaseRolledBack, 30, 45, target("a", fleetv1.TargetRolledBack, 30, 35), target("z", fleetv1.TargetRolledBack, 30, 0))
	back.FailedAt = at(40)
	unstarted := fine(10, 20, 30)
	unstarted.StartedAt = time.Time{}
	for name, test := range map[string]struct {
		facts Facts
		want  rest.DeliveryFigures
	}{
		"nothing was released": {},
		"a release that went well: its lead time ends when the last cluster has it": {
			facts: Facts{Releases: []Release{fine(10, 20, 30)}},
			want:  rest.DeliveryFigures{Deployments: 1, Succeeded: 1, PerDay: 1, LeadTime: minutes(1, 20, 20, 20)}},
		"an artifact that is deployed again has no lead time again": {
			facts: Facts{Releases: []Release{fine(10, 20, 30), fine(20, 40, 45), fine(10, 60, 70)}},
			want:  rest.DeliveryFigures{Deployments: 3, Succeeded: 3, PerDay: 3, LeadTime: minutes(2, 20, 25, 25)}},
		"a rollback is no deployment": {
			facts: Facts{Releases: []Release{fine(10, 20, 30), rollback}},
			want:  rest.DeliveryFigures{Deployments: 1, Succeeded: 1, PerDay: 1, LeadTime: minutes(1, 20, 20, 20)}},
		"what was refused, superseded, or is under way is none": {
			facts: Facts{Releases: []Release{unstarted, released(10, fleetv1.PhaseSuperseded, 20, 30), released(10, fleetv1.PhaseReleasing, 20, 30), released(10, fleetv1.PhaseRefused, 20, 30)}}},
		"what ended outside of the window is none": {
			facts: Facts{Releases: []Release{fine(10, 20, 24*60+1), fine(10, -20, -10)}}},
		"a release that failed lasts until the next one is healthy": {
			facts: Facts{Releases: []Release{failed, fine(50, 55, 70)}},
			want: rest.DeliveryFigures{Deployments: 2, Succeeded: 1, Failed: 1, PerDay: 1, FailureRate: 0.5, LeadTime: minutes(1, 20, 20, 20),
				TimeToRestore: minutes(1, 30, 30, 30)}},
		"a rollback by hand restores as any release does": {
			facts: Facts{Releases: []Release{failed, rollback}},
			want:  rest.DeliveryFigures{Deployments: 1, Failed: 1, FailureRate: 1, TimeToRestore: minutes(1, 30, 30, 30)}},
		"a release that failed and was not followed is not restored": {
			facts: Facts{Releases: []Release{failed}},
			want:  rest.DeliveryFigures{Deployments: 1, Failed: 1, FailureRate: 1, Unrestored: 1}},
		"a release that was rolled back is over when its clusters are back": {
			facts: Facts{Releases: []Release{back}},
			want:  rest.DeliveryFigures{Deployments: 1, Failed: 1, FailureRate: 1, TimeToRestore: minutes(1, 5, 5, 5)}},
		"where episodes tell, they say when it began and ended": {
			facts: Facts{Releases: []Release{back}, Episodes: []Episode{episode("z", 20, 35, 48), episode("a", 20, 36, 50)}},
			want:  rest.DeliveryFigures{Deployments: 1, Failed: 1, FailureRate: 1, TimeToRestore: minutes(1, 15, 15, 15)}},
		"an episode that opens later makes a failure of what had succeeded": {
			facts: Facts{Releases: []Release{fine(10, 20, 30)}, Episodes: []Episode{episode("a", 10, 50, 60)}},
			want: rest.DeliveryFigures{Deployments: 1, Succeeded: 1, Failed: 1, PerDay: 1, FailureRate: 1, LeadTime: minutes(1, 20, 20, 20),
				TimeToRestore: minutes(1, 10, 10, 10)}},
		"an episode that is open is not restored": {
			facts: Facts{Releases: []Release{fine(10, 20, 30)}, Episodes: []Episode{episode("a", 10, 50, 60), episode("z", 10, 50, 0)}},
			want: rest.DeliveryFigures{Deployments: 1, Succeeded: 1, Failed: 1, PerDay: 1, FailureRate: 1, LeadTime: minutes(1, 20, 20, 20),
				Unrestored: 1}},
		"episodes of others, of before, and of after the next release say nothing": {
			facts: Facts{Releases: []Release{fine(10, 20, 30), fine(15, 60, 65)}, Episodes: []Episode{
				episode("a", 10, 19, 0), episode("a", 10, 60, 0), episode("a", 11, 25, 0), episode("b", 10, 25, 0), {Cluster: "a", Team: "search", Service: "ledger", Artifact: "main-10", Opened: at(25)}}},
			want: rest.DeliveryFigures{Deployments: 2, Succeeded: 2, PerDay: 2, LeadTime: minutes(2, 20, 50, 50)}},
		"a release whose artifact says nothing of when it was made has no lead time": {
			facts: Facts{Releases: []Release{func() Release { r := fine(10, 20, 30); r.Source.Created = time.Time{}; return r }()}},
			want:  rest.DeliveryFigures{Deployments: 1, Succeeded: 1, PerDay: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Measure(test.facts, Query{From: day, Until: day.Add(24 * time.Hour)})
			if diff := cmp.Diff(test.want, got.All); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFiguresAreGrouped(t *testing.T) {
	failed := released(20, fleetv1.PhaseFailed, 30, 45, target("a", fleetv1.TargetAvailable, 30, 35), target("z", fleetv1.TargetFailed, 30, 0))
	failed.FailedAt = at(40)
	staging, index := fine(10, 15, 18), fine(10, 100, 110)
	staging.Environment, index.Team, index.Service = "staging", "search", "index"
	facts := Facts{Releases: []Release{fine(10, 20, 30), failed, staging, index}, Clouds: clouds}
	one := func(lead float64) rest.DeliveryFigures {
		return rest.DeliveryFigures{Deployments: 1, Succeeded: 1, PerDay: 1, LeadTime: minutes(1, lead, lead, lead)}
	}
	both := rest.DeliveryFigures{Deployments: 2, Succeeded: 1, Failed: 1, PerDay: 1, FailureRate: 0.5, LeadTime: minutes(1, 20, 20, 20), Unrestored: 1}
	for name, test := range map[string]struct {
		query Query
		want  []rest.DeliveryGroup
	}{
		"by service and environment": {Query{By: []string{"service", "environment"}}, []rest.DeliveryGroup{
			{Team: "payments", Service: "ledger", Environment: "prod", DeliveryFigures: both},
			{Team: "payments", Service: "ledger", Environment: "staging", DeliveryFigures: one(8)},
			{Team: "search", Service: "index", Environment: "prod", DeliveryFigures: one(100)}}},
		"by cloud: what failed on one has arrived on the other": {Query{By: []string{"cloud"}, Service: "ledger", Environment: "prod"}, []rest.DeliveryGroup{
			{Cloud: "AWS", DeliveryFigures: rest.DeliveryFigures{Deployments: 2, Succeeded: 2, PerDay: 2, LeadTime: minutes(2, 15, 19, 19)}},
			{Cloud: "Azure", DeliveryFigures: both}}},
		"of one cloud": {Query{By: []string{"team"}, Cloud: "azure", Team: "payments", Environment: "prod"}, []rest.DeliveryGroup{
			{Team: "payments", DeliveryFigures: both}}},
		"of a team": {Query{By: []string{"team"}, Team: "search"}, []rest.DeliveryGroup{{Team: "search", DeliveryFigures: one(100)}}},
		"of nobody": {Query{By: []string{"team"}, Team: "shop"}, []rest.DeliveryGroup{}},
	} {
		t.Run(name, func(t *testing.T) {
			test.query.From, test.query.Until = day, day.Add(24*time.Hour)
			got := Measure(facts, test.query)
			if diff := cmp.Diff(test.want, got.Items); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAReleaseThatNamesNoClusterFailedEverywhere(t *testing.T) {
	r := released(20, fleetv1.PhaseRolledBack, 30, 45, target("a", fleetv1.TargetRolledBack, 30, 35), target("z", fleetv1.TargetRolledBack, 30, 0))
	q := Query{From: day, Until: day.Add(24 * time.Hour), By: []string{"cloud"}}
	for _, g := range Measure(Facts{Releases: []Release{r}, Clouds: clouds}, q).Items {
		if g.Failed != 1 {
			t.Errorf("%s: %d failed, want 1", g.Cloud, g.Failed)
		}
	}
	r.Clusters[1].Reason = "CrashLoopBackOff"
	for _, g := range Measure(Facts{Releases: []Release{r}, Clouds: clouds}, q).Items {
		if want := g.Cloud == "Azure"; (g.Failed == 1) != want {
			t.Errorf("%s: %d failed, and the cluster of Azure did", g.Cloud, g.Failed)
		}
	}
}

func TestASpreadIsOfDurationsThatOccur(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Int64Range(0, 1_000), 1, 50).Draw(t, "seconds")
		var in []time.Duration
		for _, s := range all {
			in = append(in, time.Duration(s)*time.Second)
		}
		got := spread(in)
		below := func(limit float64) (n int) {
			for _, s := range all {
				if float64(s) <= limit {
					n++
				}
			}
			return n
		}
		if n := len(all); got.Count != n || below(got.Max) != n || 2*below(got.Median) < n || 10*below(got.P90) < 9*n || got.Median > got.P90 || got.P90 > got.Max {
			t.Fatalf("spread of %v = %+v", all, got)
		}
	})
}
