package fleet

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/bench/cloud"
)

const (
	eventsService = fleetv1.SystemNamespace + "/fairway-events:4222"
	hubService    = fleetv1.SystemNamespace + "/fairway-hub:443"

	gitUser, gitPassword = "flux", "only-on-loopback"
	secretName           = "config-repository"
)

// install applies what `fairway install --export` prints, and a Fleet.
func (f *Fleet) install(ctx context.Context) error {
	f.say("installing Fairway on the platform: fairway install --export | kubectl apply --server-side -f -")
	if err := f.applyManifests(ctx); err != nil {
		return err
	}
	if err := f.apply(ctx, cloud.Namespace(Namespace), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: secretName, Namespace: fleetv1.SystemNamespace},
		StringData: map[string]string{"username": gitUser, "password": gitPassword},
	}); err != nil {
		return err
	}
	return f.apply(ctx, append(environments(), f.fleet())...)
}

// environments are what a team's releases go through: staging takes what comes, prod what was healthy there.
func environments() []client.Object {
	staging := &fleetv1.Environment{ObjectMeta: metav1.ObjectMeta{Name: Staging}}
	prod := &fleetv1.Environment{ObjectMeta: metav1.ObjectMeta{Name: Prod}}
	prod.Spec.PromotesFrom = &fleetv1.PromotionPath{Environment: Staging}
	prod.Spec.Branches = "main"
	prod.Spec.Waves = []fleetv1.Wave{
		{Name: "canary", ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{LabelWave: "canary"}}, Soak: metav1.Duration{Duration: 5 * time.Second}},
		{Name: "rest"},
	}
	prod.Spec.OnFailure = fleetv1.OnFailureRollBack
	return []client.Object{staging, prod}
}

// LabelWave on a WorkloadCluster puts it into a wave of its environment.
const LabelWave = "fleet.fairway.dev/wave"

// applyManifests installs Fairway without a Fleet, and without a volume unless there is one: the bench has no storage class.
func (f *Fleet) applyManifests(ctx context.Context) error {
	storage := ""
	if dir := f.options.HubVolume; dir != "" {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("create the hub's volume: %w", err)
		}
		storage = hubStorage
		if err := f.apply(ctx, hubVolume(dir)); err != nil {
			return err
		}
	}
	manifest, err := f.Fairway(ctx, "install", "--export", "--events-url", f.EventsURL, "--storage", storage)
	if err != nil {
		return err
	}
	return f.Platform.ApplyYAML(ctx, []byte(manifest))
}

const hubStorage = "1Gi"

// hubVolume is what a storage class would make for the hub's claim.
func hubVolume(dir string) *corev1.PersistentVolume {
	return &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: "hub-store"},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:               corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(hubStorage)},
			AccessModes:            []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: dir}},
		},
	}
}

func (f *Fleet) fleet() *fleetv1.Fleet {
	obj := &fleetv1.Fleet{ObjectMeta: metav1.ObjectMeta{Name: fleetv1.FleetName}}
	obj.Spec.ConfigRepository = fleetv1.ConfigRepository{
		URL: f.config.URL, Branch: "main", Interval: metav1.Duration{Duration: 10 * time.Second},
		SecretRef: &meta.LocalObjectReference{Name: secretName}, WriteSecretRef: &meta.LocalObjectReference{Name: secretName},
	}
	obj.Spec.Artifacts = &fleetv1.ArtifactStore{URL: f.ArtifactsURL(), Interval: metav1.Duration{Duration: 2 * time.Second}}
	obj.Spec.Flux.Artifact = "oci://" + f.run.Registry.Address() + "/fluxcd/flux-manifests"
	obj.Spec.Events.URL = f.EventsURL
	obj.Spec.Heartbeat.Interval = metav1.Duration{Duration: f.options.Heartbeat}
	return obj
}

// ArtifactsURL is where teams' artifacts are.
func (f *Fleet) ArtifactsURL() string { return "oci://" + f.run.Registry.Address() + "/artifacts" }

// register asks Cluster API for the two cloud clusters, which join by their label, and registers the acquired one.
func (f *Fleet) register(ctx context.Context) error {
	f.registered = time.Now()
	group, ctx := errgroup.WithContext(ctx)
	if f.has(AWS) {
		f.say("asking Cluster API for %s (EKS)", AWS)
		group.Go(func() error { _, err := f.Provision(ctx, "AWS", AWS, Prod); return err })
	}
	if f.has(Azure) {
		f.say("asking Cluster API for %s (AKS)", Azure)
		group.Go(func() error { _, err := f.Provision(ctx, "Azure", Azure, Prod); return err })
	}
	if f.has(Acquired) {
		f.say("adopting %s: fairway adopt %s --kubeconfig … --mode Manage", Acquired, Acquired)
		group.Go(func() error { return f.registerAcquired(ctx) })
	}
	return group.Wait()
}

// registerAcquired adopts a cluster with what the acquired company handed over, to be managed. Its token ends
// as soon as Kubernetes lets it, so that it also turns in a short life of a fleet.
func (f *Fleet) registerAcquired(ctx context.Context) error {
	handed := filepath.Join(f.Dir, "acquired-admin.kubeconfig")
	if err := os.WriteFile(handed, f.acquired.KubeconfigData, 0o600); err != nil {
		return fmt.Errorf("write the acquired cluster's kubeconfig: %w", err)
	}
	_, err := f.Fairway(ctx, "adopt", Acquired, "--kubeconfig", handed, "--environment", Staging, "--mode", string(fleetv1.ModeManage), "--token-life", "10m")
	return err
}

