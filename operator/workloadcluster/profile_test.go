package workloadcluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/inventory"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

// publishesProfiles is about what other tools read. Its cases follow each other.
func publishesProfiles(t *testing.T, s *suite) {
	fleet := s.makeFleet(t, func(f *fleetv1.Fleet) { f.Spec.ClusterProfiles = fleetv1.ClusterProfilesPublish })
	obj := s.adopt(t, "", "published", s.workload.Kubeconfig)
	defer remove(t, s.platform.Client, obj)

	t.Run("a kind that is not there is told of, and Ready does not mind", func(t *testing.T) {
		s.observe(t, obj)
		compare(t, obj, map[string]string{fleetv1.ConditionProfilePublished: "False/ClusterProfilesNotInstalled", "Ready": "True/Succeeded"})
	})
	s.platform.Install(t, platformtest.ClusterProfile())
	var version string
	t.Run("the profile says what the status says, and goes with the cluster", func(t *testing.T) {
		s.observe(t, obj)
		compare(t, obj, map[string]string{fleetv1.ConditionProfilePublished: "True/Succeeded", "Ready": "True/Succeeded"})
		have, want := s.profileOf(t, obj), inventory.Profile(obj)
		for _, part := range []string{"spec", "status"} {
			if diff := cmp.Diff(want.Object[part], have.Object[part]); diff != "" {
				t.Errorf("%s (-want +got):\n%s", part, diff)
			}
		}
		if diff := cmp.Diff(want.GetLabels(), have.GetLabels()); diff != "" || !inventory.OwnedBy(have, obj.UID) {
			t.Errorf("owners %v, labels (-want +got):\n%s", have.GetOwnerReferences(), diff)
		}
		version = have.GetResourceVersion()
	})
	t.Run("a second pass writes nothing", func(t *testing.T) {
		s.observe(t, obj)
		if now := s.profileOf(t, obj).GetResourceVersion(); now != version {
			t.Errorf("its version was %s and is %s", version, now)
		}
	})
	t.Run("of a suspended cluster nothing is known", func(t *testing.T) {
		obj.Spec.Suspend = true
		s.update(t, obj)
		s.observe(t, obj)
		conditions, _, err := unstructured.NestedSlice(s.profileOf(t, obj).Object, "status", "conditions")
		if err != nil || len(conditions) != 2 {
			t.Fatalf("conditions %v, error %v", conditions, err)
		}
		for _, c := range conditions {
			if c := c.(map[string]any); c["status"] != "Unknown" || c["reason"] != fleetv1.ReasonSuspended {
				t.Errorf("%v: want Unknown, since nobody looks", c)
			}
		}
		obj.Spec.Suspend = false
		s.update(t, obj)
	})
	foreign := inventory.Name("foreign-profile", "foreign-profile")
	t.Run("one that is somebody else's is left alone", func(t *testing.T) {
		other := s.adopt(t, "", foreign.GetName(), nil)
		defer remove(t, s.platform.Client, other)
		foreign.Object["spec"] = map[string]any{"clusterManager": map[string]any{"name": "another"}}
		platformtest.Create(t, s.platform.Client, foreign)
		before := foreign.GetResourceVersion()
		s.observe(t, other)
		compare(t, other, map[string]string{fleetv1.ConditionProfilePublished: "False/ClusterProfileNotOurs"})
		if now := s.profileOf(t, other).GetResourceVersion(); now != before {
			t.Errorf("its version was %s and is %s", before, now)
		}
	})
	t.Run("when they are not wanted any more they are taken away", func(t *testing.T) {
		fleet.Spec.ClusterProfiles = fleetv1.ClusterProfilesNone
		if err := s.platform.Client.Update(t.Context(), fleet); err != nil {
			t.Fatal(err)
		}
		s.observe(t, obj)
		compare(t, obj, map[string]string{fleetv1.ConditionProfilePublished: "none", "Ready": "True/Succeeded"})
		err := s.platform.Client.Get(t.Context(), client.ObjectKeyFromObject(obj), inventory.Name("", ""))
		if !apierrors.IsNotFound(err) {
			t.Errorf("it is still there: error %v", err)
		}
		if err := s.platform.Client.Get(t.Context(), client.ObjectKeyFromObject(foreign), foreign); err != nil {
			t.Errorf("somebody else's: %v", err)
		}
	})
}

func (s *suite) profileOf(t *testing.T, obj *fleetv1.WorkloadCluster) *unstructured.Unstructured {
	t.Helper()
	out := inventory.Name("", "")
	if err := s.platform.Client.Get(t.Context(), client.ObjectKeyFromObject(obj), out); err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *suite) update(t *testing.T, obj *fleetv1.WorkloadCluster) {
	t.Helper()
	if err := s.platform.Client.Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
}
