package policy

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// steps of a release, and what each one comes to.
var steps = []struct{ condition, reason, done string }{
	{fleetv1.ConditionAdmitted, fleetv1.ReasonAdmitted, "every rule lets it go on"},
	{fleetv1.ConditionChecked, fleetv1.ReasonSucceeded, "every cluster would take it"},
	{fleetv1.ConditionCommitted, fleetv1.ReasonCommitted, "the config repository has it for every cluster whose turn has come"},
	{fleetv1.ConditionAvailable, fleetv1.ReasonSucceeded, ""},
}

// until says that the steps before a condition are done, why that one is not, and that those after it wait.
func (s Step) until(condition, reason, message string) Step {
	s.Conditions = nil
	status, waits := metav1.ConditionTrue, ""
	for _, step := range steps {
		c := metav1.Condition{Type: step.condition, Status: status, Reason: step.reason, Message: step.done}
		switch {
		case step.condition == condition:
			c.Status, c.Reason, c.Message = metav1.ConditionFalse, reason, message
			status, waits = metav1.ConditionUnknown, "waits for "+condition
		case status == metav1.ConditionUnknown:
			c.Reason, c.Message = fleetv1.ReasonWaiting, waits
		}
		s.Conditions = append(s.Conditions, c)
	}
	return s
}

// done says that every step is.
func (s Step) done(message string) Step {
	s = s.until("", "", "")
	s.Conditions[len(steps)-1].Message = message
	return s
}

// again says when to look again.
func (s Step) again(after time.Duration) Step {
	s.After = after
	return s
}

// failures names clusters that failed, and why.
func failures(failing []target) string {
	var out []string
	for _, t := range failing {
		out = append(out, fmt.Sprintf("%s (wave %s): %s", t.Cluster, t.Wave, t.Message))
	}
	return strings.Join(out, "; ")
}

// evidence is why clusters go back, for the commit that does it: what failed where with its last lines, and which cluster goes back to what.
func evidence(p *pass, failing []target, moves []Pointing) string {
	var out strings.Builder
	fmt.Fprintf(&out, "%s failed in %s, and Environment %s, spec.onFailure is RollBack.\n", p.Release.Spec.Artifact, p.Environment.Name, p.Environment.Name)
	for _, t := range failing {
		fmt.Fprintf(&out, "\n%s (wave %s), told at %s: %s: %s\n", t.Cluster, t.Wave, stamp(t.MovedAt.Time), t.Reason, t.Message)
		for _, line := range t.Lines {
			fmt.Fprintf(&out, "    %s\n", line)
		}
	}
	out.WriteString("\n")
	for _, m := range moves {
		if m.Artifact == "" {
			fmt.Fprintf(&out, "%s ran none before: taken away\n", m.Cluster)
			continue
		}
		fmt.Fprintf(&out, "%s goes back to %s\n", m.Cluster, m.Artifact)
	}
	return out.String()
}

// Report writes a step into a status: all but conditions, commit, rollbackCommit and observedGeneration.
func Report(status *fleetv1.ReleaseStatus, step Step) {
	status.Phase, status.Wave, status.Targets = step.Phase, step.Wave, step.Targets
	status.SoakUntil = nil
	if !step.SoakUntil.IsZero() {
		status.SoakUntil = &metav1.Time{Time: step.SoakUntil}
	}
	if step.Artifact.Digest != "" {
		status.Digest, status.Source = step.Artifact.Digest, step.Artifact.Source
	}
	status.Clusters = count(step.Targets)
	for _, t := range step.Targets {
		if t.MovedAt != nil && (status.StartedAt == nil || t.MovedAt.Before(status.StartedAt)) {
			status.StartedAt = t.MovedAt
		}
	}
	if step.Phase.Final() && status.FinishedAt == nil {
		status.FinishedAt = &metav1.Time{Time: step.Now.Truncate(time.Second)}
	}
}

func count(targets []fleetv1.Target) fleetv1.TargetCounts {
	out := fleetv1.TargetCounts{Total: int32(len(targets))}
	for _, t := range targets {
		switch {
		case t.State == fleetv1.TargetAvailable:
			out.Available++
		case t.State == fleetv1.TargetFailed, t.State == fleetv1.TargetRolledBack && t.Reason != "":
			out.Failing = append(out.Failing, t.Cluster)
		}
	}
	return out
}
