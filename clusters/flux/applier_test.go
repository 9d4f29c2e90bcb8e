package flux

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	ssautil "github.com/fluxcd/pkg/ssa/utils"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// target is one test's cluster. All tests share the API server, each with sets and namespaces of its
// own beside flux-system, which holds the inventories and something of somebody else.
type target struct {
	t       *testing.T
	client  client.Client
	applier *Applier
}

func newTarget(t *testing.T) *target {
	c := clientOf(t)
	for _, obj := range []*unstructured.Unstructured{fluxNamespace(), newObject("v1", "ConfigMap", "flux-system", "theirs")} {
		if err := c.Create(t.Context(), obj); client.IgnoreAlreadyExists(err) != nil {
			t.Fatal(err)
		}
	}
	return &target{t: t, client: c, applier: NewApplier(c)}
}

func (x *target) apply(name string, objs []*unstructured.Unstructured) Result {
	x.t.Helper()
	result, err := x.applier.Apply(x.t.Context(), name, objs)
	if err != nil {
		x.t.Fatalf("apply %s: %v", name, err)
	}
	return result
}

// find reads an object by "Kind/namespace/name" or "Kind/name"; nil when it is not there.
func (x *target) find(apiVersion, id string) *unstructured.Unstructured {
	x.t.Helper()
	parts := strings.Split(id, "/")
	obj := newObject(apiVersion, parts[0], "", "")
	key := client.ObjectKey{Name: parts[len(parts)-1]}
	if len(parts) == 3 {
		key.Namespace = parts[1]
	}
	err := x.client.Get(x.t.Context(), key, obj)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil
	}
	if err != nil {
		x.t.Fatal(err)
	}
	return obj
}

// versions are the resource versions of a set and of its inventory.
func (x *target) versions(name string, objs []*unstructured.Unstructured) map[string]string {
	x.t.Helper()
	out := map[string]string{}
	for _, obj := range append(slices.Clone(objs), configMap(homeOf(objs), inventoryPrefix+name)) {
		live := x.find(obj.GetAPIVersion(), ssautil.FmtUnstructured(obj))
		if live == nil {
			x.t.Fatalf("%s is not there", ssautil.FmtUnstructured(obj))
		}
		out[ssautil.FmtUnstructured(obj)] = live.GetResourceVersion()
	}
	return out
}

// collect does what the garbage collector, which does not run here, does once the pods of a workload
// that is being deleted are gone.
func (x *target) collect(id string) {
	x.t.Helper()
	version := "apps/v1"
	if strings.HasPrefix(id, "CronJob/") {
		version = "batch/v1"
	}
	obj := x.find(version, id)
	if obj == nil || obj.GetDeletionTimestamp() == nil {
		return
	}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	if err := client.IgnoreNotFound(x.client.Patch(x.t.Context(), obj, patch)); err != nil {
		x.t.Fatal(err)
	}
}

// remove calls Remove until nothing is left, playing the garbage collector.
func (x *target) remove(name string, workloads ...string) {
	x.t.Helper()
	var left []string
	err := wait.PollUntilContextTimeout(x.t.Context(), 100*time.Millisecond, 20*time.Second, true, func(ctx context.Context) (bool, error) {
		for _, id := range workloads {
			x.collect(id)
		}
		var err error
		left, err = x.applier.Remove(ctx, name)
		return len(left) == 0, err
	})
	if err != nil {
		x.t.Fatalf("remove %s: %v; left: %v", name, err, left)
	}
}

func set(t *testing.T, namespace string) []*unstructured.Unstructured {
	return parseObjects(t, strings.ReplaceAll(`
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: NS}
data: {a: "1"}
---
apiVersion: v1
kind: Secret
metadata: {name: token, namespace: NS}
type: Opaque
data: {token: c2VjcmV0}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: NS}
spec: {ports: [{port: 80}], selector: {app: web}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: NS}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: web, namespace: NS}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: web, namespace: NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: web}
subjects: [{kind: ServiceAccount, name: web, namespace: NS}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: NS}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web, resources: {limits: {cpu: 1000m, memory: 1Gi}}, ports: [{containerPort: 80}]}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: web, namespace: NS}
spec:
  selector: {matchLabels: {app: web-node}}
  template:
    metadata: {labels: {app: web-node}}
    spec: {containers: [{name: web, image: web}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: web, namespace: NS}
spec:
  schedule: "0 * * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: web, image: web}]}}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: NS}
spec: {podSelector: {}}
---
apiVersion: v1
kind: Namespace
metadata: {name: NS}
`, "NS", namespace))
}

