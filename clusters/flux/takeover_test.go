package flux

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/ssa"
	ssautil "github.com/fluxcd/pkg/ssa/utils"
	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const rolesAnnotation = "eks.amazonaws.com/role-arn"

// bootstrapped applies a set as `flux bootstrap` does: by the command, then by the Kustomization that the
// command makes, which has two changes of its own.
func (x *target) bootstrapped(namespace string) []*unstructured.Unstructured {
	x.t.Helper()
	plain := append(set(x.t, namespace), fluxNamespace())
	x.applyAs("flux", plain)
	theirs := make([]*unstructured.Unstructured, len(plain))
	for i, obj := range plain {
		theirs[i] = obj.DeepCopy()
		theirs[i].SetLabels(map[string]string{kustomizationLabels[0]: "flux-system", kustomizationLabels[1]: "flux-system"})
		switch obj.GetKind() {
		case "ServiceAccount":
			theirs[i].SetAnnotations(map[string]string{rolesAnnotation: "arn:aws:iam::1:role/flux"})
		case "Deployment":
			x.set(theirs[i], map[string]any{"disk": "fast"}, "spec", "template", "spec", "nodeSelector")
		}
	}
	x.applyAs("kustomize-controller", theirs)
	ours, err := Options{}.apply(plain, Version{Tag: "v2.9.5", Digest: "sha256:ab"})
	if err != nil {
		x.t.Fatal(err)
	}
	return ours
}

func (x *target) applyAs(manager string, objs []*unstructured.Unstructured) {
	x.t.Helper()
	sorted := slices.Clone(objs)
	slices.SortStableFunc(sorted, func(a, b *unstructured.Unstructured) int { // namespaces first
		return strings.Compare(a.GetNamespace(), b.GetNamespace())
	})
	for _, obj := range sorted {
		if err := x.client.Apply(x.t.Context(), client.ApplyConfigurationFromUnstructured(obj.DeepCopy()), client.FieldOwner(manager), client.ForceOwnership); err != nil {
			x.t.Fatal(err)
		}
	}
}

func (x *target) set(obj *unstructured.Unstructured, value any, at ...string) {
	x.t.Helper()
	if err := unstructured.SetNestedField(obj.Object, value, at...); err != nil {
		x.t.Fatal(err)
	}
}

// about says of each object what a take-over must not change.
func (x *target) about(objs []*unstructured.Unstructured) map[string]string {
	x.t.Helper()
	out := map[string]string{}
	for _, obj := range objs {
		live := x.find(obj.GetAPIVersion(), ssautil.FmtUnstructured(obj))
		if live == nil {
			x.t.Fatalf("%s is not there", ssautil.FmtUnstructured(obj))
		}
		spec, _, _ := unstructured.NestedFieldNoCopy(live.Object, "spec")
		out[ssautil.FmtUnstructured(obj)] = string(live.GetUID()) + " " + cmp.Diff(nil, spec)
	}
	return out
}

func TestATakeOverMovesOwnershipAndNothingElse(t *testing.T) {
	x := newTarget(t)
	objs := x.bootstrapped("bootstrapped")
	before := x.about(objs)
	if _, err := x.applier.TakeOver(t.Context(), "taken", objs); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, x.about(objs)); diff != "" {
		t.Errorf("something changed (-before +after):\n%s", diff)
	}
	for _, obj := range objs {
		live := x.find(obj.GetAPIVersion(), ssautil.FmtUnstructured(obj))
		if _, claimed, err := disowned(live.GetManagedFields()); claimed || err != nil {
			t.Errorf("%s: others still claim what is Fairway's (%v): %+v", ssautil.FmtUnstructured(obj), err, live.GetManagedFields())
		}
		if !ours(live, "taken") || live.GetLabels()[kustomizationLabels[0]] != "" {
			t.Errorf("%s: labels %v", ssautil.FmtUnstructured(obj), live.GetLabels())
		}
	}
	if got := x.find("v1", "ServiceAccount/bootstrapped/web").GetAnnotations()[rolesAnnotation]; got == "" {
		t.Error("what only the bootstrap had set is gone: its role in the cloud")
	}
	versions := x.versions("taken", objs)
	if again, err := x.applier.TakeOver(t.Context(), "taken", objs); err != nil || again.Changed != 0 {
		t.Errorf("once more changed %d (%v)", again.Changed, err)
	}
	if diff := cmp.Diff(versions, x.versions("taken", objs)); diff != "" {
		t.Errorf("once more wrote (-before +after):\n%s", diff)
	}
}

func TestALaterVersionTakesAwayWhatTheBootstrapHadSetToo(t *testing.T) {
	x := newTarget(t)
	objs := x.bootstrapped("later")
	if _, err := x.applier.TakeOver(t.Context(), "later", objs); err != nil {
		t.Fatal(err)
	}
	at := slices.IndexFunc(objs, func(o *unstructured.Unstructured) bool { return o.GetKind() == "ConfigMap" })
	x.set(objs[at], map[string]any{"b": "2"}, "data")
	x.apply("later", objs)
	data, _, _ := unstructured.NestedStringMap(x.find("v1", "ConfigMap/later/settings").Object, "data")
	if diff := cmp.Diff(map[string]string{"b": "2"}, data); diff != "" {
		t.Errorf("data (-want +have):\n%s", diff)
	}
}

