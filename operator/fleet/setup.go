package fleet

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
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
	"github.com/fairway-dev/fairway/clusters/capi"
	"github.com/fairway-dev/fairway/operator/eventbus"
	"github.com/fairway-dev/fairway/operator/steps"
)

// Options of the controller.
type Options struct {
	// Clusters gets the watch on Cluster API Clusters.
	Clusters *capi.Watcher
	// Wake asks for a pass: the bus is connected, or lost.
	Wake <-chan event.GenericEvent
	// SkipNameValidation lets a process run more than one such controller, as tests do.
	SkipNameValidation *bool
}

// SetupWithManager makes the controller.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, o Options) error {
	r.heads.Failure, r.heads.Now = failureLife, r.Clock.Now
	r.versions.Failure, r.versions.Now = failureLife, r.Clock.Now

	toFleet := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{theFleet}
	})
	c, err := ctrl.NewControllerManagedBy(mgr).
		For(&fleetv1.Fleet{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		Watches(&fleetv1.WorkloadCluster{}, together()).
		WatchesMetadata(&corev1.Secret{}, toFleet, builder.WithPredicates(predicate.NewPredicateFuncs(r.ours))).
		Watches(&corev1.Service{}, toFleet, builder.WithPredicates(predicate.NewPredicateFuncs(r.ofBus))).
		WatchesRawSource(source.Channel(o.Wake, toFleet)).
		WithOptions(controller.Options{
			RateLimiter:           steps.Backoff(),
			ReconciliationTimeout: budget + budget/4,
			SkipNameValidation:    o.SkipNameValidation,
		}).
		Build(r)
	if err != nil {
		return fmt.Errorf("make controller: %w", err)
	}
	o.Clusters.For(c, toFleet, predicate.Funcs{UpdateFunc: relabelled})
	return nil
}

var theFleet = reconcile.Request{NamespacedName: types.NamespacedName{Name: fleetv1.FleetName}}

// gather is how long a change of a cluster waits for others: when a thousand join, each changes several times, and a pass looks at
// all of them.
const gather = time.Second

// together asks for one pass for all clusters that change at about the same time.
func together() handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	return handler.Funcs{
		CreateFunc: func(_ context.Context, _ event.CreateEvent, q queue) { q.AddAfter(theFleet, gather) },
		UpdateFunc: func(_ context.Context, _ event.UpdateEvent, q queue) { q.AddAfter(theFleet, gather) },
		DeleteFunc: func(_ context.Context, _ event.DeleteEvent, q queue) { q.AddAfter(theFleet, gather) },
	}
}

// ours are the Secrets whose change may change the Fleet's conditions: all but those of single
// clusters.
func (r *Reconciler) ours(obj client.Object) bool {
	_, ofCluster := obj.GetLabels()[fleetv1.LabelCluster]
	return obj.GetNamespace() == r.Namespace && !ofCluster
}

// ofBus are the Services whose addresses are in the hub's certificate.
func (r *Reconciler) ofBus(obj client.Object) bool {
	return obj.GetNamespace() == r.Namespace && (obj.GetName() == eventbus.HubName || obj.GetName() == eventbus.EventsService)
}

// relabelled leaves out updates of a Cluster that change neither its labels nor that it goes away:
// nothing else makes it join.
func relabelled(e event.UpdateEvent) bool {
	return !maps.Equal(e.ObjectOld.GetLabels(), e.ObjectNew.GetLabels()) ||
		e.ObjectOld.GetDeletionTimestamp().IsZero() != e.ObjectNew.GetDeletionTimestamp().IsZero()
}
