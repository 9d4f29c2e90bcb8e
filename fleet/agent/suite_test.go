package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/observe"
	"github.com/fairway-dev/fairway/fleet/outbox"
)

// draft is a live draft, different for each i.
func draft(i int) observe.Draft {
	return observe.Draft{Type: event.WorkloadRolling, Object: event.Object{Kind: "Deployment", Namespace: "a", Name: fmt.Sprint(i)},
		Time: time.Now(), Data: event.Workload{Message: strings.Repeat("x", 400)}}
}

// newCluster is a real kube-apiserver, with the CRDs given.
func newCluster(t *testing.T, crds ...*apiextensionsv1.CustomResourceDefinition) (*rest.Config, client.Client) {
	t.Helper()
	environment := &envtest.Environment{CRDInstallOptions: envtest.CRDInstallOptions{CRDs: crds}}
	config, err := environment.Start()
	if err != nil {
		t.Fatalf("KUBEBUILDER_ASSETS is not set: run make unit (%v)", err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, kustomizev1.AddToScheme, helmv2.AddToScheme, apiextensionsv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	return config, c
}

// crd is a minimal CRD of a Flux kind: any content, with a status of its own. Flux's own CRDs come
// with its controllers, which are no dependency of this module.
func crd(group, version, kind, plural string) *apiextensionsv1.CustomResourceDefinition {
	keep := true
	out := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: plural + "." + group}}
	out.Spec = apiextensionsv1.CustomResourceDefinitionSpec{
		Group: group, Scope: apiextensionsv1.NamespaceScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Singular: strings.ToLower(kind), Kind: kind, ListKind: kind + "List"},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
			Name: version, Served: true, Storage: true,
			Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
				Type: "object", XPreserveUnknownFields: &keep,
			}},
		}},
	}
	return out
}

// world is a cluster with an agent on it.
type world struct {
	*testing.T
	client.Client
	bus  *recorder
	seen int // events that were looked at
}

// expect waits for exactly these events, in this order, beyond those that were looked at.
func (w *world) expect(what string, want ...string) []event.Event {
	w.Helper()
	w.bus.until(w.T, what, func() bool { return len(w.bus.after(w.seen)) >= len(want) })
	if diff := cmp.Diff(want, w.bus.after(w.seen)[:len(want)]); diff != "" {
		w.Fatalf("%s (-want +got):\n%s", what, diff)
	}
	got := w.bus.all()[w.seen : w.seen+len(want)]
	w.seen += len(want)
	return got
}

func (w *world) create(obj client.Object, status ...func()) {
	w.Helper()
	if err := w.Create(w.Context(), obj); err != nil {
		w.Fatal(err)
	}
	for _, set := range status {
		w.status(obj, set)
	}
}

func (w *world) status(obj client.Object, set func()) {
	w.Helper()
	set()
	if err := w.Status().Update(w.Context(), obj); err != nil {
		w.Fatal(err)
	}
}

func (w *world) remove(obj client.Object) {
	w.Helper()
	if err := w.Delete(w.Context(), obj, client.GracePeriodSeconds(0)); err != nil {
		w.Fatal(err)
	}
}

func deployment(name string) *appsv1.Deployment {
	two := int32(2)
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{
			"fleet.fairway.dev/team": "payments", "kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "default"}},
		Spec: appsv1.DeploymentSpec{
			Replicas: &two, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "app", Image: name + ":1"}}}},
		},
	}
}

func replicas(d *appsv1.Deployment, available int32) func() {
	return func() {
		d.Status = appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Replicas: 2, UpdatedReplicas: 2, ReadyReplicas: available, AvailableReplicas: available}
	}
}

func podOf(deployment, name string) *corev1.Pod {
	yes := true
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: deployment + "-5d9c7b8f64-" + name, Labels: map[string]string{"pod-template-hash": "5d9c7b8f64"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: deployment + "-5d9c7b8f64", UID: "u", Controller: &yes}}},
		Spec: corev1.PodSpec{NodeName: "n1", Containers: []corev1.Container{{Name: "app", Image: "x"}}},
	}
}

func crashed(p *corev1.Pod, code int32) func() {
	return func() {
		died := &corev1.ContainerStateTerminated{ExitCode: code, StartedAt: metav1.Now(), FinishedAt: metav1.Now()}
		p.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{
			Name: "app", RestartCount: 3, State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
			LastTerminationState: corev1.ContainerState{Terminated: died},
		}}}
	}
}

