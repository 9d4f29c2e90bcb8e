package v1alpha1

import (
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ReleasePolicySpec is what a team wants of the releases of one of its services.
type ReleasePolicySpec struct {
	// service that the policy is for.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=53
	Service string `json:"service,omitempty"`

	// autoRelease releases artifacts by themselves, as soon as they are pushed. An environment is in it once.
	// +optional
	// +listType=map
	// +listMapKey=environment
	// +kubebuilder:validation:MaxItems=16
	AutoRelease []AutoRelease `json:"autoRelease,omitempty"`

	// branches narrows what an environment lets in: regular expressions (RE2) that the branch of an artifact must match from its first
	// to its last letter, by environment. What the environment does not let in stays out.
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(e, string('a'.matches(self[e])) != '')",message="branches must be regular expressions (RE2)"
	Branches map[string]BranchPattern `json:"branches,omitempty"`
}

// BranchPattern is a regular expression (RE2).
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
type BranchPattern string

// AutoRelease releases the artifacts of a branch to an environment.
type AutoRelease struct {
	// branch whose artifacts are released.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Branch string `json:"branch,omitempty"`
	// environment that they are released to.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=63
	Environment string `json:"environment,omitempty"`
}

// ReleasePolicyStatus is what the operator saw.
type ReleasePolicyStatus struct {
	meta.ReconcileRequestStatus `json:",inline"`

	// observedGeneration is the generation that the conditions describe.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready always; Reconciling or Stalled only while true.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// newest is the newest artifact of each branch that is released by itself.
	// +optional
	// +listType=map
	// +listMapKey=branch
	Newest []NewestArtifact `json:"newest,omitempty"`

	// announced are the ids of the newest artifacts of the service that the fleet was told of, so that each is told once.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=128
	Announced []string `json:"announced,omitempty"`
}

// NewestArtifact is the newest artifact of a branch.
type NewestArtifact struct {
	// +required
	// +kubebuilder:validation:MinLength=1
	Branch string `json:"branch,omitempty"`
	// +optional
	Artifact string `json:"artifact,omitempty"`
	// +optional
	Created *metav1.Time `json:"created,omitempty"`
}

// ReleasePolicy is what a team wants of the releases of a service. Its namespace is the team.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories={fairway}
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="clusterctl.cluster.x-k8s.io="
// +kubebuilder:metadata:labels="clusterctl.cluster.x-k8s.io/move-hierarchy="
// +kubebuilder:metadata:annotations="kustomize.toolkit.fluxcd.io/substitute=disabled"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].message"
// +kubebuilder:printcolumn:name="Service",type="string",JSONPath=".spec.service"
// +kubebuilder:selectablefield:JSONPath=".spec.service"
type ReleasePolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec ReleasePolicySpec `json:"spec,omitzero"`
	// +optional
	Status ReleasePolicyStatus `json:"status,omitzero"`
}

// GetConditions returns the status conditions.
func (p *ReleasePolicy) GetConditions() []metav1.Condition { return p.Status.Conditions }

// SetConditions sets the status conditions.
func (p *ReleasePolicy) SetConditions(conditions []metav1.Condition) {
	p.Status.Conditions = conditions
}

// ReleasePolicyList is a list of ReleasePolicies.
//
// +kubebuilder:object:root=true
type ReleasePolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ReleasePolicy `json:"items"`
}
