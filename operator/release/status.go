package release

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/fluxcd/pkg/runtime/patch"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/configrepo"
	"github.com/fairway-dev/fairway/operator/gitrepo"
	"github.com/fairway-dev/fairway/operator/pointers"
	"github.com/fairway-dev/fairway/operator/policy"
	"github.com/fairway-dev/fairway/operator/steps"
)

// stepConditions are the conditions of the steps, in their order.
var stepConditions = []string{
	fleetv1.ConditionAdmitted, fleetv1.ConditionChecked, fleetv1.ConditionCommitted, fleetv1.ConditionAvailable,
}

var owned = steps.Owned(stepConditions...)

// report writes a step into the status, before it is done. What hindered the same step the last time still stands there until the step
// is done.
func (r *Reconciler) report(ctx context.Context, p *pass, step policy.Step) error {
	moving := underWay(p.obj)
	policy.Report(&p.obj.Status, step)
	noteCommit(p, step, moving)
	wanted := step.Conditions
	if what, ok := r.trouble.of(p.key); ok && step.Do != policy.Nothing {
		wanted = what.over(wanted)
	}
	return r.write(ctx, p, wanted)
}

// underWay says whether the status is about to move a cluster.
func underWay(obj *fleetv1.Release) bool {
	for _, target := range obj.Status.Targets {
		if target.State == fleetv1.TargetMoving {
			return true
		}
	}
	return false
}

// noteCommit notes the commit that moved clusters. One that the operator made just before it ended is not known by its name: the
// newest one, which has it, stands for it.
func noteCommit(p *pass, step policy.Step, moving bool) {
	status := &p.obj.Status
	over := status.Phase == fleetv1.PhaseRolledBack
	switch {
	case over && status.RollbackCommit == "":
		status.RollbackCommit = cmp.Or(p.revision, p.snapshot.Revision())
	case !over && p.revision != "":
		status.Commit = p.revision
	case !over && moving && step.Do != policy.Move:
		status.Commit = p.snapshot.Revision()
	}
	p.revision = ""
}

// write writes the status, and tells of what has changed.
func (r *Reconciler) write(ctx context.Context, p *pass, wanted []metav1.Condition) error {
	before := p.obj.DeepCopy().Status.Conditions
	for i := range wanted {
		conditions.Set(p.obj, &wanted[i])
	}
	if len(wanted) > 0 {
		summarize(p.obj)
	}
	if requested, ok := meta.ReconcileAnnotationValue(p.obj.Annotations); ok {
		p.obj.Status.SetLastHandledReconcileRequest(requested)
	}
	err := p.patcher.Patch(ctx, p.obj, patch.WithOwnedConditions{Conditions: owned}, patch.WithStatusObservedGeneration{},
		patch.WithFieldOwner(r.FieldOwner))
	if err != nil {
		return fmt.Errorf("patch Release: %w", err)
	}
	steps.Record(r.Recorder, p.obj, transitions(before, p.obj))
	return nil
}

// summarize derives Ready, Reconciling and Stalled from the steps: Ready tells of the first that is not done.
func summarize(obj *fleetv1.Release) {
	conditions.Delete(obj, meta.ReconcilingCondition)
	conditions.Delete(obj, meta.StalledCondition)
	for _, name := range stepConditions {
		c := conditions.Get(obj, name)
		switch {
		case c == nil || c.Status == metav1.ConditionTrue:
			continue
		case c.Reason == fleetv1.ReasonSuspended:
			conditions.MarkUnknown(obj, meta.ReadyCondition, c.Reason, "%s", c.Message)
			return
		case obj.Status.Phase.Final():
			conditions.MarkStalled(obj, c.Reason, "%s", c.Message)
		default:
			conditions.MarkReconciling(obj, c.Reason, "%s", c.Message)
		}
		conditions.MarkFalse(obj, meta.ReadyCondition, c.Reason, "%s: %s", name, c.Message)
		return
	}
	conditions.MarkTrue(obj, meta.ReadyCondition, fleetv1.ReasonSucceeded, "%s", conditions.GetMessage(obj, fleetv1.ConditionAvailable))
}

// transitions are the steps whose condition has another status or reason than before. Those that wait are no news.
func transitions(before []metav1.Condition, obj *fleetv1.Release) []steps.Transition {
	var out []steps.Transition
	for _, name := range stepConditions {
		now, old := conditions.Get(obj, name), apimeta.FindStatusCondition(before, name)
		if now == nil || now.Status == metav1.ConditionUnknown || old != nil && old.Status == now.Status && old.Reason == now.Reason {
			continue
		}
		kind := corev1.EventTypeNormal
		if now.Status == metav1.ConditionFalse && (obj.Status.Phase.Final() || hindering[now.Reason]) {
			kind = corev1.EventTypeWarning
		}
		out = append(out, steps.Transition{Type: kind, Condition: name, Reason: now.Reason, Message: now.Message})
	}
	return out
}

