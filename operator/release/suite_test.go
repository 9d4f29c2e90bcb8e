package release

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	"oras.land/oras-go/v2"
	"oras.land/oras-go/v2/content"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/oci"
	"github.com/fairway-dev/fairway/clusters/oci/ocitest"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/operator/artifact"
	"github.com/fairway-dev/fairway/operator/configrepo"
	"github.com/fairway-dev/fairway/operator/gitrepo/gittest"
	"github.com/fairway-dev/fairway/operator/platformtest"
	"github.com/fairway-dev/fairway/operator/pointers"
	"github.com/fairway-dev/fairway/operator/policy"
	"github.com/fairway-dev/fairway/operator/registry"
)

// The clusters of the suite, by environment.
const (
	staging = "staging-aws"
	canary  = "prod-aws"
	rest    = "prod-azure"
)

// suite is a platform cluster, two workload clusters, a Git server and a registry, all real; and a reconciler that is called by hand, so
// that each test knows which pass it looks at. No Flux runs on the workload clusters: a test says what the fleet view has.
type suite struct {
	*Reconciler
	whole    *testing.T // what outlives a part of the suite ends with it
	platform *platformtest.Cluster
	clusters *reached
	git      string // the repository's folder
	registry *ocitest.Registry
	view     *view
	said     *announcer
	clock    *clocktesting.FakePassiveClock
	events   *events.FakeRecorder
	woken    chan client.ObjectKey
	pushed   int
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{whole: t, platform: platformtest.Platform(t), registry: ocitest.Start(t), view: &view{rollouts: map[string]policy.Rollout{}}, said: &announcer{},
		clock: clocktesting.NewFakePassiveClock(time.Now().Truncate(time.Second)), events: events.NewFakeRecorder(10000), woken: make(chan client.ObjectKey, 1000)}
	aws, azure := platformtest.Workload(t), platformtest.Workload(t)
	for _, c := range []*platformtest.Cluster{aws, azure} {
		c.Namespace(t, fleetv1.FluxNamespace)
	}
	s.clusters = &reached{
		pool:        remote.NewPool(remote.Options{Scheme: platformtest.Scheme(t), DialTimeout: 2 * time.Second}),
		kubeconfigs: map[string][]byte{staging: aws.Kubeconfig, canary: aws.Kubeconfig, rest: azure.Kubeconfig}, away: map[string]error{},
	}
	var url string
	url, s.git = gittest.Server(t)
	s.makeFleet(t, url)
	s.platform.Namespace(t, "clusters")
	s.register(t, staging, "staging", nil)
	s.register(t, canary, "prod", map[string]string{"wave": "canary"})
	s.register(t, rest, "prod", nil)
	s.restart(t)
	return s
}

// restart is a new process: it remembers nothing.
func (s *suite) restart(t *testing.T) {
	t.Helper()
	config := configrepo.New(s.platform.Client, fleetv1.SystemNamespace, s.clock)
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(s.whole.Context())
	go func() { ended <- config.Start(ctx) }()
	s.whole.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.whole.Error(err)
		}
	})
	s.Reconciler = &Reconciler{
		Client: s.platform.Client, Live: s.platform.Client, Recorder: s.events, Clusters: s.clusters, Config: config,
		Artifacts: registry.New(s.platform.Client, fleetv1.SystemNamespace), View: s.view, Announcer: s.said, Clock: s.clock,
		FieldOwner: "fairway-operator", Wake: func(key client.ObjectKey) { s.woken <- key },
	}
}

func (s *suite) makeFleet(t *testing.T, url string) {
	t.Helper()
	platformtest.Create(t, s.platform.Client,
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: fleetv1.SystemNamespace, Name: "writer"}, Data: map[string][]byte{"username": []byte("u"), "password": []byte("p")}},
		&fleetv1.Fleet{
			ObjectMeta: metav1.ObjectMeta{Name: fleetv1.FleetName},
			Spec: fleetv1.FleetSpec{
				ConfigRepository: fleetv1.ConfigRepository{URL: url, Branch: "main", WriteSecretRef: &meta.LocalObjectReference{Name: "writer"}},
				Artifacts:        &fleetv1.ArtifactStore{URL: s.registry.URL("artifacts"), Keep: 2},
			},
		})
}

