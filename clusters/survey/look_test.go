package survey

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/clusters/agent"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

// wire counts what goes to the API server.
type wire struct {
	next http.RoundTripper

	mu    sync.Mutex
	asked []string // "GET /api/v1/pods", of what is no GET of metadata or discovery
	lists int
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	switch accept := r.Header.Get("Accept"); {
	case r.Method == http.MethodGet && strings.Contains(accept, "PartialObjectMetadata"):
		w.lists++
	case r.Method == http.MethodGet && (strings.Contains(accept, "APIGroupDiscoveryList") || r.URL.Path == "/version"):
	default:
		w.asked = append(w.asked, r.Method+" "+r.URL.Path)
	}
	w.mu.Unlock()
	return w.next.RoundTrip(r)
}

// connect makes a connection as somebody, "" for an administrator.
func connect(t *testing.T, c *platformtest.Cluster, user string) (Connection, *wire) {
	t.Helper()
	config := rest.CopyConfig(c.Config)
	config.Impersonate.UserName = user
	web, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{next: web.Transport}
	return Connection{Config: config, HTTP: &http.Client{Transport: w}}, w
}

func apply(t *testing.T, c *platformtest.Cluster, by string, fields map[string]any) {
	t.Helper()
	obj := &unstructured.Unstructured{Object: fields}
	if err := c.Client.Create(t.Context(), obj, client.FieldOwner(by)); err != nil {
		t.Fatalf("%s: %v", obj.GetName(), err)
	}
}

func meta(namespace, name string, more map[string]any) map[string]any {
	out := map[string]any{"name": name}
	if namespace != "" {
		out["namespace"] = namespace
	}
	for key, value := range more {
		out[key] = value
	}
	return out
}

func configMap(namespace, name string, more map[string]any) map[string]any {
	// Of an object without any field of its own the API server notes no writer.
	return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta(namespace, name, more), "data": map[string]any{"k": "v"}}
}

const hidden = "s3cr3tPassw0rd"

// furnish makes a cluster one that somebody has used for a while.
func furnish(t *testing.T, c *platformtest.Cluster) {
	t.Helper()
	helmReleases := platformtest.Kind("helm.toolkit.fluxcd.io", "v2", "HelmRelease")
	old := helmReleases.Spec.Versions[0]
	old.Name, old.Storage = "v2beta2", false
	helmReleases.Spec.Versions = append(helmReleases.Spec.Versions, old)
	platformtest.Create(t, c.Client, define(t, c, helmReleases), define(t, c, platformtest.Kind("source.toolkit.fluxcd.io", "v1", "GitRepository")),
		define(t, c, platformtest.Kind("kustomize.toolkit.fluxcd.io", "v1", "Kustomization")))
	for _, namespace := range []string{"shop", "flux-system", "fairway-system"} {
		apply(t, c, "kubectl-create", map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": meta("", namespace, nil)})
	}
	for i := range pageSize + 1 { // more than a page
		apply(t, c, "kubectl-client-side-apply", configMap("shop", fmt.Sprintf("many-%03d", i), nil))
	}
	apply(t, c, "kustomize-controller", configMap("shop", "applied", map[string]any{"labels": map[string]any{labelKustomization: "apps", labelKustomizationHome: "flux-system"}}))
	apply(t, c, "kube-controller-manager", configMap("shop", "controlled", map[string]any{"ownerReferences": []any{
		map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "cart", "uid": "00000000-0000-0000-0000-000000000001", "controller": true}}}))
	apply(t, c, "kubectl-create", map[string]any{"apiVersion": "v1", "kind": "Secret", "metadata": meta("shop", "password", map[string]any{
		"annotations": map[string]any{"kubectl.kubernetes.io/last-applied-configuration": hidden}}), "stringData": map[string]any{"x": hidden}})
	for revision, status := range map[string]string{"1": "superseded", "2": "deployed"} {
		apply(t, c, "helm", map[string]any{"apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
			"metadata":   meta("shop", "sh.helm.release.v1.redis.v"+revision, map[string]any{"labels": map[string]any{"owner": "helm", "name": "redis", "version": revision, "status": status}}),
			"stringData": map[string]any{"release": hidden}})
	}
	apply(t, c, "kubectl-create", map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": meta("", "fairway-agent", nil),
		"rules": []any{map[string]any{"apiGroups": []any{""}, "resources": []any{"pods"}, "verbs": []any{"get"}}}})
	platformtest.Eventually(t, func(ctx context.Context) string { return useFlux(ctx, c) })
}

// define waits for nothing: useFlux does, by trying.
func define(t *testing.T, c *platformtest.Cluster, crd *apiextensionsv1.CustomResourceDefinition) client.Object {
	t.Helper()
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(crd)
	if err != nil {
		t.Fatal(err)
	}
	delete(fields, "status")
	return &unstructured.Unstructured{Object: fields}
}

