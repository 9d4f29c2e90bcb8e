package v1alpha1

import (
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FleetSpec says what every workload cluster of the fleet gets.
type FleetSpec struct {
	// configRepository is the Git repository that Flux on every cluster follows.
	// +required
	ConfigRepository ConfigRepository `json:"configRepository,omitzero"`

	// flux says which Flux is installed on clusters whose Flux Fairway manages.
	// +optional
	// +kubebuilder:default={}
	Flux FluxDistribution `json:"flux,omitzero"`

	// events says how agents reach the event bus and how long events are kept.
	// +optional
	// +kubebuilder:default={}
	Events Events `json:"events,omitzero"`

	// heartbeat says how often agents report and when their silence counts.
	// +optional
	// +kubebuilder:default={}
	Heartbeat Heartbeat `json:"heartbeat,omitzero"`

	// registration says which Cluster API Clusters join by themselves.
	// +optional
	Registration Registration `json:"registration,omitzero"`

	// ownership says how agents find out whom an object belongs to.
	// +optional
	// +kubebuilder:default={}
	Ownership Ownership `json:"ownership,omitzero"`

	// clusterProfiles says whether each WorkloadCluster gets a ClusterProfile of the Cluster Inventory API
	// (multicluster.x-k8s.io) beside it, for other tools to read. Publish needs its CRD on the platform.
	// +optional
	// +kubebuilder:default=None
	ClusterProfiles ClusterProfiles `json:"clusterProfiles,omitempty"`

	// layers of the platform that clusters get: folders of the config repository, platform/<name>/<cloud>, or platform/<name>/base where there is none for the
	// cluster's cloud. The operator writes them into clusters/<id>/fairway.yaml.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:XValidation:rule="self.all(l, !has(l.dependsOn) || l.dependsOn.all(d, self.exists(o, o.name == d && (!has(o.dependsOn) || !(l.name in o.dependsOn)))))",message="dependsOn must name other layers of this list, of which none depends on this one"
	Layers []Layer `json:"layers,omitempty"`

	// artifacts says where teams' artifacts are. Left out: nothing can be released.
	// +optional
	Artifacts *ArtifactStore `json:"artifacts,omitempty"`
}

// ArtifactStore is a part of an OCI registry, with a repository for each service.
type ArtifactStore struct {
	// url below which every service has its repository: under oci://registry.example.com/artifacts, payments/ledger has
	// registry.example.com/artifacts/payments/ledger. Plain HTTP is spoken to loopback addresses only.
	// +required
	// +kubebuilder:validation:Pattern=`^oci://[^@?#]+$`
	// +kubebuilder:validation:MaxLength=512
	URL string `json:"url,omitempty"`

	// secretRef names a Secret of type kubernetes.io/dockerconfigjson in the operator's namespace.
	// +optional
	SecretRef *meta.LocalObjectReference `json:"secretRef,omitempty"`

	// interval at which services with an auto-release are looked through for new artifacts.
	// +optional
	// +kubebuilder:default="30s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="interval must be between 1s and 1h"
	Interval metav1.Duration `json:"interval,omitzero"`

	// keep is how many artifacts of a service stay in the config repository after no cluster runs them any more, so that a
	// rollback needs no registry.
	// +optional
	// +kubebuilder:default=10
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Keep int32 `json:"keep,omitempty"`
}

// Layer is a part of the platform that clusters get: a folder of the config repository.
type Layer struct {
	// name of the folder under platform/, and, after "layer-", of the Kustomization on the cluster.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=48
	Name string `json:"name,omitempty"`

	// dependsOn names layers that must be ready first. One that a cluster does not
	// get is not waited for there, but those that it depends on are.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MaxLength=48
	DependsOn []string `json:"dependsOn,omitempty"`

	// clusterSelector selects WorkloadClusters by their labels. Left out: all of them.
	// +optional
	ClusterSelector *metav1.LabelSelector `json:"clusterSelector,omitempty"`

	// interval at which what changed on the cluster itself is put right.
	// +optional
	// +kubebuilder:default="10m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1m') && duration(self) <= duration('24h')",message="interval must be between 1m and 24h"
	Interval metav1.Duration `json:"interval,omitzero"`

	// timeout within which all of it must be ready.
	// +optional
	// +kubebuilder:default="5m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('1h')",message="timeout must be between 10s and 1h"
	Timeout metav1.Duration `json:"timeout,omitzero"`
}

// ClusterProfiles is whether clusters are published for other tools.
// +kubebuilder:validation:Enum=None;Publish
type ClusterProfiles string

// Values of ClusterProfiles.
const (
	ClusterProfilesNone    ClusterProfiles = "None"    // those that Fairway made are taken away
	ClusterProfilesPublish ClusterProfiles = "Publish" // one for each WorkloadCluster
)

// ConfigRepository is a Git repository as Flux's GitRepository reads it.
type ConfigRepository struct {
	// url is an http, https or ssh address.
	// +required
	// +kubebuilder:validation:Pattern=`^(http|https|ssh)://.*$`
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url,omitempty"`

	// branch that clusters follow.
	// +optional
	// +kubebuilder:default=main
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=255
	Branch string `json:"branch,omitempty"`

	// secretRef names a Secret in the operator's namespace, with the keys that Flux's
	// GitRepository uses (username, password, bearerToken, identity, known_hosts, ca.crt). The
	// operator copies it to every cluster.
	// +optional
	SecretRef *meta.LocalObjectReference `json:"secretRef,omitempty"`

	// writeSecretRef names a Secret in the operator's namespace, with the same keys, that the operator
	// itself writes to the branch with. It goes to no cluster. Left out: the operator writes nothing.
	// +optional
	WriteSecretRef *meta.LocalObjectReference `json:"writeSecretRef,omitempty"`

	// interval at which clusters look for new commits.
	// +optional
	// +kubebuilder:default="1m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('5s') && duration(self) <= duration('24h')",message="interval must be between 5s and 24h"
	Interval metav1.Duration `json:"interval,omitzero"`
}

// FluxDistribution is where Flux's manifests and images come from.
type FluxDistribution struct {
	// artifact is the OCI repository of Flux's manifests, a tag a version.
	// +optional
	// +kubebuilder:default="oci://ghcr.io/fluxcd/flux-manifests"
	// +kubebuilder:validation:Pattern=`^oci://[^@]+$`
	// +kubebuilder:validation:MaxLength=512
	Artifact string `json:"artifact,omitempty"`

	// version is a semver range; the newest tag inside it is installed.
	// +optional
	// +kubebuilder:default="2.9.x"
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Version string `json:"version,omitempty"`

	// registry that the controllers' images are pulled from.
	// +optional
	// +kubebuilder:default="ghcr.io/fluxcd"
	// +kubebuilder:validation:MaxLength=256
	Registry string `json:"registry,omitempty"`

	// components are the controllers to install.
	// +optional
	// +listType=set
	// +kubebuilder:default={source-controller,kustomize-controller,helm-controller,notification-controller}
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="['source-controller','kustomize-controller'].all(c, c in self)",message="source-controller and kustomize-controller are needed on every cluster"
	Components []FluxComponent `json:"components,omitempty"`

	// upgrade says in which order clusters that have a Flux get a newer one.
	// +optional
	// +kubebuilder:default={}
	Upgrade FluxUpgrade `json:"upgrade,omitzero"`
}

// FluxComponent is the name of a Flux controller.
// +kubebuilder:validation:Enum=source-controller;kustomize-controller;helm-controller;notification-controller;image-reflector-controller;image-automation-controller;source-watcher
type FluxComponent string

// Events is the event bus.
type Events struct {
	// url that agents dial. Empty: the hub's own server, at its Service's load balancer address.
	// +optional
	// +kubebuilder:validation:Pattern=`^(tls|nats)://.*$`
	// +kubebuilder:validation:MaxLength=512
	URL string `json:"url,omitempty"`

	// retention of events on the bus.
	// +optional
	// +kubebuilder:default="720h"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1h')",message="retention must be at least 1h"
	Retention metav1.Duration `json:"retention,omitzero"`

	// redact adds to what agents take out of log lines and messages before these leave a cluster. What
	// Fairway knows by itself to be a secret is always taken out. Patterns can be read by whoever may
	// read the Fleet: say what surrounds a secret, not the secret.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Redact []RedactRule `json:"redact,omitempty"`
}

// RedactRule finds one kind of secret in text.
type RedactRule struct {
	// name of what is found.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=63
	Name string `json:"name,omitempty"`

	// pattern is a regular expression (RE2). What its first named group, such as (?P<secret>...),
	// matched is replaced by ***; without a named group the whole match is.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:XValidation:rule="!''.matches(self)",message="pattern must be a regular expression (RE2) that does not match the empty text"
	Pattern string `json:"pattern,omitempty"`
}

// Heartbeat of every agent.
type Heartbeat struct {
	// interval between two heartbeats.
	// +optional
	// +kubebuilder:default="15s"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('10m')",message="interval must be between 1s and 10m"
	Interval metav1.Duration `json:"interval,omitzero"`

	// missesUntilUnknown is how many heartbeats a cluster may miss before all that is shown of it
	// is unknown.
	// +optional
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=100
	MissesUntilUnknown int32 `json:"missesUntilUnknown,omitempty"`
}

// Registration of clusters that Cluster API manages.
type Registration struct {
	// clusterSelector selects Cluster API Clusters, in any namespace. Empty: those with the label
	// fleet.fairway.dev/register=true.
	// +optional
	ClusterSelector *metav1.LabelSelector `json:"clusterSelector,omitempty"`
}

// Ownership of objects on workload clusters. Labels are looked for on the workload, its pod template and
// the Flux object that applied it, in this order.
type Ownership struct {
	// teamLabels are labels, or annotations, that name an object's team. They come before those that
	// are always read: fleet.fairway.dev/team, squad and lunarway.com/squad.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	TeamLabels []LabelName `json:"teamLabels,omitempty"`

	// serviceLabels name its service, before fleet.fairway.dev/service and lunarway.com/service.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	ServiceLabels []LabelName `json:"serviceLabels,omitempty"`

	// artifactLabels name its artifact, before fleet.fairway.dev/artifact and lunarway.com/artifact-id.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=16
	ArtifactLabels []LabelName `json:"artifactLabels,omitempty"`

	// teamAliases are other names of teams, each with the team that is meant.
	// +optional
	// +kubebuilder:validation:MaxProperties=256
	// +kubebuilder:validation:XValidation:rule="self.all(alias, !(self[alias] in self))",message="an alias must stand for a team, not for another alias"
	TeamAliases map[string]TeamName `json:"teamAliases,omitempty"`

	// defaultTeam owns what carries no label. A cluster's own default, the label
	// fleet.fairway.dev/team on its WorkloadCluster, comes before it.
	// +optional
	DefaultTeam TeamName `json:"defaultTeam,omitempty"`

	// platformTeam owns what carries no label in platformNamespaces: Flux, the agent, what Kubernetes
	// itself runs.
	// +optional
	// +kubebuilder:default=platform
	PlatformTeam TeamName `json:"platformTeam,omitempty"`

	// platformNamespaces of every workload cluster. An empty list makes nothing the platform's.
	// +optional
	// +listType=atomic
	// +kubebuilder:default={flux-system,fairway-system,kube-system}
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	PlatformNamespaces []string `json:"platformNamespaces,omitempty"`
}

// LabelName is the name of a label or an annotation, with its prefix.
// +kubebuilder:validation:MaxLength=317
// +kubebuilder:validation:Pattern=`^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$`
type LabelName string

// TeamName is the name of a team, which is a namespace of the platform.
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
type TeamName string

// FleetStatus is what the operator saw; losing it loses nothing.
type FleetStatus struct {
	meta.ReconcileRequestStatus `json:",inline"`

	// observedGeneration is the generation that the conditions describe.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions: Ready always; Reconciling or Stalled only while true; and those of the parts.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// clusters counts the fleet.
	// +optional
	Clusters ClusterCounts `json:"clusters,omitzero"`

	// configRevision is the newest commit of the config repository, in Flux's form.
	// +optional
	ConfigRevision string `json:"configRevision,omitempty"`

	// fluxVersion is the version that the range stands for now.
	// +optional
	FluxVersion string `json:"fluxVersion,omitempty"`

	// fluxUpgrade is how far clusters have got on their way to that version.
	// +optional
	FluxUpgrade FluxUpgradeStatus `json:"fluxUpgrade,omitzero"`
}

// ClusterCounts counts workload clusters.
type ClusterCounts struct {
	// +optional
	Total int32 `json:"total"`
	// +optional
	Ready int32 `json:"ready"`
	// unknown: those whose agent is silent, or was never heard.
	// +optional
	Unknown int32 `json:"unknown"`
}

// Fleet is the one set of clusters that this platform cluster runs.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories={fairway,fluxcd}
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="clusterctl.cluster.x-k8s.io="
// +kubebuilder:metadata:labels="clusterctl.cluster.x-k8s.io/move-hierarchy="
// +kubebuilder:metadata:annotations="kustomize.toolkit.fluxcd.io/substitute=disabled"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].message"
// +kubebuilder:printcolumn:name="Clusters",type="integer",JSONPath=".status.clusters.total"
// +kubebuilder:printcolumn:name="Flux",type="string",JSONPath=".status.fluxVersion"
// +kubebuilder:printcolumn:name="Upgrade",type="string",JSONPath=".status.conditions[?(@.type==\"FluxUpgraded\")].reason",priority=1
// +kubebuilder:printcolumn:name="Revision",type="string",JSONPath=".status.configRevision",priority=1
// +kubebuilder:validation:XValidation:rule="self.metadata.name == 'default'",message="there is one Fleet; name it default"
type Fleet struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec FleetSpec `json:"spec,omitzero"`
	// +optional
	Status FleetStatus `json:"status,omitzero"`
}

// GetConditions returns the status conditions.
func (f *Fleet) GetConditions() []metav1.Condition { return f.Status.Conditions }

// SetConditions sets the status conditions.
func (f *Fleet) SetConditions(conditions []metav1.Condition) { f.Status.Conditions = conditions }

// FleetList is a list of Fleets.
//
// +kubebuilder:object:root=true
type FleetList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Fleet `json:"items"`
}
