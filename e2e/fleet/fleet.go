// Package fleet assembles a whole Fairway fleet on the bench, as a platform team would: Fairway's own manifests are
// applied to the platform cluster, a config repository and a Fleet are made, an AWS and an Azure cluster are asked of
// Cluster API, and an acquired cluster is registered by its kubeconfig. The demo and the stories are built on it.
package fleet

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fairway-dev/fairway/e2e/bench"
	"github.com/fairway-dev/fairway/e2e/bench/gitserver"
	"github.com/fairway-dev/fairway/e2e/bench/kube"
	"github.com/fairway-dev/fairway/e2e/bench/process"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
	"github.com/fairway-dev/fairway/fleet/client"
)

// Ids of the clusters that a fleet can have.
const (
	AWS      = "prod-aws-eu1"
	Azure    = "prod-azure-eu1"
	Acquired = "acquired-1"
)

// Namespace of the WorkloadClusters and Cluster API objects on the platform.
const Namespace = "clusters"

// Environments of the clusters: those of Cluster API are in Prod, the acquired one is in Staging.
const (
	Staging = "staging"
	Prod    = "prod"
)

// DecisionTTL is how long the hub may keep an answer of the platform's authorizer.
const DecisionTTL = 40 * time.Second

// Options of a fleet. Only Name is required.
type Options struct {
	Name      string        // of the run's folder
	Progress  io.Writer     // nil: nobody is told
	Heartbeat time.Duration // of the agents; the Fleet's default when zero
	Clusters  []string      // of AWS, Azure and Acquired; empty: all three
	// EventsVia, when set, is told where the event bus listens, host:port, before anybody dials it, and answers with the
	// address on 127.0.0.1 that agents dial instead.
	EventsVia func(bus string) (string, error)
	// HubVolume, when set, is a folder of this machine that is the hub's volume: what the hub keeps outlives its pod.
	HubVolume string
}

// Fleet is a running fleet.
type Fleet struct {
	Dir      string
	Platform *bench.Platform
	// HubURL and HubRoots serve callers that come by the network instead of a port-forward.
	HubURL   string
	HubRoots *x509.CertPool
	// EventsURL is what agents dial.
	EventsURL string
	// DecisionTTL bounds how long a changed right may take to count.
	DecisionTTL time.Duration

	options  Options
	run      *bench.Run
	config   *gitserver.Repository
	acquired *bench.Acquired
	progress io.Writer
	events   string // host:port that agents dial
	// registered is when the clusters were asked for.
	registered time.Time

	mu     sync.Mutex
	hub    *client.Client
	others map[string]*bench.Acquired // by id: those of Bootstrapped
}

// Up builds what is missing and brings up a fleet with its clusters Ready and podinfo available on each. On an
// error nothing is left running; the logs stay in the run's folder, which the error names.
func Up(ctx context.Context, o Options) (_ *Fleet, err error) {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if len(o.Clusters) == 0 {
		o.Clusters = []string{AWS, Azure, Acquired}
	}
	built, err := tools.Build(ctx, tools.Options{Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	dir, err := runDir(o.Name)
	if err != nil {
		return nil, err
	}
	run, err := bench.Start(ctx, bench.Options{Dir: dir, Tools: built, Progress: o.Progress})
	if err != nil {
		return nil, err
	}
	f := &Fleet{Dir: dir, DecisionTTL: DecisionTTL, options: o, run: run, progress: o.Progress}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%w\nlogs of every process and container are in %s", err, dir), f.Down())
		}
	}()
	if err := f.linkBin(); err != nil {
		return nil, err
	}
	began := time.Now()
	if err := f.startClusters(ctx); err != nil {
		return nil, err
	}
	f.say("clusters are up after %s", time.Since(began).Round(100*time.Millisecond))
	if err := f.install(ctx); err != nil {
		return nil, err
	}
	if err := f.register(ctx); err != nil {
		return nil, err
	}
	if err := f.awaitReady(ctx); err != nil {
		return nil, err
	}
	f.say("fleet is Ready after %s", time.Since(began).Round(100*time.Millisecond))
	return f, nil
}

