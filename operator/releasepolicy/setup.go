package releasepolicy

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/release"
	"github.com/fairway-dev/fairway/operator/steps"
)

// concurrency is how many services are looked through at the same time.
const concurrency = 8

// SetupWithManager makes the controller. release.Index must have been called. skipNameValidation lets a process run more than one such
// controller, as tests do; nil: it does not.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, skipNameValidation *bool) error {
	everyOne := handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, _ client.Object) []reconcile.Request { return r.requests(ctx) })
	_, err := ctrl.NewControllerManagedBy(mgr).
		For(&fleetv1.ReleasePolicy{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Watches(&fleetv1.Environment{}, everyOne, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&fleetv1.Fleet{}, everyOne, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&fleetv1.Release{}, handler.EnqueueRequestsFromMapFunc(r.ofService), builder.WithPredicates(predicate.Funcs{UpdateFunc: release.PhaseChanged})).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrency, RateLimiter: steps.Backoff(), SkipNameValidation: skipNameValidation}).
		Build(r)
	if err != nil {
		return fmt.Errorf("make controller: %w", err)
	}
	return nil
}

// ofService are the policies of a release's service: what has succeeded in one environment may be released to the next.
func (r *Reconciler) ofService(ctx context.Context, obj client.Object) []reconcile.Request {
	of, ok := obj.(*fleetv1.Release)
	if !ok {
		return nil
	}
	return r.requests(ctx, client.InNamespace(of.Namespace), client.MatchingFields{release.ServiceField: of.Spec.Service})
}

// requests are the policies that a list selects. It is read from the cache, which fails only before it has started.
func (r *Reconciler) requests(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var list fleetv1.ReleasePolicyList
	if err := r.List(ctx, &list, options...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot list ReleasePolicies")
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return out
}