// Provision applies the Cluster API objects of a cluster on "AWS" or "Azure" and lets the platform's pods reach it
// once it is there. It returns the objects.
func (f *Fleet) Provision(ctx context.Context, provider, id, environment string) ([]*unstructured.Unstructured, error) {
	request := cloud.Request{Name: id, Namespace: Namespace, Environment: environment, Region: "eu-west-1"}
	objects := cloud.EKS(request)
	if provider == "Azure" {
		request.Region = "westeurope"
		objects = cloud.AKS(request)
	}
	if err := f.Platform.Apply(ctx, objects...); err != nil {
		return nil, err
	}
	return objects, f.Admit(ctx, provider, id)
}

// Admit waits until "AWS" or "Azure" has started a cluster, and lets it and the platform's pods reach each other.
func (f *Fleet) Admit(ctx context.Context, provider, id string) error {
	from := f.Platform.AWS
	if provider == "Azure" {
		from = f.Platform.Azure
	}
	cluster, err := from.WaitCluster(ctx, id, time.Minute)
	if err != nil {
		return err
	}
	return errors.Join(
		f.Platform.AllowEgress(hostOf(cluster.Server)),
		cluster.AllowEgress(f.events),
	)
}

// Deprovision deletes a cluster's Cluster API objects and waits until its WorkloadCluster and the cluster are gone.
func (f *Fleet) Deprovision(ctx context.Context, id string, objects []*unstructured.Unstructured) error {
	for _, obj := range objects {
		if obj.GetKind() != "Cluster" {
			continue
		}
		if err := f.Platform.Client().Delete(ctx, obj); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete Cluster %s: %w", id, err)
		}
	}
	return Await(ctx, 2*time.Minute, id+" is gone", func(ctx context.Context) (bool, string) {
		err := f.Platform.Client().Get(ctx, Key(id), &fleetv1.WorkloadCluster{})
		return err != nil && client.IgnoreNotFound(err) == nil, fmt.Sprintf("WorkloadCluster: error %v", err)
	})
}

// awaitReady waits for the clusters and for podinfo on each, saying each step as it is reached.
func (f *Fleet) awaitReady(ctx context.Context) error {
	group, groupCtx := errgroup.WithContext(ctx)
	for _, id := range f.options.Clusters {
		group.Go(func() error { return f.awaitCluster(groupCtx, id) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	if err := f.trustHub(ctx); err != nil {
		return err
	}
	return f.awaitView(ctx)
}

// awaitView waits until the hub shows every cluster Ready with the revision that they run, as a user would see them.
func (f *Fleet) awaitView(ctx context.Context) error {
	for _, id := range f.options.Clusters {
		err := Await(ctx, time.Minute, "the fleet view shows "+id+" Ready", func(ctx context.Context) (bool, string) {
			c, err := f.Cluster(ctx, id)
			return err == nil && c.Status == rest.Ready && c.Revision != "", fmt.Sprintf("%s %s: %s, error %v", c.Status, c.Reason, c.Message, err)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *Fleet) awaitCluster(ctx context.Context, id string) error {
	said := map[string]bool{}
	err := Await(ctx, readyLimit, id+" is Ready", func(ctx context.Context) (bool, string) {
		obj := &fleetv1.WorkloadCluster{}
		if err := f.Platform.Client().Get(ctx, Key(id), obj); err != nil {
			return false, err.Error()
		}
		state, ready := "", false
		for _, c := range obj.Status.Conditions {
			state += fmt.Sprintf("\n  %s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
			if c.Status == metav1.ConditionTrue && c.Type != "Reconciling" && !said[c.Type] {
				said[c.Type] = true
				f.say("%-15s %-15s after %s", id, c.Type, time.Since(f.registered).Round(100*time.Millisecond))
			}
			ready = ready || c.Type == "Ready" && c.Status == metav1.ConditionTrue
		}
		return ready, state
	})
	if err != nil {
		return err
	}
	return f.awaitPodinfo(ctx, id)
}

// readyLimit bounds the wait for a cluster to be Ready; it takes about 30 s on two cores.
const readyLimit = 4 * time.Minute

// trustHub reads the certificate authority that everybody can read.
func (f *Fleet) trustHub(ctx context.Context) error {
	obj := &corev1.ConfigMap{}
	key := client.ObjectKey{Namespace: fleetv1.SystemNamespace, Name: "fairway-hub"}
	if err := f.Platform.Client().Get(ctx, key, obj); err != nil {
		return fmt.Errorf("get the hub's CA: %w", err)
	}
	f.HubRoots = x509.NewCertPool()
	if !f.HubRoots.AppendCertsFromPEM([]byte(obj.Data["ca.crt"])) {
		return errors.New("read the hub's CA: no certificate in ConfigMap fairway-hub")
	}
	return nil
}

// apply server-side applies objects to the platform as a user would.
func (f *Fleet) apply(ctx context.Context, objects ...client.Object) error {
	for _, obj := range objects {
		gvk, err := f.Platform.Client().GroupVersionKindFor(obj)
		if err != nil {
			return fmt.Errorf("apply %s: %w", obj.GetName(), err)
		}
		obj.GetObjectKind().SetGroupVersionKind(gvk)
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
		if err != nil {
			return fmt.Errorf("apply %s: %w", obj.GetName(), err)
		}
		delete(content, "status")
		if err := f.Platform.Apply(ctx, &unstructured.Unstructured{Object: content}); err != nil {
			return err
		}
	}
	return nil
}

// Key is a WorkloadCluster's.
func Key(id string) client.ObjectKey { return client.ObjectKey{Namespace: Namespace, Name: id} }

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Host
}
