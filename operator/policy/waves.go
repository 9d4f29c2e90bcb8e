package policy

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Waves puts clusters into the waves of an environment, which come in their order, those without clusters too; last the wave
// fleetv1.WaveOthers, if it has any. The error is that of a selector or a number that cannot be read, and names the wave.
func Waves(env *fleetv1.Environment, clusters []Cluster) ([]Wave, error) {
	left := slices.SortedFunc(slices.Values(clusters), func(a, b Cluster) int { return cmp.Compare(a.ID, b.ID) })
	var out []Wave
	for _, w := range env.Spec.Waves {
		selector := labels.Everything()
		if w.ClusterSelector != nil {
			var err error
			if selector, err = metav1.LabelSelectorAsSelector(w.ClusterSelector); err != nil {
				return nil, fmt.Errorf("read clusterSelector of wave %s: %w", w.Name, err)
			}
		}
		var in []string
		left = slices.DeleteFunc(left, func(c Cluster) bool {
			if !selector.Matches(labels.Set(c.Labels)) {
				return false
			}
			in = append(in, c.ID)
			return true
		})
		most, err := concurrent(w.MaxConcurrent, len(in))
		if err != nil {
			return nil, fmt.Errorf("read maxConcurrent of wave %s: %w", w.Name, err)
		}
		out = append(out, Wave{Name: w.Name, Clusters: in, MaxConcurrent: most, Soak: w.Soak.Duration})
	}
	if len(left) > 0 {
		out = append(out, others(left))
	}
	return out, nil
}

func others(clusters []Cluster) Wave {
	out := Wave{Name: fleetv1.WaveOthers, MaxConcurrent: len(clusters)}
	for _, c := range clusters {
		out.Clusters = append(out.Clusters, c.ID)
	}
	return out
}

// concurrent is how many clusters of a wave of that size may be under way: all, unless a number or a percentage says less.
func concurrent(limit *intstr.IntOrString, size int) (int, error) {
	if limit == nil {
		return max(1, size), nil
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(limit, size, false)
	return max(1, n), err
}

// soaked is when the soak of a wave ends that has been healthy since then.
func (w Wave) soaked(since time.Time) time.Time { return since.Add(w.Soak) }
