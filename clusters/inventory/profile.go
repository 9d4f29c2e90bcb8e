package inventory

import (
	"fmt"
	"maps"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Kind is what is written. Version 0.2 of the API serves v1alpha2, too, and stores this one.
var Kind = schema.GroupVersionKind{Group: "multicluster.x-k8s.io", Version: "v1alpha1", Kind: "ClusterProfile"}

// Conditions of a ClusterProfile, as KEP-4322 names them.
const (
	ControlPlaneHealthy = "ControlPlaneHealthy"
	Joined              = "Joined"
)

// Names of properties. A property of which nothing is known is left out.
const (
	PropertyEnvironment = "fleet.fairway.dev/environment"
	PropertyCloud       = "fleet.fairway.dev/cloud"
	PropertyAccount     = "fleet.fairway.dev/account"
	PropertyRegion      = "topology.kubernetes.io/region" // as on nodes
)

// maxProperty is how long a property's value may be.
const maxProperty = 1024

// Installed says whether the platform serves ClusterProfiles.
func Installed(mapper meta.RESTMapper) (bool, error) {
	_, err := mapper.RESTMapping(Kind.GroupKind(), Kind.Version)
	switch {
	case err == nil:
		return true, nil
	case meta.IsNoMatchError(err):
		return false, nil
	}
	return false, fmt.Errorf("discover ClusterProfiles: %w", err)
}

// Profile is the ClusterProfile of a cluster, with all that Fairway keeps of it: the same for the same status.
func Profile(obj *fleetv1.WorkloadCluster) *unstructured.Unstructured {
	out := Name(obj.Namespace, obj.Name)
	out.SetLabels(map[string]string{
		fleetv1.LabelClusterManager: fleetv1.ClusterManager,
		fleetv1.LabelCluster:        obj.ID(), fleetv1.LabelEnvironment: obj.Spec.Environment,
	})
	controller := true
	out.SetOwnerReferences([]metav1.OwnerReference{{
		APIVersion: fleetv1.GroupVersion.String(), Kind: "WorkloadCluster", Name: obj.Name, UID: obj.UID, Controller: &controller,
	}})
	out.Object["spec"] = map[string]any{
		"displayName":    obj.ID(),
		"clusterManager": map[string]any{"name": fleetv1.ClusterManager},
	}
	status := map[string]any{"conditions": conditionsOf(obj), "properties": propertiesOf(obj)}
	if version := obj.Status.KubernetesVersion; version != "" {
		status["version"] = map[string]any{"kubernetes": version}
	}
	out.Object["status"] = status
	return out
}

// Name is a ClusterProfile without content.
func Name(namespace, name string) *unstructured.Unstructured {
	out := &unstructured.Unstructured{}
	out.SetGroupVersionKind(Kind)
	out.SetNamespace(namespace)
	out.SetName(name)
	return out
}

// Parts are a profile without its status, and one with nothing else: each is applied by itself.
func Parts(profile *unstructured.Unstructured) (main, status *unstructured.Unstructured) {
	main = &unstructured.Unstructured{Object: maps.Clone(profile.Object)}
	delete(main.Object, "status")
	status = Name(profile.GetNamespace(), profile.GetName())
	status.Object["status"] = profile.Object["status"]
	return main, status
}

// OwnedBy says whether a profile is kept for the object with this UID.
func OwnedBy(profile *unstructured.Unstructured, uid types.UID) bool {
	owner := metav1.GetControllerOf(profile)
	return owner != nil && owner.UID == uid
}

func propertiesOf(obj *fleetv1.WorkloadCluster) []any {
	cloud := obj.Status.Cloud
	out := []any{}
	for _, property := range []struct{ name, value string }{
		{PropertyEnvironment, obj.Spec.Environment}, {PropertyCloud, cloud.Provider},
		{PropertyRegion, cloud.Region}, {PropertyAccount, cloud.Account},
	} {
		if property.value != "" && len(property.value) <= maxProperty {
			out = append(out, map[string]any{"name": property.name, "value": property.value})
		}
	}
	return out
}

func conditionsOf(obj *fleetv1.WorkloadCluster) []any {
	resting := restingReason(obj)
	return []any{
		conditionOf(obj, ControlPlaneHealthy, fleetv1.ConditionReachable, resting),
		conditionOf(obj, Joined, fleetv1.ConditionAgentConnected, resting),
	}
}

// restingReason is why nobody looks after a cluster now, so that its conditions are old; nil while somebody does.
func restingReason(obj *fleetv1.WorkloadCluster) *metav1.Condition {
	ready := meta.FindStatusCondition(obj.Status.Conditions, "Ready")
	if ready != nil && (ready.Reason == fleetv1.ReasonSuspended || ready.Reason == fleetv1.ReasonPaused) {
		return ready
	}
	return nil
}

// conditionOf is a profile's condition, told by one of the cluster's. Its times are the cluster's, so that it is the same
// until the cluster's is another.
func conditionOf(obj *fleetv1.WorkloadCluster, typ, from string, resting *metav1.Condition) map[string]any {
	told := meta.FindStatusCondition(obj.Status.Conditions, from)
	out := metav1.Condition{
		Status: metav1.ConditionUnknown, Reason: fleetv1.ReasonWaiting, Message: "nothing is known yet",
		LastTransitionTime: obj.CreationTimestamp,
	}
	switch {
	case resting != nil:
		out.Reason, out.Message, out.LastTransitionTime = resting.Reason, resting.Message, resting.LastTransitionTime
	case told != nil:
		out = *told
		if told.Status == metav1.ConditionFalse && !isNo[told.Reason] {
			out.Status = metav1.ConditionUnknown
		}
	}
	return map[string]any{
		"type": typ, "status": string(out.Status), "reason": out.Reason, "message": out.Message,
		"lastTransitionTime": out.LastTransitionTime.UTC().Format("2006-01-02T15:04:05Z"),
	}
}

// isNo are the reasons that say no: the control plane does not answer or is not up, the agent is known to be missing. Others
// say that it cannot be told, as when credentials are refused.
var isNo = map[string]bool{
	fleetv1.ReasonUnreachable: true, fleetv1.ReasonProvisioning: true, fleetv1.ReasonClusterDeleting: true,
	fleetv1.ReasonClusterNotFound: true, fleetv1.ReasonAgentRollingOut: true, fleetv1.ReasonAgentSilent: true,
	fleetv1.ReasonAgentRefused: true, fleetv1.ReasonAgentFailing: true, fleetv1.ReasonApplyFailed: true,
}
