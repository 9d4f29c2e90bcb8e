package v1alpha1

import (
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// EnvironmentSpec says what may be released to an environment, and in which order its clusters get it.
type EnvironmentSpec struct {
	// promotesFrom is the environment that an artifact must have been healthy in before it may come here.
	// +optional
	PromotesFrom *PromotionPath `json:"promotesFrom,omitempty"`

	// branches is a regular expression (RE2) that the branch of an artifact must match from its first to its last letter. Empty: any
	// branch.
	// +optional
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="string('a'.matches(self)) != ''",message="branches must be a regular expression (RE2)"
	Branches string `json:"branches,omitempty"`

	// approvals says how many people must approve a release.
	// +optional
	Approvals Approvals `json:"approvals,omitzero"`

	// waves are released to one after the other. A cluster is in the first wave that selects it; those that no wave selects come
	// last, as the wave others. Without waves all clusters are in one.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.filter(w, !has(w.clusterSelector)).all(w, w.name == self[size(self)-1].name)",message="a wave without clusterSelector takes all clusters that are left: it must be the last"
	Waves []Wave `json:"waves,omitempty"`

	// timeout within which a cluster must be healthy on an artifact once it was told to run it.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('24h')",message="timeout must be between 10s and 24h"
	Timeout metav1.Duration `json:"timeout,omitzero"`

	// onFailure Halt leaves clusters that have moved where they are. RollBack moves them back, in one commit.
	// +optional
	// +kubebuilder:default=Halt
	OnFailure FailureAction `json:"onFailure,omitempty"`

	// freezes are times in which nothing is released here but rollbacks.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Freezes []Freeze `json:"freezes,omitempty"`
}

// PromotionPath is where an artifact must have been before.
type PromotionPath struct {
	// environment that comes before this one.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=63
	Environment string `json:"environment,omitempty"`

	// healthyFor is how long every cluster there must have run the artifact in health, up to now.
	// +optional
	// +kubebuilder:default="0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('720h')",message="healthyFor must be between 0s and 720h"
	HealthyFor metav1.Duration `json:"healthyFor"`
}

// Approvals of releases.
type Approvals struct {
	// required is how many people other than the one who asked must approve. Who may is who has the verb approve on releases
	// (fleet.fairway.dev) in the team's namespace.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=8
	Required int32 `json:"required,omitempty"`
}

// Wave is a set of clusters that are released to together.
type Wave struct {
	// name of the wave.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self != 'others'",message="the name others is that of the wave of clusters that no wave selects"
	Name string `json:"name,omitempty"`

	// clusterSelector selects among the environment's clusters by the labels of their WorkloadClusters. Empty: all.
	// +optional
	ClusterSelector *metav1.LabelSelector `json:"clusterSelector,omitempty"`

	// maxConcurrent is how many clusters of the wave are under way at the same time: a number, or a percentage of the wave, rounded
	// down and at least one.
	// +optional
	// +kubebuilder:default="100%"
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^([1-9][0-9]?|100)%$`
	// +kubebuilder:validation:XValidation:rule="type(self) == string || self >= 1",message="maxConcurrent must be at least 1, or a percentage from 1% to 100%"
	MaxConcurrent *intstr.IntOrString `json:"maxConcurrent,omitempty"`

	// soak is how long every cluster of the wave must have been healthy before the next wave begins.
	// +optional
	// +kubebuilder:default="0s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('168h')",message="soak must be between 0s and 168h"
	Soak metav1.Duration `json:"soak"`
}

// WaveOthers is the name of the wave of clusters that no wave selects.
const WaveOthers = "others"

// FailureAction is what follows a release that fails.
// +kubebuilder:validation:Enum=Halt;RollBack
type FailureAction string

// Values of FailureAction.
const (
	OnFailureHalt     FailureAction = "Halt"
	OnFailureRollBack FailureAction = "RollBack"
)

// Freeze is a time in which nothing is released.
// +kubebuilder:validation:XValidation:rule="self.from < self.to",message="from must be before to"
type Freeze struct {
	// name of the freeze, for who is refused.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// from is its first moment.
	// +required
	From metav1.Time `json:"from,omitzero"`

	// to is the first moment after it.
	// +required
	To metav1.Time `json:"to,omitzero"`
}

// EnvironmentStatus is what the operator saw; losing it loses nothing.
type EnvironmentStatus struct {
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

	// clusters of the environment, in the order of its waves.
	// +optional
	// +listType=map
	// +listMapKey=id
	Clusters []EnvironmentCluster `json:"clusters,omitempty"`
}

// EnvironmentCluster is a cluster and the wave that it is in.
type EnvironmentCluster struct {
	// id of the cluster.
	// +required
	// +kubebuilder:validation:MinLength=1
	ID string `json:"id,omitempty"`
	// wave that it is in.
	// +optional
	Wave string `json:"wave,omitempty"`
}

// Environment is a named set of workload clusters, and what may be released to it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories={fairway},shortName=env
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="clusterctl.cluster.x-k8s.io="
// +kubebuilder:metadata:labels="clusterctl.cluster.x-k8s.io/move-hierarchy="
// +kubebuilder:metadata:annotations="kustomize.toolkit.fluxcd.io/substitute=disabled"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].message"
// +kubebuilder:printcolumn:name="From",type="string",JSONPath=".spec.promotesFrom.environment"
// +kubebuilder:printcolumn:name="Branches",type="string",JSONPath=".spec.branches"
// +kubebuilder:printcolumn:name="Approvals",type="integer",JSONPath=".spec.approvals.required"
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="the name of an environment has at most 63 letters"
type Environment struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// spec may be left out: anything may be released, to all clusters at once.
	// +optional
	// +kubebuilder:default={}
	Spec EnvironmentSpec `json:"spec,omitzero"`
	// +optional
	Status EnvironmentStatus `json:"status,omitzero"`
}

// GetConditions returns the status conditions.
func (e *Environment) GetConditions() []metav1.Condition { return e.Status.Conditions }

// SetConditions sets the status conditions.
func (e *Environment) SetConditions(conditions []metav1.Condition) { e.Status.Conditions = conditions }

// EnvironmentList is a list of Environments.
//
// +kubebuilder:object:root=true
type EnvironmentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Environment `json:"items"`
}
