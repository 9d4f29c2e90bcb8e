package policy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

func environmentOf(name string, changes ...func(*fleetv1.EnvironmentSpec)) fleetv1.Environment {
	out := fleetv1.Environment{ObjectMeta: metav1.ObjectMeta{Name: name}}
	for _, change := range changes {
		change(&out.Spec)
	}
	return out
}

func only(branches string) func(*fleetv1.EnvironmentSpec) {
	return func(s *fleetv1.EnvironmentSpec) { s.Branches = branches }
}

func after(environment string) func(*fleetv1.EnvironmentSpec) {
	return func(s *fleetv1.EnvironmentSpec) {
		s.PromotesFrom = &fleetv1.PromotionPath{Environment: environment, HealthyFor: lasting(10 * time.Minute)}
	}
}

func automatic(pairs ...string) func(*fleetv1.ReleasePolicy) {
	return func(p *fleetv1.ReleasePolicy) {
		for i := 0; i < len(pairs); i += 2 {
			p.Spec.AutoRelease = append(p.Spec.AutoRelease, fleetv1.AutoRelease{Branch: pairs[i], Environment: pairs[i+1]})
		}
	}
}

func made(id, branch string, ago time.Duration) Artifact {
	created := at(ago)
	return Artifact{ID: id, Source: fleetv1.ArtifactSource{Branch: branch, Created: &created}}
}

// autoCase has the policy "main to staging", an environment that lets it in, and two artifacts of which nothing was asked for.
func autoCase() AutoInput {
	p := policy("auto", automatic("main", "staging"))
	return AutoInput{
		Policy:       &p,
		Artifacts:    map[string][]Artifact{"main": {made("main-2", "main", time.Minute), made("main-1", "main", time.Hour)}},
		Environments: []fleetv1.Environment{environmentOf("staging"), environmentOf("prod", after("staging"))},
		Now:          now,
	}
}

func TestAutoReleases(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*AutoInput)
		want   []string // "artifact to environment"
		after  time.Duration
	}{
		"the newest artifact of the branch is asked for": {want: []string{"main-2 to staging"}},
		"and of no other branch":                         {change: func(in *AutoInput) { in.Artifacts = map[string][]Artifact{"feature": in.Artifacts["main"]} }},
		"an older one was asked for, which is no matter": {change: asked("main-1", "staging", fleetv1.PhaseReleasing), want: []string{"main-2 to staging"}},
		"what succeeded is not asked for again":          {change: asked("main-2", "staging", fleetv1.PhaseSucceeded)},
		"nor what failed":                                {change: asked("main-2", "staging", fleetv1.PhaseFailed)},
		"nor what was refused":                           {change: asked("main-2", "staging", fleetv1.PhaseRefused)},
		"nor what was rolled back by hand": {change: func(in *AutoInput) {
			asked("main-2", "staging", fleetv1.PhaseSucceeded)(in)
			in.Releases = append(in.Releases, *release("back", 0, of("main-1", "staging"), rollback, phase(fleetv1.PhaseSucceeded)))
		}},
		"what was asked for elsewhere is": {change: asked("main-2", "prod", fleetv1.PhaseSucceeded), want: []string{"main-2 to staging"}},
		"what another service has asked for is no matter": {change: func(in *AutoInput) {
			asked("main-2", "staging", fleetv1.PhaseSucceeded)(in)
			in.Releases[0].Spec.Service = "other"
		}, want: []string{"main-2 to staging"}},
		"an older artifact does not come back when newer ones are gone": {change: func(in *AutoInput) {
			asked("main-3", "staging", fleetv1.PhaseSucceeded)(in)
			created := at(0)
			in.Releases[0].Status.Source = fleetv1.ArtifactSource{Branch: "main", Created: &created}
		}},
		"a newer one of another branch is no matter": {change: func(in *AutoInput) {
			asked("feature-3", "staging", fleetv1.PhaseSucceeded)(in)
			created := at(0)
			in.Releases[0].Status.Source = fleetv1.ArtifactSource{Branch: "feature", Created: &created}
		}, want: []string{"main-2 to staging"}},
		"an artifact that is no good is not asked for, nor an older one": {change: func(in *AutoInput) { in.Artifacts["main"][0].Problem = &Problem{Reason: fleetv1.ReasonArtifactInvalid} }},
		"an environment that is not there is none":                       {change: func(in *AutoInput) { in.Environments = nil }},
		"what the environment does not let in is not asked for":          {change: func(in *AutoInput) { in.Environments[0].Spec.Branches = "v1" }},
		"nor what the team does not":                                     {change: func(in *AutoInput) { in.Policy.Spec.Branches = branchesOf("staging", "v1") }},
		"a freeze holds it, and asks to be woken when it ends": {change: func(in *AutoInput) {
			in.Environments[0].Spec.Freezes = []fleetv1.Freeze{freezeFor("now", 0, time.Hour), freezeFor("then", time.Hour, 2*time.Hour)}
		}, after: 2 * time.Hour},
		"on a promotion path it waits until the environment before has it": {change: func(in *AutoInput) { automatic("main", "prod")(in.Policy) }, want: []string{"main-2 to staging"}},
		"and is asked for then": {change: func(in *AutoInput) {
			automatic("main", "prod")(in.Policy)
			asked("main-2", "staging", fleetv1.PhaseSucceeded)(in)
		}, want: []string{"main-2 to prod"}},
	} {
		t.Run(name, func(t *testing.T) {
			in := autoCase()
			if tc.change != nil {
				tc.change(&in)
			}
			all, after := AutoReleases(in)
			var got []string
			for _, a := range all {
				got = append(got, a.Spec.Artifact+" to "+a.Spec.Environment)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || after != tc.after {
				t.Errorf("after %s: %s", after, diff)
			}
		})
	}
}

