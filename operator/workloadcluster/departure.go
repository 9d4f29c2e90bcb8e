package workloadcluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/fluxcd/pkg/runtime/patch"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/capi"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/clusters/team"
	"github.com/fairway-dev/fairway/operator/steps"
)

const (
	departPoll      = 2 * time.Second
	defaultDeadline = 10 * time.Minute // the API's default
	lastTry         = 2 * time.Second  // at the cluster, in the last pass
	closing         = 3 * time.Second  // how long before the deadline the last pass begins, so that it ends by then
	leaveAction     = "Leave"          // of events
)

// departure is what decides how a cluster leaves.
type departure struct {
	stranger  bool // the id is another's: nothing was ever made for this one
	moved     bool // it lives on another platform cluster now
	suspended bool
	paused    bool
	reached   bool // the cluster was reached at least once
	gone      bool // the cluster itself is gone, or going
}

// cleanup is what is done for a cluster that leaves.
type cleanup struct {
	platform bool // revoke its credentials, tell the fleet
	cluster  bool // take things off the cluster
	wait     bool // nothing now, until the deadline
}

// decideCleanup says what is done for a cluster that leaves.
func decideCleanup(d departure) cleanup {
	switch {
	case d.stranger, d.moved: // it goes on elsewhere, with the same credentials and under the same id
		return cleanup{}
	case d.paused:
		return cleanup{wait: true}
	case d.suspended, !d.reached, d.gone:
		return cleanup{platform: true}
	}
	return cleanup{platform: true, cluster: true}
}

// depart takes one pass at letting a cluster go. The finalizer goes when all is done, or by the
// deadline.
func (r *Reconciler) depart(ctx context.Context, obj *fleetv1.WorkloadCluster, patcher *patch.SerialPatcher) (ctrl.Result, error) {
	if !controllerutil.ContainsFinalizer(obj, fleetv1.Finalizer) {
		return ctrl.Result{}, nil
	}
	work, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	left := r.leave(work, obj)
	until := lastPass(obj).Sub(r.Clock.Now())
	if len(left) > 0 && until > 0 {
		message := "leaving the fleet; still to be done: " + few(left)
		conditions.MarkReconciling(obj, fleetv1.ReasonDeleting, "%s", message)
		conditions.MarkFalse(obj, meta.ReadyCondition, fleetv1.ReasonDeleting, "%s", message)
		return ctrl.Result{RequeueAfter: min(r.departAfter(obj), until)}, r.patch(ctx, obj, patcher)
	}
	if len(left) > 0 {
		r.Recorder.Eventf(obj, nil, corev1.EventTypeWarning, fleetv1.ReasonLeftBehind, leaveAction, "%s",
			steps.Note(fmt.Sprintf("left the fleet by its deadline; left behind: %s", strings.Join(left, "; "))))
	}
	r.forget(obj)
	return ctrl.Result{}, r.release(ctx, obj)
}

// release takes the finalizer off, and nothing else: the object is gone with it.
func (r *Reconciler) release(ctx context.Context, obj *fleetv1.WorkloadCluster) error {
	before := obj.DeepCopy()
	controllerutil.RemoveFinalizer(obj, fleetv1.Finalizer)
	err := r.Patch(ctx, obj, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(r.FieldOwner))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("take finalizer off: %w", err)
	}
	return nil
}

// leave does what is left to do, and says what could not be done this time.
func (r *Reconciler) leave(ctx context.Context, obj *fleetv1.WorkloadCluster) (left []string) {
	holder, err := r.holder(ctx, obj)
	if err != nil {
		return []string{err.Error()}
	}
	a, err := r.readAccess(ctx, obj)
	a.err = err
	todo := decideCleanup(departing(obj, holder, a))
	if todo.wait {
		left = []string{"the agent on the cluster (nothing is done while " + capi.PausedAnnotation + " pauses it)"}
	}
	if waits := todo.wait && !r.late(obj); waits || todo == (cleanup{}) {
		return left
	}
	// First, since a cluster that hangs takes all the time that it is given.
	if err := r.Store.Revoke(ctx, obj.ID()); err != nil {
		left = append(left, "revoke the agent's credentials: "+err.Error())
	}
	if todo.cluster {
		cleaning, cancel := context.WithTimeout(ctx, cleaningTime(lastPass(obj).Sub(r.Clock.Now())))
		left = append(left, r.clean(cleaning, obj, a)...)
		cancel()
	}
	if len(left) == 0 || r.late(obj) {
		if err := r.deregister(ctx, obj); err != nil {
			left = append(left, "tell the fleet view: "+err.Error())
		}
	}
	return left
}

