package v1alpha1

import (
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// WorkloadClusterSpec says how a cluster is reached and what Fairway does on it.
//
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.environment) || self.environment == oldSelf.environment",message="environment is immutable; delete the WorkloadCluster and register it again"
type WorkloadClusterSpec struct {
	// environment that the cluster belongs to.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=63
	Environment string `json:"environment,omitempty"`

	// access says how the operator reaches the cluster.
	// +required
	Access Access `json:"access,omitzero"`

	// mode Manage installs Flux and follows the config repository. Observe installs nothing but
	// the agent.
	// +optional
	// +kubebuilder:default=Manage
	Mode Mode `json:"mode,omitempty"`

	// cloud says where the cluster runs. What is left out is found from Cluster API's provider
	// objects, or from the nodes.
	// +optional
	Cloud Cloud `json:"cloud,omitzero"`

	// values are more substitution variables for manifests on this cluster. The CLUSTER_ names
	// are taken.
	// +optional
	// +kubebuilder:validation:MaxProperties=64
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.matches('^[_A-Za-z][_A-Za-z0-9]*$'))",message="a value's name must match [_A-Za-z][_A-Za-z0-9]*, as Flux's substitution wants"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.startsWith('CLUSTER_'))",message="names that start with CLUSTER_ are set by Fairway"
	Values map[string]ValueText `json:"values,omitempty"`

	// flux says whose Flux runs on the cluster.
	// +optional
	// +kubebuilder:default={}
	Flux ClusterFlux `json:"flux,omitzero"`

	// deletion says what happens to the cluster when this object is deleted.
	// +optional
	// +kubebuilder:default={}
	Deletion Deletion `json:"deletion,omitzero"`

	// suspend stops the operator from working on the cluster. The agent goes on reporting.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// ValueText is the text of a substitution variable.
// +kubebuilder:validation:MaxLength=4096
type ValueText string

// Mode says what Fairway may do on a cluster.
// +kubebuilder:validation:Enum=Manage;Observe
type Mode string

// Modes.
const (
	ModeManage  Mode = "Manage"
	ModeObserve Mode = "Observe"
)

// Access is exactly one way to reach a cluster.
//
// +kubebuilder:validation:XValidation:rule="has(self.clusterRef) != has(self.kubeconfigRef)",message="set exactly one of clusterRef and kubeconfigRef"
type Access struct {
	// clusterRef names a Cluster API Cluster in the same namespace, of any provider.
	// +optional
	ClusterRef *meta.LocalObjectReference `json:"clusterRef,omitempty"`

	// kubeconfigRef names a Secret in the same namespace with a kubeconfig. Programs (exec) and
	// file paths in it are refused.
	// +optional
	KubeconfigRef *KubeconfigReference `json:"kubeconfigRef,omitempty"`
}

// KubeconfigReference names a kubeconfig in a Secret.
type KubeconfigReference struct {
	// name of the Secret.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// key in the Secret. Empty: "value", then "kubeconfig".
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key,omitempty"`
}

// Cloud is where a cluster runs.
type Cloud struct {
	// provider: AWS, Azure, GCP, or any other name.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Provider string `json:"provider,omitempty"`

	// region in the provider's own words.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Region string `json:"region,omitempty"`

	// account is the AWS account or the Azure subscription.
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Account string `json:"account,omitempty"`
}

// ClusterFlux is the Flux of one cluster.
type ClusterFlux struct {
	// install Managed: Fairway installs and upgrades Flux, unless there is one already. Existing: the
	// cluster's own Flux is used and never touched. TakeOver: the cluster's own Flux becomes Fairway's.
	// +optional
	// +kubebuilder:default=Managed
	// +kubebuilder:validation:Enum=Managed;Existing;TakeOver
	Install FluxInstall `json:"install,omitempty"`

	// version pins this cluster to a version or range other than the Fleet's. It is put there at once,
	// and upgrades of the fleet leave the cluster out.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version,omitempty"`
}

// FluxInstall says whose Flux a cluster runs.
type FluxInstall string

// Whose Flux a cluster runs.
const (
	FluxManaged  FluxInstall = "Managed"
	FluxExisting FluxInstall = "Existing"
	FluxTakeOver FluxInstall = "TakeOver"
)

// Deletion of a WorkloadCluster. A cloud cluster that was registered is never deleted by Fairway.
type Deletion struct {
	// policy Detach leaves Flux and what runs; Uninstall takes out what Fairway installed. The
	// agent and its credentials go in both.
	// +optional
	// +kubebuilder:default=Detach
	// +kubebuilder:validation:Enum=Detach;Uninstall
	Policy DeletionPolicy `json:"policy,omitempty"`

	// deadline after which the object goes, whatever could not be done.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('24h')",message="deadline must be between 10s and 24h"
	Deadline metav1.Duration `json:"deadline,omitzero"`
}

// DeletionPolicy says what is left on a cluster that leaves the fleet.
type DeletionPolicy string

// What is left on a cluster that leaves the fleet.
const (
	DeletionDetach    DeletionPolicy = "Detach"
	DeletionUninstall DeletionPolicy = "Uninstall"
)

// WorkloadClusterStatus is what the operator saw; losing it loses nothing.
type WorkloadClusterStatus struct {
	meta.ReconcileRequestStatus `json:",inline"`

	// observedGeneration is the generation that the conditions describe.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready always; Reconciling or Stalled only while true; and one for each step.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// id is on every event of the cluster. It is the object's name.
	// +optional
	ID string `json:"id,omitempty"`

	// cloud as given, or as found.
	// +optional
	Cloud Cloud `json:"cloud,omitzero"`

	// kubernetesVersion of the cluster's API server.
	// +optional
	KubernetesVersion string `json:"kubernetesVersion,omitempty"`

	// access to the cluster.
	// +optional
	Access AccessStatus `json:"access,omitzero"`

	// flux on the cluster.
	// +optional
	Flux FluxStatus `json:"flux,omitzero"`

	// agent on the cluster.
	// +optional
	Agent AgentStatus `json:"agent,omitzero"`

	// survey of a cluster that came from elsewhere, in numbers.
	// +optional
	Survey *SurveyStatus `json:"survey,omitempty"`
}

