package observe

import (
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/fairway-dev/fairway/api/event"
)

// SetVersion takes the version of the cluster's API server ("v1.36.4").
func (o *Observer) SetVersion(kubernetes string, now time.Time) Result {
	if o.cluster.KubernetesVersion != kubernetes {
		o.cluster.KubernetesVersion = kubernetes
		o.sayCluster(now)
	}
	return o.take(now)
}

// tellCluster says what the nodes and Flux's own controllers tell of the cluster, when it changed.
func (o *Observer) tellCluster(now time.Time) {
	if o.restoring { // not all nodes are known yet
		return
	}
	next := event.Cluster{KubernetesVersion: o.cluster.KubernetesVersion, NodesTotal: len(o.nodes)}
	for _, ready := range o.nodes {
		if ready {
			next.NodesReady++
		}
	}
	for _, w := range o.work {
		if w.flux > next.FluxVersion {
			next.FluxVersion = w.flux
		}
	}
	if next != o.cluster {
		o.cluster = next
		o.sayCluster(now)
	}
}

func (o *Observer) sayCluster(now time.Time) {
	o.seen = now
	o.say(Draft{Type: event.ClusterChanged, Time: now, Data: o.cluster})
}

func nodeReady(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue && node.DeletionTimestamp == nil
		}
	}
	return false
}

// fluxVersion is the Flux version that a Deployment belongs to, or "": every way of installing
// Flux labels its controllers with it.
func fluxVersion(obj *appsv1.Deployment) string {
	if obj.Labels[labelPartOf] != "flux" {
		return ""
	}
	return obj.Labels[labelVersion]
}