func without(objs []*unstructured.Unstructured, kinds ...string) []*unstructured.Unstructured {
	return slices.DeleteFunc(slices.Clone(objs), func(o *unstructured.Unstructured) bool { return slices.Contains(kinds, o.GetKind()) })
}

func fluxNamespace() *unstructured.Unstructured {
	return newObject("v1", "Namespace", "", "flux-system")
}

func TestASecondApplyWritesNothing(t *testing.T) {
	x := newTarget(t)
	objs := append(set(t, "second"), fluxNamespace())
	var given []*unstructured.Unstructured
	for _, obj := range objs {
		given = append(given, obj.DeepCopy())
	}
	first := x.apply("second", objs)
	if diff := cmp.Diff(given, objs); diff != "" {
		t.Errorf("the given objects, which others hold as well, were changed (-before +after):\n%s", diff)
	}
	if first.Changed != len(objs) {
		t.Errorf("the first apply changed %d objects, want %d", first.Changed, len(objs))
	}
	before := x.versions("second", objs)
	for range 2 {
		if again := x.apply("second", objs); again.Changed != 0 || again.Pruned != 0 {
			t.Errorf("another apply changed %d and pruned %d", again.Changed, again.Pruned)
		}
	}
	fresh := NewApplier(clientOf(t)) // an operator that was started again
	if again, err := fresh.Apply(t.Context(), "second", objs); err != nil || again.Changed != 0 {
		t.Errorf("an apply by another process changed %d (%v)", again.Changed, err)
	}
	if diff := cmp.Diff(before, x.versions("second", objs)); diff != "" {
		t.Errorf("resource versions moved (-before +after):\n%s", diff)
	}
}

func TestApplyPutsBackWhatDrifted(t *testing.T) {
	x := newTarget(t)
	objs := append(set(t, "drift"), fluxNamespace())
	x.apply("drift", objs)
	settings := x.find("v1", "ConfigMap/drift/settings")
	patch := client.RawPatch(types.MergePatchType, []byte(`{"data":{"a":"2"},"metadata":{"labels":{"theirs":"stays"}}}`))
	if err := x.client.Patch(t.Context(), settings, patch); err != nil {
		t.Fatal(err)
	}
	if result := x.apply("drift", objs); result.Changed != 1 {
		t.Errorf("changed %d objects, want 1", result.Changed)
	}
	settings = x.find("v1", "ConfigMap/drift/settings")
	if got, _, _ := unstructured.NestedString(settings.Object, "data", "a"); got != "1" {
		t.Errorf("data.a = %q, want it put back to 1", got)
	}
	if settings.GetLabels()["theirs"] != "stays" {
		t.Error("a label that is somebody else's was taken off")
	}
}