// register makes a cluster that follows the config repository.
func (s *suite) register(t *testing.T, name, environment string, labels map[string]string) {
	t.Helper()
	obj := &fleetv1.WorkloadCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: "clusters", Name: name, Labels: labels},
		Spec:       fleetv1.WorkloadClusterSpec{Environment: environment, Access: fleetv1.Access{KubeconfigRef: &fleetv1.KubeconfigReference{Name: name}}},
	}
	platformtest.Create(t, s.platform.Client, obj)
	obj.Status.ID, obj.Status.Flux.Revision = name, "main@sha1:0000000000000000000000000000000000000000"
	if err := s.platform.Client.Status().Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
}

// environments makes staging and prod, or changes prod, in two waves.
func (s *suite) environments(t *testing.T, change func(prod *fleetv1.EnvironmentSpec)) {
	t.Helper()
	for name, spec := range map[string]fleetv1.EnvironmentSpec{"staging": {OnFailure: fleetv1.OnFailureHalt}, "prod": {Waves: []fleetv1.Wave{
		{Name: "canary", ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"wave": "canary"}}}, {Name: "rest"}}}} {
		if name == "prod" && change != nil {
			change(&spec)
		}
		env := &fleetv1.Environment{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if err := client.IgnoreNotFound(s.platform.Client.Delete(t.Context(), env)); err != nil {
			t.Fatal(err)
		}
		platformtest.Create(t, s.platform.Client, &fleetv1.Environment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec})
	}
}

// manifests are those of a service; version makes them differ.
func manifests(service, version string) map[string]string {
	return map[string]string{"deployment.yaml": strings.NewReplacer("SERVICE", service, "VERSION", version).Replace(`apiVersion: apps/v1
kind: Deployment
metadata:
  name: SERVICE
spec:
  selector: {matchLabels: {app: SERVICE}}
  template:
    metadata: {labels: {app: SERVICE}}
    spec:
      containers:
      - name: app
        image: ghcr.io/example/SERVICE:VERSION
        env: [{name: CLUSTER, value: "${CLUSTER_NAME}"}]
`)}
}

// push pushes an artifact of branch main, each newer than the one before.
func (s *suite) push(t *testing.T, team, service string, files map[string]string) string {
	t.Helper()
	return s.pushFrom(t, team, service, "main", files)
}

func (s *suite) pushFrom(t *testing.T, team, service, branch string, files map[string]string) string {
	t.Helper()
	store, err := artifact.New(s.registry.URL("artifacts"), artifact.Auth{})
	if err != nil {
		t.Fatal(err)
	}
	folder := fstest.MapFS{}
	for name, content := range files {
		folder[name] = &fstest.MapFile{Data: []byte(content), Mode: 0o600}
	}
	s.pushed++
	pushed, err := store.Push(t.Context(), team, service, folder, artifact.Metadata{
		Branch: branch, Commit: fmt.Sprintf("%040x", s.pushed), Author: "ada@example.com", Created: &metav1.Time{Time: s.clock.Now().Add(time.Duration(s.pushed) * time.Second)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return pushed.ID
}

// replace puts other content in the place of an artifact's, as somebody may who can push.
func (s *suite) replace(t *testing.T, team, service, id string, layer []byte) string {
	t.Helper()
	repository, err := oci.Open(s.registry.URL("artifacts/"+team+"/"+service), oci.NewClient(nil))
	if err != nil {
		t.Fatal(err)
	}
	_, raw, err := oras.FetchBytes(t.Context(), repository, id, oras.DefaultFetchBytesOptions)
	if err != nil {
		t.Fatal(err)
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil {
		t.Fatal(err)
	}
	if manifest.Layers[0], err = oras.PushBytes(t.Context(), repository, manifest.Layers[0].MediaType, layer); err != nil {
		t.Fatal(err)
	}
	if raw, err = json.Marshal(manifest); err != nil {
		t.Fatal(err)
	}
	if err := repository.PushReference(t.Context(), content.NewDescriptorFromBytes(manifest.MediaType, raw), bytes.NewReader(raw), id); err != nil {
		t.Fatal(err)
	}
	return id
}

// archive is the content of an artifact with one file.
func archive(t *testing.T, name, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	squeeze := gzip.NewWriter(&out)
	w := tar.NewWriter(squeeze)
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text))}); err != nil {
		t.Fatal(err)
	}
	_, err := w.Write([]byte(text))
	if err := errors.Join(err, w.Close(), squeeze.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// ask asks for a release.
func (s *suite) ask(t *testing.T, team, name string, spec fleetv1.ReleaseSpec) *fleetv1.Release {
	t.Helper()
	if err := s.platform.Client.Get(t.Context(), client.ObjectKey{Name: team}, &corev1.Namespace{}); err != nil {
		s.platform.Namespace(t, team)
	}
	if spec.Intent == "" {
		spec.Intent = fleetv1.IntentRelease
	}
	if spec.RequestedBy == "" {
		spec.RequestedBy = "dev@example.com"
	}
	obj := &fleetv1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: name}, Spec: spec}
	platformtest.Create(t, s.platform.Client, obj)
	return obj
}

