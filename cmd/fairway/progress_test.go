package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// rollout is how a release to prod goes, step by step.
func rollout() []fleetv1.Release {
	step := func(phase fleetv1.Phase, wave string, aws, azure fleetv1.Target) fleetv1.Release {
		r := promoted(phase, aws, azure)
		r.Status.Wave = wave
		return r
	}
	waits := target(azureCluster, fleetv1.TargetWaiting)
	soaks := held(step(fleetv1.PhaseReleasing, "canary", target(awsCluster, fleetv1.TargetAvailable), waits),
		fleetv1.ConditionAvailable, fleetv1.ReasonWaveSoaking, "wave canary is healthy and soaks")
	soaks.Status.SoakUntil = at(-5 * time.Minute)
	return []fleetv1.Release{
		promoted(""),
		held(promoted(fleetv1.PhasePending), fleetv1.ConditionAdmitted, fleetv1.ReasonApprovalMissing, "1 of 1 approvals are missing"),
		step(fleetv1.PhaseChecking, "", target(awsCluster, fleetv1.TargetWaiting), waits),
		step(fleetv1.PhaseReleasing, "canary", target(awsCluster, fleetv1.TargetMoving), waits),
		step(fleetv1.PhaseReleasing, "canary", target(awsCluster, fleetv1.TargetRollingOut), waits),
		soaks, soaks,
		step(fleetv1.PhaseReleasing, "rest", target(awsCluster, fleetv1.TargetAvailable), target(azureCluster, fleetv1.TargetUnknown)),
		step(fleetv1.PhaseFailed, "rest", target(awsCluster, fleetv1.TargetAvailable), crashed(fleetv1.TargetFailed)),
	}
}

func TestALogHasALineForEachChange(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(terminal(), &out)
	for _, r := range rollout() {
		p.show([]fleetv1.Release{r})
		p.tick([]fleetv1.Release{r})
	}
	golden(t, "progress.txt", out.String())
}

// drawnScreen plays what was written on a terminal that is wide enough.
func drawnScreen(t *testing.T, written string) []string {
	t.Helper()
	var lines []string
	up := regexp.MustCompile(`^\x1b\[(\d+)A\x1b\[J`)
	for len(written) > 0 {
		if m := up.FindStringSubmatch(written); m != nil {
			var n int
			fmt.Sscan(m[1], &n)
			if n > len(lines) {
				t.Fatalf("it goes up %d lines, of %d", n, len(lines))
			}
			lines, written = lines[:len(lines)-n], written[len(m[0]):]
			continue
		}
		line, rest, whole := strings.Cut(written, "\n")
		if !whole {
			t.Fatalf("a line does not end: %q", written)
		}
		lines, written = append(lines, line), rest
	}
	return lines
}

func TestATerminalShowsWhatIsNow(t *testing.T) {
	sh := terminal()
	sh.columns = func() int { return 60 }
	var out bytes.Buffer
	p := newProgress(sh, &out)
	steps := rollout()
	for _, r := range steps {
		p.show([]fleetv1.Release{r})
		for _, line := range drawnScreen(t, out.String()) {
			if width(line) >= 60 {
				t.Errorf("a line would wrap: %q", line)
			}
		}
	}
	p.tick(steps[4:5])
	p.say("the watch broke")
	p.show(steps[5:6])
	golden(t, "progress-screen.txt", strings.Join(drawnScreen(t, out.String()), "\n")+"\n")
}

func TestOfManyClustersThoseAreDrawnThatNeedEyes(t *testing.T) {
	var targets []fleetv1.Target
	for i := range 100 {
		targets = append(targets, target(fmt.Sprintf("c-%03d", i), fleetv1.TargetAvailable))
	}
	targets[70].State, targets[71].State = fleetv1.TargetWaiting, fleetv1.TargetFailed
	r := promoted(fleetv1.PhaseReleasing, targets...)
	got := stages(terminal(), &r, 3)
	if len(got) != 5 || !strings.Contains(got[1].text, "✗ c-071 Failed") || !strings.Contains(got[2].text, "c-070 Waiting") || got[4].text != "  and 97 Available" {
		t.Errorf("%+v", got)
	}
	if n := len(stages(terminal(), &r, 0)); n != 100 {
		t.Errorf("a log has %d lines, want one for itself and each cluster but that which waits", n)
	}
}

