package workloadcluster

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/operator/configrepo"
	"github.com/fairway-dev/fairway/operator/eventbus"
	"github.com/fairway-dev/fairway/operator/platformtest"
	"github.com/fairway-dev/fairway/operator/rings"
)

// suite is a platform cluster, a cluster to register, and a reconciler that is called by hand, so
// that each test knows which pass it looks at.
type suite struct {
	*Reconciler
	platform, workload *platformtest.Cluster
	agents             *agents
	upgrades           upgrades
	said               *announcer
	clock              *clocktesting.FakePassiveClock
	events             *events.FakeRecorder
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{
		platform: platformtest.Platform(t), workload: platformtest.Workload(t),
		agents: &agents{known: map[string]Agent{}}, upgrades: upgrades{}, said: &announcer{},
		clock: clocktesting.NewFakePassiveClock(time.Now()), events: events.NewFakeRecorder(1000),
	}
	s.Reconciler = &Reconciler{
		Client: s.platform.Client, Recorder: s.events,
		Remotes: remote.NewPool(remote.Options{Scheme: platformtest.Scheme(t), DialTimeout: 2 * time.Second}),
		Catalog: registry{flux.NewCatalog()},
		Store: &eventbus.Store{Client: s.platform.Client, Namespace: fleetv1.SystemNamespace,
			Life: 30 * 24 * time.Hour, Now: s.clock.Now},
		Agents: s.agents, Upgrades: s.upgrades, Announcer: s.said, Clock: s.clock,
		Namespace: fleetv1.SystemNamespace, AgentImage: "ghcr.io/fairway-dev/agent:test", FieldOwner: "fairway-operator",
		FirstAnswer: patient,
	}
	s.versions.Now = s.clock.Now
	config := configrepo.New(s.platform.Client, fleetv1.SystemNamespace, s.clock)
	s.Config = config
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- config.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

// patient is longer than any cluster takes to answer: a pass is made in one go.
const patient = time.Minute

// pass takes one pass over a cluster and returns what it left.
func (s *suite) pass(t *testing.T, obj *fleetv1.WorkloadCluster) (ctrl.Result, error) {
	t.Helper()
	result, err := s.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(obj)})
	if getErr := s.platform.Client.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); client.IgnoreNotFound(getErr) != nil {
		t.Fatal(getErr)
	}
	return result, err
}

// fleet makes the Fleet and the bus's keys.
func (s *suite) makeFleet(t *testing.T, change func(*fleetv1.Fleet)) *fleetv1.Fleet {
	t.Helper()
	fleet := &fleetv1.Fleet{
		ObjectMeta: metav1.ObjectMeta{Name: fleetv1.FleetName},
		Spec: fleetv1.FleetSpec{
			ConfigRepository: fleetv1.ConfigRepository{URL: "https://git.example.com/config.git"},
			Flux:             fleetv1.FluxDistribution{Artifact: distribution},
			Events:           fleetv1.Events{URL: "tls://events.example.com:4222"},
		},
	}
	if change != nil {
		change(fleet)
	}
	platformtest.Create(t, s.platform.Client, fleet)
	t.Cleanup(func() { remove(t, s.platform.Client, fleet) })
	if _, err := s.Store.Ensure(t.Context(), []string{"localhost"}, eventbus.Settings{}); err != nil {
		t.Fatal(err)
	}
	return fleet
}

// adopt registers a cluster by a kubeconfig, in a namespace of its own unless one is given.
func (s *suite) adopt(t *testing.T, namespace, name string, kubeconfig []byte) *fleetv1.WorkloadCluster {
	t.Helper()
	if namespace == "" {
		namespace = name
	}
	if err := s.platform.Client.Get(t.Context(), client.ObjectKey{Name: namespace}, &corev1.Namespace{}); err != nil {
		s.platform.Namespace(t, namespace)
	}
	obj := &fleetv1.WorkloadCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: fleetv1.WorkloadClusterSpec{
			Environment: "dev",
			Access:      fleetv1.Access{KubeconfigRef: &fleetv1.KubeconfigReference{Name: name}},
		},
	}
	if kubeconfig != nil {
		platformtest.Create(t, s.platform.Client, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string][]byte{"value": kubeconfig},
		})
	}
	platformtest.Create(t, s.platform.Client, obj)
	return obj
}

// remove deletes an object at once, whatever its finalizers.
func remove(t *testing.T, c client.Client, obj client.Object) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	if err := c.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
		return
	}
	obj.SetFinalizers(nil)
	if err := errors.Join(client.IgnoreNotFound(c.Update(ctx, obj)), client.IgnoreNotFound(c.Delete(ctx, obj))); err != nil {
		t.Error(err)
	}
}

// agents is the fleet view of a test: no agent runs beside a bare API server.
type agents struct {
	mu    sync.Mutex
	known map[string]Agent
}

func (a *agents) Agent(id string) (Agent, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	agent, ok := a.known[id]
	return agent, ok
}

func (a *agents) Blind() (time.Time, error) { return time.Time{}, nil }

func (a *agents) connect(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.known[id] = Agent{Connected: true, Snapshot: true, Version: "v0.1.0"}
}

