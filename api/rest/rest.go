// Package rest is the HTTP API of the hub: the bodies of /api/v1 and its errors. Times are RFC 3339
// in UTC. Lists are never null: an empty list says that there is nothing, an error is a Problem.
package rest

import "time"

// Status is a traffic light with the word beside it. Unknown is never green.
type Status string

// Statuses, from the best to the worst that is known; Unknown is for what is too old to tell.
const (
	Ready       Status = "Ready"
	Progressing Status = "Progressing"
	Suspended   Status = "Suspended"
	Degraded    Status = "Degraded"
	Unknown     Status = "Unknown"
)

// Page is what every list carries beside its items.
type Page struct {
	// AsOf is when the answer was made.
	AsOf time.Time `json:"asOf"`
	// Sequence is the stream position that the answer contains, for watching from there on.
	Sequence uint64 `json:"sequence"`
	// Next is the cursor of the next page; empty on the last one.
	Next string `json:"next,omitempty"`
	// Total counts what matches the filters, over all pages.
	Total int `json:"total"`
}

// ClusterList is the body of GET /api/v1/clusters.
type ClusterList struct {
	Page
	Items []Cluster `json:"items"`
}

// Freshness says how old the knowledge of a cluster is, and what is missing from it.
type Freshness struct {
	// Known is false when the agent was never heard, or has been silent for too long. Then
	// everything about the cluster is as of LastHeartbeat.
	Known         bool      `json:"known"`
	LastHeartbeat time.Time `json:"lastHeartbeat,omitzero"` // by the bus's clock
	LastEvent     time.Time `json:"lastEvent,omitzero"`     // by the bus's clock
	// ClockSkew is the agent's clock minus the bus's, in seconds, as the newest heartbeats had it
	// (with the way they took counted in). Times of what happened on the cluster are off by it.
	ClockSkew float64 `json:"clockSkew"`
	// Missing counts events that the agent has sent, by its own count, and that are not in the
	// view. Some may be on their way.
	Missing uint64 `json:"missing"`
	// Gaps counts the gaps that are open, and GapSince is when the first of them opened.
	Gaps     int       `json:"gaps"`
	GapSince time.Time `json:"gapSince,omitzero"`
	// Diverged is true when the view has every event that the agent has sent, and the digest of
	// what the view makes of them is not the agent's. A snapshot mends it.
	Diverged bool `json:"diverged"`
	// Verified is the newest heartbeat whose digest was the view's: as of then, the view had all
	// that the agent had. Digest is the view's now; two hubs at the same place in the stream have
	// the same.
	Verified time.Time `json:"verified,omitzero"`
	Digest   uint64    `json:"digest,string,omitempty"`
}

// GapReason is why events are not in the view.
type GapReason string

// Reasons of gaps.
const (
	GapMissing GapReason = "missing" // they did not arrive
	GapDropped GapReason = "dropped" // the agent had no room for them and says so
	GapEpoch   GapReason = "epoch"   // the agent lost its outbox; what was in it, and what happened meanwhile, is not known
)

// GapEnd is what closed a gap.
type GapEnd string

// Ends of gaps.
const (
	ByEvents   GapEnd = "events"   // all that was missing arrived: nothing is lost
	BySnapshot GapEnd = "snapshot" // the view is right again, but what happened in between is not known
)

// Gap is a stretch of a cluster's events that the view has, or had, to do without.
type Gap struct {
	Reason   GapReason         `json:"reason"`
	Message  string            `json:"message,omitempty"` // the agent's own reason for dropping
	Opened   time.Time         `json:"opened"`            // by the bus's clock
	Closed   time.Time         `json:"closed,omitzero"`   // zero while it is open
	ClosedBy GapEnd            `json:"closedBy,omitempty"`
	Events   uint64            `json:"events"`            // how many, as far as anybody knows
	Dropped  map[string]uint64 `json:"dropped,omitempty"` // of them, by kind
	From     time.Time         `json:"from,omitzero"`     // the oldest that was dropped, by the cluster's clock
	To       time.Time         `json:"to,omitzero"`       // the newest
}

