package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/client"
)

// connection is how the user wants the hub to be reached. It connects once, when a verb first asks.
type connection struct {
	kube      *genericclioptions.ConfigFlags
	server    string
	caFile    string
	namespace string
	timeout   time.Duration
	client    *client.Client
	env       func(name string) string // the environment
}

func newConnection(sh *shell) *connection {
	kube := genericclioptions.NewConfigFlags(true)
	// These are about the API server or a cache, and --server is the hub's.
	kube.APIServer, kube.TLSServerName, kube.Insecure, kube.CAFile = nil, nil, nil, nil
	kube.CacheDir, kube.Timeout, kube.DisableCompression = nil, nil, nil
	kube.ClusterName = nil // --cluster is a workload cluster
	return &connection{kube: kube, server: sh.server, env: sh.getenv}
}

func (c *connection) addFlags(flags *pflag.FlagSet) {
	c.kube.AddFlags(flags)
	flags.Lookup("namespace").Usage = "Only what belongs to this namespace of the platform: a team's services, episodes and events; clusters registered there"
	flags.Lookup("token").Usage = "Bearer token, instead of the kubeconfig's credentials"
	flags.StringVar(&c.server, "server", c.server, "Address of the hub, https://host[:port]; without it a port-forward is opened with the kubeconfig (environment: FAIRWAY_SERVER)")
	flags.StringVar(&c.caFile, "ca-file", "", "PEM file of the authority that signed the certificate of --server; without it the system's")
	flags.StringVar(&c.namespace, "fairway-namespace", fleetv1.SystemNamespace, "Namespace of the hub")
	flags.DurationVar(&c.timeout, "timeout", 30*time.Second, "How long to wait for an answer; 0 waits for ever")
}

// team is the namespace that was asked for; the kubeconfig's own is not meant.
func (c *connection) team() string { return *c.kube.Namespace }

// bound ends ctx at the timeout. A watch uses it for what comes before the watching.
func (c *connection) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, c.timeout)
}

// open connects to the hub, or gives the connection that is there.
func (c *connection) open(ctx context.Context) (*client.Client, error) {
	if c.client != nil {
		return c.client, nil
	}
	credentials, err := c.credentials()
	if err != nil {
		return nil, err
	}
	if c.server == "" {
		c.client, err = client.Forward(ctx, credentials, c.namespace, client.DefaultRetry)
	} else {
		c.client, err = c.direct(credentials)
	}
	return c.client, err
}

func (c *connection) direct(credentials *rest.Config) (*client.Client, error) {
	o := client.Options{Credentials: credentials}
	if c.caFile != "" {
		ca, err := os.ReadFile(c.caFile)
		if err != nil {
			return nil, &client.Error{Op: "read --ca-file", Err: err, Fix: "name a PEM file that you may read"}
		}
		o.CA = ca
	}
	return client.New(c.server, o)
}

// credentials are the kubeconfig's, or the flags' where there is no kubeconfig.
func (c *connection) credentials() (*rest.Config, error) {
	const fix = "set KUBECONFIG or --kubeconfig to the platform cluster's"
	raw, err := c.kube.ToRawKubeConfigLoader().RawConfig()
	if err != nil {
		return nil, &client.Error{Op: "read kubeconfig", Err: err, Fix: fix}
	}
	if len(raw.Clusters) == 0 {
		return c.withoutKubeconfig(fix)
	}
	cfg, err := c.kube.ToRESTConfig()
	if err != nil {
		return nil, &client.Error{Op: "read kubeconfig", Err: err, Fix: "check the context: kubectl config get-contexts"}
	}
	c.useToken(cfg)
	return cfg, nil
}

// platform connects to the platform cluster, not to the hub.
func (c *connection) platform() (kube.WithWatch, error) {
	credentials, err := c.credentials()
	if err != nil {
		return nil, err
	}
	if credentials.Host == "" {
		return nil, &client.Error{Op: "find the platform", Err: errors.New("there is no kubeconfig"), Fix: "set KUBECONFIG or --kubeconfig to the platform cluster's"}
	}
	kinds := runtime.NewScheme()
	if err := errors.Join(scheme.AddToScheme(kinds), fleetv1.AddToScheme(kinds)); err != nil {
		return nil, err
	}
	credentials = rest.CopyConfig(credentials)
	credentials.WarningHandler = rest.NoWarnings{} // about deprecated versions, once for the try and once more
	platform, err := kube.NewWithWatch(credentials, kube.Options{Scheme: kinds})
	if err != nil {
		return nil, &client.Error{Op: "connect to the platform cluster", Err: err, Fix: "check the context: kubectl config get-contexts"}
	}
	return platform, nil
}

func (c *connection) withoutKubeconfig(fix string) (*rest.Config, error) {
	cfg, err := rest.InClusterConfig()
	switch {
	case err == nil:
	case !errors.Is(err, rest.ErrNotInCluster):
		return nil, &client.Error{Op: "use the pod's service account", Err: err, Fix: fix}
	case c.server == "":
		return nil, &client.Error{Op: "find the platform", Err: errors.New("there is no kubeconfig"), Fix: fix + ", or name the hub with --server"}
	default:
		cfg = &rest.Config{}
	}
	c.useToken(cfg)
	if *c.kube.Impersonate != "" {
		cfg.Impersonate = rest.ImpersonationConfig{
			UserName: *c.kube.Impersonate, UID: *c.kube.ImpersonateUID, Groups: *c.kube.ImpersonateGroup,
		}
	}
	return cfg, nil
}

// useToken makes --token the only credential: a client certificate beside it would win.
func (c *connection) useToken(cfg *rest.Config) {
	if token := *c.kube.BearerToken; token != "" {
		cfg.BearerToken, cfg.BearerTokenFile, cfg.ExecProvider, cfg.AuthProvider = token, "", nil, nil
		cfg.CertFile, cfg.CertData, cfg.KeyFile, cfg.KeyData = "", nil, "", nil
	}
}

func (c *connection) close() {
	if c.client == nil {
		return
	}
	// The program ends: a port-forward that does not close cleanly is closed by that.
	_ = c.client.Close()
}

// hub gives a verb the part of the client that it needs.
func hub[T any](c *connection, part func(*client.Client) T) func(context.Context) (T, error) {
	return func(ctx context.Context) (T, error) {
		cl, err := c.open(ctx)
		if err != nil {
			var none T
			return none, fmt.Errorf("connect to the hub: %w", err)
		}
		return part(cl), nil
	}
}