func TestWhatLeavesTheSetIsPruned(t *testing.T) {
	x := newTarget(t)
	objs := append(set(t, "prune"), fluxNamespace())
	x.apply("prune", objs)
	foreign := newObject("v1", "ConfigMap", "prune", "foreign")
	if err := x.client.Create(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	fewer := without(objs, "ConfigMap", "DaemonSet", "Role", "Namespace")
	result := x.apply("prune", fewer)
	if result.Pruned != 3 {
		t.Errorf("pruned %d objects, want 3", result.Pruned)
	}
	if diff := cmp.Diff([]string{"Namespace/flux-system", "Namespace/prune"}, slices.Sorted(slices.Values(result.Kept))); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		apiVersion, id string
		there          bool
	}{
		{"v1", "ConfigMap/prune/settings", false},
		{"apps/v1", "DaemonSet/prune/web", false},
		{"rbac.authorization.k8s.io/v1", "Role/prune/web", false},
		{"apps/v1", "Deployment/prune/web", true},
		{"v1", "Secret/prune/token", true},
		{"v1", "ConfigMap/prune/foreign", true},
		{"v1", "Namespace/prune", true},
	} {
		obj := x.find(c.apiVersion, c.id)
		if there := obj != nil && obj.GetDeletionTimestamp() == nil; there != c.there {
			t.Errorf("%s there = %v, want %v", c.id, there, c.there)
		}
	}
	before := x.versions("prune", fewer)
	if result := x.apply("prune", fewer); result.Changed != 0 || result.Pruned != 0 {
		t.Errorf("after the prune: changed %d, pruned %d", result.Changed, result.Pruned)
	}
	if diff := cmp.Diff(before, x.versions("prune", fewer)); diff != "" {
		t.Errorf("resource versions moved (-before +after):\n%s", diff)
	}
}

func TestAnObjectBelongsToTheLastSetThatAppliedIt(t *testing.T) {
	x := newTarget(t)
	objs := append(set(t, "shared"), fluxNamespace())
	x.apply("first-owner", objs)
	moved := slices.DeleteFunc(slices.Clone(objs), func(o *unstructured.Unstructured) bool { return o.GetKind() != "ConfigMap" })
	x.apply("next-owner", moved)
	x.apply("first-owner", without(objs, "ConfigMap"))
	if x.find("v1", "ConfigMap/shared/settings") == nil {
		t.Error("a set pruned an object that another had taken over")
	}
}

func TestADefinitionInUseIsNotPruned(t *testing.T) {
	x := newTarget(t)
	definition := parseObjects(t, `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.prune.example.com}
spec:
  group: prune.example.com
  names: {kind: Widget, listKind: WidgetList, plural: widgets, singular: widget}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`)
	// The kind is used in the same set that defines it.
	widget := parseObjects(t, "apiVersion: prune.example.com/v1\nkind: Widget\nmetadata: {name: one, namespace: flux-system}\n")
	base := []*unstructured.Unstructured{fluxNamespace()}
	x.apply("definitions", slices.Concat(base, definition, widget))
	x.apply("definitions", slices.Concat(base, definition)) // prunes the widget
	if x.find("prune.example.com/v1", "Widget/flux-system/one") != nil {
		t.Fatal("the widget is still there")
	}
	if err := x.client.Create(t.Context(), widget[0].DeepCopy()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // it is remembered, and never given up by itself
		result := x.apply("definitions", base)
		if diff := cmp.Diff([]string{"CustomResourceDefinition/widgets.prune.example.com"}, result.Kept); diff != "" {
			t.Errorf("kept (-want +got):\n%s", diff)
		}
	}
	if err := x.client.Delete(t.Context(), widget[0].DeepCopy()); err != nil {
		t.Fatal(err)
	}
	if result := x.apply("definitions", base); result.Pruned != 1 || len(result.Kept) != 0 {
		t.Errorf("once unused: pruned %d, kept %v", result.Pruned, result.Kept)
	}
}

