// Package bench brings up a whole fleet of real parts on 127.0.0.1: Kubernetes clusters, Cluster API,
// stand-ins for AWS and Azure, a Git server and an OCI registry, with pods that are real processes.
//
//	run, err := bench.Start(ctx, bench.Options{Dir: dir, Progress: os.Stderr})
//	defer run.Stop()
//	platform, err := run.StartPlatform(ctx, bench.PlatformOptions{})
//	err = platform.Apply(ctx, cloud.EKS(cloud.Request{Name: "prod-aws-eu1", Namespace: "clusters", Region: "eu-west-1"})...)
//	eks, err := platform.AWS.WaitCluster(ctx, "prod-aws-eu1", time.Minute)
//
// Everything of a run is in its folder; logs/ has a file a process. The packages below do one thing
// each: tools builds the programs, process runs and ends them, kube is a cluster, cloud a stand-in,
// gitserver and registry what their names say.
package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/fairway-dev/fairway/e2e/bench/gitserver"
	"github.com/fairway-dev/fairway/e2e/bench/kube"
	"github.com/fairway-dev/fairway/e2e/bench/process"
	"github.com/fairway-dev/fairway/e2e/bench/registry"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
)

// Options of a run.
type Options struct {
	// Dir is the run's folder. It must be empty or absent, or hold a run that has ended.
	Dir string
	// Tools are built when nil: all of them.
	Tools *tools.Set
	// Progress gets lines about what is being built; nil: nobody is told.
	Progress io.Writer
	// Images are what every node can run beside those of the tools.
	Images []tools.Image
}

// Run is one bench: everything in it ends with Stop, or with the process that called Start.
type Run struct {
	Dir        string
	Tools      *tools.Set
	Supervisor *process.Supervisor
	Git        *gitserver.Server
	Registry   *registry.Registry

	options Options
	mu      sync.Mutex
	closers []io.Closer // in the order of their start
}

// Start builds the tools, when they are not given, and starts the Git server and the registry. It
// returns process.ErrInUse when an earlier run in the folder still has processes:
// process.StopRecorded ends them.
func Start(ctx context.Context, o Options) (_ *Run, err error) {
	built := o.Tools
	if built == nil {
		if built, err = tools.Build(ctx, tools.Options{Progress: o.Progress}); err != nil {
			return nil, err
		}
	}
	supervisor, err := process.New(o.Dir)
	if err != nil {
		return nil, err
	}
	r := &Run{Dir: supervisor.Dir(), Tools: built, Supervisor: supervisor, options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Stop())
		}
	}()
	gitLog, err := r.Log("git")
	if err != nil {
		return nil, err
	}
	if r.Git, err = gitserver.Start(ctx, filepath.Join(r.Dir, "git"), gitLog); err != nil {
		return nil, err
	}
	r.onStop(r.Git)
	registryLog, err := r.Log("registry")
	if err != nil {
		return nil, err
	}
	if r.Registry, err = registry.Start(ctx, filepath.Join(r.Dir, "registry"), registryLog); err != nil {
		return nil, err
	}
	r.onStop(r.Registry)
	return r, nil
}

// Log opens logs/<name>.log for something that runs inside this process.
func (r *Run) Log(name string) (io.Writer, error) {
	file, err := os.OpenFile(r.Supervisor.LogPath(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", name, err)
	}
	r.onStop(file)
	return file, nil
}

type closer func() error

func (c closer) Close() error { return c() }

func (r *Run) onStop(c io.Closer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closers = append(r.closers, c)
}

// Stop ends everything: all processes within about 3 s, the last started first. It is safe to call
// it again.
func (r *Run) Stop() error {
	r.mu.Lock()
	closers := r.closers
	r.closers = nil
	r.mu.Unlock()
	var errs []error
	for i := len(closers) - 1; i >= 0; i-- {
		errs = append(errs, closers[i].Close())
	}
	return errors.Join(r.Supervisor.Stop(), errors.Join(errs...))
}

// ClusterDir is the folder of the cluster of that name.
func (r *Run) ClusterDir(name string) string { return filepath.Join(r.Dir, "clusters", name) }

// StartCluster starts a cluster of this run. Its folder is filled in, and its pods may reach the Git
// server and the registry.
func (r *Run) StartCluster(ctx context.Context, o kube.Options) (*kube.Cluster, error) {
	return kube.Start(ctx, r.Supervisor, r.Tools, r.clusterOptions(o))
}

func (r *Run) clusterOptions(o kube.Options) kube.Options {
	if o.Dir == "" {
		o.Dir = r.ClusterDir(o.Name)
	}
	o.Images = append(append([]tools.Image{}, r.options.Images...), o.Images...)
	o.Egress = append([]string{r.Git.Address(), r.Registry.Address()}, o.Egress...)
	o.NoNode = o.NoNode || !r.Tools.Has(tools.ProcessNode)
	return o
}

// PushFluxManifests pushes the manifests of tools.FluxVersion as flux-manifests:<tag>, an artifact
// like the official oci://ghcr.io/fluxcd/flux-manifests. The tag of an official artifact is its
// version.
func (r *Run) PushFluxManifests(ctx context.Context, tag string) (registry.Artifact, error) {
	return r.PushChangedFlux(ctx, tag, func(manifests string) string { return manifests })
}

// PushChangedFlux pushes what change makes of the manifests of tools.FluxVersion as another version.
func (r *Run) PushChangedFlux(ctx context.Context, tag string, change func(manifests string) string) (registry.Artifact, error) {
	const name = tools.FluxComponents
	data, err := os.ReadFile(r.Tools.File(tools.FluxManifests, name))
	if err != nil {
		return registry.Artifact{}, fmt.Errorf("read Flux manifests: %w", err)
	}
	return r.Registry.PushFlux(ctx, "fluxcd/flux-manifests", tag, map[string][]byte{name: []byte(change(string(data)))})
}
