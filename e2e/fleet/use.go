package fleet

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/bench"
	"github.com/fairway-dev/fairway/e2e/bench/kube"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
	hubclient "github.com/fairway-dev/fairway/fleet/client"
)

// Scheme knows the kinds that stories look at.
var Scheme = newScheme()

func newScheme() *runtime.Scheme {
	s := scheme.Scheme // the bench's clients use client-go's
	for _, add := range []func(*runtime.Scheme) error{fleetv1.AddToScheme, kustomizev1.AddToScheme, sourcev1.AddToScheme} {
		if err := add(s); err != nil {
			panic(err)
		}
	}
	return s
}

// Member is a workload cluster of the fleet, with the power to stop it and start it again.
func (f *Fleet) Member(id string) Member {
	if id == Acquired {
		return Member{f.acquired.Cluster}
	}
	f.mu.Lock()
	other := f.others[id]
	f.mu.Unlock()
	if other != nil {
		return Member{other.Cluster}
	}
	if c := f.Platform.AWS.Cluster(id); c != nil {
		return Member{c}
	}
	return Member{f.Platform.Azure.Cluster(id)}
}

// Member is a workload cluster.
type Member struct{ *kube.Cluster }

// Start brings a stopped cluster back, with its data.
func (m Member) Start(ctx context.Context) error { return m.Resume(ctx) }

// AcquiredKubeconfig is what the acquired company handed over.
func (f *Fleet) AcquiredKubeconfig() string { return string(f.acquired.KubeconfigData) }

// Bootstrapped starts an acquired cluster that runs a Flux of its own, and what that Flux applies: the files. The
// cluster and the platform's pods can reach each other; it is not in the fleet yet.
func (f *Fleet) Bootstrapped(ctx context.Context, id string, apps Files) (*bench.Acquired, error) {
	cluster, err := f.run.StartBootstrapped(ctx, id, "dc-south-1", apps)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	if f.others == nil {
		f.others = map[string]*bench.Acquired{}
	}
	f.others[id] = cluster
	f.mu.Unlock()
	return cluster, errors.Join(cluster.AllowEgress(f.events), f.Platform.AllowEgress(hostOf(cluster.Server)))
}

// CloneConfig clones the config repository into a folder, as somebody who may push to it.
func (f *Fleet) CloneConfig(ctx context.Context, dir string) error {
	address, err := url.Parse(f.config.URL)
	if err != nil {
		return fmt.Errorf("clone config repository: %w", err)
	}
	address.User = url.UserPassword(gitUser, gitPassword)
	if out, err := exec.CommandContext(ctx, "git", "clone", "--quiet", address.String(), dir).CombinedOutput(); err != nil {
		return fmt.Errorf("clone config repository: %w: %s", err, out)
	}
	return nil
}

// Commit writes files to the config repository's main branch; the content gitserver.Delete deletes.
func (f *Fleet) Commit(ctx context.Context, message string, files Files) (commit string, err error) {
	return f.config.Commit(ctx, "main", files, message)
}

// ConfigHead is the newest commit of the config repository's main branch.
func (f *Fleet) ConfigHead(ctx context.Context) (string, error) { return f.config.Head(ctx, "main") }

// ConfigFile is a file of the config repository's main branch.
func (f *Fleet) ConfigFile(ctx context.Context, path string) (string, error) {
	return f.config.Read(ctx, "main", path)
}

// GitCredentials are those that the config repository is read and written with.
func (f *Fleet) GitCredentials() (user, password string) { return gitUser, gitPassword }

// Sync makes Flux on a cluster look for new commits now, as a webhook would.
func (f *Fleet) Sync(ctx context.Context, id string) error {
	obj := &sourcev1.GitRepository{}
	c := f.Member(id).Client()
	if err := c.Get(ctx, client.ObjectKey{Namespace: fleetv1.FluxNamespace, Name: fleetv1.RootName}, obj); err != nil {
		return fmt.Errorf("get GitRepository on %s: %w", id, err)
	}
	return annotate(ctx, c, obj, time.Now().Format(time.RFC3339Nano))
}

// Poke makes Flux on a cluster look at a Kustomization now, as flux reconcile does.
func (f *Fleet) Poke(ctx context.Context, id, name string) error {
	obj := &kustomizev1.Kustomization{}
	c := f.Member(id).Client()
	if err := c.Get(ctx, client.ObjectKey{Namespace: fleetv1.FluxNamespace, Name: name}, obj); err != nil {
		return fmt.Errorf("get Kustomization %s on %s: %w", name, id, err)
	}
	return annotate(ctx, c, obj, time.Now().Format(time.RFC3339Nano))
}

// RequestReconcile asks the operator for a pass over a cluster.
func (f *Fleet) RequestReconcile(ctx context.Context, id, value string) error {
	obj := &fleetv1.WorkloadCluster{}
	if err := f.Platform.Client().Get(ctx, Key(id), obj); err != nil {
		return fmt.Errorf("get WorkloadCluster %s: %w", id, err)
	}
	return annotate(ctx, f.Platform.Client(), obj, value)
}

// PublishFlux publishes another version of Flux where the fleet looks for it, as a release of the same controllers:
// the manifests state the version, so that every controller starts anew, and are changed as wanted.
func (f *Fleet) PublishFlux(ctx context.Context, version string, change func(manifests string) string) error {
	_, err := f.run.PushChangedFlux(ctx, version, func(manifests string) string {
		return change(strings.ReplaceAll(manifests, tools.FluxVersion, version))
	})
	return err
}