// The selectors are those of kustomize-controller.
func TestTheBootstrapKustomizationNeitherWritesBackNorPrunes(t *testing.T) {
	x := newTarget(t)
	objs := x.bootstrapped("pruned")
	if _, err := x.applier.TakeOver(t.Context(), "pruned", objs); err != nil {
		t.Fatal(err)
	}
	before := x.versions("pruned", objs)
	theirs := ssa.NewResourceManager(x.client, nil, ssa.Owner{Field: "kustomize-controller", Group: "kustomize.toolkit.fluxcd.io"})
	options := ssa.DefaultApplyOptions()
	options.ExclusionSelector = map[string]string{annotationApply: "Ignore"}
	old := append(set(t, "pruned"), fluxNamespace())
	theirs.SetOwnerLabels(old, "flux-system", "flux-system")
	if _, err := theirs.ApplyAll(t.Context(), old, options); err != nil {
		t.Fatal(err)
	}
	for name, how := range map[string]ssa.DeleteOptions{
		"by its labels":      {Inclusions: theirs.GetOwnerLabels("flux-system", "flux-system")},
		"by the annotations": {Exclusions: map[string]string{annotationPrune: "disabled"}},
	} {
		if _, err := theirs.DeleteAll(t.Context(), old, how); err != nil {
			t.Fatal(name, err)
		}
	}
	if diff := cmp.Diff(before, x.versions("pruned", objs)); diff != "" {
		t.Errorf("resource versions moved (-before +after):\n%s", diff)
	}
}

func TestRefusalsNameWhatTheClusterWouldNotTake(t *testing.T) {
	x := newTarget(t)
	objs := x.bootstrapped("refused")
	if refusals, err := x.applier.Refusals(t.Context(), "refused", objs); err != nil || len(refusals) > 0 {
		t.Fatalf("%v, %v", refusals, err)
	}
	for _, obj := range objs {
		switch obj.GetKind() {
		case "Deployment":
			labels := map[string]any{"app": "other"}
			x.set(obj, maps.Clone(labels), "spec", "selector", "matchLabels")
			x.set(obj, maps.Clone(labels), "spec", "template", "metadata", "labels")
		case "RoleBinding":
			x.set(obj, "other", "roleRef", "name")
		}
	}
	before := x.about(objs)
	refusals, err := x.applier.Refusals(t.Context(), "refused", objs)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(refusals, "\n")
	for _, want := range []string{"Deployment/refused/web: ", "RoleBinding/refused/web: ", "immutable"} {
		if len(refusals) != 2 || !strings.Contains(text, want) {
			t.Errorf("refusals lack %q:\n%s", want, text)
		}
	}
	if diff := cmp.Diff(before, x.about(objs)); diff != "" {
		t.Errorf("asking changed something (-before +after):\n%s", diff)
	}
}

func TestDisowned(t *testing.T) {
	entry := func(manager string, operation metav1.ManagedFieldsOperationType, subresource, fields string) metav1.ManagedFieldsEntry {
		return metav1.ManagedFieldsEntry{Manager: manager, Operation: operation, Subresource: subresource, FieldsV1: metav1.NewFieldsV1(fields)}
	}
	const apply, update = metav1.ManagedFieldsOperationApply, metav1.ManagedFieldsOperationUpdate
	own := entry(owner, apply, "", `{"f:data":{"f:a":{},"f:b":{}}}`)
	for name, c := range map[string]struct{ have, want []metav1.ManagedFieldsEntry }{
		"what Fairway never applied is left":    {[]metav1.ManagedFieldsEntry{entry("flux", apply, "", `{"f:data":{"f:a":{}}}`)}, nil},
		"who claims the same is out":            {[]metav1.ManagedFieldsEntry{entry("flux", apply, "", `{"f:data":{"f:a":{}}}`), own}, []metav1.ManagedFieldsEntry{own}},
		"by kubectl's updates as well":          {[]metav1.ManagedFieldsEntry{own, entry("kubectl-edit", update, "", `{"f:data":{"f:b":{}}}`)}, []metav1.ManagedFieldsEntry{own}},
		"who has more keeps that":               {[]metav1.ManagedFieldsEntry{own, entry("flux", apply, "", `{"f:data":{"f:b":{},"f:c":{}}}`)}, []metav1.ManagedFieldsEntry{own, entry("flux", apply, "", `{"f:data":{"f:c":{}}}`)}},
		"who writes a status is left":           {[]metav1.ManagedFieldsEntry{own, entry("kube-controller-manager", update, "status", `{"f:data":{"f:a":{}}}`)}, nil},
		"who has something else only is left":   {[]metav1.ManagedFieldsEntry{own, entry("kube-controller-manager", update, "", `{"f:metadata":{"f:annotations":{"f:x":{}}}}`)}, nil},
		"an update of Fairway's own is no rest": {[]metav1.ManagedFieldsEntry{own, entry(owner, update, "", `{"f:data":{"f:a":{}}}`)}, []metav1.ManagedFieldsEntry{own}},
	} {
		t.Run(name, func(t *testing.T) {
			want := c.want
			if want == nil {
				want = c.have
			}
			have, changed, err := disowned(c.have)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, have); diff != "" || changed != (c.want != nil) {
				t.Errorf("changed is %v (-want +have):\n%s", changed, diff)
			}
		})
	}
}
