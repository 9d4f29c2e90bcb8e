package observe

import (
	"slices"
	"time"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/redact"
)

// fluxStatus is the state of a Flux object as an event tells it.
type fluxStatus struct {
	typ     event.Type
	reason  string
	message string    // as the object has it; redacted when it was restored
	at      time.Time // zero: the object does not say
	// waiting is since when the object waits for another one. Zero: it does not. It is not a
	// failure yet; recheck is when it becomes one.
	waiting, recheck time.Time
	// attempt is set while a reconciliation is under way: what there was before still holds when
	// it tries the same thing again.
	attempt bool
}

// reasonSourceNotReady is helm-controller's; it has no constant in its API.
const reasonSourceNotReady = "SourceNotReady"

// decideFlux is the state of a Flux object, from nothing but the object.
func decideFlux(f *fluxObject) fluxStatus {
	stalled, ready := f.condition(meta.StalledCondition), f.condition(meta.ReadyCondition)
	switch {
	case f.suspended:
		return fluxStatus{typ: event.FluxSuspended, reason: meta.SuspendedReason}
	case f.static:
		return fluxStatus{typ: event.FluxSucceeded, reason: meta.SucceededReason, at: f.created}
	case stalled != nil && stalled.Status == metav1.ConditionTrue && f.current(stalled):
		return told(event.FluxStalled, stalled)
	case ready == nil:
		return fluxStatus{typ: event.FluxProgressing, reason: meta.ProgressingReason, at: f.created, attempt: true}
	case !f.current(ready) || ready.Status == metav1.ConditionUnknown:
		s := told(event.FluxProgressing, ready)
		s.attempt = true
		if c := f.condition(meta.ReconcilingCondition); c != nil {
			s.message = c.Message
		}
		s.reason = meta.ProgressingReason // not ProgressingWithRetry: a retry is no news
		return s
	case ready.Status == metav1.ConditionTrue && f.unfinished():
		s := told(event.FluxProgressing, ready)
		s.reason, s.attempt = meta.ProgressingReason, true
		return s
	case ready.Status == metav1.ConditionTrue:
		s := told(event.FluxSucceeded, ready)
		if f.fetched.After(s.at) {
			s.at = f.fetched
		}
		return s
	case ready.Reason == meta.HealthCheckCanceledReason || ready.Reason == meta.ProgressingReason:
		s := told(event.FluxProgressing, ready)
		s.attempt = true
		return s
	case f.waits(ready.Reason):
		s := told(event.FluxProgressing, ready)
		s.waiting = s.at
		return s
	}
	return told(event.FluxFailed, ready)
}

// unfinished says whether a Kustomization that calls itself Ready has yet to say what it applied:
// kustomize-controller writes the condition first and the revision with its next patch, and one
// success would be told twice.
func (f *fluxObject) unfinished() bool {
	return f.object.Kind == kustomizev1.KustomizationKind && f.data.AppliedRevision != f.data.AttemptedRevision
}

func told(typ event.Type, c *metav1.Condition) fluxStatus {
	return fluxStatus{typ: typ, reason: c.Reason, message: c.Message, at: c.LastTransitionTime.Time}
}

// current says whether a condition is about the object's newest generation.
func (f *fluxObject) current(c *metav1.Condition) bool {
	if c.ObservedGeneration > 0 {
		return c.ObservedGeneration >= f.data.Generation
	}
	return f.observed >= f.data.Generation
}

// waits says whether the reason tells of something else that is not there yet. A source has
// nothing to wait for.
func (f *fluxObject) waits(reason string) bool {
	return !f.isSource() && slices.Contains([]string{
		meta.DependencyNotReadyReason, meta.ArtifactFailedReason, reasonSourceNotReady,
	}, reason)
}

// gitRevision is the commit that the state of the object is about, or "" for kinds whose revisions
// are no commits.
func (r *fluxRecord) gitRevision() string {
	switch r.object.Kind {
	case kustomizev1.KustomizationKind, sourcev1.GitRepositoryKind, sourcev1.OCIRepositoryKind:
	default:
		return ""
	}
	if tried := r.data.AttemptedRevision; r.said.typ != event.FluxSucceeded && tried != "" && tried != r.data.AppliedRevision {
		return tried
	}
	return firstOf(r.data.OriginRevision, r.data.AppliedRevision)
}

// rolledOutRevision is the commit of what the object has put on the cluster: the one that it is
// trying while it applies or checks it, since objects change by that; else the one it applied.
func (r *fluxRecord) rolledOutRevision() string {
	if !r.said.waiting.IsZero() || r.said.failing() && r.said.reason != meta.HealthCheckFailedReason {
		return firstOf(r.data.OriginRevision, r.data.AppliedRevision)
	}
	return r.gitRevision()
}

// nextFlux is what to say of an object, given what was said of it. say is false when that still
// holds; then next is what was said, with the newest details.
func nextFlux(prev *fluxRecord, f *fluxObject, o Options, now time.Time) (next fluxStatus, say bool) {
	t := o.Timing
	next = decideFlux(f)
	if prev == nil {
		return lasting(next, t, now), true
	}
	said := prev.said
	sameTry := f.data.AttemptedRevision == prev.data.AttemptedRevision && f.data.Generation == prev.data.Generation
	if next.attempt && sameTry && (settled(said.typ) || !said.waiting.IsZero()) {
		return lasting(said, t, now), false
	}
	if !next.waiting.IsZero() && !said.waiting.IsZero() && next.reason == said.reason && said.waiting.Before(next.waiting) {
		next.waiting = said.waiting
	}
	next = lasting(next, t, now)
	say = next.typ != said.typ ||
		f.data.AppliedRevision != prev.data.AppliedRevision ||
		f.data.OriginRevision != prev.data.OriginRevision ||
		f.released(prev) ||
		next.reason != said.reason ||
		next.typ != event.FluxSucceeded && f.data.AttemptedRevision != prev.data.AttemptedRevision ||
		next.failing() && !redact.Alike(o.Redact.Clean(next.message), o.Redact.Clean(said.message))
	if !say {
		next.at, next.message = said.at, said.message
	}
	return next, say
}

// released says whether a HelmRelease has another release than before, be it of the same chart. From
// what was told before a restart only another specification shows.
func (f *fluxObject) released(prev *fluxRecord) bool {
	if prev.restored {
		return f.object.Kind == helmv2.HelmReleaseKind && f.data.Generation != prev.data.Generation
	}
	return f.release != prev.release
}

func settled(typ event.Type) bool {
	return typ == event.FluxSucceeded || typ == event.FluxFailed || typ == event.FluxStalled
}

func (s fluxStatus) failing() bool { return s.typ == event.FluxFailed || s.typ == event.FluxStalled }

// lasting makes a failure of a wait that has lasted too long.
func lasting(s fluxStatus, t Timing, now time.Time) fluxStatus {
	s.recheck = time.Time{}
	if s.waiting.IsZero() {
		return s
	}
	limit := t.Source
	if s.reason == meta.DependencyNotReadyReason {
		limit = t.Dependency
	}
	if end := s.waiting.Add(limit); now.Before(end) {
		s.recheck = end
	} else {
		s.typ = event.FluxFailed
	}
	return s
}