// RequestFleet asks the operator for a pass over the Fleet, so that it looks for a new version of Flux, and for new commits, now.
func (f *Fleet) RequestFleet(ctx context.Context) error {
	obj := &fleetv1.Fleet{}
	obj.Name = fleetv1.FleetName
	return annotate(ctx, f.Platform.Client(), obj, time.Now().Format(time.RFC3339Nano))
}

func annotate(ctx context.Context, c client.Client, obj client.Object, value string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"annotations": map[string]string{fluxmeta.ReconcileRequestAnnotation: value}}})
	if err != nil {
		return err
	}
	if err := c.Patch(ctx, obj, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		return fmt.Errorf("annotate %s: %w", obj.GetName(), err)
	}
	return nil
}

// Fairway runs the command line as the platform's administrator and returns what it prints.
func (f *Fleet) Fairway(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, f.CLI(), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+f.Platform.Kubeconfig)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("fairway %v: %w\n%s", args, err, stderr.String())
	}
	return stdout.String(), nil
}

// CLI is the path of the fairway command.
func (f *Fleet) CLI() string { return f.run.Tools.File(tools.Fairway, "fairway") }

// Kubectl is the path of the kubectl command.
func (f *Fleet) Kubectl() string { return f.run.Tools.Assets() + "/kubectl" }

// MustFairway is Fairway for a test that goes no further without it.
func (f *Fleet) MustFairway(t *testing.T, args ...string) string {
	t.Helper()
	out, err := f.Fairway(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Hub is a client of the hub over a port-forward, with nothing but the platform's kubeconfig.
func (f *Fleet) Hub(ctx context.Context) (*hubclient.Client, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hub != nil {
		return f.hub, nil
	}
	hub, err := hubclient.Forward(ctx, f.Platform.Config(), fleetv1.SystemNamespace, hubclient.DefaultRetry)
	if err != nil {
		return nil, err
	}
	f.hub = hub
	return hub, nil
}

// Cluster is what the hub says of a cluster now.
func (f *Fleet) Cluster(ctx context.Context, id string) (rest.ClusterDetail, error) {
	hub, err := f.Hub(ctx)
	if err != nil {
		return rest.ClusterDetail{}, err
	}
	return hub.Cluster(ctx, id)
}

// Events lists the events of a cluster since a time, oldest first; all clusters' for "".
func (f *Fleet) Events(ctx context.Context, since time.Time, id string) (all []event.Event, err error) {
	hub, err := f.Hub(ctx)
	if err != nil {
		return nil, err
	}
	query := hubclient.EventQuery{Since: since, Cluster: id}
	for page, err := range hub.Events(ctx, query) {
		if err != nil {
			return nil, err
		}
		for _, stored := range page.Items {
			all = append(all, stored.Event)
		}
	}
	return all, nil
}

// Watch calls see for every event from now on, until ctx ends. It returns once the stream is open.
func (f *Fleet) Watch(ctx context.Context, see func(cluster string, e event.Event)) error {
	hub, err := f.Hub(ctx)
	if err != nil {
		return err
	}
	open := make(chan error, 1)
	go func() {
		for update, err := range hub.Watch(ctx, 0, hubclient.EventQuery{}) {
			switch u := update.(type) {
			case hubclient.Stored:
				see(u.Event.Cluster, u.Event.Event)
			case hubclient.Connected:
				open <- nil
			}
			if err != nil {
				open <- err
			}
		}
	}()
	select {
	case err := <-open:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// awaitPodinfo waits until podinfo is available on a cluster.
func (f *Fleet) awaitPodinfo(ctx context.Context, id string) error {
	return Await(ctx, readyLimit, "podinfo is available on "+id, func(ctx context.Context) (bool, string) {
		obj := &appsv1.Deployment{}
		if err := f.Member(id).Client().Get(ctx, client.ObjectKey{Namespace: Team, Name: Service}, obj); err != nil {
			return false, err.Error()
		}
		return obj.Status.AvailableReplicas > 0, fmt.Sprintf("%d of %d available", obj.Status.AvailableReplicas, obj.Status.Replicas)
	})
}

// poll is how often Await looks.
const poll = 100 * time.Millisecond

// Await calls check until it is done; after limit, or when ctx ends, the error says what was wanted and the last state.
func Await(ctx context.Context, limit time.Duration, want string, check func(ctx context.Context) (done bool, state string)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not after %s", limit))
	defer cancel()
	state := "not looked yet"
	for {
		done, now := check(ctx)
		if done {
			return nil
		}
		if ctx.Err() == nil || now == "" {
			state = now // what a call says because its time is over tells nothing
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("wait until %s: %w; last state: %s", want, context.Cause(ctx), state))
		case <-time.After(poll):
		}
	}
}

// ConfigURL is the config repository's address.
func (f *Fleet) ConfigURL() string { return f.config.URL }

// Bin is a folder with links to fairway, kubectl and kubectl-fairway, for PATH.
func (f *Fleet) Bin() string { return filepath.Join(f.Dir, "bin") }

func (f *Fleet) linkBin() error {
	if err := os.MkdirAll(f.Bin(), 0o755); err != nil {
		return fmt.Errorf("create folder of commands: %w", err)
	}
	for name, target := range map[string]string{"fairway": f.CLI(), "kubectl-fairway": f.CLI(), "kubectl": f.Kubectl()} {
		if err := os.Symlink(target, filepath.Join(f.Bin(), name)); err != nil {
			return fmt.Errorf("link command: %w", err)
		}
	}
	return nil
}
