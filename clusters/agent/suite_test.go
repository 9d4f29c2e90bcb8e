package agent

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/fairway-dev/fairway/clusters/flux"
)

// newCluster makes a client of a real kube-apiserver.
func newCluster(t *testing.T) client.Client {
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
	return c
}

func resourceVersions(t *testing.T, c client.Client, objs []*unstructured.Unstructured) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, obj := range objs {
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(obj.GroupVersionKind())
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(obj), live); err != nil {
			t.Fatal(err)
		}
		out[obj.GetKind()] = live.GetResourceVersion()
	}
	return out
}

func TestOnACluster(t *testing.T) {
	c := newCluster(t)
	applier := flux.NewApplier(c)
	objs := objects(t, config())
	if _, err := applier.Apply(t.Context(), "agent", objs); err != nil {
		t.Fatal(err)
	}
	t.Run("a second apply writes nothing", func(t *testing.T) {
		before := resourceVersions(t, c, objs)
		result, err := applier.Apply(t.Context(), "agent", objects(t, config()))
		if err != nil || result.Changed != 0 || result.Pruned != 0 {
			t.Errorf("%+v, %v", result, err)
		}
		if diff := cmp.Diff(before, resourceVersions(t, c, objs)); diff != "" {
			t.Errorf("resource versions moved (-before +after):\n%s", diff)
		}
	})
	t.Run("the namespace admits the pod", func(t *testing.T) {
		template := podOf(t, config())
		pod := &corev1.Pod{Spec: template.Spec}
		pod.Name, pod.Namespace = "admitted", "fairway-system"
		if err := c.Create(t.Context(), pod); err != nil {
			t.Error(err)
		}
	})
	for _, a := range []struct {
		verb, group, resource, subresource string
		allowed                            bool
	}{
		{"list", "", "pods", "", true},
		{"watch", "", "nodes", "", true},
		{"get", "", "pods", "log", true},
		{"watch", "apps", "deployments", "", true},
		{"watch", "batch", "jobs", "", true},
		{"watch", "kustomize.toolkit.fluxcd.io", "kustomizations", "", true},
		{"watch", "helm.toolkit.fluxcd.io", "helmreleases", "", true},
		{"watch", "source.toolkit.fluxcd.io", "gitrepositories", "", true},
		{"get", "", "secrets", "", false},
		{"list", "", "configmaps", "", false},
		{"create", "", "pods", "", false},
		{"delete", "", "pods", "", false},
		{"create", "", "pods", "exec", false},
		{"patch", "apps", "deployments", "", false},
		{"update", "apps", "deployments", "scale", false},
		{"patch", "kustomize.toolkit.fluxcd.io", "kustomizations", "", false},
		{"create", "", "serviceaccounts", "token", false},
		{"impersonate", "", "users", "", false},
		{"create", "", "events", "", false},
	} {
		t.Run(fmt.Sprintf("may %s %s%s/%s: %v", a.verb, a.group, a.resource, a.subresource, a.allowed), func(t *testing.T) {
			review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
				User:   "system:serviceaccount:fairway-system:fairway-agent",
				Groups: []string{"system:serviceaccounts", "system:serviceaccounts:fairway-system", "system:authenticated"},
				ResourceAttributes: &authorizationv1.ResourceAttributes{
					Verb: a.verb, Group: a.group, Resource: a.resource, Subresource: a.subresource, Namespace: "default",
				},
			}}
			if err := c.Create(t.Context(), review); err != nil {
				t.Fatal(err)
			}
			if review.Status.Allowed != a.allowed {
				t.Errorf("allowed = %v (%s)", review.Status.Allowed, review.Status.Reason)
			}
		})
	}
}
