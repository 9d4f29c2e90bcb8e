package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

const (
	asker  = "dev@example.com"
	wanted = "main-4f1c9d2-a81b"
	older  = "main-0000001-0001"
)

var now = time.Date(2026, 11, 28, 20, 0, 0, 0, time.UTC)

func at(ago time.Duration) metav1.Time { return metav1.NewTime(now.Add(-ago)) }

func lasting(d time.Duration) metav1.Duration { return metav1.Duration{Duration: d} }

// release makes Releases of payments/ledger to prod that were asked for a while ago.
func release(name string, ago time.Duration, changes ...func(*fleetv1.Release)) *fleetv1.Release {
	out := &fleetv1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: name, CreationTimestamp: at(ago)},
		Spec: fleetv1.ReleaseSpec{Service: "ledger", Artifact: wanted, Environment: "prod", Intent: fleetv1.IntentRelease, RequestedBy: asker}}
	for _, change := range changes {
		change(out)
	}
	return out
}

func of(artifact, environment string) func(*fleetv1.Release) {
	return func(r *fleetv1.Release) { r.Spec.Artifact, r.Spec.Environment = artifact, environment }
}

func phase(is fleetv1.Phase) func(*fleetv1.Release) {
	return func(r *fleetv1.Release) { r.Status.Phase = is }
}

func rollback(r *fleetv1.Release) { r.Spec.Intent = fleetv1.IntentRollback }

func approvedBy(people ...string) func(*fleetv1.Release) {
	return func(r *fleetv1.Release) {
		for _, by := range people {
			r.Spec.Approvals = append(r.Spec.Approvals, fleetv1.Approval{By: by, At: at(time.Minute)})
		}
	}
}

// healthy runs an artifact in health since a while ago.
func healthy(artifact string, ago time.Duration) Rollout {
	return Rollout{Known: true, AsOf: now, Artifact: artifact, Applied: true, Available: true, Since: now.Add(-ago)}
}

func origin(id, artifact string, r Rollout) OriginCluster {
	return OriginCluster{ID: id, Pointer: Pointer{State: Ours, Artifact: artifact, Release: "payments/before"}, Rollout: r}
}

func freezeFor(name string, from, to time.Duration) fleetv1.Freeze {
	return fleetv1.Freeze{Name: name, From: metav1.NewTime(now.Add(from)), To: metav1.NewTime(now.Add(to))}
}

// admissible is a Release that meets every rule there is, and breaks none.
func admissible() AdmitInput {
	return AdmitInput{
		Release: release("ledger-2", time.Minute, approvedBy("lead@example.com")),
		Environment: &fleetv1.Environment{ObjectMeta: metav1.ObjectMeta{Name: "prod"}, Spec: fleetv1.EnvironmentSpec{
			PromotesFrom: &fleetv1.PromotionPath{Environment: "staging", HealthyFor: lasting(10 * time.Minute)},
			Branches:     "main",
			Approvals:    fleetv1.Approvals{Required: 1},
			Freezes:      []fleetv1.Freeze{freezeFor("last", -2*time.Hour, 0), freezeFor("next", time.Hour, 2*time.Hour)},
		}},
		Policies: []fleetv1.ReleasePolicy{
			policy("ledger", func(p *fleetv1.ReleasePolicy) { p.Spec.Branches = branchesOf("prod", "main") }),
			policy("other", func(p *fleetv1.ReleasePolicy) {
				p.Spec.Service, p.Spec.Branches = "other", branchesOf("prod", "nothing")
			}),
		},
		Artifact: Artifact{ID: wanted, Digest: "sha256:a81b", Source: fleetv1.ArtifactSource{Branch: "main"}},
		Origin:   Origin{Found: true, Clusters: []OriginCluster{origin("staging-1", wanted, healthy(wanted, time.Hour)), origin("staging-2", wanted, healthy(wanted, 10*time.Minute))}},
		Others:   []fleetv1.Release{*release("ledger-1", time.Hour, of(older, "prod"), phase(fleetv1.PhaseSucceeded)), *release("ledger-3", 0, phase(fleetv1.PhaseRefused))},
		Now:      now,
	}
}

func policy(name string, changes ...func(*fleetv1.ReleasePolicy)) fleetv1.ReleasePolicy {
	out := fleetv1.ReleasePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: name}, Spec: fleetv1.ReleasePolicySpec{Service: "ledger"}}
	for _, change := range changes {
		change(&out)
	}
	return out
}