func TestWhatEndsAWaitIsSaid(t *testing.T) {
	suspended := promoted(fleetv1.PhaseReleasing)
	suspended.Spec.Suspend = true
	soaking := promoted(fleetv1.PhaseReleasing)
	soaking.Status.Wave, soaking.Status.SoakUntil = "canary", &metav1.Time{Time: now}
	pending := func(reason string) fleetv1.Release {
		return held(promoted(fleetv1.PhasePending), fleetv1.ConditionAdmitted, reason, "the message")
	}
	for name, c := range map[string]struct {
		r             fleetv1.Release
		why, commands string
	}{
		"an approval":                  {pending(fleetv1.ReasonApprovalMissing), "the message", "fairway approve payments/ledger-7k2x9"},
		"health where it was":          {pending(fleetv1.ReasonPromotionSoaking), "the message", "kubectl edit environment prod (spec.promotesFrom.healthyFor), or time"},
		"a freeze":                     {pending(fleetv1.ReasonFrozen), "the message", "kubectl edit environment prod (spec.freezes), or time"},
		"a registry that is away":      {pending(fleetv1.ReasonArtifactsAway), "the message", ""},
		"a soak":                       {soaking, "wave canary soaks until 2026-11-22T08:17:00Z", "kubectl edit environment prod (spec.waves), or time"},
		"a suspension":                 {suspended, "it is suspended", `kubectl -n payments patch release ledger-7k2x9 --type merge -p '{"spec":{"suspend":false}}'`},
		"a rollout under way":          {promoted(fleetv1.PhaseReleasing), "", ""},
		"what has ended waits no more": {held(promoted(fleetv1.PhaseRefused), fleetv1.ConditionAdmitted, fleetv1.ReasonFrozen, "x"), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if why, command := blocked(terminal(), &c.r); why != c.why || command != c.commands {
				t.Errorf("%q, %q, want %q, %q", why, command, c.why, c.commands)
			}
		})
	}
}

func TestOnlyHealthOnEveryClusterIsSuccess(t *testing.T) {
	healthy, waits := target(awsCluster, fleetv1.TargetAvailable), target(azureCluster, fleetv1.TargetWaiting)
	refused := func(kind, reason string) fleetv1.Release {
		return held(promoted(fleetv1.PhaseRefused), kind, reason, "the rule")
	}
	op := "release payments/ledger main-4f1c9d2-a81b to prod: "
	why := "prod-azure-eu1: RolloutFailed: CrashLoopBackOff: container app ended with code 1"
	for name, c := range map[string]struct {
		r    fleetv1.Release
		want string // the error and its fix; "" for none
	}{
		"every cluster is healthy":           {promoted(fleetv1.PhaseSucceeded, healthy), ""},
		"a success that a cluster lacks":     {promoted(fleetv1.PhaseSucceeded, healthy, waits), op + "it is called a success, and prod-azure-eu1 is Waiting ► look: fairway status payments/ledger"},
		"a success of nothing":               {promoted(fleetv1.PhaseSucceeded), op + "it is called a success, and it has no clusters ► look: fairway status payments/ledger"},
		"a cluster failed":                   {promoted(fleetv1.PhaseFailed, healthy, crashed(fleetv1.TargetFailed)), op + "failed: " + why + " ► fairway rollback payments/ledger --env prod"},
		"it was rolled back":                 {promoted(fleetv1.PhaseRolledBack, healthy, crashed(fleetv1.TargetRolledBack)), op + "failed and was rolled back: " + why + " ► what it is back on: fairway status payments/ledger"},
		"no cluster says why":                {held(promoted(fleetv1.PhaseFailed, waits), fleetv1.ConditionCommitted, "PushRefused", "the branch is protected"), op + "failed: PushRefused: the branch is protected ► fairway rollback payments/ledger --env prod"},
		"a newer one took over":              {held(promoted(fleetv1.PhaseSuperseded), fleetv1.ConditionAdmitted, fleetv1.ReasonSuperseded, "by payments/ledger-9zzzz"), op + "a newer release took over: by payments/ledger-9zzzz ► what came after it: fairway history payments/ledger --env prod"},
		"a branch that may not go there":     {refused(fleetv1.ConditionAdmitted, fleetv1.ReasonBranchNotAllowed), op + "refused: BranchNotAllowed: the rule ► the rules: fairway policy list payments/ledger"},
		"manifests that a cluster would not": {refused(fleetv1.ConditionChecked, fleetv1.ReasonCheckFailed), op + "refused: CheckFailed: the rule ► mend the manifests, and try them before: fairway check artifact --service payments/ledger --env prod FOLDER"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if err := outcome(terminal(), &c.r); err != nil {
				message, fix := explain(err)
				got = message + " ► " + fix
			}
			if got != c.want {
				t.Errorf("%s\nwant %s", got, c.want)
			}
		})
	}
}

func TestSeveralReleasesAreJudgedOneByOne(t *testing.T) {
	var out bytes.Buffer
	err := verdict(terminal(), &out, []fleetv1.Release{
		promoted(fleetv1.PhaseSucceeded, target(awsCluster, fleetv1.TargetAvailable)),
		promoted(fleetv1.PhaseFailed, crashed(fleetv1.TargetFailed)),
	})
	if err == nil || err.Error() != "1 of 2 releases did not succeed" {
		t.Errorf("error: %v", err)
	}
	golden(t, "verdict.txt", out.String())
}
