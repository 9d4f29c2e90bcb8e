package workloadcluster

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/rings"
)

// runs is the image of a controller on the workload cluster, and whether what only v2.9.6 has is there.
func (s *suite) runs(t *testing.T) (image string, news bool) {
	t.Helper()
	var d appsv1.Deployment
	if err := s.workload.Client.Get(t.Context(), client.ObjectKey{Namespace: fleetv1.FluxNamespace, Name: "kustomize-controller"}, &d); err != nil {
		t.Fatal(err)
	}
	err := s.workload.Client.Get(t.Context(), client.ObjectKey{Namespace: fleetv1.FluxNamespace, Name: "new-in-v2.9.6"}, &corev1.ConfigMap{})
	if err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	return d.Spec.Template.Spec.Containers[0].Image, err == nil
}

func upgradesAndRollsBack(t *testing.T, s *suite) {
	s.makeFleet(t, nil)
	const id = "upgraded"
	s.upgrades[id] = rings.Word{Target: "v2.9.6", Version: "v2.9.5", First: true, Note: "v2.9.6 is halted: it failed on c1"}
	obj := s.ready(t, id)
	defer remove(t, s.platform.Client, obj)
	expect := func(ready, version, previous, text string) {
		t.Helper()
		if _, err := s.pass(t, obj); err != nil {
			t.Fatal(err)
		}
		compare(t, obj, map[string]string{fleetv1.ConditionFluxReady: ready})
		want := fleetv1.FluxStatus{Version: version, AttemptedVersion: version, PreviousVersion: previous}
		if diff := cmp.Diff(want, obj.Status.Flux, cmpopts.IgnoreFields(fleetv1.FluxStatus{}, "AttemptedAt", "Digest", "Revision")); diff != "" {
			t.Errorf("status (-want +have):\n%s", diff)
		}
		if have := message(obj, fleetv1.ConditionFluxReady); text != "" && have != text {
			t.Errorf("message %q, want %q", have, text)
		}
		image, news := s.runs(t)
		if image != "ghcr.io/fluxcd/kustomize-controller:"+version || news != (version == "v2.9.6") {
			t.Errorf("after %s it runs %s; what is new in v2.9.6 is there: %v", version, image, news)
		}
	}
	const rolling, done = "False/RollingOut", "True/Succeeded"
	was := obj.Status.Flux.PreviousVersion // of a test before this one
	expect(done, "v2.9.5", was, "Flux v2.9.5; v2.9.6 is halted: it failed on c1")

	s.upgrades[id] = rings.Word{Target: "v2.9.6", Version: "v2.9.5", Note: "v2.9.6 waits for ring canary"}
	expect(done, "v2.9.5", was, "Flux v2.9.5; v2.9.6 waits for ring canary")

	before := s.clock.Now()
	defer s.clock.SetTime(before)
	began := before.Add(time.Minute)
	s.clock.SetTime(began)
	s.upgrades[id] = rings.Word{Target: "v2.9.6", Version: "v2.9.6"}
	expect(rolling, "v2.9.6", "v2.9.5", "")
	if at := obj.Status.Flux.AttemptedAt; at == nil || !at.Time.Equal(began.Truncate(time.Second)) {
		t.Errorf("it began at %v, want %v", at, began)
	}
	s.runEverything(t)
	expect(done, "v2.9.6", "v2.9.5", "Flux v2.9.6")

	// A decision from before the cluster got it is no reason to take it back.
	s.upgrades[id] = rings.Word{Target: "v2.9.6", Version: "v2.9.5", Note: "v2.9.6 waits for ring canary"}
	expect(done, "v2.9.6", "v2.9.5", "Flux v2.9.6")

	// A person does.
	obj.Spec.Flux.Version = "v2.9.5"
	if err := s.platform.Client.Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	expect(rolling, "v2.9.5", "v2.9.6", "")
	s.runEverything(t)
	expect(done, "v2.9.5", "v2.9.6", "Flux v2.9.5")

	// Without the pin it keeps that until its turn comes.
	obj.Spec.Flux.Version = ""
	if err := s.platform.Client.Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	s.upgrades[id] = rings.Word{Target: "v2.9.6", Version: "v2.9.5", Note: "v2.9.6 is halted: it failed on upgraded"}
	expect(done, "v2.9.5", "v2.9.6", "Flux v2.9.5; v2.9.6 is halted: it failed on upgraded")
}

func recallsVersion(t *testing.T, s *suite) {
	s.makeFleet(t, nil)
	const id = "recalled"
	obj := s.ready(t, id)
	defer remove(t, s.platform.Client, obj)
	obj.Status = fleetv1.WorkloadClusterStatus{}
	if err := s.platform.Client.Status().Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	// To who sees a status without any version, the cluster has no Flux.
	s.upgrades[id] = rings.Word{Target: "v2.9.6", Version: "v2.9.6", First: true}
	if _, err := s.pass(t, obj); err != nil {
		t.Fatal(err)
	}
	want := fleetv1.FluxStatus{Version: "v2.9.5", AttemptedVersion: "v2.9.5", PreviousVersion: "v2.9.5"}
	if diff := cmp.Diff(want, obj.Status.Flux, cmpopts.IgnoreFields(fleetv1.FluxStatus{}, "AttemptedAt", "Digest", "Revision")); diff != "" {
		t.Errorf("status (-want +have):\n%s", diff)
	}
	if image, _ := s.runs(t); image != "ghcr.io/fluxcd/kustomize-controller:v2.9.5" {
		t.Errorf("it was upgraded to %s", image)
	}
}