func reconciled(k *kustomizev1.Kustomization, status metav1.ConditionStatus, reason, attempted, applied string) func() {
	return func() {
		k.Status.ObservedGeneration, k.Status.LastAttemptedRevision, k.Status.LastAppliedRevision = k.Generation, attempted, applied
		k.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: status, Reason: reason, Message: reason, ObservedGeneration: k.Generation, LastTransitionTime: metav1.Now()}}
	}
}

func TestAgentOnACluster(t *testing.T) {
	config, c := newCluster(t, crd("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations"))
	w := &world{T: t, Client: c, bus: newRecorder()}
	apps := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "apps"},
		Spec: kustomizev1.KustomizationSpec{Interval: metav1.Duration{Duration: time.Minute}, SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: "config"}}}
	w.create(apps, reconciled(apps, "True", "ReconciliationSucceeded", "main@sha1:a", "main@sha1:a"))
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	w.create(node)
	old, oldPod := deployment("old"), podOf("old", "aaaaa")
	w.create(old, replicas(old, 1))
	w.create(oldPod, crashed(oldPod, 7))

	start(t, config, w.bus)

	t.Run("what is there already comes in the snapshot, and nothing else", func(t *testing.T) {
		got := w.expect("the snapshot", "agent.started", "agent.snapshot")
		var snapshot event.Snapshot
		if err := got[1].Payload(&snapshot); err != nil {
			t.Fatal(err)
		}
		var entries []string
		for _, entry := range snapshot.Entries {
			entries = append(entries, strings.TrimPrefix(string(entry.Type), "dev.fairway.")+" "+entry.Subject+" "+entry.Team+" "+entry.Revision)
		}
		want := []string{"cluster.connected.v1   ", "flux.succeeded.v1 Kustomization/default/apps  main@sha1:a",
			"workload.rolling.v1 Deployment/default/old payments main@sha1:a", "episode.opened.v1 Deployment/default/old payments main@sha1:a"}
		if diff := cmp.Diff(want, entries); diff != "" {
			t.Errorf("entries (-want +got):\n%s", diff)
		}
		var episode event.Episode
		if err := json.Unmarshal(snapshot.Entries[3].Data, &episode); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(episode.Message, "its last lines could not be read") { // there is no kubelet
			t.Errorf("message = %q, want to be told that there are no logs", episode.Message)
		}
		var started event.Started
		if err := got[0].Payload(&started); err != nil || started.NodesTotal != 1 || !strings.HasPrefix(started.KubernetesVersion, "v1.") {
			t.Errorf("started = %+v, %v", started, err)
		}
	})

	ledger, first, second := deployment("ledger"), podOf("ledger", "aaaaa"), podOf("ledger", "bbbbb")
	t.Run("a rollout", func(t *testing.T) {
		w.create(ledger)
		w.expect("rolling", "workload.rolling Deployment/default/ledger")
		w.status(ledger, replicas(ledger, 2))
		w.expect("available", "workload.available Deployment/default/ledger")
	})
	t.Run("two pods that crash are one episode, opened and resolved once", func(t *testing.T) {
		w.create(first, crashed(first, 1))
		w.create(second, crashed(second, 1))
		w.expect("opened", "episode.opened Deployment/default/ledger CrashLoopBackOff")
		w.status(ledger, replicas(ledger, 0))
		w.expect("degraded", "workload.degraded Deployment/default/ledger")
		w.status(first, func() { first.Status.ContainerStatuses[0].RestartCount = 4 })
		w.remove(first)
		w.remove(second)
		w.status(ledger, replicas(ledger, 2))
		w.expect("resolved", "episode.resolved Deployment/default/ledger CrashLoopBackOff", "workload.available Deployment/default/ledger")
	})
	t.Run("Flux: another commit, a failure, its end", func(t *testing.T) {
		w.status(apps, reconciled(apps, "Unknown", "Progressing", "main@sha1:b", "main@sha1:a"))
		w.expect("progressing", "flux.progressing Kustomization/default/apps")
		w.status(apps, reconciled(apps, "False", "BuildFailed", "main@sha1:b", "main@sha1:a"))
		w.expect("failed", "flux.failed Kustomization/default/apps", "episode.opened Kustomization/default/apps BuildFailed")
		w.status(apps, reconciled(apps, "Unknown", "Progressing", "main@sha1:b", "main@sha1:a"))
		w.status(apps, reconciled(apps, "True", "ReconciliationSucceeded", "main@sha1:c", "main@sha1:c"))
		w.expect("succeeded", "flux.succeeded Kustomization/default/apps", "episode.resolved Kustomization/default/apps BuildFailed")
	})
	t.Run("a kind of Flux that is installed later", func(t *testing.T) {
		w.create(crd("helm.toolkit.fluxcd.io", "v2", "HelmRelease", "helmreleases"))
		w.eventually("a HelmRelease", func(ctx context.Context) error {
			return c.Create(ctx, &helmv2.HelmRelease{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "redis"}})
		})
		w.expect("the release", "flux.progressing HelmRelease/default/redis")
	})
	t.Run("a kind of Flux that is taken away, and comes back", func(t *testing.T) {
		w.remove(crd("helm.toolkit.fluxcd.io", "v2", "HelmRelease", "helmreleases"))
		w.expect("the release is gone", "flux.removed HelmRelease/default/redis")
		w.eventually("the kind", func(ctx context.Context) error {
			return c.Create(ctx, crd("helm.toolkit.fluxcd.io", "v2", "HelmRelease", "helmreleases"))
		})
		w.eventually("a HelmRelease", func(ctx context.Context) error {
			return c.Create(ctx, &helmv2.HelmRelease{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "valkey"}})
		})
		w.expect("another release", "flux.progressing HelmRelease/default/valkey")
	})
	t.Run("resync brings a new snapshot", func(t *testing.T) {
		w.bus.command("resync")
		var snapshot event.Snapshot
		if err := w.expect("the snapshot", "agent.snapshot")[0].Payload(&snapshot); err != nil || len(snapshot.Entries) != 6 {
			t.Errorf("%d entries, %v", len(snapshot.Entries), err)
		}
	})
	t.Run("what is removed", func(t *testing.T) {
		w.remove(old)
		w.expect("removed", "episode.resolved Deployment/default/old CrashLoopBackOff", "workload.removed Deployment/default/old")
		w.remove(node)
		w.expect("no node", "cluster.changed")
	})
	t.Run("sequences have no holes, ids differ, attributes are there, heartbeats follow", func(t *testing.T) {
		ids := map[string]bool{}
		for i, e := range w.bus.all() {
			if e.Sequence != uint64(i+1) || e.Epoch != w.bus.all()[0].Epoch || e.Environment != "prod" || e.Cloud != "AWS" || ids[e.ID] {
				t.Errorf("event %d: %+v", i, e)
			}
			ids[e.ID] = true
		}
		last := w.bus.all()[len(ids)-1].Sequence
		w.bus.until(t, "a heartbeat with the last sequence", func() bool {
			w.bus.mu.Lock()
			defer w.bus.mu.Unlock()
			return slices.ContainsFunc(w.bus.beats, func(h event.Heartbeat) bool { return h.Sequence == last && h.Objects == 3 })
		})
	})
}

