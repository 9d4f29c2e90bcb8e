// Command capi runs Cluster API core's Cluster and MachinePool reconcilers and its cluster cache
// from the public packages of sigs.k8s.io/cluster-api. Upstream's own manager always binds its
// webhook port on every interface; this one listens on its health address only, so its CRDs must
// come without conversion webhooks.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/klog/v2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	"sigs.k8s.io/cluster-api/core/reconcilers/cluster"
	"sigs.k8s.io/cluster-api/core/reconcilers/machinepool"
	"sigs.k8s.io/cluster-api/core/setup"
	"sigs.k8s.io/cluster-api/util/index"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// name is what upstream's manager calls itself: field owner of its writes and user agent.
const name = "cluster-api-controller-manager"

// Upstream's defaults for a manager and for one workload cluster.
const (
	syncPeriod        = 10 * time.Minute
	concurrency       = 5
	clientQPS         = 20
	clientBurst       = 30
	connectionGrace   = 50 * time.Second // how long a lost connection stays Available
	gracefulShutdowns = 2 * time.Second
)

func main() {
	health := flag.String("health-addr", "127.0.0.1:0", "address of /healthz and /readyz")
	flag.Parse()
	ctrl.SetLogger(klog.Background())
	if err := run(ctrl.SetupSignalHandler(), *health); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, health string) error {
	mgr, err := newManager(health)
	if err != nil {
		return err
	}
	if err := index.AddDefaultIndexes(ctx, mgr); err != nil {
		return fmt.Errorf("add indexes: %w", err)
	}
	if err := addReconcilers(ctx, mgr); err != nil {
		return err
	}
	return mgr.Start(ctx)
}

func newManager(health string) (ctrl.Manager, error) {
	s := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{scheme.AddToScheme, clusterv1.AddToScheme, apiextensionsv1.AddToScheme} {
		if err := add(s); err != nil {
			return nil, fmt.Errorf("build scheme: %w", err)
		}
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	shutdown := gracefulShutdowns
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  s,
		HealthProbeBindAddress:  health,
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		Cache:                   setup.ManagerCacheOptions(s, name, "", syncPeriod),
		Client:                  setup.ManagerClientOptions(),
		GracefulShutdownTimeout: &shutdown,
	})
	if err != nil {
		return nil, fmt.Errorf("create manager: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("add health check: %w", err)
	}
	return mgr, nil
}

func addReconcilers(ctx context.Context, mgr ctrl.Manager) error {
	secrets, err := setup.CreateSecretCachingClient(mgr)
	if err != nil {
		return fmt.Errorf("create Secret client: %w", err)
	}
	options := controller.Options{MaxConcurrentReconciles: concurrency}
	clusters, err := clustercache.SetupWithManager(ctx, mgr, clustercache.Options{
		SecretClient: secrets,
		Cache:        setup.ClusterCacheCacheOptions(),
		Client:       setup.ClusterCacheClientOptions(name, clientQPS, clientBurst),
	}, options)
	if err != nil {
		return fmt.Errorf("set up cluster cache: %w", err)
	}
	if err := (&cluster.Reconciler{
		Client: mgr.GetClient(), APIReader: mgr.GetAPIReader(), ClusterCache: clusters,
		RemoteConnectionGracePeriod: connectionGrace,
	}).SetupWithManager(ctx, mgr, options); err != nil {
		return fmt.Errorf("set up Cluster reconciler: %w", err)
	}
	if err := (&machinepool.Reconciler{
		Client: mgr.GetClient(), APIReader: mgr.GetAPIReader(), ClusterCache: clusters,
	}).SetupWithManager(ctx, mgr, options); err != nil {
		return fmt.Errorf("set up MachinePool reconciler: %w", err)
	}
	return nil
}
