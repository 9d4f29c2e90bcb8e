package policy

import (
	"testing"
	"time"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

func refusing(o *on) {
	o.check = &Check{At: now, Problems: []Problem{{Reason: fleetv1.ReasonCheckFailed, Object: "Widget/payments/w", Message: "no match for kind Widget"}}}
}

func TestNextBeforeAnythingIsWritten(t *testing.T) {
	edited := "Checked EditedByHand: the config repository's file of payments/ledger was edited by hand, or is not Fairway's, on rest-1: " +
		"it is left alone; restore it or delete it, then ask again"
	run(t, map[string]stepCase{
		"every cluster is asked first": {
			clusters: []on{waiting("rest-1", unasked), waiting("canary-1", unasked), waiting("rest-2")},
			want: brief{Phase: fleetv1.PhaseChecking, Do: "ask canary-1, rest-1", Targets: "canary-1 Waiting, rest-1 Waiting, rest-2 Waiting",
				Why: "Checked Checking: asks canary-1, rest-1", After: askAgain}},
		"an old answer is asked for again": {
			clusters: []on{waiting("rest-1", func(o *on) { o.check.At = now.Add(-answerHolds - 1) })},
			want:     brief{Phase: fleetv1.PhaseChecking, Do: "ask rest-1", Targets: "rest-1 Waiting", Why: "Checked Checking: asks rest-1", After: askAgain}},
		"a cluster that would not take it ends it, and is named with the object": {
			clusters: []on{waiting("canary-1"), waiting("rest-1", refusing), waiting("rest-2", away(time.Second, 0))},
			want: brief{Phase: fleetv1.PhaseRefused, Targets: "canary-1 Waiting, rest-1 Waiting CheckFailed, rest-2 Waiting",
				Why: "Checked CheckFailed: rest-1: Widget/payments/w: no match for kind Widget"}},
		"a cluster that cannot be asked is waited for": {
			clusters: []on{waiting("canary-1"), waiting("rest-1", away(time.Minute, 4*time.Second))},
			want: brief{Phase: fleetv1.PhaseChecking, Targets: "canary-1 Waiting, rest-1 Waiting",
				Why: "Checked ClusterUnavailable: rest-1: no route (since 2026-11-28T19:59:00Z)", After: 6 * time.Second}},
		"it is asked again after a while": {
			clusters: []on{waiting("canary-1"), waiting("rest-1", away(time.Minute, askAgain))},
			want:     brief{Phase: fleetv1.PhaseChecking, Do: "ask rest-1", Targets: "canary-1 Waiting, rest-1 Waiting", Why: "Checked Checking: asks rest-1", After: askAgain}},
		"its time to answer ends when the environment's does": {
			clusters: []on{waiting("rest-1", away(timeout-2*time.Second, time.Second))},
			want: brief{Phase: fleetv1.PhaseChecking, Targets: "rest-1 Waiting",
				Why: "Checked ClusterUnavailable: rest-1: no route (since 2026-11-28T19:50:02Z)", After: 2 * time.Second}},
		"a cluster that never answers ends it": {
			clusters: []on{waiting("canary-1"), waiting("rest-1", away(timeout, time.Minute))},
			want: brief{Phase: fleetv1.PhaseRefused, Targets: "canary-1 Waiting, rest-1 Waiting",
				Why: "Checked ClusterUnavailable: not every cluster could be asked within 10m0s (Environment prod, spec.timeout): rest-1: no route (since 2026-11-28T19:50:00Z); " +
					"ask again when they answer, or take them out of the environment"}},
		"a rule that refuses comes before clusters are asked": {
			clusters: []on{waiting("rest-1", unasked)},
			change:   func(in *Input) { in.Environment.Spec.Branches = "v1" },
			want: brief{Phase: fleetv1.PhaseRefused, Targets: "rest-1 Waiting",
				Why: `Admitted BranchNotAllowed: Environment prod, spec.branches: branch main does not match "v1"; release an artifact of a branch that does`}},
		"a rule that waits says when to look again": {
			clusters: []on{waiting("rest-1", unasked)},
			change:   func(in *Input) { in.Origin.Clusters[1].Rollout.Since = now.Add(-9 * time.Minute) },
			want: brief{Phase: fleetv1.PhasePending, Targets: "rest-1 Waiting", After: time.Minute,
				Why: "Admitted PromotionSoaking: Environment prod, spec.promotesFrom.healthyFor: main-4f1c9d2-a81b must have been healthy in staging for 10m0s: " +
					"it has been on staging-2 since 2026-11-28T19:51:00Z, and goes on at 2026-11-28T20:01:00Z"}},
		"an environment without clusters is refused, also while people may still approve": {
			change: func(in *Input) { in.Release.Spec.Approvals = nil },
			want: brief{Phase: fleetv1.PhaseRefused,
				Why: "Admitted NoClusters: Environment prod: no cluster is in it that follows the config repository; register one, then ask again"}},
		"a pointer that was edited by hand is not written over": {
			clusters: []on{waiting("canary-1"), waiting("rest-1", pointer(Pointer{State: Edited, Artifact: older, Release: theirs}))},
			want:     brief{Phase: fleetv1.PhaseRefused, Targets: "canary-1 Waiting, rest-1 Waiting", Why: edited}},
		"nor is a file of somebody else": {
			clusters: []on{waiting("canary-1"), waiting("rest-1", pointer(Pointer{State: Foreign}))},
			want:     brief{Phase: fleetv1.PhaseRefused, Targets: "canary-1 Waiting, rest-1 Waiting", Why: edited}},
		"suspended it stays where it is": {
			clusters: []on{waiting("rest-1")},
			change:   func(in *Input) { in.Release.Spec.Suspend = true; in.Release.Status.Phase = fleetv1.PhaseChecking },
			want: brief{Phase: fleetv1.PhaseChecking,
				Why: "Admitted Suspended: Release payments/ledger-2, spec.suspend: it is held where it is until that is taken off"}},
		"a newer one that has begun takes over": {
			clusters: []on{waiting("rest-1")},
			change: func(in *Input) {
				in.Others = append(in.Others, *release("ledger-9", 0, of(older, "prod"), phase(fleetv1.PhaseFailed)))
			},
			want: brief{Phase: fleetv1.PhaseSuperseded,
				Why: "Admitted Superseded: Release payments/ledger-9 (main-0000001-0001) is newer, and has taken over in prod; ask for main-4f1c9d2-a81b again if it should run there after all"}},
		"the first wave begins": {
			clusters: []on{waiting("rest-1"), waiting("canary-2"), waiting("canary-1")},
			want: brief{Phase: fleetv1.PhaseReleasing, Do: "move canary-1 to main-4f1c9d2-a81b, canary-2 to main-4f1c9d2-a81b", Wave: "canary",
				Targets: "canary-1 Moving, canary-2 Moving, rest-1 Waiting",
				Why:     "Committed Progressing: wave canary: moves canary-1, canary-2 to main-4f1c9d2-a81b", After: soon}},
		"a wave without clusters is no wave": {
			clusters: []on{waiting("rest-1")},
			want: brief{Phase: fleetv1.PhaseReleasing, Do: "move rest-1 to main-4f1c9d2-a81b", Wave: "rest", Targets: "rest-1 Moving",
				Why: "Committed Progressing: wave rest: moves rest-1 to main-4f1c9d2-a81b", After: soon}},
		"what ran there already is moved too, since its pointer is another release's": {
			clusters: []on{waiting("rest-1", pointer(pointing(wanted, theirs)))},
			want: brief{Phase: fleetv1.PhaseReleasing, Do: "move rest-1 to main-4f1c9d2-a81b", Wave: "rest", Targets: "rest-1 Moving",
				Why: "Committed Progressing: wave rest: moves rest-1 to main-4f1c9d2-a81b", After: soon}},
	})
}

func TestNextWaveByWave(t *testing.T) {
	soaking := "Available WaveSoaking: wave canary is healthy, and has to be until 2026-11-28T20:01:00Z before the next one begins"
	run(t, map[string]stepCase{
		"while a cluster rolls out nothing else moves": {
			clusters: []on{moved("canary-1", time.Minute), waiting("rest-1")},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "canary", Targets: "canary-1 RollingOut, rest-1 Waiting",
				Why: "Available RollingOut: wave canary: canary-1: 1 of 2 updated", After: poll}},
		"a commit that was not made is made again": {
			clusters: []on{moved("canary-1", time.Hour, state(fleetv1.TargetMoving), pointer(pointing(older, theirs)))},
			want: brief{Phase: fleetv1.PhaseReleasing, Do: "move canary-1 to main-4f1c9d2-a81b", Wave: "canary", Targets: "canary-1 Moving",
				Why: "Committed Progressing: wave canary: moves canary-1 to main-4f1c9d2-a81b", After: soon}},
		"a commit that was made is not": {
			clusters: []on{moved("canary-1", time.Second, state(fleetv1.TargetMoving))},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "canary", Targets: "canary-1 RollingOut",
				Why: "Available RollingOut: wave canary: canary-1: 1 of 2 updated", After: poll}},
		"a wave soaks since the last of its clusters is healthy": {
			clusters: []on{moved("canary-1", time.Hour, healthyFor(30*time.Minute)), moved("canary-2", time.Hour, healthyFor(4*time.Minute)), waiting("rest-1")},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "canary", Soak: time.Minute, Targets: "canary-1 Available, canary-2 Available, rest-1 Waiting",
				Why: soaking, After: pollSlowly}},
		"a soak asks to be woken when it ends": {
			clusters: []on{moved("canary-1", time.Hour, healthyFor(soak-3*time.Second)), waiting("rest-1")},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "canary", Soak: 3 * time.Second, Targets: "canary-1 Available, rest-1 Waiting",
				Why: "Available WaveSoaking: wave canary is healthy, and has to be until 2026-11-28T20:00:03Z before the next one begins", After: 3 * time.Second}},
		"the next wave begins when the soak has ended, with as many as may be under way": {
			clusters: []on{moved("canary-1", time.Hour, healthyFor(soak)), waiting("rest-1"), waiting("rest-2"), waiting("rest-3")},
			want: brief{Phase: fleetv1.PhaseReleasing, Do: "move rest-1 to main-4f1c9d2-a81b, rest-2 to main-4f1c9d2-a81b", Wave: "rest",
				Targets: "canary-1 Available, rest-1 Moving, rest-2 Moving, rest-3 Waiting",
				Why:     "Committed Progressing: wave rest: moves rest-1, rest-2 to main-4f1c9d2-a81b", After: soon}},
		"who is healthy makes room, who is not known takes it": {
			clusters: []on{moved("rest-1", time.Minute, healthyFor(0)), moved("rest-2", time.Minute, dark(0)), waiting("rest-3"), waiting("rest-4")},
			want: brief{Phase: fleetv1.PhaseReleasing, Do: "move rest-3 to main-4f1c9d2-a81b", Wave: "rest",
				Targets: "rest-1 Available, rest-2 Unknown ClusterUnavailable, rest-3 Moving, rest-4 Waiting",
				Why:     "Committed Progressing: wave rest: moves rest-3 to main-4f1c9d2-a81b", After: soon}},
		"a wave that is not healthy any more holds those after it": {
			clusters: []on{moved("canary-1", time.Hour, healthyFor(30*time.Minute), unwell(time.Minute)), moved("rest-1", time.Minute, healthyFor(0)), waiting("rest-2")},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "canary", Targets: "canary-1 RollingOut, rest-1 Available, rest-2 Waiting",
				Why: "Available RollingOut: wave canary: canary-1: 1 of 2 available", After: poll}},
		"and soaks anew": {
			clusters: []on{moved("canary-1", time.Hour, healthyFor(4*time.Minute)), moved("rest-1", time.Minute, healthyFor(0)), waiting("rest-2")},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "canary", Soak: time.Minute, Targets: "canary-1 Available, rest-1 Available, rest-2 Waiting",
				Why: soaking, After: pollSlowly}},
		"nobody waits for a soak that nobody follows": {
			clusters: []on{moved("canary-1", time.Hour, healthyFor(0)), moved("rest-1", time.Minute, healthyFor(0))},
			want:     brief{Phase: fleetv1.PhaseSucceeded, Targets: "canary-1 Available, rest-1 Available"}},
		"a cluster that joins a wave that was done gets the artifact before those of later ones": {
			clusters: []on{moved("canary-1", time.Hour, healthyFor(30*time.Minute)), waiting("canary-2"), waiting("rest-1")},
			want: brief{Phase: fleetv1.PhaseReleasing, Do: "move canary-2 to main-4f1c9d2-a81b", Wave: "canary", Targets: "canary-1 Available, canary-2 Moving, rest-1 Waiting",
				Why: "Committed Progressing: wave canary: moves canary-2 to main-4f1c9d2-a81b", After: soon}},
		"a cluster that left is not waited for": {
			clusters: []on{moved("canary-1", time.Hour, healthyFor(soak)), moved("rest-1", time.Minute)},
			change:   func(in *Input) { in.Clusters = in.Clusters[:1] },
			want:     brief{Phase: fleetv1.PhaseSucceeded, Targets: "canary-1 Available"}},
		"without any cluster there is nothing to go on for": {
			clusters: []on{moved("canary-1", time.Hour)},
			change:   func(in *Input) { in.Clusters = nil },
			want: brief{Phase: fleetv1.PhaseFailed,
				Why: "Admitted NoClusters: Environment prod: no cluster is in it that follows the config repository; register one, then ask again"}},
		"what is healthy on what ran there before is healthy when something is heard after the move": {
			clusters: []on{moved("rest-1", time.Minute, func(o *on) { o.rollout = healthy(wanted, time.Hour) })},
			want:     brief{Phase: fleetv1.PhaseSucceeded, Targets: "rest-1 Available"}},
		"and not before": {
			clusters: []on{moved("rest-1", time.Minute, func(o *on) { o.rollout = healthy(wanted, time.Hour); o.rollout.AsOf = now.Add(-2 * time.Minute) })},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "rest", Targets: "rest-1 RollingOut",
				Why: "Available RollingOut: wave rest: rest-1: rolling out", After: poll}},
		"health of which nobody knows since when is as old as it is known": {
			clusters: []on{moved("canary-1", time.Hour, healthyFor(4*time.Minute), func(o *on) { o.rollout.Since = time.Time{} }), waiting("rest-1")},
			want:     brief{Phase: fleetv1.PhaseReleasing, Wave: "canary", Soak: time.Minute, Targets: "canary-1 Available, rest-1 Waiting", Why: soaking, After: pollSlowly}},
		"or begins now": {
			clusters: []on{moved("canary-1", time.Hour, func(o *on) { o.rollout = healthy(wanted, 0); o.rollout.Since = time.Time{} }), waiting("rest-1")},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "canary", Soak: soak, Targets: "canary-1 Available, rest-1 Waiting",
				Why: "Available WaveSoaking: wave canary is healthy, and has to be until 2026-11-28T20:05:00Z before the next one begins", After: pollSlowly}},
		"what Flux has not applied is not healthy": {
			clusters: []on{moved("rest-1", time.Minute, func(o *on) { o.rollout = healthy(wanted, 0); o.rollout.Applied = false })},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "rest", Targets: "rest-1 RollingOut",
				Why: "Available RollingOut: wave rest: rest-1: rolling out", After: poll}},
	})
}

