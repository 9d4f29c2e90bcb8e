package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/capi"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/cmd/internal/memory"
	"github.com/fairway-dev/fairway/operator/configrepo"
	"github.com/fairway-dev/fairway/operator/environment"
	"github.com/fairway-dev/fairway/operator/eventbus"
	"github.com/fairway-dev/fairway/operator/fleet"
	"github.com/fairway-dev/fairway/operator/registry"
	"github.com/fairway-dev/fairway/operator/release"
	"github.com/fairway-dev/fairway/operator/releasepolicy"
	"github.com/fairway-dev/fairway/operator/workloadcluster"
)

// fieldOwner is the field manager of what the operator writes; also its name in Kubernetes events.
const fieldOwner = "fairway-operator"

// Requests a second to one workload cluster. Many releases that are asked for at once are tried out there at once, with some twenty
// requests each.
const (
	clusterQPS   = 100
	clusterBurst = 1000
)

// run is the whole program.
func run(ctx context.Context, o *options) error {
	if o.agentImage == "" {
		return errors.New("--agent-image is required")
	}
	config, err := platform(o.kubeconfig)
	if err != nil {
		return fmt.Errorf("read kubeconfig: %w", err)
	}
	mgr, err := newManager(config, o)
	if err != nil {
		return fmt.Errorf("make manager: %w", err)
	}
	if err := wire(ctx, mgr, o); err != nil {
		return err
	}
	ctrl.Log.Info("operator starts", "version", version, "namespace", o.namespace)
	return mgr.Start(ctx)
}

func platform(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	// Nothing but the number of workers bounds the requests: with a limit for all of them, clusters that hang would take it from the
	// others. The platform's API server has its own fairness.
	config.QPS = -1
	config.UserAgent = fieldOwner + "/" + version
	// An API that is deprecated is one line, not one at every pass.
	config.WarningHandlerWithContext = log.NewKubeAPIWarningLogger(log.KubeAPIWarningLoggerOptions{Deduplicate: true})
	return config, nil
}

func newManager(config *rest.Config, o *options) (manager.Manager, error) {
	types := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(types), fleetv1.AddToScheme(types), capi.AddToScheme(types)); err != nil {
		return nil, err
	}
	own := cache.ByObject{Namespaces: map[string]cache.Config{o.namespace: {}}}
	shutdown := 15 * time.Second
	return ctrl.NewManager(config, manager.Options{
		Scheme: types,
		// Kubeconfigs turn every few minutes, and the operator may not list Secrets outside its own
		// namespace: they are read when they are needed.
		Client: client.Options{FieldOwner: fieldOwner, Cache: &client.CacheOptions{
			DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}, &corev1.Service{}},
		}},
		// Who wrote which field is of no use here, and a good part of every object.
		Cache:                         cache.Options{DefaultTransform: cache.TransformStripManagedFields(), ByObject: map[client.Object]cache.ByObject{&corev1.Secret{}: own, &corev1.Service{}: own}},
		Metrics:                       server.Options{BindAddress: o.metrics},
		HealthProbeBindAddress:        o.health,
		PprofBindAddress:              o.profile,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              fieldOwner,
		LeaderElectionNamespace:       o.namespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &shutdown,
	})
}

