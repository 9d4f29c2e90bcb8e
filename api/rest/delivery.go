package rest

import "time"

// ReleaseRequest is the body of POST /api/v1/releases?team=. One of artifact and branch is given, or
// neither: then a promotion takes what was released to from, and a rollback what ran before.
type ReleaseRequest struct {
	Service     string `json:"service"`
	Environment string `json:"environment"`
	Artifact    string `json:"artifact,omitempty"` // id
	Branch      string `json:"branch,omitempty"`   // the newest artifact of it
	Intent      string `json:"intent,omitempty"`   // "Release" (when left out), "Promote" or "Rollback"
	From        string `json:"from,omitempty"`     // environment of a promotion
	Message     string `json:"message,omitempty"`
}

// ApprovalRequest is the body of POST /api/v1/releases/{team}/{name}/approvals.
type ApprovalRequest struct {
	Message string `json:"message,omitempty"`
}

// AuditList is the body of GET /api/v1/audit, the newest first.
type AuditList struct {
	Page
	Items []AuditEntry `json:"items"`
}

// AuditEntry is how an artifact came to a cluster: what it was made from, who asked, who approved, what
// the config repository says, and when the cluster ran it in health.
type AuditEntry struct {
	Artifact    string `json:"artifact"`
	Digest      string `json:"digest,omitempty"`
	Team        string `json:"team"`
	Service     string `json:"service"`
	Environment string `json:"environment"`
	Cluster     string `json:"cluster"`

	Source ArtifactSource `json:"source"` // commit and author among it

	Release     string     `json:"release"` // "payments/ledger-7k2x9"
	Phase       string     `json:"phase"`   // of the release
	Intent      string     `json:"intent"`
	From        string     `json:"from,omitempty"`
	RequestedBy string     `json:"requestedBy"`
	RequestedAt time.Time  `json:"requestedAt"`
	Comment     string     `json:"comment,omitempty"`
	Approvals   []Approval `json:"approvals"`

	Commit         string    `json:"commit,omitempty"` // of the config repository
	RollbackCommit string    `json:"rollbackCommit,omitempty"`
	State          string    `json:"state"`                // of the cluster in the release
	Previous       string    `json:"previous,omitempty"`   // artifact that it was to run before
	MovedAt        time.Time `json:"movedAt,omitzero"`     // when it was told to run the artifact
	AvailableAt    time.Time `json:"availableAt,omitzero"` // when it ran it in health; zero: it never did in this release
}

// Delivery is the body of GET /api/v1/delivery: how fast and how well changes come to where they run.
type Delivery struct {
	AsOf  time.Time `json:"asOf"`
	From  time.Time `json:"from"`
	Until time.Time `json:"until"`
	// By is what Items are grouped by: "team", "service", "environment", "cloud".
	By    []string        `json:"by"`
	All   DeliveryFigures `json:"all"`
	Items []DeliveryGroup `json:"items"` // ordered by team, service, environment, cloud
}

// DeliveryGroup are the figures of what its names say; those that it is not grouped by are empty.
type DeliveryGroup struct {
	Team        string `json:"team,omitempty"`
	Service     string `json:"service,omitempty"` // name within the team
	Environment string `json:"environment,omitempty"`
	Cloud       string `json:"cloud,omitempty"`
	DeliveryFigures
}

// DeliveryFigures are DORA's four, over the deployments that ended in the window. docs/delivery.md says what counts.
type DeliveryFigures struct {
	Deployments int `json:"deployments"`
	Succeeded   int `json:"succeeded"`
	Failed      int `json:"failed"` // deployments that failed, at once or after they had succeeded
	// PerDay is how many succeeded a day.
	PerDay float64 `json:"perDay"`
	// FailureRate is Failed of Deployments, from 0 to 1; 0 without deployments.
	FailureRate float64 `json:"failureRate"`
	// LeadTime is from when the artifact was made to when all clusters ran it in health; absent without any that is known.
	LeadTime *Spread `json:"leadTime,omitempty"`
	// TimeToRestore is from a failure to the end of it; absent when nothing failed and was restored.
	TimeToRestore *Spread `json:"timeToRestore,omitempty"`
	// Unrestored counts the failures that last.
	Unrestored int `json:"unrestored"`
}

// Spread describes durations, in seconds.
type Spread struct {
	Count  int     `json:"count"`
	Median float64 `json:"median"`
	P90    float64 `json:"p90"` // nine of ten are no longer
	Max    float64 `json:"max"`
}
