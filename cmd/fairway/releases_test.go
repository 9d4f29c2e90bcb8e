package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// terminal is a shell as the tests of output have it.
func terminal() *shell {
	return &shell{name: "fairway", now: func() time.Time { return now }, zone: time.UTC}
}

func TestWhatClustersWereToldToRun(t *testing.T) {
	moved := func(name, artifact string, ago time.Duration, targets ...fleetv1.Target) fleetv1.Release {
		return release(name, "prod", artifact, fleetv1.PhaseReleasing, ago, targets...)
	}
	for name, c := range map[string]struct {
		items []fleetv1.Release // newest first
		want  map[string]string
	}{
		"a cluster whose turn has not come stays on what it was told before": {
			[]fleetv1.Release{moved("b", artifactNew, time.Minute, target("x", fleetv1.TargetAvailable), target("y", fleetv1.TargetWaiting)),
				moved("a", artifactOld, time.Hour, target("x", fleetv1.TargetAvailable), target("y", fleetv1.TargetAvailable))},
			map[string]string{"x": artifactNew, "y": artifactOld}},
		"one that failed was told all the same": {
			[]fleetv1.Release{moved("b", artifactNew, time.Minute, target("x", fleetv1.TargetFailed), target("y", fleetv1.TargetUnknown))},
			map[string]string{"x": artifactNew, "y": artifactNew}},
		"one that was taken back is on what it had before": {
			[]fleetv1.Release{moved("b", artifactNew, time.Minute, target("x", fleetv1.TargetRolledBack))}, map[string]string{"x": artifactOld}},
		"another environment says nothing": {[]fleetv1.Release{release("b", "staging", artifactNew, fleetv1.PhaseSucceeded, time.Minute, target("x", fleetv1.TargetAvailable))},
			map[string]string{}},
		"what was refused has moved nothing": {[]fleetv1.Release{release("b", "prod", artifactNew, fleetv1.PhaseRefused, time.Minute)}, map[string]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, told(c.items, "prod")); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatARollbackGoesBackTo(t *testing.T) {
	on := func(name, artifact string, phase fleetv1.Phase) fleetv1.Release {
		return release(name, "prod", artifact, phase, time.Hour, target("x", fleetv1.TargetAvailable))
	}
	a, b := on("1", artifactOld, fleetv1.PhaseSucceeded), on("2", artifactNew, fleetv1.PhaseSucceeded)
	last := on("0", artifactLast, fleetv1.PhaseSucceeded)
	for name, c := range map[string]struct {
		items []fleetv1.Release // newest first
		want  string            // name of the Release; "" for none
	}{
		"the artifact before the one that succeeded last":       {[]fleetv1.Release{b, a, last}, "1"},
		"nothing was before the first one":                      {[]fleetv1.Release{a}, ""},
		"nothing was there at all":                              {nil, ""},
		"one that failed is gone back from to what succeeded":   {[]fleetv1.Release{on("3", artifactLast, fleetv1.PhaseFailed), b, a}, "2"},
		"so is one that is under way":                           {[]fleetv1.Release{on("3", artifactLast, fleetv1.PhaseReleasing), b, a}, "2"},
		"one that was rolled back by itself does not count":     {[]fleetv1.Release{on("3", artifactLast, fleetv1.PhaseRolledBack), b, a}, "1"},
		"nor one that was refused, waits or was superseded":     {[]fleetv1.Release{on("5", "x", fleetv1.PhaseRefused), on("4", "x", ""), on("3", "x", fleetv1.PhaseSuperseded), b, a}, "1"},
		"the same artifact released once more is no way back":   {[]fleetv1.Release{on("3", artifactNew, fleetv1.PhaseSucceeded), b, a}, "1"},
		"after a rollback it goes further back, not forth":      {[]fleetv1.Release{rollback(on("3", artifactOld, fleetv1.PhaseSucceeded)), b, a, last}, "0"},
		"after two of them still further":                       {[]fleetv1.Release{rollback(on("4", artifactLast, fleetv1.PhaseSucceeded)), rollback(on("3", artifactOld, fleetv1.PhaseSucceeded)), b, a, last}, ""},
		"after a rollback and a release it is one step again":   {[]fleetv1.Release{on("4", "main-new0new-0new", fleetv1.PhaseSucceeded), rollback(on("3", artifactOld, fleetv1.PhaseSucceeded)), b, a, last}, "1"},
		"what only failed in between is not gone back to":       {[]fleetv1.Release{b, on("1b", artifactLast, fleetv1.PhaseFailed), a}, "1"},
		"a rollback to what is not in the record ends the walk": {[]fleetv1.Release{rollback(on("3", "main-gone000-0000", fleetv1.PhaseSucceeded)), b, a}, "2"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if r := previous(c.items); r != nil {
				got = r.Name
			}
			if got != c.want {
				t.Errorf("back to %q, want %q", got, c.want)
			}
		})
	}
}

// TestRollbacksEnd: each rollback that succeeds is followed by one to something that succeeded before, until
// there is none.
func TestRollbacksEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		phases := []fleetv1.Phase{fleetv1.PhaseSucceeded, fleetv1.PhaseFailed, fleetv1.PhaseRolledBack, fleetv1.PhaseRefused, fleetv1.PhaseSuperseded}
		var items []fleetv1.Release
		succeeded := map[string]bool{}
		for range rapid.IntRange(0, 12).Draw(t, "releases") {
			r := release("r", "prod", rapid.SampledFrom([]string{artifactNew, artifactOld, artifactLast}).Draw(t, "artifact"), rapid.SampledFrom(phases).Draw(t, "phase"), 0)
			items = append([]fleetv1.Release{r}, items...)
			succeeded[r.Spec.Artifact] = succeeded[r.Spec.Artifact] || r.Status.Phase == fleetv1.PhaseSucceeded
		}
		for n := 0; ; n++ {
			back := previous(items)
			if back == nil {
				return
			}
			if !succeeded[back.Spec.Artifact] || n > 12 {
				t.Fatalf("rollback %d goes to %s, of %v", n, back.Spec.Artifact, succeeded)
			}
			items = append([]fleetv1.Release{rollback(release("r", "prod", back.Spec.Artifact, fleetv1.PhaseSucceeded, 0))}, items...)
		}
	})
}