// Condition is a condition of the WorkloadCluster.
type Condition struct {
	Type    string    `json:"type"`
	Status  string    `json:"status"`
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Since   time.Time `json:"since,omitzero"`
}

// Cluster is a workload cluster in the fleet view.
type Cluster struct {
	ID                string      `json:"id"`
	Namespace         string      `json:"namespace,omitempty"`
	Environment       string      `json:"environment,omitempty"`
	Cloud             string      `json:"cloud,omitempty"`
	Region            string      `json:"region,omitempty"`
	Account           string      `json:"account,omitempty"`
	Status            Status      `json:"status"`
	Reason            string      `json:"reason,omitempty"`
	Message           string      `json:"message,omitempty"`
	Freshness         Freshness   `json:"freshness"`
	KubernetesVersion string      `json:"kubernetesVersion,omitempty"`
	FluxVersion       string      `json:"fluxVersion,omitempty"`
	AgentVersion      string      `json:"agentVersion,omitempty"`
	Revision          string      `json:"revision,omitempty"` // applied by the root Kustomization
	NodesReady        int         `json:"nodesReady"`
	NodesTotal        int         `json:"nodesTotal"`
	Objects           int         `json:"objects"`
	Failing           int         `json:"failing"`  // objects that are neither fine nor under way
	Episodes          int         `json:"episodes"` // open ones
	Conditions        []Condition `json:"conditions"`
}

// ClusterDetail is the body of GET /api/v1/clusters/{id}: the cluster and every object on it.
type ClusterDetail struct {
	Cluster
	Inventory []Object  `json:"inventory"` // ordered by object
	Open      []Episode `json:"open"`      // open episodes, newest first
	Gaps      []Gap     `json:"gaps"`      // open ones, then the last few that were closed, newest first
}

// Object is a Flux object or a workload on a cluster, as the cluster last said.
type Object struct {
	Object   string    `json:"object"`           // <Kind>/<namespace>/<name>
	Owner    string    `json:"owner,omitempty"`  // the object that applied it
	Source   string    `json:"source,omitempty"` // of a Flux object: what it applies, or the chart, is from
	Status   Status    `json:"status"`
	State    string    `json:"state"` // last word of the event type: "succeeded", "rolling", …
	Reason   string    `json:"reason,omitempty"`
	Message  string    `json:"message,omitempty"`
	Team     string    `json:"team,omitempty"`
	Service  string    `json:"service,omitempty"`
	Artifact string    `json:"artifact,omitempty"`
	Revision string    `json:"revision,omitempty"`
	Desired  int32     `json:"desired,omitempty"`
	Ready    int32     `json:"ready,omitempty"`
	Images   []string  `json:"images,omitempty"`
	Since    time.Time `json:"since"`
}

// ServiceList is the body of GET /api/v1/services.
type ServiceList struct {
	Page
	Items []Service `json:"items"`
}

// Service is what a team releases, over all clusters that run it.
type Service struct {
	Team     string           `json:"team"`
	Name     string           `json:"name"`
	Status   Status           `json:"status"` // the worst of its clusters
	Clusters []ServiceCluster `json:"clusters"`
	// Environments are those of its clusters, ordered by name.
	Environments []ServiceEnvironment `json:"environments"`
}

// ServiceCluster is a service on one cluster.
type ServiceCluster struct {
	Cluster     string    `json:"cluster"`
	Environment string    `json:"environment,omitempty"`
	Cloud       string    `json:"cloud,omitempty"`
	Status      Status    `json:"status"`
	Reason      string    `json:"reason,omitempty"`
	Artifact    string    `json:"artifact,omitempty"` // that runs
	Revision    string    `json:"revision,omitempty"`
	Desired     int32     `json:"desired"` // replicas
	Ready       int32     `json:"ready"`
	Episodes    int       `json:"episodes"`
	Since       time.Time `json:"since,omitzero"`
	AsOf        time.Time `json:"asOf,omitzero"` // last heartbeat of the cluster

	// Wanted is the artifact that Git tells the cluster to run, since WantedSince, by Release; empty when no release of it is
	// known.
	Wanted      string    `json:"wanted,omitempty"`
	WantedSince time.Time `json:"wantedSince,omitzero"`
	Release     string    `json:"release,omitempty"`
	// RunningSince is when the artifact that runs first ran here in health, where a release says it.
	RunningSince time.Time `json:"runningSince,omitzero"`
	// DriftSince is set while another artifact runs than is wanted and no release under way explains it.
	DriftSince time.Time `json:"driftSince,omitzero"`
}