func TestNextInTime(t *testing.T) {
	run(t, map[string]stepCase{
		"the time to become healthy is counted from the move, and asks to be woken at its end": {
			clusters: []on{moved("rest-1", timeout-2*time.Second)},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "rest", Targets: "rest-1 RollingOut",
				Why: "Available RollingOut: wave rest: rest-1: 1 of 2 updated", After: 2 * time.Second}},
		"at its end a cluster has failed": {
			clusters: []on{moved("rest-1", timeout)},
			want: brief{Phase: fleetv1.PhaseFailed, Targets: "rest-1 Failed TimedOut",
				Why: "Available TimedOut: rest-1 (wave rest): not healthy within 10m0s (Environment prod, spec.timeout): 1 of 2 updated; " +
					"clusters stay where they are (Environment prod, spec.onFailure): rest-1 with main-4f1c9d2-a81b"}},
		"a cluster that became healthy in time has not": {
			clusters: []on{moved("rest-1", time.Hour, healthyFor(0))},
			want:     brief{Phase: fleetv1.PhaseSucceeded, Targets: "rest-1 Available"}},
		"what is not known has not failed by itself": {
			clusters: []on{moved("rest-1", timeout-time.Second, crashing, dark(8*time.Minute))},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "rest", Targets: "rest-1 Unknown ClusterUnavailable",
				Why: "Available RollingOut: wave rest: rest-1: nothing is known of it since 2026-11-28T19:52:00Z", After: time.Second}},
		"nor has it succeeded": {
			clusters: []on{moved("rest-1", timeout, func(o *on) { o.rollout = healthy(wanted, time.Minute) }, dark(0))},
			want: brief{Phase: fleetv1.PhaseFailed, Targets: "rest-1 Failed TimedOut",
				Why: "Available TimedOut: rest-1 (wave rest): not healthy within 10m0s (Environment prod, spec.timeout): nothing is known of it since 2026-11-28T20:00:00Z; " +
					"clusters stay where they are (Environment prod, spec.onFailure): rest-1 with main-4f1c9d2-a81b"}},
		"one that was healthy has its time from when it stopped being so": {
			clusters: []on{moved("rest-1", time.Hour, healthyFor(30*time.Minute), unwell(timeout-time.Second))},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "rest", Targets: "rest-1 RollingOut",
				Why: "Available RollingOut: wave rest: rest-1: 1 of 2 available", After: time.Second}},
		"and from when it fell silent": {
			clusters: []on{moved("rest-1", time.Hour, healthyFor(30*time.Minute), dark(timeout-time.Second))},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "rest", Targets: "rest-1 Unknown ClusterUnavailable",
				Why: "Available RollingOut: wave rest: rest-1: nothing is known of it since 2026-11-28T19:50:01Z", After: time.Second}},
		"while no cluster can be seen, time does not count": {
			clusters: []on{moved("rest-1", time.Hour, crashing)},
			change:   func(in *Input) { in.Sight = Sight{Blind: "the event bus is away", Since: now.Add(-time.Hour)} },
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "rest", Targets: "rest-1 Unknown ClusterUnavailable",
				Why: "Available RollingOut: wave rest: rest-1: no cluster can be seen: the event bus is away", After: poll}},
		"when they can be again, what is not known has its time anew": {
			clusters: []on{moved("rest-1", time.Hour, dark(time.Hour))},
			change:   func(in *Input) { in.Sight = Sight{Since: now.Add(-timeout + 3*time.Second)} },
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "rest", Targets: "rest-1 Unknown ClusterUnavailable",
				Why: "Available RollingOut: wave rest: rest-1: nothing is known of it since 2026-11-28T19:00:00Z", After: 3 * time.Second}},
		"what is known has not": {
			clusters: []on{moved("rest-1", timeout)},
			change:   func(in *Input) { in.Sight = Sight{Since: now.Add(-time.Minute)} },
			want: brief{Phase: fleetv1.PhaseFailed, Targets: "rest-1 Failed TimedOut",
				Why: "Available TimedOut: rest-1 (wave rest): not healthy within 10m0s (Environment prod, spec.timeout): 1 of 2 updated; " +
					"clusters stay where they are (Environment prod, spec.onFailure): rest-1 with main-4f1c9d2-a81b"}},
	})
}

