// Package steps turns what became of a reconciler's steps into conditions, Kubernetes events and
// the time of the next pass, the same way for every kind.
package steps

import (
	"errors"
	"fmt"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// State is what became of a step.
type State int

// States of a step.
const (
	Waiting State = iota // for a step before it: condition Unknown
	Skipped              // not wanted here: condition Unknown, and Ready does not mind
	Working              // under way, nothing is wrong: condition False
	Failing              // wrong, and tried again: condition False
	Blocked              // wrong until a person does something: condition False, and the object is Stalled
	Done                 // condition True
)

// Outcome is what became of a step, why, what mends it, and when to look again.
type Outcome struct {
	State   State
	Reason  string // a constant of api/v1alpha1
	Message string
	After   time.Duration // look again then; 0: the step has no wish
	Err     error         // asks for a retry with backoff
}

// Step is a step's outcome and the condition that shows it.
type Step struct {
	Condition string
	Outcome
}

// Succeeded is the outcome of a step with nothing left to do.
func Succeeded(message string, args ...any) Outcome {
	return Outcome{State: Done, Reason: fleetv1.ReasonSucceeded, Message: fmt.Sprintf(message, args...)}
}

// Internal is the outcome of a step that hit an error that a retry may mend.
func Internal(err error) Outcome {
	return Outcome{State: Failing, Reason: fleetv1.ReasonInternal, Message: err.Error(), Err: err}
}

// Previous is the outcome of a step that cannot begin before the named one is done.
func Previous(condition string) Outcome {
	return Outcome{State: Waiting, Reason: fleetv1.ReasonWaiting, Message: "waits for " + condition}
}

// Again sets when to look again.
func (o Outcome) Again(after time.Duration) Outcome {
	o.After = after
	return o
}

// Report writes the steps' conditions, and Ready, Reconciling and Stalled with kstatus's meaning.
// Ready tells of the first step that is not done; when all are, it says ready.
func Report(obj conditions.Setter, all []Step, ready string) {
	for _, step := range all {
		Set(obj, step)
	}
	worst, ok := first(all)
	switch {
	case !ok:
		conditions.Delete(obj, meta.ReconcilingCondition)
		conditions.Delete(obj, meta.StalledCondition)
		conditions.MarkTrue(obj, meta.ReadyCondition, fleetv1.ReasonSucceeded, "%s", ready)
		return
	case worst.State == Blocked:
		conditions.MarkStalled(obj, worst.Reason, "%s", worst.Message)
	default:
		conditions.MarkReconciling(obj, worst.Reason, "%s", worst.Message)
	}
	conditions.MarkFalse(obj, meta.ReadyCondition, worst.Reason, "%s: %s", worst.Condition, worst.Message)
}

// Set writes one step's condition.
func Set(obj conditions.Setter, step Step) {
	conditions.Set(obj, &metav1.Condition{
		Type: step.Condition, Status: step.status(), Reason: step.Reason, Message: step.Message,
	})
}

// first is the step that Ready tells of: one that needs a person before one that does not, and in
// the order of the steps.
func first(all []Step) (Step, bool) {
	for _, wanted := range [][]State{{Blocked}, {Failing, Working, Waiting}} {
		for _, step := range all {
			for _, state := range wanted {
				if step.State == state {
					return step, true
				}
			}
		}
	}
	return Step{}, false
}

func (o Outcome) status() metav1.ConditionStatus {
	switch o.State {
	case Done:
		return metav1.ConditionTrue
	case Waiting, Skipped:
		return metav1.ConditionUnknown
	default:
		return metav1.ConditionFalse
	}
}

// Next is when to look again: the soonest that a step asks for, and the errors that ask for a
// retry. Zero: no step has a wish.
func Next(all []Step) (after time.Duration, err error) {
	var errs []error
	for _, step := range all {
		if step.Err != nil {
			errs = append(errs, step.Err)
		}
		if step.After > 0 && (after == 0 || step.After < after) {
			after = step.After
		}
	}
	return after, errors.Join(errs...)
}
