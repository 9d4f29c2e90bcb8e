package policy

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

func labelled(id, wave string) Cluster {
	return Cluster{ID: id, Labels: map[string]string{"wave": wave}}
}

func selecting(wave string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"wave": wave}}
}

func TestWaves(t *testing.T) {
	clusters := []Cluster{labelled("e", "b"), labelled("d", "b"), labelled("c", "b"), labelled("b", "a"), labelled("a", "")}
	for name, tc := range map[string]struct {
		waves []fleetv1.Wave
		want  []Wave
		err   string
	}{
		"without waves all clusters are in one": {want: []Wave{{Name: "others", Clusters: []string{"a", "b", "c", "d", "e"}, MaxConcurrent: 5}}},
		"a cluster is in the first wave that selects it, and in others when none does": {
			waves: []fleetv1.Wave{{Name: "one", ClusterSelector: selecting("a"), Soak: lasting(time.Minute)}, {Name: "two", ClusterSelector: selecting("a")}, {Name: "three", ClusterSelector: selecting("b")}},
			want: []Wave{{Name: "one", Clusters: []string{"b"}, MaxConcurrent: 1, Soak: time.Minute}, {Name: "two", MaxConcurrent: 1},
				{Name: "three", Clusters: []string{"c", "d", "e"}, MaxConcurrent: 3}, {Name: "others", Clusters: []string{"a"}, MaxConcurrent: 1}}},
		"a wave without a selector takes all that are left": {
			waves: []fleetv1.Wave{{Name: "one", ClusterSelector: selecting("b")}, {Name: "rest"}},
			want:  []Wave{{Name: "one", Clusters: []string{"c", "d", "e"}, MaxConcurrent: 3}, {Name: "rest", Clusters: []string{"a", "b"}, MaxConcurrent: 2}}},
		"a percentage is rounded down": {
			waves: []fleetv1.Wave{{Name: "all", MaxConcurrent: ptr(intstr.FromString("50%"))}},
			want:  []Wave{{Name: "all", Clusters: []string{"a", "b", "c", "d", "e"}, MaxConcurrent: 2}}},
		"and is one at least": {
			waves: []fleetv1.Wave{{Name: "all", MaxConcurrent: ptr(intstr.FromString("19%"))}},
			want:  []Wave{{Name: "all", Clusters: []string{"a", "b", "c", "d", "e"}, MaxConcurrent: 1}}},
		"a number stands as it is": {
			waves: []fleetv1.Wave{{Name: "all", MaxConcurrent: ptr(intstr.FromInt32(3))}},
			want:  []Wave{{Name: "all", Clusters: []string{"a", "b", "c", "d", "e"}, MaxConcurrent: 3}}},
		"a selector that cannot be read names its wave": {
			waves: []fleetv1.Wave{{Name: "one", ClusterSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "wave", Operator: "Near"}}}}},
			err:   `read clusterSelector of wave one: "Near" is not a valid label selector operator`},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Waves(&fleetv1.Environment{Spec: fleetv1.EnvironmentSpec{Waves: tc.waves}}, clusters)
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
			if err == nil && tc.err != "" || err != nil && err.Error() != tc.err {
				t.Errorf("%v, want %s", err, tc.err)
			}
		})
	}
}