func branchesOf(environment, pattern string) map[string]fleetv1.BranchPattern {
	return map[string]fleetv1.BranchPattern{environment: fleetv1.BranchPattern(pattern)}
}

// breach breaks one rule.
type breach struct {
	rule   string
	breaks func(*AdmitInput)
	word   Word
	reason string
	place  string // that the message names
}

// breaches of all rules, in the order of their ranks.
func breaches() []breach {
	return []breach{
		{"superseded", func(in *AdmitInput) {
			newer := release("ledger-9", 0, phase(fleetv1.PhaseReleasing))
			newer.Spec.Service = in.Release.Spec.Service
			in.Others = append(in.Others, *newer)
		}, Refuse, fleetv1.ReasonSuperseded, "Release payments/ledger-9"},
		{"suspended", func(in *AdmitInput) { in.Release.Spec.Suspend = true }, Wait, fleetv1.ReasonSuspended, "Release payments/ledger-2, spec.suspend"},
		{"service", func(in *AdmitInput) { in.Release.Spec.Service = strings.Repeat("l", 55) }, Refuse, fleetv1.ReasonServiceInvalid, "spec.service"},
		{"environment", func(in *AdmitInput) { in.Environment = nil }, Refuse, fleetv1.ReasonEnvironmentNotFound, "spec.environment"},
		{"artifact", func(in *AdmitInput) {
			in.Artifact.Problem = &Problem{Reason: fleetv1.ReasonArtifactNotFound, Message: "the registry has no " + wanted}
		}, Refuse, fleetv1.ReasonArtifactNotFound, "spec.artifact"},
		{"branches", func(in *AdmitInput) { in.Environment.Spec.Branches = "release/.*" }, Refuse, fleetv1.ReasonBranchNotAllowed, "Environment prod, spec.branches"},
		{"the team's branches", func(in *AdmitInput) { in.Policies[0].Spec.Branches = branchesOf("prod", "v[0-9]+") }, Refuse, fleetv1.ReasonBranchNotAllowed,
			"ReleasePolicy payments/ledger, spec.branches[prod]"},
		{"nothing before", func(in *AdmitInput) { in.Release.Spec.Intent = fleetv1.IntentRollback }, Refuse, fleetv1.ReasonNothingBefore, "spec.intent Rollback"},
		{"promotion path", func(in *AdmitInput) { in.Origin.Clusters[0].Pointer.Artifact = older }, Refuse, fleetv1.ReasonNotPromotable,
			"Environment prod, spec.promotesFrom: " + wanted + " is not what runs"},
		{"freeze", func(in *AdmitInput) {
			in.Environment.Spec.Freezes = append(in.Environment.Spec.Freezes, freezeFor("christmas", -time.Hour, time.Hour))
		}, Refuse, fleetv1.ReasonFrozen, "Environment prod, spec.freezes"},
		{"waves", func(in *AdmitInput) {
			in.Environment.Spec.Waves = []fleetv1.Wave{{Name: "canary", ClusterSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}}}}
		}, Wait, fleetv1.ReasonWavesInvalid, "Environment prod, spec.waves"},
		{"registry", func(in *AdmitInput) {
			in.Artifact.Problem = &Problem{Reason: fleetv1.ReasonArtifactsAway, Message: "connection refused"}
		}, Wait, fleetv1.ReasonArtifactsAway, "Fleet default, spec.artifacts"},
		{"soak on the promotion path", func(in *AdmitInput) { in.Origin.Clusters[1].Rollout.Since = now.Add(-9 * time.Minute) }, Wait, fleetv1.ReasonPromotionSoaking,
			"Environment prod, spec.promotesFrom.healthyFor"},
		{"approvals", func(in *AdmitInput) { in.Release.Spec.Approvals = nil }, Wait, fleetv1.ReasonApprovalMissing, "Environment prod, spec.approvals"},
	}
}

func TestWhatBreaksNoRuleGoesOn(t *testing.T) {
	want := Verdict{Word: GoOn, Reason: fleetv1.ReasonAdmitted, Message: wanted + " may be released to prod"}
	if diff := cmp.Diff(want, Admit(admissible())); diff != "" {
		t.Error(diff)
	}
}

