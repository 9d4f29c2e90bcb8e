package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// The commit of a rollback says why.
func TestEvidence(t *testing.T) {
	in := seen(moved("canary-1", 2*time.Minute, crashed, first), moved("canary-2", time.Minute))
	rollsBack(&in)
	want := `main-4f1c9d2-a81b failed in prod, and Environment prod, spec.onFailure is RollBack.

canary-1 (wave canary), told at 2026-11-28T19:58:00Z: RolloutFailed: Deployment/payments/ledger: CrashLoopBackOff: app ended with code 2
    no such table
    bye

canary-1 ran none before: taken away
canary-2 goes back to main-0000001-0001
`
	if diff := cmp.Diff(want, Next(in).Evidence); diff != "" {
		t.Error(diff)
	}
}

// A step writes all of a status but what is the reconciler's own.
func TestReport(t *testing.T) {
	moment := func(ago time.Duration) *metav1.Time { return &metav1.Time{Time: now.Add(-ago)} }
	status := fleetv1.ReleaseStatus{Commit: "main@sha1:1", SoakUntil: moment(0), Wave: "canary", Phase: fleetv1.PhaseReleasing, ObservedGeneration: 3}
	in := seen(moved("canary-1", 2*time.Minute, crashing), moved("canary-2", time.Minute, healthyFor(30*time.Second)), waiting("rest-1"))
	in.Release.Status.Wave = "canary"
	Report(&status, Next(in))
	want := fleetv1.ReleaseStatus{
		Phase: fleetv1.PhaseFailed, Wave: "canary", Commit: "main@sha1:1", ObservedGeneration: 3,
		StartedAt: moment(2 * time.Minute), FinishedAt: moment(0),
		Digest: "sha256:a81b", Source: fleetv1.ArtifactSource{Branch: "main"},
		Clusters: fleetv1.TargetCounts{Total: 3, Available: 1, Failing: []string{"canary-1"}},
		Targets: []fleetv1.Target{
			{Cluster: "canary-1", Wave: "canary", State: fleetv1.TargetFailed, Previous: older, MovedAt: moment(2 * time.Minute), Reason: fleetv1.ReasonRolloutFailed,
				Message: "Deployment/payments/ledger: CrashLoopBackOff: app ended with code 2", Lines: []string{"no such table", "bye"}},
			{Cluster: "canary-2", Wave: "canary", State: fleetv1.TargetAvailable, Previous: older, MovedAt: moment(time.Minute), AvailableAt: moment(30 * time.Second)},
			{Cluster: "rest-1", Wave: "rest", State: fleetv1.TargetWaiting},
		},
	}
	if diff := cmp.Diff(want, status); diff != "" {
		t.Error(diff)
	}
}

// What is over keeps its times, and a status that was lost gets no others than Git and the clusters give.
func TestReportOfWhatIsOver(t *testing.T) {
	in := seen(moved("canary-1", time.Hour, healthyFor(0)))
	status := in.Release.Status
	Report(&status, Next(in))
	first := *status.DeepCopy()
	in.Release.Status, in.Now = status, now.Add(time.Hour)
	Report(&status, Next(in))
	if diff := cmp.Diff(first, status); diff != "" {
		t.Error(diff)
	}
}

// What stands in a target is cut to what the API server takes.
func TestTargetsAreCut(t *testing.T) {
	long := crashingWith(strings.Repeat("ø", 5000), 50)
	got := Next(seen(moved("canary-1", time.Minute, long))).Targets[0]
	if n := len(got.Message); n > maxMessage || n < maxMessage-4 || !strings.HasSuffix(got.Message, "ø...") {
		t.Errorf("%d bytes of message", n)
	}
	if len(got.Lines) != maxLines {
		t.Errorf("%d lines", len(got.Lines))
	}
}

func crashingWith(message string, lines int) func(*on) {
	return func(o *on) {
		crashing(o)
		o.rollout.Failure.Message, o.rollout.Failure.Lines = message, make([]string, lines)
	}
}

// Conditions say that a step is done, what it is at, and what waits for it.
func TestConditions(t *testing.T) {
	in := seen(moved("canary-1", time.Minute), waiting("rest-1"))
	want := []metav1.Condition{
		{Type: fleetv1.ConditionAdmitted, Status: metav1.ConditionTrue, Reason: fleetv1.ReasonAdmitted, Message: "every rule lets it go on"},
		{Type: fleetv1.ConditionChecked, Status: metav1.ConditionTrue, Reason: fleetv1.ReasonSucceeded, Message: "every cluster would take it"},
		{Type: fleetv1.ConditionCommitted, Status: metav1.ConditionTrue, Reason: fleetv1.ReasonCommitted, Message: "the config repository has it for every cluster whose turn has come"},
		{Type: fleetv1.ConditionAvailable, Status: metav1.ConditionFalse, Reason: fleetv1.ReasonRollingOut, Message: "wave canary: canary-1: 1 of 2 updated"},
	}
	if diff := cmp.Diff(want, Next(in).Conditions); diff != "" {
		t.Error(diff)
	}
	in.Release.Status = fleetv1.ReleaseStatus{}
	in.Pointers["canary-1"] = pointing(older, theirs)
	waits := metav1.Condition{Status: metav1.ConditionUnknown, Reason: fleetv1.ReasonWaiting, Message: "waits for Checked"}
	committed, available := waits, waits
	committed.Type, available.Type = fleetv1.ConditionCommitted, fleetv1.ConditionAvailable
	want = []metav1.Condition{want[0], {Type: fleetv1.ConditionChecked, Status: metav1.ConditionFalse, Reason: fleetv1.ReasonChecking, Message: "asks canary-1"}, committed, available}
	if diff := cmp.Diff(want, Next(in).Conditions); diff != "" {
		t.Error(diff)
	}
	done := Next(seen(moved("canary-1", time.Minute, healthyFor(0)))).Conditions
	if last := done[len(done)-1]; last.Status != metav1.ConditionTrue || last.Message != "canary-1 runs main-4f1c9d2-a81b in health" {
		t.Errorf("%+v", last)
	}
}