func (w *world) eventually(what string, do func(ctx context.Context) error) {
	w.Helper()
	limit, cancel := context.WithTimeout(w.Context(), 30*time.Second)
	defer cancel()
	for {
		err := do(limit)
		if err == nil {
			return
		}
		if pause(limit, 50*time.Millisecond) != nil {
			w.Fatalf("waited 30 s for %s: %v", what, err)
		}
	}
}

// start runs an agent with an outbox of its own until the test ends.
func start(t *testing.T, config *rest.Config, bus *recorder) {
	t.Helper()
	t.Cleanup(run(t, config, bus, filepath.Join(t.TempDir(), "outbox.db")))
}

// run runs an agent with the outbox in a file until stop.
func run(t *testing.T, config *rest.Config, bus *recorder, path string) (stop func()) {
	t.Helper()
	b := box(t, outbox.Options{Path: path})
	a, err := New(Options{
		Outbox:  b,
		Cluster: "c1", Environment: "prod", Cloud: "AWS", Version: "v0.1.0", Config: config, Heartbeat: 200 * time.Millisecond, Discovery: 100 * time.Millisecond,
		Connect: func(context.Context, func(error)) (Bus, error) { return bus, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	return func() {
		cancel()
		if err := errors.Join(<-done, b.Close()); err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}
