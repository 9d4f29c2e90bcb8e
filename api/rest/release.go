package rest

import "time"

// ReleaseList is the body of GET /api/v1/releases, the newest first.
type ReleaseList struct {
	Page
	Items []Release `json:"items"`
}

// Release is the request that an environment run an artifact, and how far it has come, as the platform
// last said.
type Release struct {
	Name        string     `json:"name"` // "payments/ledger-7k2x9": namespace and name of the Release
	Team        string     `json:"team"`
	Service     string     `json:"service"`
	Artifact    string     `json:"artifact"`
	Environment string     `json:"environment"`
	Intent      string     `json:"intent"`         // "Release", "Promote", "Rollback" or "AutoRelease"
	From        string     `json:"from,omitempty"` // environment of a promotion
	RequestedBy string     `json:"requestedBy"`    // as Kubernetes knows them; "policy:<team>/<name>" of an auto-release
	RequestedAt time.Time  `json:"requestedAt"`
	Comment     string     `json:"comment,omitempty"` // what who asked says of it
	Approvals   []Approval `json:"approvals"`

	// Phase is "Pending", "Checking", "Releasing", or one that is final: "Refused", "Succeeded", "Failed", "RolledBack",
	// "Superseded".
	Phase          string         `json:"phase"`
	Wave           string         `json:"wave,omitempty"` // that is released to, or soaks, or failed
	StartedAt      time.Time      `json:"startedAt,omitzero"`
	FinishedAt     time.Time      `json:"finishedAt,omitzero"`
	UpdatedAt      time.Time      `json:"updatedAt"`        // when the platform last said something of it
	Commit         string         `json:"commit,omitempty"` // of the config repository: main@sha1:<hex>
	RollbackCommit string         `json:"rollbackCommit,omitempty"`
	Digest         string         `json:"digest,omitempty"` // of the artifact
	Source         ArtifactSource `json:"source"`

	Total     int              `json:"total"`     // clusters that are to run it
	Available int              `json:"available"` // clusters that run it in health
	Clusters  []ReleaseCluster `json:"clusters"`  // those that the platform has spoken of, ordered by id

	Reason  string   `json:"reason,omitempty"` // why it failed or was refused, or what it waits for
	Message string   `json:"message,omitempty"`
	Lines   []string `json:"lines,omitempty"` // last lines of the container that failed, of the newest releases
}

// Approval is one person's word that a release may go on.
type Approval struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// ReleaseCluster is how far one cluster is in a release.
type ReleaseCluster struct {
	Cluster     string    `json:"cluster"`
	Wave        string    `json:"wave,omitempty"`
	State       string    `json:"state"`                // "Waiting", "Moving", "RollingOut", "Available", "Unknown", "Failed", "RolledBack"
	Previous    string    `json:"previous,omitempty"`   // artifact that it was to run before
	MovedAt     time.Time `json:"movedAt,omitzero"`     // when it was told to run the artifact
	AvailableAt time.Time `json:"availableAt,omitzero"` // when it ran the artifact in health
	Reason      string    `json:"reason,omitempty"`
}

// ArtifactSource is where an artifact comes from.
type ArtifactSource struct {
	Repository string    `json:"repository,omitempty"`
	Branch     string    `json:"branch,omitempty"`
	Commit     string    `json:"commit,omitempty"`
	Author     string    `json:"author,omitempty"`
	CI         string    `json:"ci,omitempty"`
	Created    time.Time `json:"created,omitzero"`
}

// ArtifactList is the body of GET /api/v1/artifacts, the newest first.
type ArtifactList struct {
	Page
	Items []Artifact `json:"items"`
}

// Artifact is what can be released of a service, as the platform saw it in the registry.
type Artifact struct {
	Team    string         `json:"team"`
	Service string         `json:"service"`
	ID      string         `json:"id"`
	Digest  string         `json:"digest,omitempty"`
	Source  ArtifactSource `json:"source"`
}

// ServiceEnvironment is what an environment is to run of a service, and what its clusters make of it.
type ServiceEnvironment struct {
	Environment string `json:"environment"`
	// Wanted is the artifact of the newest release that was written to Git and not taken back; empty when no such release
	// is known. Release names it, with who asked for it and how far it is.
	Wanted      string    `json:"wanted,omitempty"`
	Release     string    `json:"release,omitempty"`
	Phase       string    `json:"phase,omitempty"`
	Intent      string    `json:"intent,omitempty"`
	RequestedBy string    `json:"requestedBy,omitempty"`
	RequestedAt time.Time `json:"requestedAt,omitzero"`
	// Skew is set while clusters of the environment run different artifacts.
	Skew *Skew `json:"skew,omitempty"`
	// Failures are the artifacts with open episodes, each with where it fails and where it does not.
	Failures []Attribution `json:"failures"`
}

// Skew says that clusters of one environment run different artifacts.
type Skew struct {
	Since time.Time `json:"since,omitzero"` // when the first of them went another way
	// Release is the one that is under way and explains it; empty when nothing does.
	Release   string         `json:"release,omitempty"`
	Artifacts []SkewArtifact `json:"artifacts"` // the newest first
}

// SkewArtifact is an artifact with the clusters that run it.
type SkewArtifact struct {
	Artifact string    `json:"artifact"`
	Since    time.Time `json:"since,omitzero"` // when the first of them ran it
	Clusters []string  `json:"clusters"`
}

// Scope is what a failure is specific to, as far as other clusters show it.
type Scope string

// Scopes of failures.
const (
	ScopeArtifact Scope = "Artifact" // it fails on every cluster that runs it, and those are several
	ScopeCloud    Scope = "Cloud"    // it fails on every cluster of one cloud, and on none of another
	ScopeCluster  Scope = "Cluster"  // it fails on some clusters, and on others that are alike it does not
	ScopeOpen     Scope = "Open"     // too few clusters run it, or are known, to tell
)

// Attribution says where an artifact fails, where it does not, and so what the failure is specific to.
type Attribution struct {
	Artifact  string   `json:"artifact"`
	Scope     Scope    `json:"scope"`
	Message   string   `json:"message"`   // "fails on Azure only: cluster-specific"
	Failing   []string `json:"failing"`   // clusters that run it and have an open episode
	Healthy   []string `json:"healthy"`   // clusters that run it and have none
	Undecided []string `json:"undecided"` // clusters that run it, and are rolling out or silent
	// Signature is that of the failure where it is the same one on all of Failing.
	Signature string   `json:"signature,omitempty"`
	Reasons   []string `json:"reasons"`
	Episodes  []string `json:"episodes"` // ids
}
