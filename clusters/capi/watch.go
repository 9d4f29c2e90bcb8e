package capi

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/util/wait"
	capiv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

const defaultCheck = 15 * time.Second

// Watcher watches Cluster API Clusters for controllers, from the moment that their CRD is there:
// Cluster API may be installed after Fairway. It is a runnable of the manager; add the watches
// before the manager starts.
type Watcher struct {
	Cache  cache.Cache
	Mapper meta.RESTMapper
	Every  time.Duration // between two looks for the CRD; default 15 s

	watches []watch
}

type watch struct {
	controller controller.Controller
	handler    handler.EventHandler
	predicates []predicate.Predicate
}

// For asks for a watch: c gets the requests that h makes of the events of Clusters.
func (w *Watcher) For(c controller.Controller, h handler.EventHandler, p ...predicate.Predicate) {
	w.watches = append(w.watches, watch{controller: c, handler: h, predicates: p})
}

// Start waits for the CRD, adds the watches and returns, or returns when ctx ends.
func (w *Watcher) Start(ctx context.Context) error {
	every := w.Every
	if every <= 0 {
		every = defaultCheck
	}
	logger := log.FromContext(ctx).WithName("cluster-api")
	said := false
	err := wait.PollUntilContextCancel(ctx, every, true, func(context.Context) (bool, error) {
		installed, err := Installed(w.Mapper)
		switch {
		case err != nil:
			logger.Error(err, "cannot look for Cluster API; trying again")
		case !installed && !said:
			logger.Info("Cluster API is not installed: only adopted clusters are served until it is")
			said = true
		}
		return installed, nil
	})
	if err != nil {
		return nil // the process ends
	}
	for _, each := range w.watches {
		kind := source.Kind(w.Cache, client.Object(&capiv1.Cluster{}), each.handler, each.predicates...)
		if err := each.controller.Watch(kind); err != nil {
			return err
		}
	}
	return nil
}
