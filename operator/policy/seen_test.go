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
	me      = "payments/ledger-2"
	theirs  = "payments/ledger-1"
	timeout = 10 * time.Minute
	soak    = 5 * time.Minute
)

// on is a cluster, with what Git, the view and the status say of it.
type on struct {
	id      string
	pointer Pointer
	rollout Rollout
	target  *fleetv1.Target // nil: the status does not know it
	check   *Check          // nil: it was not asked
}

func pointing(artifact, release string) Pointer {
	return Pointer{State: Ours, Artifact: artifact, Release: release}
}

// waiting for its turn, it runs what ran there before.
func waiting(id string, changes ...func(*on)) on {
	out := on{id: id, pointer: pointing(older, theirs), rollout: healthy(older, 24*time.Hour), check: &Check{At: now}}
	for _, change := range changes {
		change(&out)
	}
	return out
}

// moved was told to run the artifact a while ago, and rolls out since.
func moved(id string, ago time.Duration, changes ...func(*on)) on {
	out := on{id: id, pointer: pointing(wanted, me),
		rollout: Rollout{Known: true, AsOf: now, Artifact: older, Message: "1 of 2 updated"},
		target:  &fleetv1.Target{Cluster: id, State: fleetv1.TargetRollingOut, Previous: older, MovedAt: &metav1.Time{Time: now.Add(-ago)}}}
	for _, change := range changes {
		change(&out)
	}
	return out
}

func healthyFor(ago time.Duration) func(*on) {
	return func(o *on) {
		o.rollout, o.target.State = healthy(wanted, ago), fleetv1.TargetAvailable
		o.target.AvailableAt = &metav1.Time{Time: now.Add(-ago)}
	}
}

// unwell stopped being available a while ago.
func unwell(ago time.Duration) func(*on) {
	return func(o *on) {
		o.rollout = Rollout{Known: true, AsOf: now, Artifact: wanted, Applied: true, Since: now.Add(-ago), Message: "1 of 2 available"}
	}
}

func crashing(o *on) {
	o.rollout = Rollout{Known: true, AsOf: now, Artifact: wanted, Applied: true, Failure: &Failure{Reason: fleetv1.ReasonRolloutFailed,
		Object: "Deployment/payments/ledger", Message: "CrashLoopBackOff: app ended with code 2", Lines: []string{"no such table", "bye"}, Since: now}}
}

// crashed is what a status says of one that was crashing when the operator looked the last time.
func crashed(o *on) {
	crashing(o)
	f := o.rollout.Failure
	o.target.State, o.target.Reason, o.target.Message, o.target.Lines = fleetv1.TargetFailed, f.Reason, f.String(), f.Lines
}

func dark(since time.Duration) func(*on) {
	return func(o *on) { o.rollout.Known, o.rollout.AsOf = false, now.Add(-since) }
}

func first(o *on) { o.target.Previous = "" }
func failedBefore(o *on) {
	o.target.State, o.target.Reason, o.target.Message = fleetv1.TargetFailed, "RolloutFailed", "it crashed"
}
func unasked(o *on)               { o.check = nil }
func statusLost(o *on)            { o.target = nil }
func pointer(p Pointer) func(*on) { return func(o *on) { o.pointer = p } }
func noPointer(o *on)             { o.pointer = Pointer{} }
func away(since, asked time.Duration) func(*on) {
	return func(o *on) { o.check = &Check{Away: "no route", Since: now.Add(-since), At: now.Add(-asked)} }
}
func state(s fleetv1.TargetState) func(*on) { return func(o *on) { o.target.State = s } }

// seen is a Release that meets every rule; it has begun when the status knows of a target.
func seen(all ...on) Input {
	out := Input{AdmitInput: admissible(), Pointers: map[string]Pointer{}, Rollouts: map[string]Rollout{}, Checks: map[string]Check{}}
	out.Environment.Spec.Timeout = lasting(timeout)
	out.Environment.Spec.Waves = []fleetv1.Wave{
		{Name: "canary", ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"wave": "canary"}}, Soak: lasting(soak)},
		{Name: "rest", MaxConcurrent: ptr(intstr.FromInt32(2)), Soak: lasting(time.Hour)},
	}
	for _, o := range all {
		wave, _, _ := strings.Cut(o.id, "-")
		out.Clusters = append(out.Clusters, Cluster{ID: o.id, Labels: map[string]string{"wave": wave}})
		out.Pointers[o.id], out.Rollouts[o.id] = o.pointer, o.rollout
		if o.check != nil {
			out.Checks[o.id] = *o.check
		}
		if o.target != nil {
			out.Release.Status.Phase, out.Release.Status.StartedAt = fleetv1.PhaseReleasing, o.target.MovedAt
			out.Release.Status.Targets = append(out.Release.Status.Targets, *o.target)
		}
	}
	return out
}

func ptr[T any](v T) *T { return &v }

// brief is what a table compares of a step.
type brief struct {
	Phase   fleetv1.Phase
	Do      string // "move rest-1 to main-…"
	Wave    string
	Soak    time.Duration // from now
	Targets string
	Why     string // the first condition that is not True, its reason and message
	After   time.Duration
}

func shorten(s Step) brief {
	out := brief{Phase: s.Phase, Wave: s.Wave, After: s.After}
	verb := map[Do]string{Dry: "ask ", Move: "move ", RollBack: "roll back "}[s.Do]
	parts := append([]string{}, s.Dry...)
	for _, m := range s.Moves {
		parts = append(parts, strings.TrimSuffix(m.Cluster+" to "+m.Artifact, " to "))
	}
	out.Do = verb + strings.Join(parts, ", ")
	if !s.SoakUntil.IsZero() {
		out.Soak = s.SoakUntil.Sub(now)
	}
	var targets []string
	for _, t := range s.Targets {
		targets = append(targets, strings.TrimSpace(fmt.Sprintf("%s %s %s", t.Cluster, t.State, t.Reason)))
	}
	out.Targets = strings.Join(targets, ", ")
	for _, c := range s.Conditions {
		if c.Status == metav1.ConditionFalse {
			out.Why = fmt.Sprintf("%s %s: %s", c.Type, c.Reason, c.Message)
		}
	}
	return out
}

// stepCase is a case of a table.
type stepCase struct {
	clusters []on
	change   func(*Input)
	want     brief
}

func run(t *testing.T, cases map[string]stepCase) {
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			in := seen(tc.clusters...)
			if tc.change != nil {
				tc.change(&in)
			}
			if diff := cmp.Diff(tc.want, shorten(Next(in))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
