package release

import (
	"context"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/environment"
	"github.com/fairway-dev/fairway/operator/steps"
)

// Options of the controller.
type Options struct {
	// Concurrency is how many releases are worked on at the same time; 0: 64, as many as go out in one push.
	Concurrency int
	// Wake asks for a pass over Releases that are not over: over the one of an event's object's namespace and name; without a name over
	// those of the service that its label fleet.fairway.dev/service names; without a namespace over all.
	Wake <-chan event.GenericEvent
	// SkipNameValidation lets a process run more than one such controller, as tests do.
	SkipNameValidation *bool
}

const defaultConcurrency = 64

// Index makes the indexes that the reconcilers of releases, environments and policies look things up by. It is called once a manager,
// before they are set up.
func Index(ctx context.Context, mgr ctrl.Manager) error {
	for _, index := range []struct {
		of    client.Object
		field string
		value client.IndexerFunc
	}{
		{&fleetv1.Release{}, ServiceField, serviceOf},
		{&fleetv1.ReleasePolicy{}, ServiceField, serviceOf},
		{&fleetv1.WorkloadCluster{}, environment.Field, environment.Index},
	} {
		if err := mgr.GetFieldIndexer().IndexField(ctx, index.of, index.field, index.value); err != nil {
			return fmt.Errorf("index %T by %s: %w", index.of, index.field, err)
		}
	}
	return nil
}

// serviceOf is the value of ServiceField.
func serviceOf(obj client.Object) []string {
	switch obj := obj.(type) {
	case *fleetv1.Release:
		return []string{obj.Spec.Service}
	case *fleetv1.ReleasePolicy:
		return []string{obj.Spec.Service}
	}
	return nil
}

// SetupWithManager makes the controller. Index must have been called.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, o Options) error {
	if o.Concurrency <= 0 {
		o.Concurrency = defaultConcurrency
	}
	waiting := func(ctx context.Context, _ client.Object) []reconcile.Request { return r.unfinished(ctx, nil) }
	_, err := ctrl.NewControllerManagedBy(mgr).
		For(&fleetv1.Release{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Watches(&fleetv1.Release{}, handler.EnqueueRequestsFromMapFunc(r.beside), builder.WithPredicates(predicate.Funcs{UpdateFunc: PhaseChanged})).
		Watches(&fleetv1.Environment{}, handler.EnqueueRequestsFromMapFunc(r.inEnvironment), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&fleetv1.ReleasePolicy{}, handler.EnqueueRequestsFromMapFunc(r.ofPolicy), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&fleetv1.WorkloadCluster{}, handler.EnqueueRequestsFromMapFunc(r.onCluster), builder.WithPredicates(predicate.Funcs{UpdateFunc: clusterChanged})).
		Watches(&fleetv1.Fleet{}, handler.EnqueueRequestsFromMapFunc(waiting), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(source.Channel(o.Wake, handler.EnqueueRequestsFromMapFunc(r.woken))).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: o.Concurrency,
			RateLimiter:             steps.Backoff(),
			ReconciliationTimeout:   budget + budget/4,
			SkipNameValidation:      o.SkipNameValidation,
		}).
		Build(r)
	if err != nil {
		return fmt.Errorf("make controller: %w", err)
	}
	return nil
}

// PhaseChanged leaves out updates of a Release that are no news for others of its service.
func PhaseChanged(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*fleetv1.Release)
	after, also := e.ObjectNew.(*fleetv1.Release)
	return ok && also && before.Status.Phase != after.Status.Phase
}

// clusterChanged leaves out updates of a cluster that change nothing for releases.
func clusterChanged(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*fleetv1.WorkloadCluster)
	after, also := e.ObjectNew.(*fleetv1.WorkloadCluster)
	return ok && also && (before.Generation != after.Generation || (before.Status.Flux.Revision == "") != (after.Status.Flux.Revision == ""))
}

// beside are the other releases of a service that are not over.
func (r *Reconciler) beside(ctx context.Context, obj client.Object) []reconcile.Request {
	changed, ok := obj.(*fleetv1.Release)
	if !ok {
		return nil
	}
	return r.unfinished(ctx, func(other *fleetv1.Release) bool { return other.UID != changed.UID },
		client.InNamespace(changed.Namespace), client.MatchingFields{ServiceField: changed.Spec.Service})
}

func (r *Reconciler) inEnvironment(ctx context.Context, env client.Object) []reconcile.Request {
	return r.unfinished(ctx, func(release *fleetv1.Release) bool {
		return release.Spec.Environment == env.GetName() || release.Spec.From == env.GetName()
	})
}

func (r *Reconciler) ofPolicy(ctx context.Context, obj client.Object) []reconcile.Request {
	policy, ok := obj.(*fleetv1.ReleasePolicy)
	if !ok {
		return nil
	}
	return r.unfinished(ctx, nil, client.InNamespace(policy.Namespace), client.MatchingFields{ServiceField: policy.Spec.Service})
}

func (r *Reconciler) onCluster(ctx context.Context, obj client.Object) []reconcile.Request {
	cluster, ok := obj.(*fleetv1.WorkloadCluster)
	if !ok {
		return nil
	}
	return r.unfinished(ctx, func(release *fleetv1.Release) bool { return release.Spec.Environment == cluster.Spec.Environment })
}

// woken are the releases that an event of Options.Wake asks for.
func (r *Reconciler) woken(ctx context.Context, obj client.Object) []reconcile.Request {
	switch service := obj.GetLabels()[fleetv1.LabelService]; {
	case obj.GetName() != "":
		return []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(obj)}}
	case obj.GetNamespace() != "":
		return r.unfinished(ctx, nil, client.InNamespace(obj.GetNamespace()), client.MatchingFields{ServiceField: service})
	}
	return r.unfinished(ctx, nil)
}

// unfinished are the releases that are not over, of those that a list and a filter select. The list is read from the cache, which fails
// only before it has started; the first pass over each release comes with its start.
func (r *Reconciler) unfinished(ctx context.Context, wanted func(*fleetv1.Release) bool, options ...client.ListOption) []reconcile.Request {
	var list fleetv1.ReleaseList
	if err := r.List(ctx, &list, options...); err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "cannot list Releases")
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		if release := &list.Items[i]; !release.Status.Phase.Final() && (wanted == nil || wanted(release)) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(release)})
		}
	}
	return out
}