// Down ends everything that the fleet runs.
func (f *Fleet) Down() error {
	f.mu.Lock()
	if f.hub != nil {
		_ = f.hub.Close() // its port-forward ends with the cluster anyway
		f.hub = nil
	}
	f.mu.Unlock()
	return f.run.Stop()
}

// Failed gets every process of the fleet that dies by itself.
func (f *Fleet) Failed() <-chan error {
	out := make(chan error, 1)
	go func() {
		if p, ok := <-f.run.Supervisor.Failed(); ok {
			out <- p.Err()
		}
	}()
	return out
}

func (f *Fleet) say(format string, args ...any) {
	fmt.Fprintf(f.progress, "► "+format+"\n", args...)
}

// startClusters starts the platform and the acquired cluster side by side, and fills Git and the registry meanwhile.
func (f *Fleet) startClusters(ctx context.Context) error {
	f.say("starting the platform cluster, Cluster API and an acquired cluster")
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		f.Platform, err = f.run.StartPlatform(groupCtx, bench.PlatformOptions{
			Cluster: kube.Options{Publish: []string{eventsService, hubService}, Volumes: f.options.HubVolume != ""},
		})
		return err
	})
	if f.has(Acquired) {
		group.Go(func() (err error) {
			f.acquired, err = f.run.StartAcquired(groupCtx, Acquired, "dc-north-1")
			return err
		})
	}
	group.Go(func() error {
		if _, err := f.run.PushFluxManifests(groupCtx, tools.FluxVersion); err != nil {
			return err
		}
		return f.createRepository(groupCtx)
	})
	if err := group.Wait(); err != nil {
		return err
	}
	if err := f.publish(); err != nil || f.acquired == nil {
		return err
	}
	return errors.Join(
		f.acquired.AllowEgress(f.events),
		f.Platform.AllowEgress(hostOf(f.acquired.Server)),
	)
}

// publish settles where agents and users dial.
func (f *Fleet) publish() (err error) {
	f.events = f.Platform.Published(eventsService)
	if f.options.EventsVia != nil {
		if f.events, err = f.options.EventsVia(f.events); err != nil {
			return fmt.Errorf("lead agents to the event bus: %w", err)
		}
	}
	f.EventsURL, f.HubURL = "tls://"+f.events, "https://"+f.Platform.Published(hubService)
	return nil
}

func (f *Fleet) has(id string) bool { return slices.Contains(f.options.Clusters, id) }

func (f *Fleet) createRepository(ctx context.Context) (err error) {
	f.config, err = f.run.Git.CreateRepository(ctx, "config", gitserver.Credentials{Username: gitUser, Password: gitPassword})
	if err != nil {
		return err
	}
	_, err = f.config.Commit(ctx, "main", Repository(f.options.Clusters...), "begin")
	return err
}

// runDir is a new folder for a run: ~/.cache/fairway/runs/<name>-<time>. All but the newest keepRuns of a name are
// deleted, unless they still run.
func runDir(name string) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find cache folder: %w", err)
	}
	parent := filepath.Join(cache, "fairway", "runs")
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", fmt.Errorf("create folder of runs: %w", err)
	}
	if err := pruneRuns(parent, name); err != nil {
		return "", err
	}
	return filepath.Join(parent, name+"-"+time.Now().UTC().Format("20060102-150405.000")), nil
}

// keepRuns is how many earlier runs of a name are kept, for looking into.
const keepRuns = 3

func pruneRuns(parent, name string) error {
	runs, err := filepath.Glob(filepath.Join(parent, name+"-*")) // sorted, oldest first
	if err != nil {
		return fmt.Errorf("list runs: %w", err)
	}
	for len(runs) > keepRuns {
		if _, err := process.StopRecorded(runs[0]); err != nil {
			return err
		}
		if err := os.RemoveAll(runs[0]); err != nil {
			return fmt.Errorf("delete old run: %w", err)
		}
		runs = runs[1:]
	}
	return nil
}
