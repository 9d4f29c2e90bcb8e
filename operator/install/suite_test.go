package install

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// newCluster makes a client of a real kube-apiserver, with what others need for one.
func newCluster(t *testing.T) (client.Client, *rest.Config) {
	t.Helper()
	environment := &envtest.Environment{}
	config, err := environment.Start()
	if err != nil {
		t.Fatalf("KUBEBUILDER_ASSETS is not set: run make unit (%v)", err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	config.QPS = -1
	config.WarningHandler = rest.NoWarnings{}
	c, err := client.New(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c, config
}

// apply applies the manifests in their order, as kubectl apply --server-side does, and returns the
// resource versions.
func apply(t *testing.T, c client.Client, o Options) map[string]string {
	t.Helper()
	versions := map[string]string{}
	objs := objectsOf(t, o)
	for i, obj := range objs {
		if err := c.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(obj), client.FieldOwner("kubectl")); err != nil {
			t.Fatalf("%s: %v", ids(objs)[i], err)
		}
		versions[ids(objs)[i]] = obj.GetResourceVersion()
	}
	return versions
}

func TestOnAPlatformCluster(t *testing.T) {
	c, config := newCluster(t)
	for name, o := range variants {
		t.Run("a second apply changes nothing: "+name, func(t *testing.T) {
			apply(t, c, o)
			first := apply(t, c, o) // definitions' status moves their versions once
			if diff := cmp.Diff(first, apply(t, c, o)); diff != "" {
				t.Errorf("resource versions moved (-first +second):\n%s", diff)
			}
		})
	}
	t.Run("the namespace admits the pods", func(t *testing.T) { admitsPods(t, c) })
	t.Run("a Fleet is served", func(t *testing.T) { servesFleet(t, c) })
	t.Run("who asks for a release, and who approves, is who they say", func(t *testing.T) { holdsToTheTruth(t, config) })
	t.Run("what a policy releases by itself is what environments let in", func(t *testing.T) { refusesContradictions(t, config) })
	for _, a := range accesses {
		t.Run(fmt.Sprintf("%s may %s %s in %q: %v", a.who, a.verb, a.what, a.namespace, a.allowed), func(t *testing.T) { review(t, c, a) })
	}
	t.Run("what people may do comes with Kubernetes' own roles", func(t *testing.T) {
		for _, name := range []string{"view", "edit", "admin"} {
			role := &rbacv1.ClusterRole{}
			if err := c.Get(t.Context(), client.ObjectKey{Name: "fairway-" + name}, role); err != nil {
				t.Fatal(err)
			}
			if role.Labels["rbac.authorization.k8s.io/aggregate-to-"+name] != "true" {
				t.Errorf("fairway-%s is not aggregated: %v", name, role.Labels)
			}
		}
	})
}

func admitsPods(t *testing.T, c client.Client) {
	objs := objectsOf(t, variants["plain"])
	for _, name := range []string{"fairway-operator", "fairway-hub"} {
		template := read[appsv1.Deployment](t, objs, "Deployment/fairway-system/"+name).Spec.Template
		pod := &corev1.Pod{Spec: template.Spec}
		pod.Name, pod.Namespace = name, "fairway-system"
		if err := c.Create(t.Context(), pod); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func servesFleet(t *testing.T, c client.Client) {
	fleet := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "fleet.fairway.dev/v1alpha1", "kind": "Fleet", "metadata": map[string]any{"name": "default"},
		"spec": map[string]any{"configRepository": map[string]any{"url": "https://git.example.com/config.git"}},
	}}
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
		last = c.Create(ctx, fleet.DeepCopy())
		return last == nil, nil
	})
	if err != nil {
		t.Fatal(last)
	}
}

// access is a right that an account of fairway-system has, or must not have.
type access struct {
	who, verb, what, namespace string // what is resource.group/subresource
	allowed                    bool
}

