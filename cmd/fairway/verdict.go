package main

import (
	"fmt"
	"io"
	"strings"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/client"
)

// verdict says what came of Releases that have ended: nil only when every cluster runs its artifact in health.
func verdict(sh *shell, stderr io.Writer, items []fleetv1.Release) error {
	var failed []error
	for i := range items {
		r := &items[i]
		err := outcome(sh, r)
		if err == nil {
			done(stderr, "%s is healthy in %s on %s: %s", r.Spec.Artifact, r.Spec.Environment, count(len(r.Status.Targets), "cluster"), strings.Join(targetNames(r), ", "))
			continue
		}
		lastLines(stderr, r)
		failed = append(failed, err)
	}
	if len(failed) < 2 && len(items) == 1 {
		return first(failed)
	}
	for _, err := range failed {
		message, fix := explain(err)
		fmt.Fprintln(stderr, "✗ "+message)
		if fix != "" {
			hint(stderr, "%s", fix)
		}
	}
	if len(failed) > 0 {
		return fmt.Errorf("%d of %s did not succeed", len(failed), count(len(items), "release"))
	}
	return nil
}

func first(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return errs[0]
}

func targetNames(r *fleetv1.Release) []string {
	var names []string
	for _, t := range r.Status.Targets {
		names = append(names, t.Cluster)
	}
	return names
}

// outcome is nil for a Release that has succeeded on every cluster. Otherwise it says which phase ended it,
// which clusters failed and why, and what can be done.
func outcome(sh *shell, r *fleetv1.Release) error {
	service := serviceID{r.Namespace, r.Spec.Service}
	op := fmt.Sprintf("release %s %s to %s", service, r.Spec.Artifact, r.Spec.Environment)
	kind, reason, message := obstacle(r)
	switch r.Status.Phase {
	case fleetv1.PhaseSucceeded:
		return unhealthy(sh, op, r)
	case fleetv1.PhaseRefused:
		return &client.Error{Op: op, Err: fmt.Errorf("refused: %s", sentence(": ", reason, message)), Fix: fixOfRefusal(sh, r, kind, reason)}
	case fleetv1.PhaseSuperseded:
		return fail(op, fmt.Sprintf("what came after it: %s history %s --env %s", sh.name, service, r.Spec.Environment), "%s",
			sentence(": ", "a newer release took over", message))
	}
	because := failures(r)
	if because == "" {
		because = sentence(": ", reason, message)
	}
	if r.Status.Phase == fleetv1.PhaseRolledBack {
		return fail(op, fmt.Sprintf("what it is back on: %s status %s", sh.name, service), "failed and was rolled back: %s", because)
	}
	return fail(op, fmt.Sprintf("%s rollback %s --env %s", sh.name, service, r.Spec.Environment), "failed: %s", because)
}

// unhealthy holds a success to what its clusters say.
func unhealthy(sh *shell, op string, r *fleetv1.Release) error {
	var not []string
	for _, t := range r.Status.Targets {
		if t.State != fleetv1.TargetAvailable {
			not = append(not, fmt.Sprintf("%s is %s", t.Cluster, t.State))
		}
	}
	if len(not) == 0 && len(r.Status.Targets) > 0 {
		return nil
	}
	if len(not) == 0 {
		not = []string{"it has no clusters"}
	}
	return fail(op, fmt.Sprintf("look: %s status %s", sh.name, serviceID{r.Namespace, r.Spec.Service}), "it is called a success, and %s", strings.Join(not, ", "))
}

// failures are the clusters that failed, each with its reason.
func failures(r *fleetv1.Release) string {
	var out []string
	for _, t := range r.Status.Targets {
		if t.State == fleetv1.TargetFailed || t.Reason != "" && t.State != fleetv1.TargetAvailable {
			out = append(out, sentence(": ", t.Cluster, t.Reason, t.Message))
		}
	}
	return strings.Join(out, "; ")
}

// lastLines prints what containers wrote last on the clusters that failed.
func lastLines(stderr io.Writer, r *fleetv1.Release) {
	for _, t := range r.Status.Targets {
		if len(t.Lines) == 0 {
			continue
		}
		fmt.Fprintf(stderr, "%s, last lines:\n", clean(t.Cluster))
		for _, line := range t.Lines {
			fmt.Fprintln(stderr, "  │ "+oneLine(line))
		}
	}
}

// fixOfRefusal is the command that helps; what would satisfy a rule stands in its message.
func fixOfRefusal(sh *shell, r *fleetv1.Release, kind, reason string) string {
	service := serviceID{r.Namespace, r.Spec.Service}
	switch reason {
	case fleetv1.ReasonBranchNotAllowed:
		return fmt.Sprintf("the rules: %s policy list %s", sh.name, service)
	case fleetv1.ReasonEnvironmentNotFound:
		return "list them: kubectl get environments"
	case fleetv1.ReasonArtifactNotFound:
		return fmt.Sprintf("list them: %s artifact list %s", sh.name, service)
	case fleetv1.ReasonFrozen:
		return fmt.Sprintf("see the freezes: kubectl get environment %s -o yaml; a rollback is let through: %s rollback %s --env %s", r.Spec.Environment, sh.name, service, r.Spec.Environment)
	case fleetv1.ReasonNothingBefore:
		return fmt.Sprintf("what ran there: %s history %s --env %s", sh.name, service, r.Spec.Environment)
	case fleetv1.ReasonNotPromotable:
		return fmt.Sprintf("where it is: %s history %s", sh.name, service)
	}
	if kind == fleetv1.ConditionChecked {
		return fmt.Sprintf("mend the manifests, and try them before: %s check artifact --service %s --env %s FOLDER", sh.name, service, r.Spec.Environment)
	}
	return ""
}
