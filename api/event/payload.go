package event

import (
	"encoding/json"
	"time"
)

// Bounds of free text in payloads, in bytes. Senders cut; readers may rely on them.
const (
	MaxMessage  = 4 << 10  // Flux's messages reach 39,000 characters
	MaxLog      = 16 << 10 // last lines of a container
	MaxLogLines = 30
)

// Cluster is the payload of cluster.connected, cluster.silent and cluster.changed: what the agent
// sees of its cluster as a whole.
type Cluster struct {
	KubernetesVersion string `json:"kubernetesVersion,omitempty"` // "v1.36.4"
	FluxVersion       string `json:"fluxVersion,omitempty"`       // "v2.9.4", "" where Flux is not installed
	NodesReady        int    `json:"nodesReady"`
	NodesTotal        int    `json:"nodesTotal"`
}

// Registration is the payload of cluster.registered and cluster.deregistered, sent by the
// platform (cluster id Platform) whenever what it knows of a cluster changes. It is a full state:
// the newest one replaces those before it.
type Registration struct {
	Cluster     string      `json:"cluster"`   // the cluster's id
	Namespace   string      `json:"namespace"` // of its WorkloadCluster
	Environment string      `json:"environment"`
	Cloud       string      `json:"cloud,omitempty"` // "AWS", "Azure", …; "" while unknown
	Region      string      `json:"region,omitempty"`
	Account     string      `json:"account,omitempty"`
	Mode        string      `json:"mode,omitempty"`
	Suspended   bool        `json:"suspended,omitempty"`
	Conditions  []Condition `json:"conditions,omitempty"`
}

// Condition is a Kubernetes condition, shortened to what a reader of the fleet view needs.
type Condition struct {
	Type    string    `json:"type"`
	Status  string    `json:"status"` // "True", "False" or "Unknown"
	Reason  string    `json:"reason,omitempty"`
	Message string    `json:"message,omitempty"`
	Since   time.Time `json:"since,omitzero"` // last transition
}

// Flux is the payload of every flux event: the state of one Flux object.
type Flux struct {
	APIVersion        string   `json:"apiVersion"`
	Reason            string   `json:"reason,omitempty"` // of Ready, or of Stalled
	Message           string   `json:"message,omitempty"`
	AttemptedRevision string   `json:"attemptedRevision,omitempty"` // for sources: that of the artifact
	AppliedRevision   string   `json:"appliedRevision,omitempty"`   // for sources: that of the artifact
	OriginRevision    string   `json:"originRevision,omitempty"`    // commit behind an OCI artifact
	Inventory         int      `json:"inventory,omitempty"`         // objects that it applied
	DurationMillis    int64    `json:"durationMillis,omitempty"`    // of the last reconciliation, where Flux says
	Source            Object   `json:"source,omitzero"`
	Path              string   `json:"path,omitempty"`
	DependsOn         []Object `json:"dependsOn,omitempty"`
	Owner             Object   `json:"owner,omitzero"` // the Kustomization or HelmRelease that applied it
	Generation        int64    `json:"generation,omitempty"`
}

// Workload is the payload of every workload event: the rollout of one Deployment, StatefulSet,
// DaemonSet or Job. For a Job, Desired is its completions, Ready its active pods and Available
// those that succeeded.
type Workload struct {
	Desired    int32    `json:"desired"`
	Updated    int32    `json:"updated"`
	Ready      int32    `json:"ready"`
	Available  int32    `json:"available"`
	Images     []string `json:"images,omitempty"`
	Generation int64    `json:"generation,omitempty"`
	Reason     string   `json:"reason,omitempty"`
	Message    string   `json:"message,omitempty"`
	Owner      Object   `json:"owner,omitzero"` // the Kustomization or HelmRelease that applied it
}

