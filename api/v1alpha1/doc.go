// Package v1alpha1 is the Kubernetes API of Fairway: the kinds of fleet.fairway.dev/v1alpha1,
// with the conditions, reasons, labels and annotations that their controllers use.
//
// +kubebuilder:object:generate=true
// +groupName=fleet.fairway.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of this API.
var GroupVersion = schema.GroupVersion{Group: "fleet.fairway.dev", Version: "v1alpha1"}

// AddToScheme adds the kinds of this API to a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &Fleet{}, &FleetList{}, &WorkloadCluster{}, &WorkloadClusterList{},
		&Environment{}, &EnvironmentList{}, &Release{}, &ReleaseList{}, &ReleasePolicy{}, &ReleasePolicyList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
