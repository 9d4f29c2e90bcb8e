package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// FluxUpgrade is the order in which clusters get a new version of Flux. A cluster that has no Flux yet
// waits for nobody.
type FluxUpgrade struct {
	// rings are upgraded one after the other: a ring begins when every cluster of those before it is
	// healthy on the version, and has been for their soak. A cluster is in the first ring that selects
	// it; those that no ring selects come last, as the ring others. Without rings all clusters are in one.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.filter(r, !has(r.environments) && !has(r.clusterSelector)).all(r, r.name == self[size(self)-1].name)",message="a ring without environments and clusterSelector takes all clusters that are left: it must be the last"
	Rings []UpgradeRing `json:"rings,omitempty"`

	// maxConcurrent is how many clusters of a ring are upgraded at the same time: a number, or a
	// percentage of the ring, rounded down and at least one.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:XIntOrString
	// +kubebuilder:validation:Pattern=`^([1-9][0-9]?|100)%$`
	// +kubebuilder:validation:XValidation:rule="type(self) == string || self >= 1",message="maxConcurrent must be at least 1, or a percentage from 1% to 100%"
	MaxConcurrent *intstr.IntOrString `json:"maxConcurrent,omitempty"`

	// timeout after which a cluster that got the version and is not healthy counts as failed.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('30s') && duration(self) <= duration('24h')",message="timeout must be between 30s and 24h"
	Timeout metav1.Duration `json:"timeout,omitzero"`
}

// UpgradeRing is a set of clusters that are upgraded together.
type UpgradeRing struct {
	// name of the ring.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:XValidation:rule="self != 'others'",message="the name others is that of the ring of clusters that no ring selects"
	Name string `json:"name,omitempty"`

	// environments whose clusters are in the ring. Empty: every one.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Environments []string `json:"environments,omitempty"`

	// clusterSelector selects among them by the labels of their WorkloadClusters. Empty: all.
	// +optional
	ClusterSelector *metav1.LabelSelector `json:"clusterSelector,omitempty"`

	// soak is how long every cluster of the ring must have been healthy before the next ring begins.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('168h')",message="soak must be between 0s and 168h"
	Soak metav1.Duration `json:"soak"`
}

// FluxUpgradeStatus is how far the upgrade of Flux is.
type FluxUpgradeStatus struct {
	// target is the version that is being brought to every cluster.
	// +optional
	Target string `json:"target,omitempty"`

	// ring that is being upgraded, or soaks. Empty: there is nothing left to do.
	// +optional
	Ring string `json:"ring,omitempty"`

	// soakUntil is when the ring has been healthy for long enough, while it soaks.
	// +optional
	SoakUntil *metav1.Time `json:"soakUntil,omitempty"`

	// clusters counts them by how far they are.
	// +optional
	Clusters UpgradeCounts `json:"clusters,omitzero"`

	// halted says what has stopped the upgrade. Clusters that have the version keep it.
	// +optional
	Halted *UpgradeHalt `json:"halted,omitempty"`
}

// UpgradeCounts counts clusters by how far their upgrade is.
type UpgradeCounts struct {
	// upgraded: they became healthy on the target.
	// +optional
	Upgraded int32 `json:"upgraded"`
	// upgrading: they got the target and are not healthy on it yet.
	// +optional
	Upgrading int32 `json:"upgrading"`
	// failed: they got the target and failed.
	// +optional
	Failed int32 `json:"failed"`
	// waiting for their turn.
	// +optional
	Waiting int32 `json:"waiting"`
	// skipped: unreachable or silent since before their turn; it comes when they are back.
	// +optional
	Skipped int32 `json:"skipped"`
	// leftOut: pinned, suspended, or with a Flux that Fairway does not manage.
	// +optional
	LeftOut int32 `json:"leftOut"`
}

// UpgradeHalt is a failure that has stopped an upgrade.
type UpgradeHalt struct {
	// cluster that failed.
	// +optional
	Cluster string `json:"cluster,omitempty"`
	// reason of the failure, in the cluster's own words.
	// +optional
	Reason string `json:"reason,omitempty"`
	// message of the failure.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`
	// since when it fails.
	// +optional
	Since metav1.Time `json:"since,omitzero"`
}