func TestPendingSaysWhatAnObjectWaitsFor(t *testing.T) {
	x := newTarget(t)
	objs := append(set(t, "pending"), fluxNamespace())
	result := x.apply("pending", objs)
	if !slices.ContainsFunc(result.Pending, func(s string) bool { return strings.HasPrefix(s, "Deployment/pending/web: ") }) {
		t.Errorf("pending %q, want the Deployment, which nobody runs here", result.Pending)
	}
	deployment := x.find("apps/v1", "Deployment/pending/web")
	status := map[string]any{
		"observedGeneration": deployment.GetGeneration(), "replicas": int64(1), "updatedReplicas": int64(1),
		"readyReplicas": int64(1), "availableReplicas": int64(1),
		"conditions": []any{
			map[string]any{"type": "Available", "status": "True"},
			map[string]any{"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
		},
	}
	if err := unstructured.SetNestedMap(deployment.Object, status, "status"); err != nil {
		t.Fatal(err)
	}
	if err := x.client.Status().Update(t.Context(), deployment); err != nil {
		t.Fatal(err)
	}
	result = x.apply("pending", objs)
	if result.Changed != 0 {
		t.Errorf("a status made the apply change %d objects", result.Changed)
	}
	if slices.ContainsFunc(result.Pending, func(s string) bool { return strings.HasPrefix(s, "Deployment/") }) {
		t.Errorf("pending %q, want no Deployment once it is available", result.Pending)
	}
}

func TestAnApplyThatBreaksOffLeavesNothingUnknown(t *testing.T) {
	x := newTarget(t)
	objs := append(set(t, "broken"), fluxNamespace())
	bad := parseObjects(t, "apiVersion: v1\nkind: Service\nmetadata: {name: bad, namespace: broken}\nspec: {ports: [{port: 99999}]}\n")
	_, err := x.applier.Apply(t.Context(), "broken", append(bad, objs...))
	if err == nil || !strings.Contains(err.Error(), "Service/broken/bad") {
		t.Fatalf("error %v, want one that names the Service", err)
	}
	inv, err := x.applier.readInventory(t.Context(), "broken", "flux-system")
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.entries) != len(objs)+1 {
		t.Errorf("the inventory knows %d objects, want %d", len(inv.entries), len(objs)+1)
	}
	x.apply("broken", objs)
	x.remove("broken", "Deployment/broken/web", "DaemonSet/broken/web", "CronJob/broken/web")
}

func TestRemoveTakesAwayTheSetAndNothingElse(t *testing.T) {
	x := newTarget(t)
	objs := append(set(t, "removed"), fluxNamespace())
	x.apply("removed", objs)
	left, err := x.applier.Remove(t.Context(), "removed")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"CronJob/removed/web", "DaemonSet/removed/web", "Deployment/removed/web"}, slices.Sorted(slices.Values(left))); diff != "" {
		t.Errorf("left while the pods end (-want +got):\n%s", diff)
	}
	if x.find("v1", "ServiceAccount/removed/web") == nil {
		t.Error("the service account went before the pods that use it")
	}
	for _, id := range left {
		x.collect(id)
	}
	if left, err = x.applier.Remove(t.Context(), "removed"); err != nil || len(left) > 0 {
		t.Fatalf("left %v, error %v", left, err)
	}
	for _, obj := range without(objs, "Namespace") {
		if x.find(obj.GetAPIVersion(), ssautil.FmtUnstructured(obj)) != nil {
			t.Errorf("%s is still there", ssautil.FmtUnstructured(obj))
		}
	}
	if ns := x.find("v1", "Namespace/removed"); ns != nil && ns.GetDeletionTimestamp() == nil {
		t.Error("the namespace that nobody else uses stays")
	}
	if ns := x.find("v1", "Namespace/flux-system"); ns == nil || ns.GetDeletionTimestamp() != nil {
		t.Error("a namespace with others' objects was deleted")
	}
	if x.find("v1", "ConfigMap/flux-system/"+inventoryPrefix+"removed") != nil {
		t.Error("the inventory stays")
	}
	if left, err = x.applier.Remove(t.Context(), "removed"); err != nil || len(left) > 0 {
		t.Errorf("a second time: left %v, error %v", left, err)
	}
}

func TestANamespaceWaitsForFairwaysOtherSets(t *testing.T) {
	x := newTarget(t)
	system := newObject("v1", "Namespace", "", "fairway-system")
	x.apply("home", []*unstructured.Unstructured{system, newObject("v1", "ConfigMap", "fairway-system", "one")})
	x.apply("lodger", []*unstructured.Unstructured{newObject("v1", "ConfigMap", "fairway-system", "two")})
	for range 2 {
		left, err := x.applier.Remove(t.Context(), "home")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"Namespace/fairway-system"}, left); diff != "" {
			t.Errorf("left while another set is there (-want +got):\n%s", diff)
		}
	}
	x.remove("lodger")
	x.remove("home")
	if ns := x.find("v1", "Namespace/fairway-system"); ns != nil && ns.GetDeletionTimestamp() == nil {
		t.Error("the namespace stays")
	}
}