// SurveyStatus is what a survey found. The report has the names.
type SurveyStatus struct {
	// time of the survey.
	// +optional
	Time metav1.Time `json:"time,omitzero"`

	// observedGeneration is the generation whose plans the cluster was held against.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// report is the name of the ConfigMap with the full report, in this namespace.
	// +optional
	Report string `json:"report,omitempty"`

	// objects on the cluster, without those that come and go.
	// +optional
	Objects int32 `json:"objects,omitempty"`

	// flux applies these.
	// +optional
	Flux int32 `json:"flux,omitempty"`

	// argoCD applies these.
	// +optional
	ArgoCD int32 `json:"argoCD,omitempty"`

	// helm installed these, not through Flux.
	// +optional
	Helm int32 `json:"helm,omitempty"`

	// unowned are kept by nothing: applied by hand, or by nobody known.
	// +optional
	Unowned int32 `json:"unowned,omitempty"`

	// conflicts with what Fairway would put on the cluster.
	// +optional
	Conflicts int32 `json:"conflicts,omitempty"`

	// removedAPIs are API versions in use that Kubernetes removes.
	// +optional
	RemovedAPIs int32 `json:"removedAPIs,omitempty"`

	// missingRights of the kubeconfig's user.
	// +optional
	MissingRights int32 `json:"missingRights,omitempty"`
}

// AccessStatus is the access to a cluster.
type AccessStatus struct {
	// expires is when the credentials that the operator reaches the cluster with end, if they say so.
	// +optional
	Expires *metav1.Time `json:"expires,omitempty"`
}

// FluxStatus is the Flux of a cluster.
type FluxStatus struct {
	// version of Flux that is installed.
	// +optional
	Version string `json:"version,omitempty"`

	// attemptedVersion was put on the cluster last, whether it came up or not.
	// +optional
	AttemptedVersion string `json:"attemptedVersion,omitempty"`

	// attemptedAt is when that began.
	// +optional
	AttemptedAt *metav1.Time `json:"attemptedAt,omitempty"`

	// previousVersion was there when attemptedVersion was put on the cluster; empty when there was none.
	// +optional
	PreviousVersion string `json:"previousVersion,omitempty"`

	// digest of the manifests it was installed from.
	// +optional
	Digest string `json:"digest,omitempty"`

	// revision that the root Kustomization applied.
	// +optional
	Revision string `json:"revision,omitempty"`
}

// AgentStatus is the agent of a cluster. The time of its last heartbeat is in the fleet view: a
// status that changes with every heartbeat would load the platform for nothing.
type AgentStatus struct {
	// version of the agent.
	// +optional
	Version string `json:"version,omitempty"`

	// credentialsExpire is when the agent's NATS user ends; it is replaced well before.
	// +optional
	CredentialsExpire *metav1.Time `json:"credentialsExpire,omitempty"`
}

// WorkloadCluster is a member of the fleet.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:shortName=wc,categories={fairway,fluxcd}
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="clusterctl.cluster.x-k8s.io="
// +kubebuilder:metadata:labels="clusterctl.cluster.x-k8s.io/move-hierarchy="
// +kubebuilder:metadata:annotations="kustomize.toolkit.fluxcd.io/substitute=disabled"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].message"
// +kubebuilder:printcolumn:name="Environment",type="string",JSONPath=".spec.environment"
// +kubebuilder:printcolumn:name="Cloud",type="string",JSONPath=".status.cloud.provider"
// +kubebuilder:printcolumn:name="Version",type="string",JSONPath=".status.kubernetesVersion"
// +kubebuilder:printcolumn:name="Region",type="string",JSONPath=".status.cloud.region",priority=1
// +kubebuilder:printcolumn:name="Flux",type="string",JSONPath=".status.flux.version",priority=1
// +kubebuilder:printcolumn:name="Revision",type="string",JSONPath=".status.flux.revision",priority=1
// +kubebuilder:printcolumn:name="Access Until",type="string",JSONPath=".status.access.expires",priority=1
// +kubebuilder:selectablefield:JSONPath=".spec.environment"
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63 && self.metadata.name.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",message="the name becomes the cluster's id: at most 63 lower-case letters, digits and dashes"
type WorkloadCluster struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec WorkloadClusterSpec `json:"spec,omitzero"`
	// +optional
	Status WorkloadClusterStatus `json:"status,omitzero"`
}

// GetConditions returns the status conditions.
func (w *WorkloadCluster) GetConditions() []metav1.Condition { return w.Status.Conditions }

// SetConditions sets the status conditions.
func (w *WorkloadCluster) SetConditions(conditions []metav1.Condition) {
	w.Status.Conditions = conditions
}

// ID is the cluster's id in the fleet.
func (w *WorkloadCluster) ID() string { return w.Name }

// Older says whether w keeps an id that another WorkloadCluster has as well: the older of them does, then the
// first by namespace.
func (w *WorkloadCluster) Older(other *WorkloadCluster) bool {
	if !w.CreationTimestamp.Equal(&other.CreationTimestamp) {
		return w.CreationTimestamp.Before(&other.CreationTimestamp)
	}
	return w.Namespace < other.Namespace
}

// WorkloadClusterList is a list of WorkloadClusters.
//
// +kubebuilder:object:root=true
type WorkloadClusterList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []WorkloadCluster `json:"items"`
}
