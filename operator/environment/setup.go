package environment

import (
	"context"
	"fmt"
	"maps"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/steps"
)

// SetupWithManager makes the controller. WorkloadClusters must be indexed by Field. skipNameValidation lets a process run more than one
// such controller, as tests do; nil: it does not.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, skipNameValidation *bool) error {
	_, err := ctrl.NewControllerManagedBy(mgr).
		For(&fleetv1.Environment{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Watches(&fleetv1.Environment{}, handler.EnqueueRequestsFromMapFunc(r.all), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&fleetv1.WorkloadCluster{}, handler.EnqueueRequestsFromMapFunc(ofCluster), builder.WithPredicates(predicate.Funcs{UpdateFunc: changed})).
		WithOptions(controller.Options{RateLimiter: steps.Backoff(), SkipNameValidation: skipNameValidation}).
		Build(r)
	if err != nil {
		return fmt.Errorf("make controller: %w", err)
	}
	return nil
}

// ofCluster is the environment that a cluster is in. Of an update both are asked for: the one that it left, and the one that it is in now.
func ofCluster(_ context.Context, obj client.Object) []reconcile.Request {
	wc, ok := obj.(*fleetv1.WorkloadCluster)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: wc.Spec.Environment}}}
}

// changed leaves out updates of a cluster that move it neither into nor out of a wave.
func changed(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*fleetv1.WorkloadCluster)
	after, also := e.ObjectNew.(*fleetv1.WorkloadCluster)
	return ok && also && (before.Generation != after.Generation || Follows(before) != Follows(after) || !maps.Equal(before.Labels, after.Labels) ||
		before.DeletionTimestamp.IsZero() != after.DeletionTimestamp.IsZero())
}

// all are the Environments: a promotion path leads through them. The list is read from the cache, which fails only before it has started.
func (r *Reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	var list fleetv1.EnvironmentList
	if err := r.List(ctx, &list); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot list Environments")
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return out
}
