package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/bench/gitserver"
	"github.com/fairway-dev/fairway/e2e/bench/registry"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
	"github.com/fairway-dev/fairway/e2e/load/members"
	"github.com/fairway-dev/fairway/e2e/load/platform"
	"github.com/fairway-dev/fairway/e2e/load/sim"
)

// wholeFleet is a platform with the real operator and the real hub, and clusters that are simulated from their API servers
// downwards: members answer the operator, and agents report with what the operator put there.
type wholeFleet struct {
	bench    *bench
	platform *platform.Platform
	operator *platform.Operator
	hub      *platform.Hub
	client   client.WithWatch
	members  *members.Members
	agents   *sim.Fleet
	closers  []func() error // in the order of their start
}

const (
	clustersNamespace = "clusters"
	registering       = 8 // WorkloadClusters that are made at once
	busLimit          = time.Minute
	joinLimit         = 30 * time.Minute
)

// newWholeFleet starts everything but the clusters, which join calls in.
func newWholeFleet(ctx context.Context, b *bench) (_ *wholeFleet, err error) {
	f := &wholeFleet{bench: b}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}()
	dir, err := b.folder()
	if err != nil {
		return nil, err
	}
	b.say("starting a platform with its operator")
	f.platform, err = platform.Start(ctx, platform.Options{Dir: filepath.Join(dir, "fleet"), Progress: b.progress})
	if err != nil {
		return nil, err
	}
	f.closers = append(f.closers, f.platform.Stop)
	if err := f.connect(); err != nil {
		return nil, err
	}
	if err := f.startMembers(ctx); err != nil {
		return nil, err
	}
	return f, f.install(ctx)
}

func (f *wholeFleet) connect() (err error) {
	types := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(types), fleetv1.AddToScheme(types)); err != nil {
		return fmt.Errorf("register kinds: %w", err)
	}
	if f.client, err = client.NewWithWatch(f.platform.Kube.Config(), client.Options{Scheme: types}); err != nil {
		return fmt.Errorf("connect to the platform: %w", err)
	}
	return nil
}

func (f *wholeFleet) startMembers(ctx context.Context) error {
	log, err := os.Create(f.platform.Supervisor.LogPath("members"))
	if err != nil {
		return fmt.Errorf("open log of members: %w", err)
	}
	f.closers = append(f.closers, log.Close)
	like, err := rest.HTTPClientFor(f.platform.Kube.Config())
	if err != nil {
		return fmt.Errorf("make a client of the platform: %w", err)
	}
	var names []string
	for i := range f.bench.size.clusters {
		names = append(names, sim.Name(i))
	}
	f.members, err = members.Start(ctx, members.Options{Names: names, Like: like, LikeURL: f.platform.Kube.Server, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		return err
	}
	f.closers = append(f.closers, f.members.Close)
	return nil
}

// install brings Cluster API's kinds and Fairway onto the platform: manifests, operator, Fleet, hub.
func (f *wholeFleet) install(ctx context.Context) error {
	if err := f.defineClusters(ctx); err != nil {
		return err
	}
	if err := f.platform.Install(ctx); err != nil {
		return err
	}
	bus, err := platform.FreeAddress()
	if err != nil {
		return err
	}
	if f.operator, err = f.platform.StartOperator(ctx, "tls://"+bus); err != nil {
		return err
	}
	f.bench.say("to look into the operator: go tool pprof %s/heap", f.operator.Profile)
	fleet, err := f.fleet(ctx, "tls://"+bus)
	if err != nil {
		return err
	}
	for _, obj := range []client.Object{&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: clustersNamespace}}, fleet} {
		if err := f.client.Create(ctx, obj); err != nil {
			return fmt.Errorf("create %s: %w", obj.GetName(), err)
		}
	}
	secret := &corev1.Secret{}
	err = wait(ctx, "the operator to make the hub's Secret", busLimit, func(ctx context.Context) error {
		return f.client.Get(ctx, client.ObjectKey{Namespace: fleetv1.SystemNamespace, Name: "fairway-hub"}, secret)
	})
	if err != nil {
		return err
	}
	if f.hub, err = f.platform.NewHubOf("hub", bus, secret.Data); err != nil {
		return err
	}
	if err := f.hub.Start(ctx); err != nil {
		return err
	}
	f.agents, err = sim.New(sim.Options{
		Clusters: f.bench.size.clusters, Seed: 1, Dir: filepath.Join(f.platform.Dir, "outboxes"), URL: f.hub.Bus, CA: f.hub.CA, Creds: f.credentials,
	})
	if err != nil {
		return err
	}
	f.closers = append(f.closers, f.agents.Close)
	return nil
}

