package workloadcluster

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

// bootstrap applies Flux to the workload cluster as the Kustomization of `flux bootstrap` does.
func (s *suite) bootstrap(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	objs, err := s.Catalog.Manifests(t.Context(), distribution, flux.Version{Tag: "v2.9.5"}, flux.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range objs {
		theirs := obj.DeepCopy()
		labels := map[string]string{"kustomize.toolkit.fluxcd.io/name": "flux-system", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
		maps.Copy(labels, obj.GetLabels())
		theirs.SetLabels(labels)
		if err := s.workload.Client.Apply(t.Context(), client.ApplyConfigurationFromUnstructured(theirs), client.FieldOwner("kustomize-controller"), client.ForceOwnership); err != nil {
			t.Fatal(err)
		}
	}
	return objs
}

// fluxState is the generation and resource version of each object of Flux.
func (s *suite) fluxState(t *testing.T, objs []*unstructured.Unstructured) (generations, versions map[string]string) {
	t.Helper()
	generations, versions = map[string]string{}, map[string]string{}
	for _, obj := range objs {
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(obj.GroupVersionKind())
		if err := s.workload.Client.Get(t.Context(), client.ObjectKeyFromObject(obj), live); err != nil {
			t.Fatal(err)
		}
		name := obj.GetKind() + "/" + obj.GetName()
		generations[name], versions[name] = fmt.Sprintf("%s, generation %d", live.GetUID(), live.GetGeneration()), live.GetResourceVersion()
	}
	return generations, versions
}

func takesOver(t *testing.T, s *suite) {
	s.makeFleet(t, nil)
	objs := s.bootstrap(t)
	obj := s.adopt(t, "", "taken-over", s.workload.Kubeconfig)
	defer remove(t, s.platform.Client, obj)
	obj.Spec.Flux.Install = fleetv1.FluxTakeOver
	if err := s.platform.Client.Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	second := fluxController("helm-controller", "v2.9.5")
	second.Namespace = "flux-of-theirs"
	s.workload.Namespace(t, second.Namespace)
	platformtest.Create(t, s.workload.Client, second)
	_, versions := s.fluxState(t, objs)
	t.Run("a clash stops it before anything is written", func(t *testing.T) {
		if _, err := s.pass(t, obj); err != nil {
			t.Fatal(err)
		}
		compare(t, obj, map[string]string{fleetv1.ConditionFluxReady: "False/TakeOverBlocked", "Stalled": "True/TakeOverBlocked", fleetv1.ConditionSurveyed: "True/ConflictsFound"})
		for _, condition := range []string{fleetv1.ConditionFluxReady, fleetv1.ConditionSurveyed} {
			if text := message(obj, condition); !strings.Contains(text, "Deployment/flux-of-theirs/helm-controller") {
				t.Errorf("%s does not say what clashes: %s", condition, text)
			}
		}
		if _, after := s.fluxState(t, objs); !cmp.Equal(versions, after) {
			t.Errorf("Flux was written to: %s", cmp.Diff(versions, after))
		}
	})
	remove(t, s.workload.Client, second)
	t.Run("so does what the cluster refuses", func(t *testing.T) { s.refused(t, obj) })
	generations, _ := s.fluxState(t, objs)
	if _, err := s.pass(t, obj); err != nil {
		t.Fatal(err)
	}
	compare(t, obj, map[string]string{fleetv1.ConditionFluxReady: "False/RollingOut", fleetv1.ConditionSurveyed: "True/ConflictsFound"})
	after, _ := s.fluxState(t, objs)
	if diff := cmp.Diff(generations, after); diff != "" {
		t.Errorf("Flux is not what it was (-before +after):\n%s", diff)
	}
	installed, err := flux.Detect(t.Context(), s.workload.Client)
	if want := (flux.Installed{Found: true, Managed: true, Version: "v2.9.5"}); err != nil || installed != want {
		t.Errorf("%+v (%v), want %+v", installed, err, want)
	}
}

// refused has a controller whose selector is another one, which cannot be changed.
func (s *suite) refused(t *testing.T, obj *fleetv1.WorkloadCluster) {
	t.Helper()
	other := fluxController("source-controller", "v2.9.5")
	theirs := &appsv1.Deployment{}
	if err := s.workload.Client.Get(t.Context(), client.ObjectKeyFromObject(other), theirs); err != nil {
		t.Fatal(err)
	}
	remove(t, s.workload.Client, theirs)
	other.Spec.Selector.MatchLabels = map[string]string{"app": "another"}
	other.Spec.Template.Labels = map[string]string{"app": "another"}
	if err := s.workload.Client.Create(t.Context(), other, client.FieldOwner("kubectl-create")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.pass(t, obj); err != nil {
		t.Fatal(err)
	}
	compare(t, obj, map[string]string{fleetv1.ConditionFluxReady: "False/TakeOverBlocked"})
	if text := message(obj, fleetv1.ConditionFluxReady); !strings.Contains(text, "refuses Deployment/flux-system/source-controller") || !strings.Contains(text, "immutable") {
		t.Errorf("the message does not say what is refused: %s", text)
	}
	remove(t, s.workload.Client, other)
	s.bootstrap(t)
}