// EpisodeList is the body of GET /api/v1/episodes.
type EpisodeList struct {
	Page
	Items []Episode `json:"items"`
}

// Episode is one failure of one object on one cluster.
type Episode struct {
	ID          string    `json:"id"`
	Cluster     string    `json:"cluster"`
	Environment string    `json:"environment,omitempty"`
	Cloud       string    `json:"cloud,omitempty"`
	Object      string    `json:"object"`
	Owner       string    `json:"owner,omitempty"`
	Team        string    `json:"team,omitempty"`
	Service     string    `json:"service,omitempty"`
	Artifact    string    `json:"artifact,omitempty"`
	Revision    string    `json:"revision,omitempty"`
	Reason      string    `json:"reason"`
	Message     string    `json:"message,omitempty"`
	Container   string    `json:"container,omitempty"`
	Pod         string    `json:"pod,omitempty"`
	ExitCode    *int32    `json:"exitCode,omitempty"`
	Restarts    int32     `json:"restarts,omitempty"`
	Signature   string    `json:"signature,omitempty"`
	Lines       []string  `json:"lines,omitempty"`
	Runbook     string    `json:"runbook,omitempty"`
	OpenedAt    time.Time `json:"openedAt"`
	ResolvedAt  time.Time `json:"resolvedAt,omitzero"`
	ResolvedBy  string    `json:"resolvedBy,omitempty"`
	// ResolvedAfter is set where no event said that it was resolved, but a snapshot no longer had it: it was open at this
	// moment, and no more at ResolvedAt.
	ResolvedAfter time.Time `json:"resolvedAfter,omitzero"`
	// Known is false while the cluster is silent: nobody can tell whether it still fails.
	Known bool `json:"known"`
}

// EventList is the body of GET /api/v1/events, oldest first.
type EventList struct {
	Page
	Items []StoredEvent `json:"items"`
}

// StoredEvent is an event with its place in the stream. It is also the data of a message of
// /api/v1/watch, whose id is the sequence.
type StoredEvent struct {
	Sequence uint64    `json:"sequence"` // stream position, the SSE id
	Stored   time.Time `json:"stored"`   // when the bus had it
	Cluster  string    `json:"cluster"`  // by the subject that it was published on
	Event    any       `json:"event"`    // the CloudEvent as published
	// Derived is true for what the view came to by itself (cluster.silent, cluster.connected). It
	// is on the watch only, with sequence 0: a stream holds facts, and silence is the passing of
	// time.
	Derived bool `json:"derived,omitempty"`
}

// SchemaList is the body of GET /api/v1/schemas.
type SchemaList struct {
	Items []Schema `json:"items"` // in the order of the contract
}

// Schema says where the JSON Schema of a type of event is.
type Schema struct {
	Type string `json:"type"` // a CloudEvents type, or "heartbeat"
	Path string `json:"path"` // on this hub
}

// Problem is the body of every error: application/problem+json (RFC 9457).
type Problem struct {
	Type   string `json:"type,omitempty"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty"`
	Fix    string `json:"fix,omitempty"` // what the caller can do about it
}

// Error makes a Problem an error.
func (p *Problem) Error() string {
	switch {
	case p.Detail != "" && p.Fix != "":
		return p.Detail + " (" + p.Fix + ")"
	case p.Detail != "":
		return p.Detail
	}
	return p.Title
}