func TestWhoseAnObjectInANamespaceIs(t *testing.T) {
	object := func(name string, labels map[string]string) metav1.PartialObjectMetadata {
		return metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}
	}
	going := object("web", nil)
	going.DeletionTimestamp = &metav1.Time{}
	owned := object("web-1", nil)
	owned.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "web"}}
	token := object("default-token", nil)
	token.Annotations = map[string]string{"kubernetes.io/service-account.name": "default"}
	for _, c := range []struct {
		name, kind string
		obj        metav1.PartialObjectMetadata
		want       use
	}{
		{"the set's own", "ConfigMap", object("a", ownLabels("mine")), unused},
		{"another set's", "ConfigMap", object("a", ownLabels("other")), usedByFairway},
		{"somebody else's", "ConfigMap", object("a", nil), usedByOthers},
		{"the operator's, on its own cluster", "Secret", object("fairway-keys", nil), usedByOthers},
		{"one that says managed by fairway and is of no set", "Secret", object("a", map[string]string{LabelManagedBy: owner}), usedByOthers},
		{"one that is going", "Deployment", going, unused},
		{"one that a controller made", "Pod", owned, unused},
		{"Kubernetes' own authority", "ConfigMap", object("kube-root-ca.crt", nil), unused},
		{"a Secret of that name", "Secret", object("kube-root-ca.crt", nil), usedByOthers},
		{"the default account", "ServiceAccount", object("default", nil), unused},
		{"another account", "ServiceAccount", object("web", nil), usedByOthers},
		{"an account's token", "Secret", token, unused},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := useBy(c.kind, "mine", &c.obj); got != c.want {
				t.Errorf("use %d, want %d", got, c.want)
			}
		})
	}
}

