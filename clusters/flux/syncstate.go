package flux

import (
	"context"
	"fmt"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// SyncState is whether a cluster follows the config repository.
type SyncState struct {
	Ready       bool   // the root Kustomization has applied a revision, and its source is well
	Reconciling bool   // it is at work: on its first revision, on a newer one, or trying again
	Again       bool   // it is at work on what it applied last, as it is at each interval; whether that was well it does not say
	Failed      bool   // it, or its source, reports a failure
	Reason      string // ReasonSucceeded, ReasonSyncing, ReasonSyncFailed or ReasonSuspended of api/v1alpha1
	Message     string // which of the two objects, and what it says
	Revision    string // the last revision that was applied: "main@sha1:…"
}

// ReadSync reads the GitRepository and the root Kustomization that Sync made. Where one is not
// there the state is neither ready nor failed, and says so.
func ReadSync(ctx context.Context, c client.Reader) (SyncState, error) {
	var source sourcev1.GitRepository
	var root kustomizev1.Kustomization
	foundSource, err := read(ctx, c, sourcev1.GroupVersion.String(), sourcev1.GitRepositoryKind, &source)
	if err != nil {
		return SyncState{}, err
	}
	foundRoot, err := read(ctx, c, kustomizev1.GroupVersion.String(), kustomizev1.KustomizationKind, &root)
	if err != nil {
		return SyncState{}, err
	}
	switch {
	case !foundSource:
		return waiting("the GitRepository is not there yet"), nil
	case !foundRoot:
		return waiting("the root Kustomization is not there yet"), nil
	}
	return syncState(&source, &root), nil
}

// read gets an object by its kind, so that the caller's scheme need not know it, and says whether
// it, and its kind, are there.
func read(ctx context.Context, c client.Reader, apiVersion, kind string, into any) (bool, error) {
	obj := newObject(apiVersion, kind, "", "")
	err := c.Get(ctx, client.ObjectKey{Namespace: fleetv1.FluxNamespace, Name: fleetv1.RootName}, obj)
	if apierrors.IsNotFound(err) || apimeta.IsNoMatchError(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", kind, err)
	}
	return true, convert(obj, into)
}

func convert(obj *unstructured.Unstructured, into any) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, into); err != nil {
		return fmt.Errorf("read %s: %w", obj.GetKind(), err)
	}
	return nil
}

// syncState decides from what both objects report.
func syncState(source *sourcev1.GitRepository, root *kustomizev1.Kustomization) SyncState {
	from := readiness(source.Generation, source.Status.ObservedGeneration, source.Status.Conditions)
	to := readiness(root.Generation, root.Status.ObservedGeneration, root.Status.Conditions)
	state := decide(source, root, from, to)
	state.Revision = root.Status.LastAppliedRevision
	return state
}

func decide(source *sourcev1.GitRepository, root *kustomizev1.Kustomization, from, to condition) SyncState {
	switch {
	case source.Spec.Suspend:
		return suspended("GitRepository")
	case root.Spec.Suspend:
		return suspended("Kustomization")
	case from.failed:
		return failed("the repository cannot be fetched", from)
	case !from.ready:
		return waiting("the repository is being fetched")
	case to.failed && to.reason == meta.ArtifactFailedReason:
		// It looked before its source had anything, and will look again.
		return waiting("the repository was fetched; the root Kustomization has not taken it yet")
	case to.failed:
		return failed("the cluster's folder cannot be applied", to)
	case !to.ready:
		state := waiting("the root Kustomization is at work")
		state.Again = root.Status.ObservedGeneration == root.Generation && // which moves on success only
			source.Status.Artifact != nil && source.Status.Artifact.Revision == root.Status.LastAppliedRevision
		return state
	}
	state := SyncState{Ready: true, Reason: fleetv1.ReasonSucceeded, Message: applied(root.Status.LastAppliedRevision)}
	if source.Status.Artifact != nil && source.Status.Artifact.Revision != root.Status.LastAppliedRevision {
		state.Reconciling = true
		state.Message += "; " + source.Status.Artifact.Revision + " is on its way"
	}
	return state
}

func applied(revision string) string { return "applied " + revision }

// Still is the state of a root Kustomization that is at work again and was well before: what it has applied is there.
func (s SyncState) Still() SyncState {
	return SyncState{Ready: true, Reconciling: true, Reason: fleetv1.ReasonSucceeded, Message: applied(s.Revision), Revision: s.Revision}
}

// condition is what an object says of its readiness, for its newest generation only.
type condition struct {
	ready, failed   bool
	reason, message string
}

func readiness(generation, observed int64, conditions []metav1.Condition) condition {
	ready := apimeta.FindStatusCondition(conditions, meta.ReadyCondition)
	if ready == nil {
		return condition{}
	}
	// Flux moves the status' own generation on success only: of a failure, the condition tells.
	if ready.ObservedGeneration != 0 {
		observed = ready.ObservedGeneration
	}
	if observed != generation {
		return condition{}
	}
	return condition{
		ready:   ready.Status == metav1.ConditionTrue,
		failed:  ready.Status == metav1.ConditionFalse && !atWork(ready.Reason),
		reason:  ready.Reason,
		message: ready.Message,
	}
}

// atWork: reasons of a Ready that is false and no failure.
func atWork(reason string) bool {
	return reason == meta.ProgressingReason || reason == meta.DependencyNotReadyReason || reason == meta.HealthCheckCanceledReason
}

func waiting(message string) SyncState {
	return SyncState{Reconciling: true, Reason: fleetv1.ReasonSyncing, Message: message}
}

func failed(what string, c condition) SyncState {
	return SyncState{Failed: true, Reason: fleetv1.ReasonSyncFailed, Message: fmt.Sprintf("%s (%s): %s", what, c.reason, c.message)}
}

func suspended(kind string) SyncState {
	return SyncState{Reason: fleetv1.ReasonSuspended, Message: "the " + kind + " fairway in flux-system is suspended; resume it with flux resume"}
}
