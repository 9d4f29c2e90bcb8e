// Package platformtest runs real kube-apiservers for tests, with the kinds that the operator works
// with: a platform cluster, and clusters that are to become workload clusters.
package platformtest

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/fairway-dev/fairway/api/crd"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/capi"
)

// Patience is how long Eventually waits.
const Patience = 30 * time.Second

// Cluster is a kube-apiserver with its etcd. No controller and no node runs beside it.
type Cluster struct {
	Config     *rest.Config
	Client     client.Client // reads and writes directly
	Kubeconfig []byte        // of an administrator, with an embedded client certificate
}

// Platform starts a cluster with Fairway's kinds and the namespace fairway-system, until the test
// ends. Cluster API is not installed: see InstallClusterAPI.
func Platform(t *testing.T) *Cluster {
	t.Helper()
	c := start(t, ownKinds(t)...)
	c.Namespace(t, fleetv1.SystemNamespace)
	return c
}

// Workload starts a bare cluster, until the test ends.
func Workload(t *testing.T) *Cluster {
	t.Helper()
	return start(t)
}

// ownKinds are Fairway's definitions as they are compiled in.
func ownKinds(t *testing.T) []*apiextensionsv1.CustomResourceDefinition {
	t.Helper()
	texts, err := crd.All()
	if err != nil {
		t.Fatal(err)
	}
	kinds := make([]*apiextensionsv1.CustomResourceDefinition, len(texts))
	for i, text := range texts {
		kinds[i] = new(apiextensionsv1.CustomResourceDefinition)
		if err := yaml.UnmarshalStrict(text, kinds[i]); err != nil {
			t.Fatalf("definition %d: %v", i, err)
		}
	}
	return kinds
}

func start(t *testing.T, definitions ...*apiextensionsv1.CustomResourceDefinition) *Cluster {
	t.Helper()
	log.SetLogger(logr.Discard())
	environment := &envtest.Environment{CRDs: definitions, ControlPlaneStopTimeout: time.Minute}
	config, err := environment.Start()
	if err != nil {
		t.Fatalf("KUBEBUILDER_ASSETS is not set: run make unit (%v)", err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Errorf("stop the API server: %v", err)
		}
	})
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	c, err := client.New(config, client.Options{Scheme: Scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	admin, err := environment.AddUser(envtest.User{Name: "fairway", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := admin.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	return &Cluster{Config: config, Client: c, Kubeconfig: kubeconfig}
}

// Scheme has the kinds that the operator reads on the platform.
func Scheme(t *testing.T) *apiruntime.Scheme {
	t.Helper()
	types := apiruntime.NewScheme()
	for _, add := range []func(*apiruntime.Scheme) error{scheme.AddToScheme, fleetv1.AddToScheme, capi.AddToScheme} {
		if err := add(types); err != nil {
			t.Fatal(err)
		}
	}
	return types
}

// InstallClusterAPI installs Cluster API's own definitions, and bare ones of two of its AWS
// provider's kinds.
func (c *Cluster) InstallClusterAPI(t *testing.T) {
	t.Helper()
	module := moduleDir(t, "sigs.k8s.io/cluster-api")
	_, err := envtest.InstallCRDs(c.Config, envtest.CRDInstallOptions{
		Paths: []string{filepath.Join(module, "core", "config", "crd", "bases", "cluster.x-k8s.io_clusters.yaml")},
		CRDs:  awsKinds(), ErrorIfPathMissing: true,
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Namespace makes a namespace.
func (c *Cluster) Namespace(t *testing.T, name string) {
	t.Helper()
	Create(t, c.Client, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
}

// CollectGarbage finishes the deletions that controllers finish, which do not run here: those in the
// foreground, and those of namespaces.
func (c *Cluster) CollectGarbage(t *testing.T) {
	t.Helper()
	var namespaces corev1.NamespaceList
	if err := c.Client.List(t.Context(), &namespaces); err != nil {
		t.Fatal(err)
	}
	for i := range namespaces.Items {
		if namespace := &namespaces.Items[i]; namespace.DeletionTimestamp != nil {
			namespace.Spec.Finalizers = nil
			if err := client.IgnoreNotFound(c.Client.SubResource("finalize").Update(t.Context(), namespace)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, gvk := range collected {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(gvk.GroupVersion().WithKind(gvk.Kind + "List"))
		if err := c.Client.List(t.Context(), list); err != nil {
			if meta.IsNoMatchError(err) || apierrors.IsNotFound(err) {
				continue // a kind that this cluster does not have
			}
			t.Fatal(err)
		}
		for i := range list.Items {
			c.release(t, &list.Items[i])
		}
	}
}

// collected are the kinds that a test deletes in the foreground.
var collected = []schema.GroupVersionKind{
	{Group: "apps", Version: "v1", Kind: "Deployment"},
	{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: "GitRepository"},
	{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "Kustomization"},
}

func (c *Cluster) release(t *testing.T, obj *metav1.PartialObjectMetadata) {
	t.Helper()
	if obj.DeletionTimestamp == nil {
		return
	}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	if err := client.IgnoreNotFound(c.Client.Patch(t.Context(), obj, patch)); err != nil {
		t.Fatal(err)
	}
}

// Create creates objects.
func Create(t *testing.T, c client.Client, objs ...client.Object) {
	t.Helper()
	for _, obj := range objs {
		if err := c.Create(t.Context(), obj); err != nil {
			t.Fatalf("create %T %s: %v", obj, obj.GetName(), err)
		}
	}
}

// Eventually waits until done returns "", and fails with what it returned last.
func Eventually(t *testing.T, done func(context.Context) string) {
	t.Helper()
	var last string
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, Patience, true, func(ctx context.Context) (bool, error) {
		last = done(ctx)
		return last == "", nil
	})
	if err != nil {
		t.Fatalf("still not after %s: %s", Patience, last)
	}
}

// moduleDir is where a module that the one under test requires is kept.
func moduleDir(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatalf("find module %s: %v", module, err)
	}
	return strings.TrimSpace(string(out))
}

// WithWatch is the cluster's client as one that can watch, too, which interceptors want.
func (c *Cluster) WithWatch(t *testing.T) client.WithWatch {
	t.Helper()
	out, err := client.NewWithWatch(c.Config, client.Options{Scheme: Scheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
