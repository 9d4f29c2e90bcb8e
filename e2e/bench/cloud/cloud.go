package cloud

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/fairway-dev/fairway/e2e/bench/kube"
	"github.com/fairway-dev/fairway/e2e/bench/process"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
)

// TokenLifetime is how long a token in a kubeconfig Secret lives when Options do not say: EKS's 15
// minutes, shortened.
const TokenLifetime = 2 * time.Minute

// Options of a stand-in.
type Options struct {
	// Platform is the cluster whose Cluster API objects the cloud follows.
	Platform *kube.Cluster
	// Supervisor and Tools start the workload clusters.
	Supervisor *process.Supervisor
	Tools      *tools.Set
	// Dir returns the folder of the workload cluster of that name.
	Dir func(cluster string) string
	// Cluster completes how a workload cluster is started: images, egress, Services to publish. Name,
	// Dir, cloud and issuer are the stand-in's to fill.
	Cluster kube.Options
	// TokenLifetime of kubeconfig Secrets, until Turn says otherwise; the constant of that name when zero. They are
	// turned at half of it.
	TokenLifetime time.Duration
	// Log gets what the stand-in does.
	Log io.Writer
}

// Cloud is a running stand-in. It is safe for concurrent use.
type Cloud struct {
	provider provider
	options  Options
	issuer   *issuer
	log      *slog.Logger

	mu       sync.Mutex
	clusters map[string]*workload // by the name of the Cluster
	never    map[string]bool
	delay    time.Duration
	tokens   Tokens
	wake     chan event.GenericEvent // of control planes that are to be looked at again
	halt     func() error            // ends the following of the platform
}

// Tokens say how the tokens of kubeconfig Secrets turn.
type Tokens struct {
	Life    time.Duration // of a token
	Overlap time.Duration // how long the old one is still good when the new one is written
}

// workload is what stands behind the control plane of one Cluster. All but the cluster is guarded by the cloud's mu.
type workload struct {
	cluster      *kube.Cluster
	controlPlane *unstructured.Unstructured // kind, namespace and name
	expires      time.Time                  // of the token in the Secret; zero: one is to be written
}

// StartAWS starts the stand-in behind CAPA's EKS kinds, until Stop.
func StartAWS(ctx context.Context, o Options) (*Cloud, error) { return start(ctx, aws{}, o) }

// StartAzure starts the stand-in behind CAPZ's AKS kinds, until Stop.
func StartAzure(ctx context.Context, o Options) (*Cloud, error) { return start(ctx, azure{}, o) }

func start(ctx context.Context, p provider, o Options) (*Cloud, error) {
	if o.TokenLifetime == 0 {
		o.TokenLifetime = TokenLifetime
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	log := slog.New(slog.NewTextHandler(o.Log, nil))
	tokens, err := startIssuer(ctx, p.name(), log)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", p.name(), err)
	}
	c := &Cloud{
		provider: p, options: o, issuer: tokens, log: log,
		clusters: map[string]*workload{}, never: map[string]bool{},
		tokens: Tokens{Life: o.TokenLifetime, Overlap: o.TokenLifetime / 2}, wake: make(chan event.GenericEvent),
	}
	if err := c.follow(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", p.name(), err), tokens.http.Close())
	}
	return c, nil
}

// follow begins to follow the platform.
func (c *Cloud) follow(ctx context.Context) error {
	manager, err := c.manager()
	if err != nil {
		return err
	}
	// The stand-in outlives the call that starts it: Stop ends it.
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan error, 1)
	go func() { done <- manager.Start(running) }()
	halt := sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	c.mu.Lock()
	c.halt = halt
	c.mu.Unlock()
	return nil
}

// MoveTo makes the cloud follow another platform from now on, with the clusters that it has: what the providers on both do
// between them when Cluster API's objects are moved.
func (c *Cloud) MoveTo(ctx context.Context, platform *kube.Cluster) error {
	if err := c.unfollow(); err != nil {
		return fmt.Errorf("leave the platform %s: %w", c.options.Platform.Name, err)
	}
	c.mu.Lock()
	c.options.Platform = platform
	var addresses []string
	for _, w := range c.clusters {
		addresses = append(addresses, w.cluster.Address())
	}
	c.mu.Unlock()
	return errors.Join(platform.AllowEgress(addresses...), c.follow(ctx))
}