// upgrades are the words of a test's Fleet; a cluster that it has none for may have the newest.
type upgrades map[string]rings.Word

func (u upgrades) Word(id string) (rings.Word, bool) { return u[id], true }

// announcer keeps what was announced.
type announcer struct {
	mu     sync.Mutex
	events []event.Event
}

func (a *announcer) Announce(_ context.Context, e event.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events = append(a.events, e)
	return nil
}

// of are the announcements about a cluster, the last words of their types.
func (a *announcer) of(id string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var out []string
	for _, e := range a.events {
		if e.Object().Name == id {
			out = append(out, e.Type.What())
		}
	}
	return out
}

// distribution is an artifact of the registry below; others are looked for in the network.
const distribution = "oci://registry.example.com/flux-manifests"

// registry stands in for a registry outside, with versions of a Flux of two controllers: v2.9.5 is the newest
// of a range, and any can be had by its name. One of them brings an object that the others do not have.
type registry struct{ *flux.Catalog }

func (r registry) Resolve(ctx context.Context, artifact, versionRange string) (flux.Version, error) {
	if artifact != distribution {
		return r.Catalog.Resolve(ctx, artifact, versionRange)
	}
	tag := "v2.9.5"
	if strings.HasPrefix(versionRange, "v") {
		tag = versionRange
	}
	return flux.Version{Tag: tag, Digest: "sha256:" + strings.Repeat("ab", 32)}, nil
}

func (r registry) Manifests(ctx context.Context, artifact string, v flux.Version, o flux.Options) ([]*unstructured.Unstructured, error) {
	if artifact != distribution {
		return r.Catalog.Manifests(ctx, artifact, v, o)
	}
	objs := []runtime.Object{
		&corev1.Namespace{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: fleetv1.FluxNamespace}},
		platformtest.Kind("source.toolkit.fluxcd.io", "v1", "GitRepository"),
		platformtest.Kind("kustomize.toolkit.fluxcd.io", "v1", "Kustomization"),
		fluxController("source-controller", v.Tag), fluxController("kustomize-controller", v.Tag),
	}
	if v.Tag == "v2.9.6" {
		objs = append(objs, &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
			ObjectMeta: metav1.ObjectMeta{Namespace: fleetv1.FluxNamespace, Name: "new-in-v2.9.6"}})
	}
	var out []*unstructured.Unstructured
	for _, obj := range objs {
		fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
		if err != nil {
			return nil, err
		}
		delete(fields, "status")
		out = append(out, &unstructured.Unstructured{Object: fields})
	}
	return out, nil
}

func fluxController(name, version string) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"},
		ObjectMeta: metav1.ObjectMeta{Namespace: fleetv1.FluxNamespace, Name: name, Labels: map[string]string{
			"app": name, "app.kubernetes.io/part-of": "flux", "app.kubernetes.io/version": version,
		}},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "manager", Image: "ghcr.io/fluxcd/" + name + ":" + version}}},
			},
		},
	}
}

// runEverything gives every Deployment on the workload cluster the status that running pods have.
func (s *suite) runEverything(t *testing.T) {
	t.Helper()
	var list appsv1.DeploymentList
	if err := s.workload.Client.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		d := &list.Items[i]
		d.Status = appsv1.DeploymentStatus{
			ObservedGeneration: d.Generation, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1,
			Conditions: []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable"},
				{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
			},
		}
		if err := s.workload.Client.Status().Update(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
}

// applyRevision gives the GitRepository and the root Kustomization the status of a revision that
// was applied.
func (s *suite) applyRevision(t *testing.T, revision string) {
	t.Helper()
	for _, gvk := range []schema.GroupVersionKind{
		{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: "GitRepository"},
		{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "Kustomization"},
	} {
		obj := &unstructured.Unstructured{}
		obj.SetGroupVersionKind(gvk)
		if err := s.workload.Client.Get(t.Context(), client.ObjectKey{Namespace: fleetv1.FluxNamespace, Name: fleetv1.RootName}, obj); err != nil {
			t.Fatal(err)
		}
		obj.Object["status"] = map[string]any{
			"observedGeneration": obj.GetGeneration(), "lastAppliedRevision": revision,
			"artifact": map[string]any{"revision": revision, "path": "p", "url": "u", "digest": "sha256:ab", "lastUpdateTime": "2026-01-02T03:04:05Z"},
			"conditions": []any{map[string]any{
				"type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "message": "Applied revision: " + revision,
				"lastTransitionTime": "2026-01-02T03:04:05Z", "observedGeneration": obj.GetGeneration(),
			}},
		}
		if err := s.workload.Client.Status().Update(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
}

// shows is what a condition shows: "False/Unreachable".
func shows(obj *fleetv1.WorkloadCluster, condition string) string {
	c := apimeta.FindStatusCondition(obj.Status.Conditions, condition)
	if c == nil {
		return "none"
	}
	return string(c.Status) + "/" + c.Reason
}

func message(obj *fleetv1.WorkloadCluster, condition string) string {
	if c := apimeta.FindStatusCondition(obj.Status.Conditions, condition); c != nil {
		return c.Message
	}
	return ""
}

func local(name string) *fluxmeta.LocalObjectReference {
	return &fluxmeta.LocalObjectReference{Name: name}
}
