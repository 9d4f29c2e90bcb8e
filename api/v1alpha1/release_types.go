package v1alpha1

import (
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ReleaseSpec is what was asked for. It never changes, but for approvals that are added, and suspend.
//
// +kubebuilder:validation:XValidation:rule="self.service == oldSelf.service && self.artifact == oldSelf.artifact && self.environment == oldSelf.environment && self.intent == oldSelf.intent && self.requestedBy == oldSelf.requestedBy && has(self.from) == has(oldSelf.from) && (!has(self.from) || self.from == oldSelf.from) && has(self.message) == has(oldSelf.message) && (!has(self.message) || self.message == oldSelf.message)",message="a Release says what was asked for and never changes; ask for another one"
// +kubebuilder:validation:XValidation:rule="!has(oldSelf.approvals) || (has(self.approvals) && oldSelf.approvals.all(o, self.approvals.exists(n, n.by == o.by && n.at == o.at)))",message="an approval that was given stays"
// +kubebuilder:validation:XValidation:rule="(self.intent == 'Promote') == has(self.from)",message="from is set with the intent Promote, and with no other"
type ReleaseSpec struct {
	// service that is released. Its team is the namespace.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=53
	Service string `json:"service,omitempty"`

	// artifact that is to run: "<branch>-<7 digits of the commit>-<4 digits of the digest>".
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9_.]*[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=63
	Artifact string `json:"artifact,omitempty"`

	// environment that is to run it.
	// +required
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=63
	Environment string `json:"environment,omitempty"`

	// intent is why.
	// +required
	Intent Intent `json:"intent,omitempty"`

	// from is the environment that a promotion comes from.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	From string `json:"from,omitempty"`

	// requestedBy is who asked, as Kubernetes knows them. An admission policy holds it to who makes the Release.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	RequestedBy string `json:"requestedBy,omitempty"`

	// message says more, for people.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// approvals that were given. An admission policy lets people with the verb approve on releases add their own.
	// +optional
	// +listType=map
	// +listMapKey=by
	// +kubebuilder:validation:MaxItems=16
	Approvals []Approval `json:"approvals,omitempty"`

	// suspend holds the release where it is.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// Approval is one person's word that a release may go on.
type Approval struct {
	// by whom, as Kubernetes knows them.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	By string `json:"by,omitempty"`
	// at is when.
	// +required
	At metav1.Time `json:"at,omitzero"`
	// message says more, for people.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// Intent is why something is released.
// +kubebuilder:validation:Enum=Release;Promote;Rollback;AutoRelease
type Intent string

// Intents.
const (
	IntentRelease     Intent = "Release"     // somebody wants this artifact there
	IntentPromote     Intent = "Promote"     // what runs in another environment is to run in this one
	IntentRollback    Intent = "Rollback"    // what ran there before is to run again
	IntentAutoRelease Intent = "AutoRelease" // a ReleasePolicy asked for it
)

// Phase is how far a release has come.
// +kubebuilder:validation:Enum=Pending;Checking;Refused;Releasing;Succeeded;Failed;RolledBack;Superseded
type Phase string

// Phases. The last five are final.
const (
	PhasePending    Phase = "Pending"    // it waits: for approvals, for its promotion path, for who is before it
	PhaseChecking   Phase = "Checking"   // it is tried out on every cluster, without writing anything there
	PhaseReleasing  Phase = "Releasing"  // clusters are told to run the artifact, wave by wave
	PhaseRefused    Phase = "Refused"    // a rule or a check forbids it; nothing was written
	PhaseSucceeded  Phase = "Succeeded"  // every cluster runs the artifact in health
	PhaseFailed     Phase = "Failed"     // a cluster failed; those that had moved stay
	PhaseRolledBack Phase = "RolledBack" // a cluster failed; those that had moved are back
	PhaseSuperseded Phase = "Superseded" // a newer release of the same service and environment took over
)

// Final says whether nothing follows a phase.
func (p Phase) Final() bool {
	switch p {
	case PhaseRefused, PhaseSucceeded, PhaseFailed, PhaseRolledBack, PhaseSuperseded:
		return true
	}
	return false
}

// ReleaseStatus is what came of a release. What clusters are told to run stands in the config repository.
type ReleaseStatus struct {
	meta.ReconcileRequestStatus `json:",inline"`

	// observedGeneration is the generation that the conditions describe.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// phase is how far it has come.
	// +optional
	Phase Phase `json:"phase,omitempty"`

	// wave that is released to, or soaks.
	// +optional
	Wave string `json:"wave,omitempty"`

	// soakUntil is when the wave has been healthy for long enough, while it soaks.
	// +optional
	SoakUntil *metav1.Time `json:"soakUntil,omitempty"`

	// commit is the newest commit of the config repository for this release, in Flux's form.
	// +optional
	Commit string `json:"commit,omitempty"`

	// rollbackCommit is the commit that took it back.
	// +optional
	RollbackCommit string `json:"rollbackCommit,omitempty"`

	// startedAt is when the first cluster was told to run the artifact.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`

	// finishedAt is when the phase became a final one.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`

	// digest of the artifact: "sha256:…".
	// +optional
	Digest string `json:"digest,omitempty"`

	// source is what the artifact says of where it comes from.
	// +optional
	Source ArtifactSource `json:"source,omitzero"`

	// clusters counts the targets.
	// +optional
	Clusters TargetCounts `json:"clusters,omitzero"`

	// targets are the clusters that are to run it, in the order of their waves.
	// +optional
	// +listType=map
	// +listMapKey=cluster
	Targets []Target `json:"targets,omitempty"`

	// announced are the events of this release that the fleet was told, so that each is told once.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=4096
	Announced []string `json:"announced,omitempty"`

	// conditions: Ready always; Reconciling or Stalled only while true; and one for each step.
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ArtifactSource is where an artifact comes from.
type ArtifactSource struct {
	// repository of its source code.
	// +optional
	Repository string `json:"repository,omitempty"`
	// branch there.
	// +optional
	Branch string `json:"branch,omitempty"`
	// commit there, with all of its digits.
	// +optional
	Commit string `json:"commit,omitempty"`
	// author of that commit.
	// +optional
	Author string `json:"author,omitempty"`
	// ci is the address of the run that made the artifact.
	// +optional
	CI string `json:"ci,omitempty"`
	// created is when the artifact was made.
	// +optional
	Created *metav1.Time `json:"created,omitempty"`
}

// TargetCounts counts the clusters of a release.
type TargetCounts struct {
	// +optional
	Total int32 `json:"total"`
	// available: they run the artifact in health.
	// +optional
	Available int32 `json:"available"`
	// failing names those that failed.
	// +optional
	// +listType=atomic
	Failing []string `json:"failing,omitempty"`
}

// Target is one cluster of a release.
type Target struct {
	// cluster is its id.
	// +required
	// +kubebuilder:validation:MinLength=1
	Cluster string `json:"cluster,omitempty"`
	// wave that it is in.
	// +optional
	Wave string `json:"wave,omitempty"`
	// state of the cluster in this release.
	// +optional
	State TargetState `json:"state,omitempty"`
	// previous is the artifact that it was to run before, for a way back. Empty: none.
	// +optional
	Previous string `json:"previous,omitempty"`
	// movedAt is when it was told to run the artifact.
	// +optional
	MovedAt *metav1.Time `json:"movedAt,omitempty"`
	// availableAt is when it ran the artifact in health.
	// +optional
	AvailableAt *metav1.Time `json:"availableAt,omitempty"`
	// reason of a state that is not well.
	// +optional
	Reason string `json:"reason,omitempty"`
	// message says more.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Message string `json:"message,omitempty"`
	// lines are the last lines of the container that failed, without secrets.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=30
	Lines []string `json:"lines,omitempty"`
}

// TargetState is how far one cluster is.
// +kubebuilder:validation:Enum=Waiting;Moving;RollingOut;Available;Unknown;Failed;RolledBack
type TargetState string

// States of a cluster in a release.
const (
	TargetWaiting    TargetState = "Waiting"    // its turn has not come
	TargetMoving     TargetState = "Moving"     // the commit that moves it is about to be pushed
	TargetRollingOut TargetState = "RollingOut" // it was told to run the artifact
	TargetAvailable  TargetState = "Available"  // it runs the artifact in health
	TargetUnknown    TargetState = "Unknown"    // it was told, and nobody knows how it is
	TargetFailed     TargetState = "Failed"     // it was told, and failed
	TargetRolledBack TargetState = "RolledBack" // it was told to run what it ran before
)

// Release is the request that an environment run an artifact, and the record of what came of it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories={fairway},shortName=rel
// +kubebuilder:subresource:status
// +kubebuilder:metadata:labels="clusterctl.cluster.x-k8s.io="
// +kubebuilder:metadata:annotations="kustomize.toolkit.fluxcd.io/substitute=disabled"
// +kubebuilder:printcolumn:name="Age",type="date",JSONPath=".metadata.creationTimestamp"
// +kubebuilder:printcolumn:name="Ready",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].status"
// +kubebuilder:printcolumn:name="Status",type="string",JSONPath=".status.conditions[?(@.type==\"Ready\")].message"
// +kubebuilder:printcolumn:name="Phase",type="string",JSONPath=".status.phase"
// +kubebuilder:printcolumn:name="Service",type="string",JSONPath=".spec.service"
// +kubebuilder:printcolumn:name="Environment",type="string",JSONPath=".spec.environment"
// +kubebuilder:printcolumn:name="Artifact",type="string",JSONPath=".spec.artifact"
// +kubebuilder:printcolumn:name="Wave",type="string",JSONPath=".status.wave",priority=1
// +kubebuilder:printcolumn:name="Available",type="integer",JSONPath=".status.clusters.available",priority=1
// +kubebuilder:printcolumn:name="By",type="string",JSONPath=".spec.requestedBy",priority=1
// +kubebuilder:selectablefield:JSONPath=".spec.service"
// +kubebuilder:selectablefield:JSONPath=".spec.environment"
type Release struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// +required
	Spec ReleaseSpec `json:"spec,omitzero"`
	// +optional
	Status ReleaseStatus `json:"status,omitzero"`
}

// GetConditions returns the status conditions.
func (r *Release) GetConditions() []metav1.Condition { return r.Status.Conditions }

// SetConditions sets the status conditions.
func (r *Release) SetConditions(conditions []metav1.Condition) { r.Status.Conditions = conditions }

// ReleaseList is a list of Releases.
//
// +kubebuilder:object:root=true
type ReleaseList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Release `json:"items"`
}