func TestWhatAPromotionTakes(t *testing.T) {
	staging := promotionPath()[2]
	staging.Status.Clusters = []fleetv1.EnvironmentCluster{{ID: "x"}, {ID: "y"}}
	on := func(artifact string, phase fleetv1.Phase, targets ...fleetv1.Target) fleetv1.Release {
		return release("r", "staging", artifact, phase, time.Hour, targets...)
	}
	x, y := target("x", fleetv1.TargetAvailable), target("y", fleetv1.TargetAvailable)
	for name, c := range map[string]struct {
		items  []fleetv1.Release
		chosen string // --artifact
		want   string
		err    string
	}{
		"what all clusters run": {items: []fleetv1.Release{on(artifactNew, fleetv1.PhaseSucceeded, x, y), on(artifactOld, fleetv1.PhaseSucceeded, x, y)}, want: artifactNew},
		"not what waits or was refused there": {items: []fleetv1.Release{on(artifactLast, fleetv1.PhasePending), on("x", fleetv1.PhaseRefused),
			on(artifactNew, fleetv1.PhaseSucceeded, x, y)}, want: artifactNew},
		"two artifacts are named, and those that can be chosen": {items: []fleetv1.Release{on(artifactNew, fleetv1.PhaseFailed, x, target("y", fleetv1.TargetWaiting)), on(artifactOld, fleetv1.PhaseSucceeded, x, y)},
			err: "promote payments/ledger from staging: its clusters do not run the same: main-4f1c9d2-a81b on x and main-81aa03e-77c0 on y ► choose what goes to prod: --artifact main-81aa03e-77c0"},
		"a cluster that runs nothing is named": {items: []fleetv1.Release{on(artifactNew, fleetv1.PhaseSucceeded, x)},
			err: "promote payments/ledger from staging: its clusters do not run the same: nothing on y and main-4f1c9d2-a81b on x ► choose what goes to prod: --artifact main-4f1c9d2-a81b"},
		"a chosen one is taken": {items: []fleetv1.Release{on(artifactNew, fleetv1.PhaseFailed, x, y), on(artifactOld, fleetv1.PhaseSucceeded, x, y)}, chosen: artifactOld, want: artifactOld},
		"one that never succeeded there is not": {items: []fleetv1.Release{on(artifactNew, fleetv1.PhaseFailed, x, y), on(artifactOld, fleetv1.PhaseSucceeded, x, y)}, chosen: artifactNew,
			err: `find artifact that succeeded in staging "main-4f1c9d2-a81b": there is none of that name ► list them: fairway history payments/ledger --env staging`},
		"what runs everywhere and failed is not promoted": {items: []fleetv1.Release{on(artifactNew, fleetv1.PhaseFailed, x, y), on(artifactOld, fleetv1.PhaseSucceeded, x, y)},
			err: "promote payments/ledger from staging: main-4f1c9d2-a81b runs there, and has not succeeded ► wait until it has, or look: fairway history payments/ledger --env staging"},
		"nothing was released there": {err: "promote payments/ledger from staging: no release of it has succeeded there ► what was tried: fairway history payments/ledger --env staging"},
		"a cluster that left does not count": {items: []fleetv1.Release{on(artifactNew, fleetv1.PhaseSucceeded, x, y), on(artifactOld, fleetv1.PhaseSucceeded, target("gone", fleetv1.TargetAvailable))},
			want: artifactNew},
	} {
		t.Run(name, func(t *testing.T) {
			v := &promoteVerb{asking: asking{sh: terminal()}, to: "prod", artifact: c.chosen}
			got, err := v.runs(serviceID{"payments", "ledger"}, c.items, &staging)
			text := ""
			if err != nil {
				message, fix := explain(err)
				text = message + " ► " + fix
			}
			if got != c.want || text != c.err {
				t.Errorf("got %q, %s\nwant %q, %s", got, text, c.want, c.err)
			}
		})
	}
}