// Every rule speaks when it alone is broken; and of each two that are, the one of higher rank does.
func TestOfTwoBrokenRulesTheFirstSpeaks(t *testing.T) {
	all := breaches()
	if len(all) != len(rules) {
		t.Fatalf("%d of %d rules are tried", len(all), len(rules))
	}
	for i, first := range all {
		for _, second := range all[i:] {
			t.Run(first.rule+" before "+second.rule, func(t *testing.T) {
				in := admissible()
				second.breaks(&in)
				first.breaks(&in)
				v := Admit(in)
				if v.Word != first.word || v.Reason != first.reason || !strings.Contains(v.Message, first.place) {
					t.Errorf("%s should speak, and this does: %+v", first.rule, v)
				}
				if v.Word == Refuse && v.After != 0 {
					t.Errorf("it is final, and asks to be looked at again: %+v", v)
				}
			})
		}
	}
}

// What a rule says, and until when.
func TestAdmit(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*AdmitInput)
		want   Verdict
	}{
		"who asked is not one of those who approve": {func(in *AdmitInput) { in.Release.Spec.Approvals = nil; approvedBy(asker)(in.Release) },
			Verdict{Word: Wait, Reason: fleetv1.ReasonApprovalMissing, After: time.Hour,
				Message: "Environment prod, spec.approvals: 1 more must approve, other than dev@example.com who asked (nobody has yet): fairway approve payments/ledger-2"}},
		"nobody counts twice": {func(in *AdmitInput) {
			in.Environment.Spec.Approvals.Required = 2
			approvedBy("lead@example.com", asker)(in.Release)
		}, Verdict{Word: Wait, Reason: fleetv1.ReasonApprovalMissing, After: time.Hour,
			Message: "Environment prod, spec.approvals: 1 more must approve, other than dev@example.com who asked (approved by lead@example.com): fairway approve payments/ledger-2"}},
		"a policy that asked needs as many people": {func(in *AdmitInput) { in.Release.Spec.RequestedBy = "policy:payments/ledger" },
			Verdict{Word: GoOn, Reason: fleetv1.ReasonAdmitted, Message: wanted + " may be released to prod"}},
		"a freeze says until when, over those that follow each other": {func(in *AdmitInput) {
			in.Environment.Spec.Freezes = []fleetv1.Freeze{freezeFor("audit", time.Hour, 3*time.Hour), freezeFor("christmas", 0, 2*time.Hour)}
		}, Verdict{Word: Refuse, Reason: fleetv1.ReasonFrozen,
			Message: "Environment prod, spec.freezes: frozen by christmas, audit until 2026-11-28T23:00:00Z, but for rollbacks; ask again after that"}},
		"a freeze is over at its end": {func(in *AdmitInput) { in.Environment.Spec.Freezes = []fleetv1.Freeze{freezeFor("over", -time.Hour, 0)} },
			Verdict{Word: GoOn, Reason: fleetv1.ReasonAdmitted, Message: wanted + " may be released to prod"}},
		"a rollback passes promotion path, freeze and approvals": {func(in *AdmitInput) {
			rollback(in.Release)
			in.Release.Spec.Approvals, in.Origin = nil, Origin{}
			in.Environment.Spec.Freezes = []fleetv1.Freeze{freezeFor("christmas", -time.Hour, time.Hour)}
			in.Others = append(in.Others, *release("ledger-0", 2*time.Hour, phase(fleetv1.PhaseSucceeded)))
		}, Verdict{Word: GoOn, Reason: fleetv1.ReasonAdmitted, Message: wanted + " may be released to prod"}},
		"what waits is looked at again when a freeze begins, which a rollback does not mind": {func(in *AdmitInput) {
			rollback(in.Release)
			in.Others = append(in.Others, *release("ledger-0", 2*time.Hour, phase(fleetv1.PhaseSucceeded)))
			in.Environment.Spec.Waves = []fleetv1.Wave{{Name: "a", MaxConcurrent: ptr(intstr.FromString("many"))}}
		}, Verdict{Word: Wait, Reason: fleetv1.ReasonWavesInvalid,
			Message: "Environment prod, spec.waves: read maxConcurrent of wave a: invalid value for IntOrString: invalid type: string is not a percentage; it is released when that is mended"}},
		"a rollback keeps to the branches": {func(in *AdmitInput) {
			rollback(in.Release)
			in.Others = append(in.Others, *release("ledger-0", 2*time.Hour, phase(fleetv1.PhaseSucceeded)))
			in.Environment.Spec.Branches = "^release/"
		}, Verdict{Word: Refuse, Reason: fleetv1.ReasonBranchNotAllowed,
			Message: `Environment prod, spec.branches: branch main does not match "^release/"; release an artifact of a branch that does`}},
		"what succeeded elsewhere was not before here": {func(in *AdmitInput) {
			rollback(in.Release)
			in.Others = append(in.Others, *release("ledger-0", 2*time.Hour, of(wanted, "staging"), phase(fleetv1.PhaseSucceeded)), *release("ledger-8", 2*time.Hour, phase(fleetv1.PhaseFailed)))
		}, Verdict{Word: Refuse, Reason: fleetv1.ReasonNothingBefore,
			Message: "spec.intent Rollback: no Release of main-4f1c9d2-a81b to prod has succeeded before; ask for it with the intent Release, for which every rule holds"}},
		"a newer one that only waits takes nothing over": {func(in *AdmitInput) {
			in.Others = append(in.Others, *release("ledger-9", 0, phase(fleetv1.PhaseChecking)))
		},
			Verdict{Word: GoOn, Reason: fleetv1.ReasonAdmitted, Message: wanted + " may be released to prod"}},
		"an older one that has begun takes nothing over": {func(in *AdmitInput) {
			in.Others = append(in.Others, *release("ledger-1", time.Minute, phase(fleetv1.PhaseReleasing)))
		}, Verdict{Word: GoOn, Reason: fleetv1.ReasonAdmitted, Message: wanted + " may be released to prod"}},
		"a newer one of another service takes nothing over": {func(in *AdmitInput) {
			in.Others = append(in.Others, *release("other-1", 0, phase(fleetv1.PhaseReleasing), func(r *fleetv1.Release) { r.Spec.Service = "other" }))
		}, Verdict{Word: GoOn, Reason: fleetv1.ReasonAdmitted, Message: wanted + " may be released to prod"}},
		"a namespace of the platform is no team": {func(in *AdmitInput) { in.Release.Namespace = fleetv1.FluxNamespace },
			Verdict{Word: Refuse, Reason: fleetv1.ReasonServiceInvalid,
				Message: "Namespace flux-system belongs to the platform, not to a team: nothing is released from it; use the team's own namespace"}},
		"a namespace that is no DNS label is no team": {func(in *AdmitInput) { in.Release.Namespace = "Payments" },
			Verdict{Word: Refuse, Reason: fleetv1.ReasonServiceInvalid, Message: "Namespace Payments cannot be a team: its name must be a DNS label"}},
		"a name that is no DNS label is no service": {func(in *AdmitInput) { in.Release.Spec.Service = "ledger_2" },
			Verdict{Word: Refuse, Reason: fleetv1.ReasonServiceInvalid, Message: "spec.service ledger_2 cannot be a service: its name must be a DNS label"}},
		"a name of 63 letters is short enough": {func(in *AdmitInput) { in.Release.Spec.Service = strings.Repeat("l", 54); in.Policies = nil },
			Verdict{Word: GoOn, Reason: fleetv1.ReasonAdmitted, Message: wanted + " may be released to prod"}},
		"the registry's answer for another artifact is none": {func(in *AdmitInput) { in.Artifact.ID = older },
			Verdict{Word: Refuse, Reason: fleetv1.ReasonArtifactInvalid, Message: `spec.artifact: the registry gave "main-0000001-0001" for main-4f1c9d2-a81b; push the artifact again`}},
		"an artifact that is no good stays so": {func(in *AdmitInput) {
			in.Artifact.Problem = &Problem{Reason: fleetv1.ReasonArtifactInvalid, Message: "../x climbs out"}
		}, Verdict{Word: Refuse, Reason: fleetv1.ReasonArtifactInvalid, Message: "spec.artifact: ../x climbs out; push another one"}},
		"without a registry it waits for one": {func(in *AdmitInput) {
			in.Artifact = Artifact{ID: wanted, Problem: &Problem{Reason: fleetv1.ReasonNoArtifactStore, Message: "nothing is set"}}
		}, Verdict{Word: Wait, Reason: fleetv1.ReasonNoArtifactStore, After: pollSlowly,
			Message: "Fleet default, spec.artifacts: nothing is set; it is released when the platform team has set that"}},
		"an artifact that says no branch matches none": {func(in *AdmitInput) { in.Artifact.Source.Branch = "" },
			Verdict{Word: Refuse, Reason: fleetv1.ReasonBranchNotAllowed,
				Message: `Environment prod, spec.branches: only branches that match "main" are let in, and the artifact does not say its branch; push it again from a branch that does`}},
	} {
		t.Run(name, func(t *testing.T) {
			in := admissible()
			tc.change(&in)
			if diff := cmp.Diff(tc.want, Admit(in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What the environment before has to say.
func TestThePromotionPath(t *testing.T) {
	rule := "Environment prod, spec.promotesFrom"
	fails := healthy(wanted, time.Hour)
	fails.Failure = &Failure{Reason: fleetv1.ReasonRolloutFailed, Message: "CrashLoopBackOff", Object: "Deployment/payments/ledger"}
	for name, tc := range map[string]struct {
		origin Origin
		others []fleetv1.Release
		want   *Verdict
	}{
		"healthy for long enough is enough": {origin: Origin{Found: true, Clusters: []OriginCluster{origin("s", wanted, healthy(wanted, 10*time.Minute))}}},
		"the youngest health counts": {origin: Origin{Found: true, Clusters: []OriginCluster{origin("a", wanted, healthy(wanted, time.Hour)), origin("b", wanted, healthy(wanted, 4*time.Minute))}},
			want: wait(6*time.Minute, fleetv1.ReasonPromotionSoaking, "%s.healthyFor: %s must have been healthy in staging for 10m0s: it has been on b since 2026-11-28T19:56:00Z, and goes on at 2026-11-28T20:06:00Z", rule, wanted)},
		"an environment that is not there lets nothing through": {want: refuse(fleetv1.ReasonNotPromotable, "%s: there is no Environment staging; the platform team has to name another one", rule)},
		"without clusters nothing was healthy": {origin: Origin{Found: true},
			want: refuse(fleetv1.ReasonNotPromotable, "%s: no cluster is in staging, so %s cannot have been healthy there", rule, wanted)},
		"on one cluster only is not there": {origin: Origin{Found: true, Clusters: []OriginCluster{origin("a", wanted, healthy(wanted, time.Hour)), origin("b", older, healthy(older, time.Hour))}},
			want: refuse(fleetv1.ReasonNotPromotable, "%s: %s is not what runs in staging on b; release it there first", rule, wanted)},
		"what is on its way there is waited for": {origin: Origin{Found: true, Clusters: []OriginCluster{origin("b", older, healthy(older, time.Hour))}},
			others: []fleetv1.Release{*release("s-1", time.Hour, of(wanted, "staging"), phase(fleetv1.PhaseReleasing))},
			want:   wait(pollSlowly, fleetv1.ReasonPromotionSoaking, "%s: %s is on its way to staging, and not on b yet", rule, wanted)},
		"what ended on its way there is not": {origin: Origin{Found: true, Clusters: []OriginCluster{origin("b", older, healthy(older, time.Hour))}},
			others: []fleetv1.Release{*release("s-1", time.Hour, of(wanted, "staging"), phase(fleetv1.PhaseRolledBack)), *release("s-2", time.Hour, of(older, "staging"))},
			want:   refuse(fleetv1.ReasonNotPromotable, "%s: %s is not what runs in staging on b; release it there first", rule, wanted)},
		"what fails there is refused": {origin: Origin{Found: true, Clusters: []OriginCluster{origin("a", wanted, fails)}},
			want: refuse(fleetv1.ReasonNotPromotable, "%s: %s fails in staging: on a: Deployment/payments/ledger: CrashLoopBackOff; promote it when it is healthy there", rule, wanted)},
		"what is not known is not healthy, and waited for": {origin: Origin{Found: true, Clusters: []OriginCluster{
			origin("a", wanted, Rollout{AsOf: now.Add(-time.Hour), Artifact: wanted, Applied: true, Available: true, Since: now.Add(-2 * time.Hour)})}},
			want: wait(pollSlowly, fleetv1.ReasonPromotionSoaking, "%s: %s must be healthy in staging: how it is on a is not known since 2026-11-28T19:00:00Z", rule, wanted)},
		"of what nothing was ever heard nothing is known": {origin: Origin{Found: true, Clusters: []OriginCluster{origin("a", wanted, Rollout{})}},
			want: wait(pollSlowly, fleetv1.ReasonPromotionSoaking, "%s: %s must be healthy in staging: how it is on a is not known", rule, wanted)},
		"what still rolls out is waited for": {origin: Origin{Found: true, Clusters: []OriginCluster{origin("a", wanted, Rollout{Known: true, Artifact: older, Applied: true, Available: true})}},
			want: wait(pollSlowly, fleetv1.ReasonPromotionSoaking, "%s: %s must be healthy in staging: it is not yet on a (rolling out)", rule, wanted)},
		"health since nobody knows when is not for long enough": {origin: Origin{Found: true, Clusters: []OriginCluster{origin("a", wanted, Rollout{Known: true, Artifact: wanted, Applied: true, Available: true})}},
			want: wait(pollSlowly, fleetv1.ReasonPromotionSoaking, "%s: %s must be healthy in staging: since when it is on a is not known", rule, wanted)},
	} {
		t.Run(name, func(t *testing.T) {
			in := admissible()
			in.Environment.Spec.Freezes = nil
			in.Origin, in.Others = tc.origin, tc.others
			want := Verdict{Word: GoOn, Reason: fleetv1.ReasonAdmitted, Message: wanted + " may be released to prod"}
			if tc.want != nil {
				want = *tc.want
			}
			if diff := cmp.Diff(want, Admit(in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A pattern is held against the whole branch, and is never read as another one than it is.
func TestBranches(t *testing.T) {
	for name, tc := range map[string]struct {
		pattern, branch string
		want            string // "yes", "no", "error"
	}{
		"a name is the whole name":                       {"main", "main", "yes"},
		"a name is not a part":                           {"main", "main-2", "no"},
		"a name is not an end":                           {"main", "domain", "no"},
		"anchors change nothing":                         {"^main$", "main", "yes"},
		"either is each of them whole":                   {"main|release", "release-1", "no"},
		"the longer one of two counts":                   {"main|main-2", "main-2", "yes"},
		"lazy patterns take all of it":                   {"release/.*?", "release/1.2", "yes"},
		"a line is not the whole":                        {"(?m)^main$", "main\nevil", "no"},
		"what closes a group early is no pattern":        {"a)|(.*", "evil", "error"},
		"quoting does not reach past the pattern":        {`\Qmain`, "main", "yes"},
		"capitals differ":                                {"main", "Main", "no"},
		"capitals may be let be the same":                {"(?i)main", "MAIN", "yes"},
		"an empty branch matches no name":                {"main", "", "no"},
		"a pattern that matches all matches all letters": {".*", "feature/ø", "yes"},
	} {
		t.Run(name, func(t *testing.T) {
			got := "no"
			if ok, err := matches(tc.pattern, tc.branch); err != nil {
				got = "error"
			} else if ok {
				got = "yes"
			}
			if got != tc.want {
				t.Errorf("%q and %q: %s, want %s", tc.pattern, tc.branch, got, tc.want)
			}
		})
	}
}

// A team narrows what its environment lets in, and widens nothing.
func TestATeamNarrowsBranchesAndNeverWidensThem(t *testing.T) {
	for _, environment := range []string{"", "main", "release/.*", ".*", "a)|(b"} {
		for _, team := range []string{"main", "release/.*", ".*", "a)|(b"} {
			for _, branch := range []string{"main", "release/1", "feature", "b"} {
				in := admissible()
				in.Environment.Spec.Branches, in.Artifact.Source.Branch = environment, branch
				in.Policies = append(in.Policies, policy("second", func(p *fleetv1.ReleasePolicy) { p.Spec.Branches = branchesOf("prod", team) }))
				in.Policies[0].Spec.Branches = branchesOf("prod", ".*")
				byEnvironment, _ := matches(environment, branch)
				byTeam, _ := matches(team, branch)
				want := (byEnvironment || environment == "") && byTeam
				if v := Admit(in); (v.Word == GoOn) != want {
					t.Errorf("environment %q, team %q, branch %s: %s", environment, team, branch, fmt.Sprint(v))
				}
			}
		}
	}
}
