package policy

import (
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/intstr"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

func TestNextWhenOthersMeddle(t *testing.T) {
	moves := func(said string) string {
		return "Committed PointerMoved: canary-1: " + said + "; nothing more is moved, nor moved back: ask for what should run there"
	}
	run(t, map[string]stepCase{
		"a pointer that somebody else moved is not fought for": {
			clusters: []on{moved("canary-1", time.Minute, pointer(pointing(older, theirs))), moved("canary-2", time.Minute, crashing)},
			change:   rollsBack,
			want: brief{Phase: fleetv1.PhaseFailed, Targets: "canary-1 Failed PointerMoved, canary-2 Failed RolloutFailed",
				Why: moves("its pointer in the config repository names main-0000001-0001 of Release payments/ledger-1 now")}},
		"nor one that was taken away": {
			clusters: []on{moved("canary-1", time.Minute, noPointer)},
			want: brief{Phase: fleetv1.PhaseFailed, Targets: "canary-1 Failed PointerMoved",
				Why: moves("somebody took its pointer out of the config repository")}},
		"nor one that was edited to another artifact": {
			clusters: []on{moved("canary-1", time.Minute, pointer(Pointer{State: Edited, Artifact: older, Release: me}))},
			want: brief{Phase: fleetv1.PhaseFailed, Targets: "canary-1 Failed PointerMoved",
				Why: moves("somebody changed its pointer in the config repository by hand")}},
		"one that was taken away after a failure, while others are not back, is no way back": {
			clusters: []on{moved("canary-1", time.Minute, first, noPointer), moved("canary-2", time.Minute, failedBefore)},
			change:   rollsBack,
			want: brief{Phase: fleetv1.PhaseFailed, Targets: "canary-1 Failed PointerMoved, canary-2 Failed RolloutFailed",
				Why: moves("somebody took its pointer out of the config repository")}},
		"an edit that leaves the artifact is none of its business": {
			clusters: []on{moved("canary-1", time.Minute, pointer(Pointer{State: Edited, Artifact: wanted, Release: me}))},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "canary", Targets: "canary-1 RollingOut",
				Why: "Available RollingOut: wave canary: canary-1: 1 of 2 updated", After: poll}},
		"a pointer that is edited before its turn ends the release": {
			clusters: []on{moved("canary-1", time.Hour, healthyFor(soak)), waiting("rest-1", pointer(Pointer{State: Foreign}))},
			want: brief{Phase: fleetv1.PhaseFailed, Targets: "canary-1 Available, rest-1 Waiting",
				Why: "Committed EditedByHand: the config repository's file of payments/ledger was edited by hand, or is not Fairway's, on rest-1: it is left alone; restore it or delete it, then ask again"}},
		"a newer release takes over, and leaves nothing to be moved back": {
			clusters: []on{moved("canary-1", time.Minute, crashing), moved("canary-2", time.Minute, pointer(pointing("main-9", "payments/ledger-9")))},
			change: func(in *Input) {
				rollsBack(in)
				in.Others = append(in.Others, *release("ledger-9", 0, of("main-9", "prod")))
			},
			want: brief{Phase: fleetv1.PhaseSuperseded, Targets: "canary-1 RollingOut, canary-2 RollingOut",
				Why: "Admitted Superseded: Release payments/ledger-9 (main-9) is newer, and has taken over in prod; ask for main-4f1c9d2-a81b again if it should run there after all"}},
		"also when it is suspended": {
			clusters: []on{moved("canary-1", time.Minute)},
			change: func(in *Input) {
				in.Release.Spec.Suspend = true
				in.Others = append(in.Others, *release("ledger-9", 0, of("main-9", "prod"), phase(fleetv1.PhaseReleasing)))
			},
			want: brief{Phase: fleetv1.PhaseSuperseded, Targets: "canary-1 RollingOut",
				Why: "Admitted Superseded: Release payments/ledger-9 (main-9) is newer, and has taken over in prod; ask for main-4f1c9d2-a81b again if it should run there after all"}},
		"without a status it goes on where Git says it was": {
			clusters: []on{moved("canary-1", time.Hour, statusLost), waiting("rest-1")},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "canary", Targets: "canary-1 RollingOut, rest-1 Waiting",
				Why: "Available RollingOut: wave canary: canary-1: 1 of 2 updated", After: poll}},
		"and asks no rule that was met before": {
			clusters: []on{moved("canary-1", time.Hour, statusLost, func(o *on) { o.rollout = healthy(wanted, time.Hour) })},
			change:   func(in *Input) { in.Release.Spec.Approvals, in.Origin = nil, Origin{} },
			want:     brief{Phase: fleetv1.PhaseSucceeded, Targets: "canary-1 Available"}},
		"what ran before is what the release before has left there": {
			clusters: []on{moved("canary-1", time.Hour, statusLost), moved("canary-2", time.Hour, statusLost), moved("canary-3", time.Hour, statusLost), moved("canary-4", time.Minute, crashed)},
			change: func(in *Input) {
				rollsBack(in)
				left := release("ledger-1", time.Hour, of(older, "prod"), phase(fleetv1.PhaseRolledBack))
				left.Status.Targets = []fleetv1.Target{{Cluster: "canary-1", State: fleetv1.TargetRolledBack, Previous: "main-0"}, {Cluster: "canary-2", State: fleetv1.TargetAvailable},
					{Cluster: "canary-3", State: fleetv1.TargetMoving}}
				later := release("ledger-9", 0, of("main-9", "prod"))
				later.Status.Targets = []fleetv1.Target{{Cluster: "canary-1", State: fleetv1.TargetAvailable}}
				in.Others = []fleetv1.Release{*left, *later}
			},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "canary", Do: "roll back canary-1 to main-0, canary-2 to main-0000001-0001, canary-4 to main-0000001-0001",
				Targets: "canary-1 RollingOut, canary-2 RollingOut, canary-3 RollingOut, canary-4 Failed RolloutFailed",
				Why:     "Available RolloutFailed: canary-4 (wave canary): Deployment/payments/ledger: CrashLoopBackOff: app ended with code 2; what has moved goes back", After: soon}},
		"a failure that may be older than the move does not count": {
			clusters: []on{moved("canary-1", time.Hour, statusLost, crashing)},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "canary", Targets: "canary-1 RollingOut",
				Why: "Available RollingOut: wave canary: canary-1: rolling out", After: poll}},
		"a freeze that begins meanwhile holds what has not moved": {
			clusters: []on{moved("canary-1", time.Hour, healthyFor(soak)), waiting("rest-1")},
			change:   func(in *Input) { in.Environment.Spec.Freezes = []fleetv1.Freeze{freezeFor("christmas", 0, time.Hour)} },
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "rest", Targets: "canary-1 Available, rest-1 Waiting",
				Why: "Committed Frozen: Environment prod, spec.freezes: rest-1 goes on when the freeze ends, at 2026-11-28T21:00:00Z", After: time.Hour}},
		"but not a rollback": {
			clusters: []on{moved("canary-1", time.Hour, healthyFor(soak)), waiting("rest-1")},
			change: func(in *Input) {
				rollback(in.Release)
				in.Environment.Spec.Freezes = []fleetv1.Freeze{freezeFor("christmas", 0, time.Hour)}
			},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "rest", Do: "move rest-1 to main-4f1c9d2-a81b", Targets: "canary-1 Available, rest-1 Moving",
				Why: "Committed Progressing: wave rest: moves rest-1 to main-4f1c9d2-a81b", After: soon}},
		"branches that are narrowed meanwhile end it where it is": {
			clusters: []on{moved("canary-1", time.Minute), waiting("rest-1")},
			change:   func(in *Input) { in.Policies[0].Spec.Branches = branchesOf("prod", "v1") },
			want: brief{Phase: fleetv1.PhaseFailed, Targets: "canary-1 RollingOut, rest-1 Waiting",
				Why: `Admitted BranchNotAllowed: ReleasePolicy payments/ledger, spec.branches[prod]: branch main does not match "v1"; release an artifact of a branch that does; ` +
					"clusters stay where they are: canary-1 with main-4f1c9d2-a81b, rest-1 without"}},
		"also when the registry is away": {
			clusters: []on{moved("canary-1", time.Minute), waiting("rest-1")},
			change: func(in *Input) {
				in.Artifact = Artifact{ID: wanted, Problem: &Problem{Reason: fleetv1.ReasonArtifactsAway}}
				in.Release.Status.Source.Branch = "feature"
			},
			want: brief{Phase: fleetv1.PhaseFailed, Targets: "canary-1 RollingOut, rest-1 Waiting",
				Why: `Admitted BranchNotAllowed: Environment prod, spec.branches: branch feature does not match "main"; release an artifact of a branch that does; ` +
					"clusters stay where they are: canary-1 with main-4f1c9d2-a81b, rest-1 without"}},
		"an environment that is taken away ends it": {
			clusters: []on{moved("canary-1", time.Hour)},
			change:   func(in *Input) { in.Environment = nil },
			want: brief{Phase: fleetv1.PhaseFailed, Targets: "canary-1 RollingOut",
				Why: "Admitted EnvironmentNotFound: spec.environment: there is no Environment prod; kubectl get environments lists them"}},
		"waves that cannot be read hold it": {
			clusters: []on{moved("canary-1", time.Hour)},
			change:   func(in *Input) { in.Environment.Spec.Waves[1].MaxConcurrent = ptr(intstr.FromString("many")) },
			want: brief{Phase: fleetv1.PhaseReleasing, Targets: "canary-1 RollingOut",
				Why: "Admitted WavesInvalid: Environment prod, spec.waves: read maxConcurrent of wave rest: invalid value for IntOrString: invalid type: string is not a percentage; it is released when that is mended"}},
		"what is over stays so": {
			clusters: []on{moved("canary-1", time.Hour, crashing)},
			change:   func(in *Input) { in.Release.Status.Phase = fleetv1.PhaseSucceeded },
			want:     brief{Phase: fleetv1.PhaseSucceeded, Targets: "canary-1 RollingOut"}},
	})
}