// useFlux makes Flux objects as soon as their kinds are served.
func useFlux(ctx context.Context, c *platformtest.Cluster) string {
	for _, fields := range []map[string]any{
		{"apiVersion": "source.toolkit.fluxcd.io/v1", "kind": "GitRepository", "metadata": meta("flux-system", "acquired", nil),
			"spec": map[string]any{"url": "https://user:" + hidden + "@git.example.com/acquired.git?token=" + hidden, "ref": map[string]any{"branch": "main"}}},
		{"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": meta("flux-system", "apps", nil),
			"spec": map[string]any{"path": "./apps", "suspend": true, "sourceRef": map[string]any{"kind": "GitRepository", "name": "acquired"}}},
		{"apiVersion": "helm.toolkit.fluxcd.io/v2beta2", "kind": "HelmRelease", "metadata": meta("shop", "web", nil),
			"spec": map[string]any{"chart": map[string]any{"spec": map[string]any{"chart": "web", "sourceRef": map[string]any{"kind": "HelmRepository", "name": "charts"}}}}},
	} {
		err := c.Client.Create(ctx, &unstructured.Unstructured{Object: fields}, client.FieldOwner("kubectl-create"))
		if err != nil && !strings.Contains(err.Error(), "already exists") {
			return err.Error()
		}
	}
	return ""
}

// plan is Fairway's agent, and a HelmRelease's definition as a newer Flux has it.
func plan(t *testing.T) Plan {
	t.Helper()
	objs, err := agent.Config{ClusterID: "acquired-1", Environment: "prod", Image: "agent", EventsURL: "tls://x:4222", Credentials: []byte("x")}.Objects()
	if err != nil {
		t.Fatal(err)
	}
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(platformtest.Kind("helm.toolkit.fluxcd.io", "v2", "HelmRelease"))
	if err != nil {
		t.Fatal(err)
	}
	return Plan{
		Sets: []Set{{Name: SetFlux, Objects: []*unstructured.Unstructured{{Object: fields}}}, {Name: "agent", Objects: objs}},
		Open: []string{"layers: not read"},
	}
}

// TestLook runs on a real API server. Its cases share it.
func TestLook(t *testing.T) {
	c := platformtest.Workload(t)
	furnish(t, c)
	t.Run("it finds what is there and changes nothing", func(t *testing.T) { looksAround(t, c) })
	t.Run("what the account may not do is missing, and all else is told", func(t *testing.T) { looksWithFewRights(t, c) })
	t.Run("a context that ends, ends it", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		connection, _ := connect(t, c, "")
		if _, err := Look(ctx, connection, Plan{}); err == nil {
			t.Error("no error")
		}
	})
	t.Run("a cluster that is not there is an error", func(t *testing.T) {
		if _, err := Look(t.Context(), Connection{Config: &rest.Config{Host: "https://127.0.0.1:1"}, HTTP: &http.Client{}}, Plan{}); err == nil {
			t.Error("no error")
		}
	})
}

func looksAround(t *testing.T, c *platformtest.Cluster) {
	connection, w := connect(t, c, "")
	before := versions(t, c)
	seen, err := Look(t.Context(), connection, plan(t))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, versions(t, c)); diff != "" {
		t.Errorf("resource versions moved (-before +after):\n%s", diff)
	}
	slices.Sort(w.asked)
	if diff := cmp.Diff([]string{
		"GET /apis/apiextensions.k8s.io/v1/customresourcedefinitions/helmreleases.helm.toolkit.fluxcd.io",
		"GET /apis/helm.toolkit.fluxcd.io/v2/helmreleases", "GET /apis/kustomize.toolkit.fluxcd.io/v1/kustomizations", "GET /apis/source.toolkit.fluxcd.io/v1/gitrepositories",
		"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
	}, w.asked); diff != "" {
		t.Errorf("requests for more than metadata (-want +have):\n%s", diff)
	}
	if len(before) < pageSize || w.lists < 30 {
		t.Errorf("%d objects, %d lists: what was there to find?", len(before), w.lists)
	}
	report := Assess(seen, About{Cluster: "acquired-1"}, now)
	if text := fmt.Sprintf("%+v %s", seen, report.Markdown()); strings.Contains(text, hidden) {
		t.Error("a secret got through")
	}
	want := Report{
		Managers: []Manager{
			{Tool: ToolFlux, Name: "HelmRelease/shop/web", Source: "HelmRepository/shop/charts, chart web", Status: "unknown"},
			{Tool: ToolFlux, Name: "Kustomization/flux-system/apps", Objects: 1, Source: "GitRepository/flux-system/acquired, path ./apps", Status: "suspended"},
			{Tool: ToolHelm, Name: "shop/redis", Status: "deployed, revision 2"},
		},
		Conflicts: []Conflict{
			{Kind: ConflictVersion, Set: SetFlux, Object: "CustomResourceDefinition/helmreleases.helm.toolkit.fluxcd.io"},
			{Kind: ConflictObject, Set: "agent", Object: "ClusterRole/fairway-agent", Owner: "by hand (kubectl-create)"},
			{Kind: ConflictObject, Set: SetFlux, Object: "CustomResourceDefinition/helmreleases.helm.toolkit.fluxcd.io", Owner: "survey.test"},
		},
		Contested: []Contested{}, MissingRights: []Right{}, NotTried: append([]string{"layers: not read"}, unreachable...),
	}
	for i := range report.Conflicts {
		report.Conflicts[i].Message = ""
	}
	have := Report{Conflicts: report.Conflicts, Contested: report.Contested, MissingRights: report.MissingRights, NotTried: report.NotTried}
	for _, m := range report.Managers {
		if m.Tool == ToolFlux || m.Tool == ToolHelm {
			have.Managers = append(have.Managers, m)
		}
	}
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	sources := []Source{{Kind: "GitRepository", Namespace: "flux-system", Name: "acquired", URL: "https://git.example.com/acquired.git", Reference: "branch main", Status: "unknown"}}
	if diff := cmp.Diff(sources, seen.Sources); diff != "" {
		t.Errorf("sources (-want +have):\n%s", diff)
	}
	if report.Objects.Kubectl < pageSize+1 || report.Objects.Controlled != 1 || report.Objects.Unknown != 0 {
		t.Errorf("counts: %+v", report.Objects)
	}
}

