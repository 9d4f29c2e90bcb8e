package members

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/clusters/remote"
)

// like stands for the API server whose discovery the members have.
func like(t *testing.T) *httptest.Server {
	list := func(groups ...apidiscoveryv2.APIGroupDiscovery) any {
		return apidiscoveryv2.APIGroupDiscoveryList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupDiscoveryList", APIVersion: "apidiscovery.k8s.io/v2"}, Items: groups}
	}
	group := func(name string, scope apidiscoveryv2.ResourceScope, kinds map[string]string) apidiscoveryv2.APIGroupDiscovery {
		version := apidiscoveryv2.APIVersionDiscovery{Version: "v1", Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent}
		for plural, kind := range kinds {
			r := apidiscoveryv2.APIResourceDiscovery{Resource: plural, Scope: scope, Verbs: verbs, ResponseKind: &metav1.GroupVersionKind{Group: name, Version: "v1", Kind: kind}}
			if kind == "Namespace" {
				r.Scope = apidiscoveryv2.ScopeCluster
			}
			version.Resources = append(version.Resources, r)
		}
		return apidiscoveryv2.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: name}, Versions: []apidiscoveryv2.APIVersionDiscovery{version}}
	}
	answers := map[string]any{
		"/version": map[string]string{"gitVersion": "v1.37.1"},
		"/api":     list(group("", apidiscoveryv2.ScopeNamespace, map[string]string{"namespaces": "Namespace", "configmaps": "ConfigMap", "secrets": "Secret", "pods": "Pod"})),
		"/apis": list(group("apps", apidiscoveryv2.ScopeNamespace, map[string]string{"deployments": "Deployment"}),
			group("apiextensions.k8s.io", apidiscoveryv2.ScopeCluster, map[string]string{"customresourcedefinitions": "CustomResourceDefinition"}),
			group("fleet.fairway.dev", apidiscoveryv2.ScopeCluster, map[string]string{"fleets": "Fleet"})),
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", aggregated)
		if err := json.NewEncoder(w).Encode(answers[r.URL.Path]); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func start(t *testing.T, names ...string) *Members {
	t.Helper()
	s := like(t)
	m, err := Start(t.Context(), Options{Names: names, Like: s.Client(), LikeURL: s.URL, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func kubeconfig(t *testing.T, m *Members, name string) []byte {
	t.Helper()
	out, err := m.Kubeconfig(name)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func newFields(apiVersion, kind, namespace, name string, fields map[string]any) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind}}
	for key, value := range fields {
		obj.Object[key] = value
	}
	obj.SetNamespace(namespace)
	obj.SetName(name)
	return obj
}

// set is a namespace, a definition with an object of its kind, a Deployment and a Secret.
func set() []*unstructured.Unstructured {
	return []*unstructured.Unstructured{
		newFields("v1", "Namespace", "", "flux-system", nil),
		newFields("apiextensions.k8s.io/v1", "CustomResourceDefinition", "", "gitrepositories.source.toolkit.fluxcd.io", map[string]any{"spec": map[string]any{
			"group": "source.toolkit.fluxcd.io", "scope": "Namespaced", "names": map[string]any{"kind": "GitRepository", "plural": "gitrepositories", "singular": "gitrepository"},
			"versions": []any{map[string]any{"name": "v1", "served": true, "storage": true}}}}),
		newFields("apps/v1", "Deployment", "flux-system", "source-controller", map[string]any{"spec": map[string]any{"replicas": int64(1)}}),
		newFields("v1", "Secret", "flux-system", "key", map[string]any{"data": map[string]any{"a": "Yg=="}}),
		newFields("source.toolkit.fluxcd.io/v1", "GitRepository", "flux-system", "fairway", map[string]any{"spec": map[string]any{"url": "https://git.example.com"}}),
	}
}

func TestAMemberIsAsItShouldBeOnceItWasApplied(t *testing.T) {
	m := start(t, "one", "two")
	pool := remote.NewPool(remote.Options{})
	for _, name := range []string{"one", "two"} {
		c, err := pool.Connect(t.Context(), name, kubeconfig(t, m, name), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		for _, obj := range set() {
			applies(t, c.Client, obj)
		}
		if calls := m.Member(name).Calls(); calls.Writes != len(set()) || calls.DryRuns != 2*len(set()) || calls.Reads == 0 {
			t.Errorf("counted %+v", calls)
		}
		var pods corev1.PodList
		if err := c.Client.List(t.Context(), &pods, client.InNamespace("flux-system")); err != nil || len(pods.Items) > 0 {
			t.Errorf("pods: %v, %v", pods.Items, err)
		}
		var found metav1.PartialObjectMetadataList
		found.SetGroupVersionKind(schema.GroupVersionKind{Group: "apps", Version: "v1", Kind: "DeploymentList"})
		if err := c.Client.List(t.Context(), &found); err != nil || len(found.Items) != 1 || found.Items[0].Name != "source-controller" {
			t.Errorf("Deployments: %v, %v", found.Items, err)
		}
	}
	if secret, err := m.Member("two").Secret("flux-system", "key"); err != nil || string(secret["a"]) != "b" {
		t.Errorf("the Secret holds %q, %v", secret, err)
	}
	if len(m.shared.objects) != len(set()) {
		t.Errorf("two members that are the same keep %d objects", len(m.shared.objects))
	}
}

// applies applies an object as the operator does: a dry run, the apply, and a dry run that finds nothing to do.
func applies(t *testing.T, c client.Client, obj *unstructured.Unstructured) {
	t.Helper()
	apply := func(options ...client.PatchOption) *unstructured.Unstructured {
		out := obj.DeepCopy()
		options = append(options, client.ForceOwnership, client.FieldOwner("test"))
		if err := c.Patch(t.Context(), out, client.Apply, options...); err != nil { //nolint:staticcheck // as fluxcd/pkg/ssa does
			t.Fatalf("%s: %v", obj.GetKind(), err)
		}
		return out
	}
	if dry := apply(client.DryRunAll); dry.GetResourceVersion() != "" {
		t.Errorf("a dry run of a new %s has a version", obj.GetKind())
	}
	made := apply()
	live := &unstructured.Unstructured{}
	live.SetGroupVersionKind(obj.GroupVersionKind())
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(obj), live); err != nil {
		t.Fatal(err)
	}
	for what, other := range map[string]*unstructured.Unstructured{"the apply": made, "a dry run": apply(client.DryRunAll)} {
		if diff := cmp.Diff(live.Object, other.Object); diff != "" {
			t.Errorf("%s differs from what %s says:\n%s", obj.GetKind(), what, diff)
		}
	}
	if obj.GetKind() != "Secret" && live.Object["status"] == nil {
		t.Errorf("%s has no status", obj.GetKind())
	}
}

func TestAMemberHangs(t *testing.T) {
	m := start(t, "one", "two")
	pool := remote.NewPool(remote.Options{AnswerTimeout: time.Second, RequestTimeout: time.Second})
	connect := func(name string) error {
		_, err := pool.Connect(t.Context(), name, kubeconfig(t, m, name), time.Minute)
		return err
	}
	if err := connect("one"); err != nil {
		t.Fatal(err)
	}
	m.Hang(HangsAtFirst, "one")
	if err := connect("one"); !errors.Is(err, remote.ErrUnreachable) {
		t.Errorf("over a connection that stood: %v", err)
	}
	pool.Forget("one")
	if err := connect("one"); !errors.Is(err, remote.ErrUnreachable) {
		t.Errorf("over a new connection: %v", err)
	}
	if err := connect("two"); err != nil {
		t.Errorf("the other one: %v", err)
	}
	m.Hang(HangsLater, "one")
	pool.Forget("one")
	if err := connect("one"); err != nil {
		t.Errorf("one that hangs later: %v", err)
	}
	c, err := pool.Connect(t.Context(), "one", kubeconfig(t, m, "one"), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := c.Client.List(ctx, &corev1.PodList{}); !errors.Is(remote.Classify(err), remote.ErrUnreachable) {
		t.Errorf("all else than the version of one that hangs later: %v", err)
	}
	m.Hang(Answers, "one")
	pool.Forget("one")
	if err := connect("one"); err != nil {
		t.Errorf("once it answers again: %v", err)
	}
}

func TestAMemberKnowsItsToken(t *testing.T) {
	m := start(t, "one", "two")
	m.byName["one"].name = "somebody else"
	if _, err := remote.NewPool(remote.Options{}).Connect(t.Context(), "one", kubeconfig(t, m, "one"), time.Minute); !errors.Is(err, remote.ErrUnauthorized) {
		t.Errorf("with another's token: %v", err)
	}
}