// fleet is the Fleet, with a config repository and an artifact of Flux that can be read.
func (f *wholeFleet) fleet(ctx context.Context, bus string) (*fleetv1.Fleet, error) {
	log, err := os.Create(f.platform.Supervisor.LogPath("sources"))
	if err != nil {
		return nil, fmt.Errorf("open log of sources: %w", err)
	}
	f.closers = append(f.closers, log.Close)
	git, err := gitserver.Start(ctx, filepath.Join(f.platform.Dir, "git"), log)
	if err != nil {
		return nil, err
	}
	f.closers = append(f.closers, git.Close)
	config, err := git.CreateRepository(ctx, "config", gitserver.Credentials{})
	if err != nil {
		return nil, err
	}
	if _, err := config.Commit(ctx, "main", map[string]string{"README.md": "a fleet\n"}, "begin"); err != nil {
		return nil, err
	}
	images, err := registry.Start(ctx, filepath.Join(f.platform.Dir, "registry"), log)
	if err != nil {
		return nil, err
	}
	f.closers = append(f.closers, images.Close)
	built, err := tools.Build(ctx, tools.Options{Progress: f.bench.progress}, tools.FluxManifests)
	if err != nil {
		return nil, err
	}
	components, err := os.ReadFile(built.File(tools.FluxManifests, tools.FluxComponents))
	if err != nil {
		return nil, fmt.Errorf("read Flux manifests: %w", err)
	}
	artifact, err := images.PushFlux(ctx, "fluxcd/flux-manifests", tools.FluxVersion, map[string][]byte{tools.FluxComponents: components})
	if err != nil {
		return nil, err
	}
	obj := &fleetv1.Fleet{ObjectMeta: metav1.ObjectMeta{Name: fleetv1.FleetName}}
	obj.Spec.ConfigRepository = fleetv1.ConfigRepository{URL: config.URL, Branch: "main"}
	obj.Spec.Flux.Artifact, obj.Spec.Events.URL = artifact.URL, bus
	return obj, nil
}

// credentials are those that the operator put onto a member.
func (f *wholeFleet) credentials(id string) ([]byte, error) {
	secret, err := f.members.Member(id).Secret(fleetv1.SystemNamespace, "fairway-agent")
	if err == nil && len(secret["agent.creds"]) == 0 {
		err = errors.New("the operator has put no credentials there yet")
	}
	return secret["agent.creds"], err
}

// join registers clusters, starts their agents as soon as they have credentials, and waits until all are Ready.
func (f *wholeFleet) join(ctx context.Context, clusters []*sim.Cluster) error {
	began := time.Now()
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(registering)
	for _, c := range clusters {
		group.Go(func() error { return f.register(groupCtx, c.ID) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	starting, startingCtx := errgroup.WithContext(ctx)
	starting.Go(func() error {
		for _, c := range clusters {
			err := wait(startingCtx, c.ID+" to have credentials", joinLimit, func(context.Context) error {
				_, err := f.credentials(c.ID)
				return err
			})
			if err == nil {
				err = c.Start(ctx)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err := starting.Wait(); err != nil {
		return err
	}
	err := f.awaitReady(ctx, clusters)
	f.bench.say("%d clusters are Ready after %s", len(clusters), time.Since(began).Round(100*time.Millisecond))
	return err
}

// awaitReady waits until the operator says of every one of the clusters that it is Ready, and has surveyed it if it is an acquired one.
func (f *wholeFleet) awaitReady(ctx context.Context, clusters []*sim.Cluster) error {
	wanted := map[string]bool{}
	for _, c := range clusters {
		wanted[c.ID] = true
	}
	return f.awaitClusters(ctx, "to be Ready", wanted, func(obj *fleetv1.WorkloadCluster) bool {
		return apimeta.IsStatusConditionTrue(obj.Status.Conditions, "Ready") &&
			(obj.Status.Survey != nil || obj.Spec.Access.ClusterRef != nil)
	})
}

func (f *wholeFleet) awaitClusters(ctx context.Context, what string, wanted map[string]bool, is func(*fleetv1.WorkloadCluster) bool) error {
	return waitEvery(ctx, time.Second, fmt.Sprintf("%d clusters %s", len(wanted), what), joinLimit, func(ctx context.Context) error {
		var list fleetv1.WorkloadClusterList
		if err := f.client.List(ctx, &list, client.InNamespace(clustersNamespace)); err != nil {
			return fmt.Errorf("list WorkloadClusters: %w", err)
		}
		missing, example := len(wanted), ""
		for i := range list.Items {
			obj := &list.Items[i]
			switch {
			case !wanted[obj.Name]:
			case is(obj):
				missing--
			default:
				example = shown(obj)
			}
		}
		if missing > 0 {
			return fmt.Errorf("%d are not: %s", missing, example)
		}
		return nil
	})
}

// awaitAway waits until the operator has seen that clusters do not answer.
func (f *wholeFleet) awaitAway(ctx context.Context, ids []string) error {
	wanted := map[string]bool{}
	for _, id := range ids {
		wanted[id] = true
	}
	return f.awaitClusters(ctx, "to be away", wanted, func(obj *fleetv1.WorkloadCluster) bool {
		return slices.ContainsFunc(obj.Status.Conditions, func(c metav1.Condition) bool {
			return c.Type != fleetv1.ConditionSurveyed && c.Reason == fleetv1.ReasonUnreachable
		})
	})
}

// shown is what the conditions of a cluster say.
func shown(obj *fleetv1.WorkloadCluster) string {
	var out []string
	for _, c := range obj.Status.Conditions {
		out = append(out, fmt.Sprintf("%s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message))
	}
	return obj.Name + ": " + strings.Join(out, "; ")
}

func (f *wholeFleet) close() error {
	var errs []error
	for i := len(f.closers) - 1; i >= 0; i-- {
		errs = append(errs, f.closers[i]())
	}
	return errors.Join(errs...)
}