func asked(artifact, environment string, is fleetv1.Phase) func(*AutoInput) {
	return func(in *AutoInput) {
		in.Releases = append(in.Releases, *release("before", time.Hour, of(artifact, environment), phase(is)))
	}
}

// What is asked for says who asked and where that is written, under a name that is the same each time.
func TestWhatAnAutoReleaseAsksFor(t *testing.T) {
	want := []Asked{{Name: "ledger-dfc29064f2", Spec: fleetv1.ReleaseSpec{Service: "ledger", Artifact: "main-2", Environment: "staging", Intent: fleetv1.IntentAutoRelease,
		RequestedBy: "policy:payments/auto", Message: "ReleasePolicy payments/auto, spec.autoRelease: branch main to staging"}}}
	got, _ := AutoReleases(autoCase())
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestContradictions(t *testing.T) {
	environments := []fleetv1.Environment{environmentOf("staging"), environmentOf("prod", only("main"))}
	for name, tc := range map[string]struct {
		policy fleetv1.ReleasePolicy
		want   []string
	}{
		"what both let in contradicts nothing": {policy: policy("p", automatic("main", "prod", "feature", "staging"), func(p *fleetv1.ReleasePolicy) { p.Spec.Branches = branchesOf("prod", "m.*") })},
		"what the environment does not let in": {policy: policy("p", automatic("feature", "prod")),
			want: []string{`ReleasePolicy payments/p, spec.autoRelease releases branch feature to prod, and Environment prod, spec.branches: branch feature does not match "main"; release an artifact of a branch that does`}},
		"what the policy itself does not let in": {policy: policy("p", automatic("feature", "staging"), func(p *fleetv1.ReleasePolicy) { p.Spec.Branches = branchesOf("staging", "main") }),
			want: []string{`ReleasePolicy payments/p, spec.autoRelease releases branch feature to staging, and ReleasePolicy payments/p, spec.branches[staging]: branch feature does not match "main"; release an artifact of a branch that does`}},
		"an environment that is not there": {policy: policy("p", automatic("main", "qa"), func(p *fleetv1.ReleasePolicy) { p.Spec.Branches = branchesOf("qa", "main") }),
			want: []string{"ReleasePolicy payments/p, spec.autoRelease releases branch main to qa: there is no Environment qa",
				"ReleasePolicy payments/p, spec.branches[qa] narrows what Environment qa lets in: there is no Environment qa"}},
		"a pattern that is none": {policy: policy("p", func(p *fleetv1.ReleasePolicy) { p.Spec.Branches = branchesOf("prod", "(") }),
			want: []string{"ReleasePolicy payments/p, spec.branches[prod] lets nothing in to Environment prod: error parsing regexp: missing closing ): `(`"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, Contradictions(&tc.policy, environments)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func simulation() SimulateInput {
	return SimulateInput{Team: "payments", Service: "ledger", Branch: "main", Now: now,
		Environments: []fleetv1.Environment{
			environmentOf("a-prod", after("staging"), only("main"), func(s *fleetv1.EnvironmentSpec) {
				s.Approvals.Required = 2
				s.Freezes = []fleetv1.Freeze{freezeFor("christmas", -time.Hour, time.Hour)}
				s.Waves = []fleetv1.Wave{{Name: "none", ClusterSelector: selecting("none")}, {Name: "canary", ClusterSelector: selecting("canary"), Soak: lasting(soak)}}
			}),
			environmentOf("staging", after("dev")), environmentOf("dev"), environmentOf("sandbox", only("play/.*")),
		},
		Policies: []fleetv1.ReleasePolicy{policy("auto", automatic("main", "staging", "feature", "dev"))},
		Clusters: map[string][]Cluster{"a-prod": {labelled("p1", "canary"), labelled("p2", "")}, "staging": {labelled("s1", "")}, "dev": {labelled("d1", "")}, "sandbox": {labelled("x1", "")}},
	}
}

func wave(clusters ...string) []Wave {
	return []Wave{{Name: "others", Clusters: clusters, MaxConcurrent: len(clusters)}}
}

func TestSimulate(t *testing.T) {
	want := []Simulated{
		{Environment: "dev", Outcome: ByHand, Messages: []string{}, Waves: wave("d1")},
		{Environment: "sandbox", Outcome: Refused, Reason: fleetv1.ReasonBranchNotAllowed,
			Messages: []string{`Environment sandbox, spec.branches: branch main does not match "play/.*"; release an artifact of a branch that does`}, Waves: wave("x1")},
		{Environment: "staging", Outcome: Auto, Messages: []string{"ReleasePolicy payments/auto, spec.autoRelease: it is asked for as soon as the rules let it in",
			"Environment staging, spec.promotesFrom: it must have been healthy in dev for 10m0s"}, Waves: wave("s1")},
		{Environment: "a-prod", Outcome: ByHand, Messages: []string{"Environment a-prod, spec.promotesFrom: it must have been healthy in staging for 10m0s",
			"Environment a-prod, spec.freezes: frozen by christmas until 2026-11-28T21:00:00Z", "Environment a-prod, spec.approvals: 2 other than the one who asks must approve"},
			Waves: []Wave{{Name: "canary", Clusters: []string{"p1"}, MaxConcurrent: 1, Soak: soak}, {Name: "others", Clusters: []string{"p2"}, MaxConcurrent: 1}}},
	}
	got, err := Simulate(simulation())
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

// What keeps a branch out of an environment keeps it out of those after it.
func TestSimulateWhatIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*SimulateInput)
		want   string // by environment: "dev ByHand", "staging NotPromotable"
	}{
		"a branch that the first does not let in goes nowhere": {change: func(in *SimulateInput) { in.Environments[2].Spec.Branches = "v1" },
			want: "dev BranchNotAllowed, sandbox BranchNotAllowed, staging NotPromotable, a-prod NotPromotable, "},
		"the team's pattern counts as well": {change: func(in *SimulateInput) { in.Policies[0].Spec.Branches = branchesOf("a-prod", "v1") },
			want: "dev ByHand, sandbox BranchNotAllowed, staging Auto, a-prod BranchNotAllowed, "},
		"a path that begins nowhere leads nowhere": {change: func(in *SimulateInput) { in.Environments[1].Spec.PromotesFrom.Environment = "qa" },
			want: "dev ByHand, sandbox BranchNotAllowed, staging NotPromotable, a-prod NotPromotable, "},
		"a path that leads back does neither": {change: func(in *SimulateInput) { in.Environments[1].Spec.PromotesFrom.Environment = "a-prod" },
			want: "dev ByHand, sandbox BranchNotAllowed, a-prod NotPromotable, staging NotPromotable, "},
		"where no cluster is, nothing is healthy": {change: func(in *SimulateInput) { in.Clusters["staging"] = nil },
			want: "dev ByHand, sandbox BranchNotAllowed, staging NoClusters, a-prod NotPromotable, "},
		"a service that cannot be one goes nowhere": {change: func(in *SimulateInput) { in.Service = "Ledger" },
			want: "dev ServiceInvalid, sandbox ServiceInvalid, staging ServiceInvalid, a-prod ServiceInvalid, "},
	} {
		t.Run(name, func(t *testing.T) {
			in := simulation()
			tc.change(&in)
			all, err := Simulate(in)
			var got string
			for _, s := range all {
				if s.Outcome == Refused {
					got += s.Environment + " " + s.Reason + ", "
					continue
				}
				got += s.Environment + " " + string(s.Outcome) + ", "
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
}

// A simulation that cannot read the waves of an environment says which.
func TestSimulateNamesTheEnvironmentThatItCannotRead(t *testing.T) {
	in := simulation()
	in.Environments[1].Spec.Waves = []fleetv1.Wave{{Name: "w", ClusterSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}}}
	_, err := Simulate(in)
	if want := `simulate Environment staging: read clusterSelector of wave w: "Near" is not a valid label selector operator`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