func rollsBack(in *Input) { in.Environment.Spec.OnFailure = fleetv1.OnFailureRollBack }

func TestNextAfterAFailure(t *testing.T) {
	because := "(wave canary): Deployment/payments/ledger: CrashLoopBackOff: app ended with code 2"
	run(t, map[string]stepCase{
		"a failure leaves clusters where they are": {
			clusters: []on{moved("canary-1", time.Minute, crashing), moved("canary-2", time.Minute), waiting("rest-1")},
			want: brief{Phase: fleetv1.PhaseFailed, Targets: "canary-1 Failed RolloutFailed, canary-2 RollingOut, rest-1 Waiting",
				Why: "Available RolloutFailed: canary-1 " + because + "; clusters stay where they are (Environment prod, spec.onFailure): " +
					"canary-1, canary-2 with main-4f1c9d2-a81b, rest-1 without"}},
		"a failure on one that was healthy is one": {
			clusters: []on{moved("canary-1", time.Hour, healthyFor(30*time.Minute), crashing), waiting("rest-1")},
			want: brief{Phase: fleetv1.PhaseFailed, Targets: "canary-1 Failed RolloutFailed, rest-1 Waiting",
				Why: "Available RolloutFailed: canary-1 " + because + "; clusters stay where they are (Environment prod, spec.onFailure): canary-1 with main-4f1c9d2-a81b, rest-1 without"}},
		"or is written down, before anything else is done": {
			clusters: []on{moved("canary-1", time.Minute, crashing, first), moved("canary-2", time.Minute, healthyFor(0)), waiting("rest-1")},
			change:   rollsBack,
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "canary", Targets: "canary-1 Failed RolloutFailed, canary-2 Available, rest-1 Waiting",
				Why: "Available RolloutFailed: canary-1 " + because + "; what has moved goes back", After: atOnce}},
		"then it takes all of them back, and away where none was before": {
			clusters: []on{moved("canary-1", time.Minute, crashed, first), moved("canary-2", time.Minute, healthyFor(0)), waiting("rest-1")},
			change:   rollsBack,
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "canary", Do: "roll back canary-1, canary-2 to main-0000001-0001",
				Targets: "canary-1 Failed RolloutFailed, canary-2 Available, rest-1 Waiting",
				Why:     "Available RolloutFailed: canary-1 " + because + "; what has moved goes back", After: soon}},
		"what failed stays failed, although it looks healthy when the operator is back": {
			clusters: []on{moved("canary-1", time.Hour, healthyFor(0), failedBefore), waiting("rest-1")},
			change:   rollsBack,
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "canary", Do: "roll back canary-1 to main-0000001-0001", Targets: "canary-1 Failed RolloutFailed, rest-1 Waiting",
				Why: "Available RolloutFailed: canary-1 (wave canary): it crashed; what has moved goes back", After: soon}},
		"when they are back it is over": {
			clusters: []on{moved("canary-1", time.Hour, failedBefore, pointer(pointing(older, me))), moved("canary-2", time.Hour, first, noPointer), waiting("rest-1")},
			change:   rollsBack,
			want: brief{Phase: fleetv1.PhaseRolledBack, Targets: "canary-1 RolledBack RolloutFailed, canary-2 RolledBack, rest-1 Waiting",
				Why: "Available RolledBack: canary-1 (wave canary): it crashed; canary-1, canary-2 back on what ran there before"}},
		"also when nothing ran anywhere before": {
			clusters: []on{moved("canary-1", time.Hour, failedBefore, first, noPointer)},
			change:   rollsBack,
			want: brief{Phase: fleetv1.PhaseRolledBack, Targets: "canary-1 RolledBack RolloutFailed",
				Why: "Available RolledBack: canary-1 (wave canary): it crashed; canary-1 back on what ran there before"}},
		"also when it is suspended meanwhile": {
			clusters: []on{moved("canary-1", time.Hour, failedBefore, pointer(pointing(older, me)))},
			change:   func(in *Input) { rollsBack(in); in.Release.Spec.Suspend = true },
			want: brief{Phase: fleetv1.PhaseRolledBack, Targets: "canary-1 RolledBack RolloutFailed",
				Why: "Available RolledBack: canary-1 (wave canary): it crashed; canary-1 back on what ran there before"}},
		"also when all that is left of it is in Git": {
			clusters: []on{moved("canary-1", time.Hour, statusLost, pointer(pointing(older, me))), waiting("rest-1")},
			want: brief{Phase: fleetv1.PhaseRolledBack, Targets: "canary-1 RolledBack, rest-1 Waiting",
				Why: "Available RolledBack: canary-1 back on what ran there before"}},
		"what ran there before as well is nothing to go back to": {
			clusters: []on{moved("canary-1", time.Minute, crashing, func(o *on) { o.target.Previous = wanted })},
			change:   rollsBack,
			want: brief{Phase: fleetv1.PhaseFailed, Targets: "canary-1 Failed RolloutFailed",
				Why: "Available RolloutFailed: canary-1 " + because + "; there is nothing to go back to: canary-1 with main-4f1c9d2-a81b"}},
		"a pointer that was edited by hand stays where it is": {
			clusters: []on{moved("canary-1", time.Minute, crashed), moved("canary-2", time.Minute, pointer(Pointer{State: Edited, Artifact: wanted, Release: me}))},
			change:   rollsBack,
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "canary", Do: "roll back canary-1 to main-0000001-0001",
				Targets: "canary-1 Failed RolloutFailed, canary-2 RollingOut",
				Why:     "Available RolloutFailed: canary-1 " + because + "; what has moved goes back", After: soon}},
		"a rollback is not rolled back": {
			clusters: []on{moved("canary-1", time.Minute, crashing)},
			change:   func(in *Input) { rollsBack(in); rollback(in.Release) },
			want: brief{Phase: fleetv1.PhaseFailed, Targets: "canary-1 Failed RolloutFailed",
				Why: "Available RolloutFailed: canary-1 " + because + "; clusters stay where they are (spec.intent: a rollback is not taken back to what somebody wanted to get away from): " +
					"canary-1 with main-4f1c9d2-a81b"}},
		"what passes a freeze is the way back": {
			clusters: []on{moved("canary-1", time.Minute, crashed)},
			change: func(in *Input) {
				rollsBack(in)
				in.Environment.Spec.Freezes = []fleetv1.Freeze{freezeFor("christmas", -time.Second, time.Hour)}
			},
			want: brief{Phase: fleetv1.PhaseReleasing, Wave: "canary", Do: "roll back canary-1 to main-0000001-0001", Targets: "canary-1 Failed RolloutFailed",
				Why: "Available RolloutFailed: canary-1 " + because + "; what has moved goes back", After: soon}},
		"suspended, nothing goes back": {
			clusters: []on{moved("canary-1", time.Hour, crashing)},
			change:   func(in *Input) { rollsBack(in); in.Release.Spec.Suspend = true },
			want: brief{Phase: fleetv1.PhaseReleasing, Targets: "canary-1 RollingOut",
				Why: "Admitted Suspended: Release payments/ledger-2, spec.suspend: it is held where it is until that is taken off"}},
	})
}
