package main

import (
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/event"
)

// truth is what the statuses of Flux's objects say has happened. It is neither of those that are compared.
type truth struct {
	last    map[event.Object]change
	changes []happened
}

// see takes the next state of an object. A revision that is tried again, with the same end, is no new change.
func (t *truth) see(obj client.Object, at time.Time) {
	c, ok := ended(obj)
	if !ok || t.last[c.Object] == c {
		return
	}
	if t.last == nil {
		t.last = map[event.Object]change{}
	}
	t.last[c.Object] = c
	t.changes = append(t.changes, happened{c, at})
}

// ended says how the newest revision ended on an object; false while it has not, and for a source that has never fetched.
func ended(obj client.Object) (change, bool) {
	switch obj := obj.(type) {
	case *sourcev1.GitRepository:
		if obj.Status.Artifact == nil {
			return change{}, false
		}
		return change{object(sourcev1.GitRepositoryKind, obj), obj.Status.Artifact.Revision, applied}, true
	case *kustomizev1.Kustomization:
		return endedKustomization(obj)
	}
	return change{}, false
}

func endedKustomization(obj *kustomizev1.Kustomization) (change, bool) {
	c := change{Object: object(kustomizev1.KustomizationKind, obj), Revision: obj.Status.LastAttemptedRevision}
	ready := apimeta.FindStatusCondition(obj.Status.Conditions, meta.ReadyCondition)
	switch {
	case ready == nil || c.Revision == "":
		return change{}, false
	case ready.Status == metav1.ConditionTrue && obj.Status.LastAppliedRevision == c.Revision:
		c.Outcome = applied
	case ready.Status == metav1.ConditionFalse && !waits(ready.Reason):
		c.Outcome = failed
	default: // it is being tried, or the two parts of its status are not both written yet
		return change{}, false
	}
	return c, true
}

// waits lists the reasons for not being Ready that are no failure of the revision.
func waits(reason string) bool {
	switch reason {
	case meta.ProgressingReason, meta.DependencyNotReadyReason, meta.ArtifactFailedReason, meta.HealthCheckCanceledReason:
		return true
	}
	return false
}

func object(kind string, obj client.Object) event.Object {
	return event.Object{Kind: kind, Namespace: obj.GetNamespace(), Name: obj.GetName()}
}