// pass takes one pass over a release, and reads what it left.
func (s *suite) pass(t *testing.T, obj *fleetv1.Release) (ctrl.Result, error) {
	t.Helper()
	result, err := s.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(obj)})
	if getErr := s.platform.Client.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); getErr != nil {
		t.Fatal(getErr)
	}
	return result, err
}

// until takes passes until the release is as wanted. What its clusters were told, they run in health, unless stuck says otherwise; time
// goes on by some seconds each time.
func (s *suite) until(t *testing.T, obj *fleetv1.Release, done func() bool, stuck ...string) {
	t.Helper()
	var last error
	for range 40 {
		_, last = s.pass(t, obj)
		if done() {
			return
		}
		s.obey(t, obj.Namespace, obj.Spec.Service, stuck...)
		s.clock.SetTime(s.clock.Now().Add(5 * time.Second))
	}
	t.Fatalf("it is still %s: %v\n%s", obj.Status.Phase, last, describe(obj))
}

func (s *suite) phase(t *testing.T, obj *fleetv1.Release, phase fleetv1.Phase, stuck ...string) {
	t.Helper()
	s.until(t, obj, func() bool { return obj.Status.Phase == phase }, stuck...)
}

// obey lets clusters run what the repository tells them.
func (s *suite) obey(t *testing.T, team, service string, stuck ...string) {
	t.Helper()
	for _, cluster := range []string{staging, canary, rest} {
		if id := s.pointer(t, cluster, team, service).Artifact; id != "" && !slices.Contains(stuck, cluster) {
			s.view.healthy(cluster, team, service, id, s.clock.Now())
		}
	}
}