var accesses = []access{
	{"fairway-operator", "watch", "fleets.fleet.fairway.dev", "", true},
	{"fairway-operator", "patch", "fleets.fleet.fairway.dev/status", "", true},
	{"fairway-operator", "create", "workloadclusters.fleet.fairway.dev", "clusters", true},
	{"fairway-operator", "patch", "workloadclusters.fleet.fairway.dev/status", "clusters", true},
	{"fairway-operator", "watch", "environments.fleet.fairway.dev", "", true},
	{"fairway-operator", "create", "releases.fleet.fairway.dev", "payments", true},
	{"fairway-operator", "patch", "releases.fleet.fairway.dev/status", "payments", true},
	{"fairway-operator", "patch", "releases.fleet.fairway.dev", "payments", false},
	{"fairway-operator", "approve", "releases.fleet.fairway.dev", "payments", false},
	{"fairway-operator", "delete", "releases.fleet.fairway.dev", "payments", false},
	{"fairway-operator", "watch", "clusters.cluster.x-k8s.io", "clusters", true},
	{"fairway-operator", "get", "awsmanagedcontrolplanes.controlplane.cluster.x-k8s.io", "clusters", true},
	{"fairway-operator", "get", "azureasomanagedcontrolplanes.infrastructure.cluster.x-k8s.io", "clusters", true},
	{"fairway-operator", "get", "secrets", "clusters", true},
	{"fairway-operator", "delete", "secrets", "fairway-system", true},
	{"fairway-operator", "create", "leases.coordination.k8s.io", "fairway-system", true},
	{"fairway-operator", "create", "events.events.k8s.io", "clusters", true},
	{"fairway-operator", "patch", "configmaps", "clusters", true},
	{"fairway-operator", "create", "configmaps", "clusters", true},
	{"fairway-operator", "get", "configmaps", "clusters", false},
	{"fairway-operator", "delete", "configmaps", "clusters", false},
	{"fairway-operator", "list", "secrets", "clusters", false},
	{"fairway-operator", "watch", "secrets", "", false},
	{"fairway-operator", "update", "secrets", "clusters", false},
	{"fairway-operator", "create", "secrets", "default", false},
	{"fairway-operator", "delete", "clusters.cluster.x-k8s.io", "clusters", false},
	{"fairway-operator", "patch", "clusters.cluster.x-k8s.io", "clusters", false},
	{"fairway-operator", "delete", "workloadclusters.fleet.fairway.dev", "clusters", false},
	{"fairway-operator", "create", "deployments.apps", "fairway-system", false},
	{"fairway-operator", "create", "pods", "fairway-system", false},
	{"fairway-operator", "create", "clusterroles.rbac.authorization.k8s.io", "", false},
	{"fairway-operator", "impersonate", "users", "", false},
	{"fairway-hub", "create", "tokenreviews.authentication.k8s.io", "", true},
	{"fairway-hub", "create", "subjectaccessreviews.authorization.k8s.io", "", true},
	{"fairway-hub", "get", "configmaps", "kube-system", false}, // only the one that it may read by name
	{"fairway-hub", "get", "secrets", "fairway-system", false},
	{"fairway-hub", "get", "fleets.fleet.fairway.dev", "", false},
	{"fairway-hub", "list", "pods", "fairway-system", false},
}

func review(t *testing.T, c client.Client, a access) {
	t.Helper()
	full, sub, _ := strings.Cut(a.what, "/")
	name, group, _ := strings.Cut(full, ".")
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   "system:serviceaccount:fairway-system:" + a.who,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:fairway-system", "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: a.verb, Group: group, Resource: name, Subresource: sub, Namespace: a.namespace,
		},
	}}
	if err := c.Create(t.Context(), review); err != nil {
		t.Fatal(err)
	}
	if review.Status.Allowed != a.allowed {
		t.Errorf("allowed = %v (%s)", review.Status.Allowed, review.Status.Reason)
	}
}
