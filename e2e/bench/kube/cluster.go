package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/fairway-dev/fairway/e2e/bench/process"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
)

// Options say what cluster to start. Only Name and Dir are required.
type Options struct {
	// Name of the cluster: a DNS label, unique in the run. Its processes are <Name>-etcd and so on.
	Name string
	// Dir is the cluster's folder; it must be empty or absent.
	Dir string
	// NoNode leaves the process node out: the API server alone, with its controllers.
	NoNode bool
	// NoControllers leaves out the controllers and the scheduler as well: what is created stays as it
	// is. It means NoNode.
	NoControllers bool
	// Images are what the node can run beside those of the tools.
	Images []tools.Image
	// Egress lists addresses of this machine (host:port) that pods may reach, beside those that
	// AllowEgress adds later.
	Egress []string
	// Publish lists Services, as namespace/name:port, that get an address on 127.0.0.1: see
	// Cluster.Published.
	Publish []string
	// Volumes has claims bound to PersistentVolumes that fit, which tests make: folders of this machine.
	Volumes bool
	// Region and Zone are what the node says of where it is; Zone is <Region>a when empty.
	Region, Zone string
	// ProviderIDPrefix begins the node's provider id, aws:///eu-west-1a/i-; the node adds a number
	// made from its name. Empty: the node is in no cloud.
	ProviderIDPrefix string
	// Issuer makes the API server trust the tokens of a cloud beside its own.
	Issuer *Issuer
}

// Issuer is an OpenID Connect issuer whose tokens an API server takes. The claim "sub" is the user's
// name, the claim "groups" lists the groups.
type Issuer struct {
	URL      string // https://127.0.0.1:port/…; <URL>/.well-known/openid-configuration is read
	CA       []byte // PEM
	Audience string
}

// Cluster is a whole Kubernetes cluster.
type Cluster struct {
	Name string
	Dir  string
	// Server is the API server's address, https://127.0.0.1:port.
	Server string
	// CA is the PEM certificate that the server's is signed by.
	CA []byte
	// Kubeconfig is the file of the cluster's administrator: group system:masters, a bearer token
	// that does not expire.
	Kubeconfig string

	options        Options
	tools          *tools.Set
	supervisor     *process.Supervisor
	pki            *pki
	ports          ports
	adminToken     string
	authentication string // the file for --authentication-config; empty: none
	published      map[string]string

	mu      sync.Mutex
	running []*process.Process
	client  client.Client
}

// startAttempts is how often other ports are tried when one is taken by somebody else just before
// the cluster's own process binds it.
const startAttempts = 3

// Start starts a cluster and waits until its API server, its controllers and its node are ready. On
// an error nothing of it runs.
func Start(ctx context.Context, supervisor *process.Supervisor, built *tools.Set, o Options) (*Cluster, error) {
	if o.Zone == "" && o.Region != "" {
		o.Zone = o.Region + "a"
	}
	for attempt := 1; ; attempt++ {
		c, err := newCluster(supervisor, built, o)
		if err != nil {
			return nil, fmt.Errorf("prepare cluster %s: %w", o.Name, err)
		}
		if err = c.Resume(ctx); err == nil {
			return c, nil
		}
		if attempt == startAttempts || !strings.Contains(err.Error(), "address already in use") {
			return nil, fmt.Errorf("start cluster %s: %w", o.Name, err)
		}
		if err := os.RemoveAll(filepath.Join(o.Dir, "etcd")); err != nil {
			return nil, fmt.Errorf("start cluster %s again: %w", o.Name, err)
		}
	}
}