// unfollow ends the following of the platform; the clusters run on.
func (c *Cloud) unfollow() error {
	c.mu.Lock()
	halt := c.halt
	c.mu.Unlock()
	return halt()
}

func (c *Cloud) manager() (ctrl.Manager, error) {
	types := runtime.NewScheme()
	if err := scheme.AddToScheme(types); err != nil {
		return nil, fmt.Errorf("build scheme: %w", err)
	}
	logger := logr.FromSlogHandler(c.log.Handler())
	// The framework logs some things through its global logger, and complains when there is none.
	ctrl.SetLogger(logger)
	none := time.Duration(0)
	manager, err := ctrl.NewManager(c.options.Platform.Config(), ctrl.Options{
		Scheme: types, Logger: logger,
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		GracefulShutdownTimeout: &none,
	})
	if err != nil {
		return nil, fmt.Errorf("create manager: %w", err)
	}
	// Several benches may run in one process, each with its own controllers of the same names.
	again := true
	options := controller.Options{MaxConcurrentReconciles: 4, SkipNameValidation: &again}
	controlPlanes := &controlPlaneReconciler{cloud: c, client: manager.GetClient(), reader: manager.GetAPIReader()}
	pools := &poolReconciler{cloud: c, client: manager.GetClient()}
	return manager, errors.Join(
		ctrl.NewControllerManagedBy(manager).Named(c.provider.name()+"-control-planes").WithOptions(options).
			For(empty(c.provider.controlPlane())).
			WatchesRawSource(source.Channel(c.wake, &handler.EnqueueRequestForObject{})).Complete(controlPlanes),
		ctrl.NewControllerManagedBy(manager).Named(c.provider.name()+"-pools").WithOptions(options).
			For(empty(c.provider.pool())).Complete(pools),
	)
}

// Stop ends the stand-in; the clusters that it started run on until their supervisor ends them. It is
// safe to call it again.
func (c *Cloud) Stop() error { return errors.Join(c.unfollow(), c.issuer.http.Close()) }

// Cluster returns the real cluster behind a Cluster API Cluster, nil while there is none. Its Stop
// and Resume are an outage of the cloud.
func (c *Cloud) Cluster(name string) *kube.Cluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.clusters[name]; w != nil {
		return w.cluster
	}
	return nil
}

// WaitCluster waits until the real cluster behind a Cluster API Cluster runs.
func (c *Cloud) WaitCluster(ctx context.Context, name string, limit time.Duration) (*kube.Cluster, error) {
	err := kube.Wait(ctx, "cluster "+name+" in "+c.provider.name(), limit, func(context.Context) error {
		if c.Cluster(name) == nil {
			return errors.New("it is not started")
		}
		return nil
	})
	return c.Cluster(name), err
}

// NeverProvision makes the cloud fail to create the named clusters from now on, as for want of
// quota. It has no effect on those that exist.
func (c *Cloud) NeverProvision(names ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range names {
		c.never[name] = true
	}
}

// DelayTurns makes the cloud write new tokens later than Tokens say. With a delay of more than the overlap the Secrets
// hold expired tokens for a while. Zero ends it. It takes effect when the next turn is planned.
func (c *Cloud) DelayTurns(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delay = by
}

// Turn makes the cloud write new tokens at once, and from now on tokens of this kind. It returns what they were like
// before.
func (c *Cloud) Turn(ctx context.Context, to Tokens) (before Tokens, err error) {
	c.mu.Lock()
	before, c.tokens = c.tokens, to
	var turning []*unstructured.Unstructured
	for _, w := range c.clusters {
		w.expires = time.Time{}
		turning = append(turning, w.controlPlane)
	}
	c.mu.Unlock()
	for _, object := range turning {
		select {
		case c.wake <- event.GenericEvent{Object: object}:
		case <-ctx.Done():
			return before, fmt.Errorf("turn tokens in %s: %w", c.provider.name(), context.Cause(ctx))
		}
	}
	return before, nil
}

func (c *Cloud) fails(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.never[name] && c.clusters[name] == nil
}

func empty(k kind) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(k)
	return object
}