func looksWithFewRights(t *testing.T, c *platformtest.Cluster) {
	const user = "limited"
	platformtest.Create(t, c.Client,
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"}},
			{APIGroups: []string{""}, Resources: []string{"namespaces", "serviceaccounts"}, Verbs: []string{"get", "create", "patch"}},
		}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: user}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}}})
	connection, _ := connect(t, c, user)
	seen, err := Look(t.Context(), connection, plan(t))
	if err != nil {
		t.Fatal(err)
	}
	report := Assess(seen, About{}, now)
	if report.Objects.Kubectl != pageSize+1 || report.Objects.Flux != 1 {
		t.Errorf("counts of what it may list: %+v", report.Objects)
	}
	for right, want := range map[Right]bool{
		{For: "survey", Verb: "list", Group: "apps", Resource: "deployments"}:                               true,
		{For: "survey", Verb: "list", Resource: "secrets"}:                                                  true,
		{For: "survey", Verb: "list", Resource: "configmaps"}:                                               false,
		{For: "agent", Verb: "create", Group: "apps", Resource: "deployments", Namespace: "fairway-system"}: true,
		{For: "agent", Verb: "get", Resource: "pods/log"}:                                                   true,
		{For: "agent", Verb: "create", Resource: "namespaces"}:                                              false,
		{For: "flux", Verb: "patch", Group: "apiextensions.k8s.io", Resource: "customresourcedefinitions"}:  true,
		{For: "agent", Verb: "watch", Group: "kustomize.toolkit.fluxcd.io", Resource: "kustomizations"}:     true,
		{For: "agent", Verb: "create", Resource: "serviceaccounts", Namespace: "fairway-system"}:            false,
		{For: "agent", Verb: "patch", Group: "rbac.authorization.k8s.io", Resource: "clusterrolebindings"}:  true,
		{For: "agent", Verb: "get", Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}:           true,
		{For: "survey", Verb: "list", Group: "helm.toolkit.fluxcd.io", Resource: "helmreleases"}:            true,
		{For: "survey", Verb: "list", Resource: "events"}:                                                   false,
	} {
		if have := slices.Contains(report.MissingRights, right); have != want {
			t.Errorf("%+v is missing: %v, want %v", right, have, want)
		}
	}
}

// versions are the resource versions of all that is stored, but for what the API server renews by
// itself.
func versions(t *testing.T, c *platformtest.Cluster) map[string]string {
	t.Helper()
	disco, err := discovery.NewDiscoveryClientForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	lists, err := discovery.ServerPreferredResources(disco)
	if err != nil {
		t.Fatal(err)
	}
	all, err := metadata.NewForConfig(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "list") || r.Kind == "Lease" || r.Kind == corev1.SchemeGroupVersion.WithKind("ComponentStatus").Kind {
				continue
			}
			found, err := all.Resource(version.WithResource(r.Name)).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Fatalf("list %s: %v", r.Name, err)
			}
			for _, item := range found.Items {
				out[fmt.Sprintf("%s %s %s/%s", list.GroupVersion, r.Kind, item.Namespace, item.Name)] = item.ResourceVersion
			}
		}
	}
	return out
}