// newCluster writes all that the processes need.
func newCluster(supervisor *process.Supervisor, built *tools.Set, o Options) (*Cluster, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create folder: %w", err)
	}
	ports, err := newPorts()
	if err != nil {
		return nil, err
	}
	keys, err := newPKI(filepath.Join(dir, "pki"), o.Name, nodeOf(o.Name))
	if err != nil {
		return nil, err
	}
	c := &Cluster{
		Name: o.Name, Dir: dir, Server: "https://" + loopback(ports.apiserver), CA: keys.ca.pem,
		Kubeconfig: filepath.Join(dir, "kubeconfig"),
		options:    o, tools: built, supervisor: supervisor, pki: keys, ports: ports, published: map[string]string{},
	}
	for _, service := range o.Publish {
		port, err := FreePort()
		if err != nil {
			return nil, err
		}
		c.published[service] = loopback(port)
	}
	return c, errors.Join(c.writeAdmin(), c.writeIssuer(), c.writeImages(), c.writeEgress(nil))
}

func (c *Cluster) writeImages() error {
	data, err := yaml.Marshal(append(c.tools.Images(), c.options.Images...))
	if err != nil {
		return fmt.Errorf("write image table: %w", err)
	}
	if err := os.WriteFile(filepath.Join(c.Dir, "images.yaml"), data, 0o644); err != nil {
		return fmt.Errorf("write image table: %w", err)
	}
	return nil
}

// Resume starts a cluster that was stopped, on the same ports with the same data, and waits until it
// is ready. On an error nothing of it runs.
func (c *Cluster) Resume(ctx context.Context) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.running) > 0 {
		return fmt.Errorf("resume cluster %s: it is running", c.Name)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.stopLocked())
		}
	}()
	// The API server waits for etcd by itself.
	for _, part := range []process.Spec{c.etcd(), c.apiserver()} {
		if err := c.startLocked(ctx, part); err != nil {
			return err
		}
	}
	if err := c.connectLocked(); err != nil {
		return err
	}
	return c.startRest(ctx)
}

// startRest starts together what needs only the API server.
func (c *Cluster) startRest(ctx context.Context) error {
	if c.options.NoControllers {
		return nil
	}
	parts := []process.Spec{c.controllerManager(), c.scheduler()}
	if !c.options.NoNode {
		parts = append(parts, c.node())
	}
	type started struct {
		process *process.Process
		err     error
	}
	results := make(chan started, len(parts))
	for _, part := range parts {
		go func() {
			p, err := c.supervisor.Start(ctx, part)
			results <- started{p, err}
		}()
	}
	var errs []error
	for range parts {
		result := <-results
		if result.err == nil {
			c.running = append(c.running, result.process)
		}
		errs = append(errs, result.err)
	}
	return errors.Join(errs...)
}

func (c *Cluster) startLocked(ctx context.Context, part process.Spec) error {
	p, err := c.supervisor.Start(ctx, part)
	if err != nil {
		return err
	}
	c.running = append(c.running, p)
	return nil
}

// Stop ends every process of the cluster and keeps its data: nothing answers on its ports any more.
func (c *Cluster) Stop() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopLocked()
}

func (c *Cluster) stopLocked() error {
	running := c.running
	c.running = nil
	if err := process.StopAll(reversed(running)...); err != nil {
		return fmt.Errorf("stop cluster %s: %w", c.Name, err)
	}
	return nil
}

func reversed(processes []*process.Process) []*process.Process {
	out := make([]*process.Process, 0, len(processes))
	for i := len(processes) - 1; i >= 0; i-- {
		out = append(out, processes[i])
	}
	return out
}

// Published returns the address on 127.0.0.1, host:port, that leads to a Service of Options.Publish,
// and "" for any other.
func (c *Cluster) Published(service string) string { return c.published[service] }

// Port of the API server.
func (c *Cluster) Port() int { return c.ports.apiserver }

// Address of the API server: 127.0.0.1:port, as AllowEgress of another cluster takes it.
func (c *Cluster) Address() string { return loopback(c.ports.apiserver) }

// NodeName is the name of the cluster's node.
func (c *Cluster) NodeName() string { return nodeOf(c.Name) }

func nodeOf(cluster string) string { return cluster + "-node-0" }