// pointer is what the repository tells a cluster to run.
func (s *suite) pointer(t *testing.T, cluster, team, service string) pointers.Pointer {
	t.Helper()
	content, err := gittest.Try(t, s.git, "show", "main:"+pointers.PointerPath(cluster, team, service))
	if err != nil {
		return pointers.Pointer{}
	}
	found, _, err := pointers.Read(fstest.MapFS{pointers.PointerPath(cluster, team, service): {Data: []byte(content + "\n")}}, cluster, team, service)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// commits are the subjects of the repository's commits about a service, the oldest first.
func (s *suite) commits(t *testing.T, team, service string) []string {
	t.Helper()
	out := gittest.Git(t, s.git, "log", "--reverse", "--format=%s", "main", "--grep=^Service: "+team+"/"+service+"$")
	if out == "" {
		return nil
	}
	return strings.Split(out, "\n")
}

// describe is a release for people.
func describe(obj *fleetv1.Release) string {
	var out strings.Builder
	for _, c := range obj.Status.Conditions {
		fmt.Fprintf(&out, "%s %s/%s: %s\n", c.Type, c.Status, c.Reason, c.Message)
	}
	for _, target := range obj.Status.Targets {
		fmt.Fprintf(&out, "%s %s %s: %s\n", target.Cluster, target.State, target.Reason, target.Message)
	}
	return out.String()
}

// condition is a condition in short: "False/Frozen".
func condition(obj *fleetv1.Release, name string) string {
	c := apimeta.FindStatusCondition(obj.Status.Conditions, name)
	if c == nil {
		return "none"
	}
	return string(c.Status) + "/" + c.Reason
}

func words(obj *fleetv1.Release, name string) string {
	if c := apimeta.FindStatusCondition(obj.Status.Conditions, name); c != nil {
		return c.Message
	}
	return ""
}

// reached are the workload clusters.
type reached struct {
	pool        *remote.Pool
	kubeconfigs map[string][]byte

	mu   sync.Mutex
	away map[string]error         // clusters that cannot be reached, and why
	slow map[string]chan struct{} // clusters that answer when the channel is closed
}

// Connect implements Clusters.
func (c *reached) Connect(ctx context.Context, obj *fleetv1.WorkloadCluster, patience time.Duration) (*remote.Cluster, error) {
	c.mu.Lock()
	err, slow := c.away[obj.Name], c.slow[obj.Name]
	c.mu.Unlock()
	if err != nil {
		return nil, err
	}
	if slow != nil {
		select {
		case <-slow:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return c.pool.Connect(ctx, obj.Name, c.kubeconfigs[obj.Name], patience)
}

func (c *reached) lose(name string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away[name] = err
}

// view is the fleet view, as a test wants it.
type view struct {
	mu       sync.Mutex
	rollouts map[string]policy.Rollout // by cluster, team and service
	blind    error
	since    time.Time
}

// Rollout implements View.
func (v *view) Rollout(cluster, team, service, _ string, since time.Time) policy.Rollout {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := v.rollouts[cluster+"/"+team+"/"+service]
	if out.Failure != nil && out.Failure.Since.Before(since) {
		out.Failure = nil
	}
	return out
}

// Blind implements View.
func (v *view) Blind() (time.Time, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.since, v.blind
}

func (v *view) set(cluster, team, service string, rollout policy.Rollout) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.rollouts[cluster+"/"+team+"/"+service] = rollout
}

// healthy says that a cluster runs an artifact in health, since then unless it did before.
func (v *view) healthy(cluster, team, service, id string, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	key := cluster + "/" + team + "/" + service
	since := now
	if before := v.rollouts[key]; before.Artifact == id && before.Available {
		since = before.Since
	}
	v.rollouts[key] = policy.Rollout{Known: true, AsOf: now, Artifact: id, Applied: true, Available: true, Since: since}
}

// failing says that a service crashes on a cluster.
func (v *view) failing(cluster, team, service, id string, now time.Time) {
	v.set(cluster, team, service, policy.Rollout{Known: true, AsOf: now, Artifact: id, Applied: true, Since: now, Failure: &policy.Failure{
		Reason: fleetv1.ReasonRolloutFailed, Object: "Deployment/" + team + "/" + service, Message: "CrashLoopBackOff: container app ended with code 2",
		Lines: []string{"panic: no database"}, Since: now,
	}})
}

// errBusGone is that of a bus that is not connected.
var errBusGone = errors.New("the bus is gone")

// announcer is the event bus.
type announcer struct {
	mu   sync.Mutex
	gone bool
	said []event.Event
}

// Announce implements Announcer.
func (a *announcer) Announce(_ context.Context, e event.Event) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone {
		return errBusGone
	}
	a.said = append(a.said, e)
	return nil
}

// of are the events of a release by what they are, each id once.
func (a *announcer) of(t *testing.T, obj *fleetv1.Release) (out []string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	ids := map[string]bool{}
	for _, e := range a.said {
		if e.Object().Name != obj.Name || e.Object().Namespace != obj.Namespace || ids[e.ID] {
			continue
		}
		ids[e.ID] = true
		out = append(out, e.Type.What())
		if _, err := e.Encode(); err != nil {
			t.Error(err)
		}
	}
	return out
}
