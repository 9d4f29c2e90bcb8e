package workloadcluster

import (
	"context"
	"fmt"

	"github.com/fluxcd/pkg/runtime/conditions"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/capi"
	"github.com/fairway-dev/fairway/operator/steps"
)

// Options of the controller.
type Options struct {
	// Concurrency is how many clusters are worked on at the same time; 0: 20.
	Concurrency int
	// Clusters gets the watch on Cluster API Clusters.
	Clusters *capi.Watcher
	// Wake asks for a pass over the clusters whose id is the name of an event's object; an empty
	// name is all of them. Something was heard of them.
	Wake <-chan event.GenericEvent
	// SkipNameValidation lets a process run more than one such controller, as tests do.
	SkipNameValidation *bool
}

const defaultConcurrency = 20

// SetupWithManager makes the controller. ctx bounds the setup only.
func (r *Reconciler) SetupWithManager(ctx context.Context, mgr ctrl.Manager, o Options) error {
	r.versions.Failure, r.versions.Now = failureLife, r.Clock.Now
	if o.Concurrency <= 0 {
		o.Concurrency = defaultConcurrency
	}
	r.slow.most = placesOf(o.Concurrency)
	r.asking.every, r.asking.wake = askEvery, func(id string) { r.wake(id, true) }
	r.surveying.most, r.applying = maxSurveys, make(places, maxApplying)
	err := mgr.GetFieldIndexer().IndexField(ctx, &fleetv1.WorkloadCluster{}, nameField, func(obj client.Object) []string {
		return []string{obj.GetName()}
	})
	if err != nil {
		return fmt.Errorf("index WorkloadClusters by name: %w", err)
	}
	byName := handler.EnqueueRequestsFromMapFunc(r.named)
	c, err := ctrl.NewControllerManagedBy(mgr).
		For(&fleetv1.WorkloadCluster{}, builder.WithPredicates(predicate.Or(
			predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}, predicate.LabelChangedPredicate{}))).
		Watches(&fleetv1.WorkloadCluster{}, byName, builder.WithPredicates(onlyDeleted)).
		Watches(&fleetv1.Fleet{}, r.everyOne(), builder.WithPredicates(predicate.Funcs{UpdateFunc: fleetChanged})).
		WatchesRawSource(source.Channel(o.Wake, handler.Funcs{GenericFunc: r.woken})).
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
	o.Clusters.For(c, handler.EnqueueRequestsFromMapFunc(r.referring))
	return nil
}

// behind is the priority of passes that only time, or something that is of all clusters, asks for: they wait for those over a cluster that
// was changed, or that somebody asks for.
var behind = handler.LowPriority

type requests = workqueue.TypedRateLimitingInterface[reconcile.Request]

// everyOne asks for passes over all clusters.
func (r *Reconciler) everyOne() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q requests) { add(q, behind, r.all(ctx, e.Object)) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q requests) { add(q, behind, r.all(ctx, e.ObjectNew)) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q requests) { add(q, behind, r.all(ctx, e.Object)) },
	}
}

// woken asks for passes over the clusters of an event's name, or over all of them. One that has fallen silent keeps nobody waiting.
func (r *Reconciler) woken(ctx context.Context, e event.GenericEvent, q requests) {
	priority := 0
	if name := e.Object.GetName(); name == "" || r.agentSilent(name) {
		priority = behind
	}
	add(q, priority, r.named(ctx, e.Object))
}

func add(q requests, priority int, all []reconcile.Request) {
	if ordered, ok := q.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		ordered.AddWithOpts(priorityqueue.AddOpts{Priority: &priority}, all...)
		return
	}
	for _, one := range all {
		q.Add(one)
	}
}

// onlyDeleted: one that is gone may leave its id to another of its name.
var onlyDeleted = predicate.Funcs{
	CreateFunc:  func(event.CreateEvent) bool { return false },
	UpdateFunc:  func(event.UpdateEvent) bool { return false },
	GenericFunc: func(event.GenericEvent) bool { return false },
}

// fleetChanged leaves out updates of the Fleet's status that change nothing for a cluster. Of a version of
// Flux that it may have, Options.Wake tells.
func fleetChanged(e event.UpdateEvent) bool {
	before, ok := e.ObjectOld.(*fleetv1.Fleet)
	after, also := e.ObjectNew.(*fleetv1.Fleet)
	if !ok || !also {
		return true
	}
	keys := func(f *fleetv1.Fleet) string { return conditions.GetReason(f, fleetv1.ConditionEventsReady) }
	// A commit concerns those who have a file in the repository only.
	commit := layered(after) && before.Status.ConfigRevision != after.Status.ConfigRevision
	return before.Generation != after.Generation || keys(before) != keys(after) || commit
}

// named are the clusters with the name of obj; all of them when it has none.
func (r *Reconciler) named(ctx context.Context, obj client.Object) []reconcile.Request {
	if obj.GetName() == "" {
		return r.all(ctx, obj)
	}
	return r.requests(ctx, nil, client.MatchingFields{nameField: obj.GetName()})
}

func (r *Reconciler) all(ctx context.Context, _ client.Object) []reconcile.Request {
	return r.requests(ctx, nil)
}

// referring are the clusters that refer to a Cluster API Cluster.
func (r *Reconciler) referring(ctx context.Context, cluster client.Object) []reconcile.Request {
	return r.requests(ctx, func(wc *fleetv1.WorkloadCluster) bool {
		ref := wc.Spec.Access.ClusterRef
		return ref != nil && ref.Name == cluster.GetName()
	}, client.InNamespace(cluster.GetNamespace()))
}

// requests are the clusters that a list and a filter select. The list is read from the cache, which
// fails only before it has started; the first pass over each cluster comes with its start.
func (r *Reconciler) requests(ctx context.Context, wanted func(*fleetv1.WorkloadCluster) bool, options ...client.ListOption) []reconcile.Request {
	var list fleetv1.WorkloadClusterList
	if err := r.List(ctx, &list, append(options, client.UnsafeDisableDeepCopy)...); err != nil { // they are only looked at, and are many
		ctrl.LoggerFrom(ctx).Error(err, "cannot list WorkloadClusters")
		return nil
	}
	var out []reconcile.Request
	for i := range list.Items {
		if wanted == nil || wanted(&list.Items[i]) {
			out = append(out, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return out
}