// Episode is the payload of every episode event: one failure of one object, however many pods
// and restarts it takes. The event's subject is the top owner (Deployment, Job, Kustomization …).
type Episode struct {
	ID        string    `json:"id"` // the same in opened, changed and resolved
	Reason    string    `json:"reason"`
	Message   string    `json:"message,omitempty"`   // names what is missing, where something is
	Container string    `json:"container,omitempty"` // empty for failures that are not a container's
	Pod       string    `json:"pod,omitempty"`       // the pod it was first seen on
	Node      string    `json:"node,omitempty"`
	ExitCode  *int32    `json:"exitCode,omitempty"`
	Restarts  int32     `json:"restarts,omitempty"`
	Signature string    `json:"signature,omitempty"` // equal for the same failure elsewhere or on another day
	Lines     []string  `json:"lines,omitempty"`     // last lines of the container that died, redacted
	Runbook   string    `json:"runbook,omitempty"`
	Owner     Object    `json:"owner,omitzero"` // the Kustomization or HelmRelease behind the object
	OpenedAt  time.Time `json:"openedAt,omitzero"`
	// ResolvedBy says what ended it ("rollout available", "object removed"); only in resolved.
	ResolvedBy string `json:"resolvedBy,omitempty"`
}

// Started is the payload of agent.started, the first event of every agent process.
type Started struct {
	Version string `json:"version"`
	Cluster
}

// Snapshot is one part of a cluster's full state. A snapshot replaces all that was known of the
// cluster; readers apply it when they have all its parts, and notify nobody.
type Snapshot struct {
	ID      string  `json:"id"`   // the same in all parts
	Part    int     `json:"part"` // from 1
	Parts   int     `json:"parts"`
	Entries []Entry `json:"entries"`
}

// Entry is the last event about one object or episode, without its envelope.
type Entry struct {
	Type     Type            `json:"type"`
	Subject  string          `json:"subject"`
	Time     time.Time       `json:"time"`
	Team     string          `json:"team,omitempty"`
	Service  string          `json:"service,omitempty"`
	Artifact string          `json:"artifact,omitempty"`
	Revision string          `json:"revision,omitempty"`
	Data     json.RawMessage `json:"data"`
}

// Entry is the part of the event that a snapshot repeats.
func (e *Event) Entry() Entry {
	return Entry{Type: e.Type, Subject: e.Subject, Time: e.Time, Team: e.Team, Service: e.Service,
		Artifact: e.Artifact, Revision: e.Revision, Data: e.Data}
}

// MaxGapSpans bounds Gap.Spans.
const MaxGapSpans = 256

// Gap is the payload of agent.gap: what the agent had to drop before it could be sent. The events
// in Spans will never come; what they would have said, the next snapshot says.
type Gap struct {
	Reason  string       `json:"reason"`
	Dropped map[Kind]int `json:"dropped"`
	From    time.Time    `json:"from"` // of the oldest event dropped
	To      time.Time    `json:"to"`   // of the newest
	// Spans are the sequences that were dropped, ascending and disjoint, at most MaxGapSpans, all
	// below the gap's own. Where there were more, neighbours are joined, and a span then also
	// covers sequences that were sent, or still will be: whoever has those keeps them.
	Spans []Span `json:"spans,omitempty"`
}

// Span is a range of sequences, both ends included. Strings on the wire, as Event.Sequence.
type Span struct {
	First uint64 `json:"first,string"`
	Last  uint64 `json:"last,string"`
}

// Heartbeat is the body of a heartbeat message: plain JSON, not an event.
type Heartbeat struct {
	Epoch    string    `json:"epoch"`
	Sequence uint64    `json:"sequence,string"`         // of the last event committed
	Objects  int       `json:"objects"`                 // in the agent's inventory
	Digest   uint64    `json:"digest,string,omitempty"` // of that inventory; 0: not computed
	Time     time.Time `json:"time"`                    // the agent's clock
	Interval Duration  `json:"interval"`                // until the next one
	Version  string    `json:"version"`                 // the agent's
	Started  time.Time `json:"started"`                 // of the agent process
	Cluster
}

// Duration is a time.Duration written as text ("15s").
type Duration time.Duration

// MarshalText writes the duration as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	*d = Duration(v)
	return err
}