func TestEnvironmentsComeInTheOrderOfPromotion(t *testing.T) {
	circle := promotionPath()
	circle[1].Spec.PromotesFrom = &fleetv1.PromotionPath{Environment: "prod"}
	for name, items := range map[string][]fleetv1.Environment{"a path": promotionPath(), "a circle ends": circle} {
		var got []string
		for _, e := range inOrder(items) {
			got = append(got, e.Name)
		}
		if len(got) != 3 || name == "a path" && strings.Join(got, " ") != "dev staging prod" {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestReleaseOutputs(t *testing.T) {
	sh := terminal()
	on := func(cluster, artifact string, s rest.Status, ready int32) rest.ServiceCluster {
		return rest.ServiceCluster{Cluster: cluster, Environment: "prod", Cloud: "AWS", Status: s, Artifact: artifact, Desired: 5, Ready: ready,
			Since: before(9 * time.Minute), AsOf: before(14 * time.Minute)}
	}
	running := &rest.Service{Team: "payments", Name: "ledger", Clusters: []rest.ServiceCluster{
		on(awsCluster, artifactOld, rest.Progressing, 3), on(azureCluster, artifactNew, rest.Unknown, 5)}}
	full := sight{service: serviceID{"payments", "ledger"}, releases: record(), order: inOrder(promotionPath()), running: running}
	blind := full
	blind.running = nil
	one := full
	one.only, one.order = []string{"staging"}, nil
	policies := policyDocument([]fleetv1.ReleasePolicy{policyOfLedger()}, promotionPath())
	simulation := simulationDocument(serviceID{"payments", "ledger"}, "main", simulated())
	for name, c := range map[string]struct {
		d document
		f format
	}{
		"history.txt":          {releaseDocument(sh, record()), formatTable},
		"history-wide.txt":     {releaseDocument(sh, record()), formatWide},
		"history-name.txt":     {releaseDocument(sh, record()), formatName},
		"history.yaml":         {releaseDocument(sh, record()[:1]), formatYAML},
		"status.txt":           {statusDocument(sh, full.state(true)), formatTable},
		"status-wide.txt":      {statusDocument(sh, full.state(true)), formatWide},
		"status.json":          {statusDocument(sh, full.state(true)), formatJSON},
		"status-name.txt":      {statusDocument(sh, full.state(true)), formatName},
		"status-blind.txt":     {statusDocument(sh, blind.state(false)), formatTable},
		"status-staging.txt":   {statusDocument(sh, one.state(true)), formatTable},
		"policy-list.txt":      {policies, formatTable},
		"policy-list-name.txt": {policies, formatName},
		"policy-simulate.txt":  {simulation, formatTable},
		"policy-simulate.json": {simulation, formatJSON},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := (&output{format: c.f}).print(&out, sh, c.d); err != nil {
				t.Fatal(err)
			}
			golden(t, name, out.String())
		})
	}
	var out bytes.Buffer
	if err := writeSimulation(&out, serviceID{"payments", "ledger"}, "main", simulated()); err != nil {
		t.Fatal(err)
	}
	golden(t, "policy-simulate.md", out.String())
}