// cleaningTime bounds one pass at cleaning a cluster whose last pass is that far: it leaves by its deadline, even
// if it never answers.
func cleaningTime(until time.Duration) time.Duration {
	return min(max(until, lastTry), budget/2)
}

func departing(obj, holder *fleetv1.WorkloadCluster, a access) departure {
	_, moved := obj.Annotations[capi.DeleteForMoveAnnotation]
	_, paused := obj.Annotations[capi.PausedAnnotation]
	return departure{
		stranger:  holder.UID != obj.UID,
		moved:     moved,
		suspended: obj.Spec.Suspend,
		paused:    paused || a.state.Paused,
		reached:   obj.Status.KubernetesVersion != "",
		gone:      a.gone(),
	}
}

// clean takes off the cluster what its policy says, and returns what is still there.
func (r *Reconciler) clean(ctx context.Context, obj *fleetv1.WorkloadCluster, a access) (left []string) {
	if outcome, missing := missing(a); missing {
		return []string{"the agent on the cluster (" + outcome.Message + ")"}
	}
	cluster, done, err := r.connect(ctx, obj.ID(), doubtful(obj, r.agentSilent(obj.ID())), a.kubeconfig)
	if err != nil {
		return []string{"the agent on the cluster (" + err.Error() + ")"}
	}
	defer done()
	applier := flux.NewApplier(cluster.Client)
	sets := []string{setAgent}
	if obj.Spec.Deletion.Policy == fleetv1.DeletionUninstall && obj.Spec.Mode != fleetv1.ModeObserve {
		// What the root Kustomization deployed stays: only what Fairway installed goes.
		if err := suspendRoot(ctx, cluster.Client); err != nil {
			return []string{err.Error()}
		}
		teams, err := team.Sets(ctx, cluster.Client)
		if err != nil {
			return []string{err.Error()}
		}
		sets = slices.Concat(sets, teams, []string{setSync, setFlux})
	}
	for _, set := range sets {
		r.applied.forget(recentKey{cluster: obj.ID(), set: set})
		still, err := applier.Remove(ctx, set)
		if err != nil {
			still = append(still, fmt.Sprintf("remove %s: %v", set, err))
		}
		left = append(left, still...)
		if errors.Is(remote.Classify(err), remote.ErrUnreachable) {
			break // the next would wait as long, and a worker with it
		}
	}
	return left
}

// suspendRoot keeps the root Kustomization from deleting what it has deployed when it is deleted.
func suspendRoot(ctx context.Context, c client.Client) error {
	root := &unstructured.Unstructured{}
	root.SetGroupVersionKind(schema.GroupVersionKind{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "Kustomization"})
	key := types.NamespacedName{Namespace: fleetv1.FluxNamespace, Name: fleetv1.RootName}
	err := c.Get(ctx, key, root)
	if apierrors.IsNotFound(err) || apimeta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("get the root Kustomization: %w", err)
	}
	if suspended, _, _ := unstructured.NestedBool(root.Object, "spec", "suspend"); suspended || root.GetDeletionTimestamp() != nil {
		return nil
	}
	if err := c.Patch(ctx, root, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspend":true}}`))); err != nil {
		return fmt.Errorf("suspend the root Kustomization: %w", err)
	}
	return nil
}

// deregister tells the fleet that the cluster has left.
func (r *Reconciler) deregister(ctx context.Context, obj *fleetv1.WorkloadCluster) error {
	e, err := announcement(event.ClusterDeregistered, registration(obj), r.Clock.Now())
	if err != nil {
		return err
	}
	return r.say(ctx, e)
}

// forget drops what this process remembers of a cluster.
func (r *Reconciler) forget(obj *fleetv1.WorkloadCluster) {
	id := obj.ID()
	r.Remotes.Forget(id)
	r.asking.forget(id)
	r.announced.forget(id)
	r.surveys.forget(id)
	r.unpublished.forget(obj.UID)
	r.applied.forget(recentKey{id, setFlux}, recentKey{id, setSync}, recentKey{id, setAgent})
}

// lastPass is when the pass begins after which the cluster has left.
func lastPass(obj *fleetv1.WorkloadCluster) time.Time {
	limit := obj.Spec.Deletion.Deadline.Duration
	if limit <= 0 {
		limit = defaultDeadline
	}
	return obj.DeletionTimestamp.Add(limit - closing)
}

func (r *Reconciler) late(obj *fleetv1.WorkloadCluster) bool {
	return !r.Clock.Now().Before(lastPass(obj))
}

// departAfter is when to try again: soon at first, then with more patience.
func (r *Reconciler) departAfter(obj *fleetv1.WorkloadCluster) time.Duration {
	under := r.Clock.Now().Sub(obj.DeletionTimestamp.Time)
	return max(departPoll, min(steps.Jitter(under/4), slowestPoll))
}