// hindrance is what keeps a step from being done, and may go away by itself.
type hindrance struct {
	condition, reason string
	err               error
}

// Error implements error.
func (h hindrance) Error() string { return h.err.Error() }

// Unwrap implements errors.Unwrap.
func (h hindrance) Unwrap() error { return h.err }

// over puts what hinders in the place of what a step says. The steps before it are done, and those after it wait.
func (h hindrance) over(wanted []metav1.Condition) []metav1.Condition {
	out := []metav1.Condition{{Type: h.condition, Status: metav1.ConditionFalse, Reason: h.reason, Message: h.Error()}}
	for _, c := range wanted {
		if c.Type != h.condition {
			out = append(out, c)
		}
	}
	return out
}

// hindering are the reasons of hindrances, for warnings.
var hindering = map[string]bool{
	fleetv1.ReasonSecretMissing: true, fleetv1.ReasonRepositoryRefuses: true, fleetv1.ReasonConfigNotWritten: true,
	fleetv1.ReasonEditedByHand: true, fleetv1.ReasonRepositoryUnreadable: true, fleetv1.ReasonArtifactsAway: true,
}

// hindered says in the status what keeps the pass from going on, and has it tried again with back-off.
func (r *Reconciler) hindered(ctx context.Context, p *pass, err error) (ctrl.Result, error) {
	h := hindranceOf(p.obj, err)
	if h.reason == "" {
		return ctrl.Result{}, err
	}
	if p.obj.Status.Phase == "" {
		p.obj.Status.Phase = fleetv1.PhasePending
	}
	return ctrl.Result{}, errors.Join(err, r.write(ctx, p, h.over(nil)))
}

// hindranceOf says which step an error is of, and its reason; without a reason it is of none.
func hindranceOf(obj *fleetv1.Release, err error) hindrance {
	var h hindrance
	if errors.As(err, &h) {
		return h
	}
	if errors.Is(err, errNoFleet) {
		return hindrance{fleetv1.ConditionAdmitted, fleetv1.ReasonNoFleet, err}
	}
	if reason := commitReason(err); reason != fleetv1.ReasonInternal {
		condition := fleetv1.ConditionAdmitted
		if conditions.IsTrue(obj, fleetv1.ConditionChecked) {
			condition = fleetv1.ConditionCommitted
		}
		return hindrance{condition, reason, err}
	}
	return hindrance{}
}

// commitReason is the reason of what went wrong with the repository; ReasonInternal for what is none of it.
func commitReason(err error) string {
	switch {
	case errors.Is(err, configrepo.ErrNotWritable):
		return fleetv1.ReasonConfigNotWritten
	case errors.Is(err, configrepo.ErrNoSecret):
		return fleetv1.ReasonSecretMissing
	case errors.Is(err, gitrepo.ErrRefused):
		return fleetv1.ReasonRepositoryRefuses
	case errors.Is(err, pointers.ErrEdited), errors.Is(err, pointers.ErrChanged):
		return fleetv1.ReasonEditedByHand
	case errors.Is(err, errSlow), errors.Is(err, gitrepo.ErrAuth), errors.Is(err, gitrepo.ErrNotFound), errors.Is(err, gitrepo.ErrBranch),
		errors.Is(err, gitrepo.ErrUnreachable), errors.Is(err, gitrepo.ErrTooLarge), errors.Is(err, gitrepo.ErrMoved):
		return fleetv1.ReasonRepositoryUnreadable
	}
	return fleetv1.ReasonInternal
}

// troubles remembers what hindered each release last, so that a step that is tried again does not tell that it goes well first. It is
// safe for concurrent use.
type troubles struct {
	mu   sync.Mutex
	last map[types.NamespacedName]hindrance
}

func (t *troubles) note(key types.NamespacedName, err error) {
	var what hindrance
	if !errors.As(err, &what) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.last == nil {
		t.last = map[types.NamespacedName]hindrance{}
	}
	t.last[key] = what
}

func (t *troubles) of(key types.NamespacedName) (hindrance, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	what, ok := t.last[key]
	return what, ok
}

func (t *troubles) forget(key types.NamespacedName) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.last, key)
}