// wire makes the reconcilers and what they meet the rest of Fairway through.
func wire(ctx context.Context, mgr manager.Manager, o *options) error {
	now := clock.RealClock{}
	store := &eventbus.Store{Client: mgr.GetClient(), Namespace: o.namespace, Life: o.credentialsLife, Now: now.Now}
	bus := newFeed(store, mgr.GetClient(), o.eventsURL, now)
	watcher := &capi.Watcher{Cache: mgr.GetCache(), Mapper: mgr.GetRESTMapper()}
	catalog := flux.NewCatalog()
	recorder := mgr.GetEventRecorder(fieldOwner)
	config := configrepo.New(mgr.GetClient(), o.namespace, now)

	upgrades := &fleet.Upgrades{Changed: bus.wake}
	fleets := &fleet.Reconciler{
		Client: mgr.GetClient(), Recorder: recorder, Store: store, Catalog: catalog, Bus: bus, View: bus, Upgrades: upgrades,
		Clock: now, Namespace: o.namespace, FieldOwner: fieldOwner,
	}
	if err := fleets.SetupWithManager(mgr, fleet.Options{Clusters: watcher, Wake: bus.fleets}); err != nil {
		return fmt.Errorf("set up Fleet: %w", err)
	}
	clusters := &workloadcluster.Reconciler{
		Client: mgr.GetClient(), Recorder: recorder, Store: store, Catalog: catalog,
		Remotes: remote.NewPool(remote.Options{Scheme: mgr.GetScheme(), FieldOwner: fieldOwner, Answered: bus.wake, QPS: clusterQPS, Burst: clusterBurst}),
		Agents:  bus, Announcer: bus, Wake: bus.wake, Upgrades: upgrades, Config: config,
		Clock: now, Namespace: o.namespace, AgentImage: o.agentImage, FieldOwner: fieldOwner,
	}
	err := clusters.SetupWithManager(ctx, mgr, workloadcluster.Options{Concurrency: o.concurrency, Clusters: watcher, Wake: bus.clusters})
	if err != nil {
		return fmt.Errorf("set up WorkloadCluster: %w", err)
	}
	if err := wireReleases(ctx, mgr, releases{bus: bus, clusters: clusters, config: config, namespace: o.namespace, clock: now}); err != nil {
		return err
	}
	return errors.Join(metrics.Registry.Register(workloadcluster.Expiries{Clusters: mgr.GetClient()}), mgr.Add(watcher), mgr.Add(bus), mgr.Add(config),
		mgr.Add(manager.RunnableFunc(saveMemory)), mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("ping", healthz.Ping))
}

// saveMemory gives back what a busier time took. What a pass over a cluster leaves is garbage at once, and the more of it there is between
// the objects that stay, the farther apart these lie for ever.
func saveMemory(ctx context.Context) error { return memory.Save(ctx, 50, nil) }

// releases are what the reconcilers of releases meet the rest of Fairway through.
type releases struct {
	bus       *feed
	clusters  release.Clusters
	config    release.ConfigRepository
	namespace string
	clock     clock.PassiveClock
}

// wireReleases makes the reconcilers of releases.
func wireReleases(ctx context.Context, mgr manager.Manager, with releases) error {
	if err := release.Index(ctx, mgr); err != nil {
		return err
	}
	recorder, artifacts := mgr.GetEventRecorder(fieldOwner), registry.New(mgr.GetClient(), with.namespace)
	environments := &environment.Reconciler{Client: mgr.GetClient(), Recorder: recorder, FieldOwner: fieldOwner}
	if err := environments.SetupWithManager(mgr, nil); err != nil {
		return fmt.Errorf("set up Environment: %w", err)
	}
	policies := &releasepolicy.Reconciler{
		Client: mgr.GetClient(), Recorder: recorder, Artifacts: artifacts, Announcer: with.bus, Clock: with.clock, FieldOwner: fieldOwner,
	}
	if err := policies.SetupWithManager(mgr, nil); err != nil {
		return fmt.Errorf("set up ReleasePolicy: %w", err)
	}
	asked := &release.Reconciler{
		Client: mgr.GetClient(), Live: mgr.GetAPIReader(), Recorder: recorder, Clusters: with.clusters, Config: with.config, Artifacts: artifacts,
		View: with.bus, Announcer: with.bus, Wake: with.bus.wakeRelease, Clock: with.clock, FieldOwner: fieldOwner,
	}
	if err := asked.SetupWithManager(mgr, release.Options{Wake: with.bus.releases}); err != nil {
		return fmt.Errorf("set up Release: %w", err)
	}
	return nil
}