func TestRemovingFluxLetsItsObjectsGo(t *testing.T) {
	x := newTarget(t)
	definition := parseObjects(t, `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: buckets.source.toolkit.fluxcd.io}
spec:
  group: source.toolkit.fluxcd.io
  names: {kind: Bucket, listKind: BucketList, plural: buckets, singular: bucket}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
`)
	x.apply("uninstall", append(definition, fluxNamespace()))
	bucket := newObject("source.toolkit.fluxcd.io/v1", "Bucket", "default", "held")
	bucket.SetFinalizers([]string{fluxFinalizer})
	// A kind that is new may not be served at once.
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 10*time.Second, true, func(ctx context.Context) (bool, error) {
		return x.client.Create(ctx, bucket.DeepCopy()) == nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	x.remove("uninstall")
	if x.find("apiextensions.k8s.io/v1", "CustomResourceDefinition/buckets.source.toolkit.fluxcd.io") != nil {
		t.Error("the definition hangs on its objects' finalizers")
	}
}

func TestDetect(t *testing.T) {
	x := newTarget(t)
	deployment := func(name string, labels map[string]string) *unstructured.Unstructured {
		objs := parseObjects(t, fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %s, namespace: default}
spec:
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec: {containers: [{name: manager, image: x}]}
`, name))
		objs[0].SetLabels(labels)
		return objs[0]
	}
	ours := map[string]string{labelPartOf: "flux", labelVersion: "v2.9.5", LabelManagedBy: owner}
	theirs := map[string]string{labelPartOf: "flux", labelVersion: "2.8.1", LabelManagedBy: "Helm"}
	for _, c := range []struct {
		name string
		objs []*unstructured.Unstructured
		want Installed
	}{
		{"nothing", nil, Installed{}},
		{"other Deployments are not Flux", []*unstructured.Unstructured{deployment("web", nil)}, Installed{}},
		{"ours", []*unstructured.Unstructured{deployment("source-controller", ours)}, Installed{Found: true, Version: "v2.9.5", Managed: true}},
		{"somebody else's", []*unstructured.Unstructured{deployment("source-controller", theirs)}, Installed{Found: true, Version: "v2.8.1"}},
		{"ours and somebody else's", []*unstructured.Unstructured{deployment("a", ours), deployment("b", theirs)}, Installed{Found: true, Version: "v2.9.5"}},
		{"one that is labelled by name only", []*unstructured.Unstructured{deployment("kustomize-controller", map[string]string{"app": "kustomize-controller"})}, Installed{Found: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, obj := range c.objs {
				if err := x.client.Create(t.Context(), obj); err != nil {
					t.Fatal(err)
				}
				defer func() {
					if err := x.client.Delete(t.Context(), obj, client.PropagationPolicy(metav1.DeletePropagationBackground)); err != nil {
						t.Error(err)
					}
				}()
			}
			got, err := Detect(t.Context(), x.client)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("installed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestADistributionFromARegistryIsInstalledAndFollowed(t *testing.T) {
	x := newTarget(t)
	r := newRegistry(t)
	r.push(t, "flux-manifests", layerType, pack(t, entryFor("gotk-components.yaml", distribution(t))), "v2.9.5")
	catalog := NewCatalog()
	v, err := catalog.Resolve(t.Context(), r.URL("flux-manifests"), "2.9.x")
	if err != nil {
		t.Fatal(err)
	}
	objs, err := catalog.Manifests(t.Context(), r.URL("flux-manifests"), v, Options{
		Components: []string{"source-controller", "kustomize-controller"}, Registry: "mirror.example.com/flux",
	})
	if err != nil {
		t.Fatal(err)
	}
	sync := Sync{
		ClusterID: "c1", URL: "https://git.example.com/config.git", Branch: "main",
		Secret: map[string][]byte{"username": []byte("git"), "password": []byte("x")},
		Values: map[string]string{"CLUSTER_NAME": "c1"},
	}.Objects()
	x.apply("flux", objs)
	x.apply("sync", sync)
	before := x.versions("flux", objs)
	maps.Copy(before, x.versions("sync", sync))
	if a, b := x.apply("flux", objs), x.apply("sync", sync); a.Changed+b.Changed+a.Pruned+b.Pruned != 0 {
		t.Errorf("a second pass: flux %+v, sync %+v", a, b)
	}
	after := x.versions("flux", objs)
	maps.Copy(after, x.versions("sync", sync))
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("resource versions moved (-before +after):\n%s", diff)
	}
	installed, err := Detect(t.Context(), x.client)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Installed{Found: true, Version: "v2.9.5", Managed: true}, installed); diff != "" {
		t.Errorf("installed (-want +got):\n%s", diff)
	}
	state, err := ReadSync(t.Context(), x.client)
	if err != nil {
		t.Fatal(err)
	}
	if state.Ready || !state.Reconciling {
		t.Errorf("state %+v, want one that waits", state)
	}
	x.remove("sync")
	x.remove("flux", "Deployment/flux-system/source-controller", "Deployment/flux-system/kustomize-controller")
	if state, err = ReadSync(t.Context(), clientOf(t)); err != nil || state.Ready || state.Failed {
		t.Errorf("after removal: %+v, %v; want a state that waits", state, err)
	}
	if installed, err = Detect(t.Context(), x.client); err != nil || installed.Found {
		t.Errorf("after removal: %+v, %v", installed, err)
	}
}

func TestAKindThatIsNotServed(t *testing.T) {
	sources := schema.GroupResource{Group: "source.toolkit.fluxcd.io", Resource: "gitrepositories"}
	for name, c := range map[string]struct {
		err  error
		want bool
	}{
		"nothing wrong":               {nil, false},
		"a kind that is not learned":  {&meta.NoKindMatchError{GroupKind: schema.GroupKind{Kind: "X"}}, true},
		"nothing at the kind's path":  {fmt.Errorf("apply: %w", apierrors.NewGenericServerResponse(404, "patch", sources, "fairway", "404 page not found", 0, true)), true},
		"an object that is not there": {apierrors.NewNotFound(sources, "fairway"), false},
		"no right":                    {apierrors.NewForbidden(sources, "fairway", nil), false},
	} {
		if got := notServed(c.err); got != c.want {
			t.Errorf("%s (%v): %t", name, c.err, got)
		}
	}
}
