package event

import (
	"strings"
	"time"
)

// Bounds of the payload of a release event. Within them, and those of free text, it is never larger
// than MaxSize.
const (
	MaxTargets   = 256
	MaxApprovals = 16
)

// Release is the payload of every release event, sent by the platform (cluster id Platform). It is
// the full state of one Release as of the event, but for its clusters: those it names are as it
// says, and others as the newest event before it says that names them.
//
// requested is sent for a new Release, and again when an approval or what it waits for changes;
// refused when a rule or a check forbids it; waveStarted before the first cluster of a wave moves,
// committed for every commit that moves clusters, waveHealthy when all clusters of the wave run the
// artifact in health; succeeded when all of the environment do; failed when a cluster failed;
// rolledBack when clusters that had moved are back, after failed; superseded when a newer Release of
// the same service and environment took over. The last of succeeded, failed, rolledBack, refused and
// superseded is the last event of a Release.
type Release struct {
	Name        string    `json:"name"` // "payments/ledger-7k2x9": namespace and name of the Release
	Team        string    `json:"team"`
	Service     string    `json:"service"`
	Artifact    string    `json:"artifact"` // id: "main-4f1c9d2-a81b"
	Environment string    `json:"environment"`
	Intent      string    `json:"intent"`         // "Release", "Promote", "Rollback" or "AutoRelease"
	From        string    `json:"from,omitempty"` // environment of a promotion
	RequestedBy string    `json:"requestedBy"`    // as Kubernetes knows them; "policy:<team>/<name>" of an auto-release
	RequestedAt time.Time `json:"requestedAt,omitzero"`
	Comment     string    `json:"comment,omitempty"` // what who asked says of it
	// Approvals are those that were given so far, at most MaxApprovals.
	Approvals []Approval `json:"approvals,omitempty"`

	Phase      string    `json:"phase"`          // of the Release: "Pending", "Releasing", "Succeeded", …
	Wave       string    `json:"wave,omitempty"` // that is released to, or soaks, or failed
	StartedAt  time.Time `json:"startedAt,omitzero"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`
	// Commit is the newest commit of the config repository for the Release, in Flux's form
	// (main@sha1:<hex>), RollbackCommit the one that took it back.
	Commit         string `json:"commit,omitempty"`
	RollbackCommit string `json:"rollbackCommit,omitempty"`

	Digest string         `json:"digest,omitempty"` // of the artifact
	Source ArtifactSource `json:"source,omitzero"`
	// Clusters are those that the event is about, at most MaxTargets: of requested and succeeded all
	// targets as far as they are known, of committed those that the commit moves, of wave events those of
	// the wave, of failed and rolledBack all that had moved. Where there are more, events of the type
	// follow each other.
	Clusters []ReleaseTarget `json:"clusters,omitempty"`
	Total    int             `json:"total,omitempty"` // clusters of the environment that are to run it

	Reason  string   `json:"reason,omitempty"`  // of refused and failed, and what requested waits for
	Message string   `json:"message,omitempty"` // names the rule, or cluster and object, and the way out
	Lines   []string `json:"lines,omitempty"`   // last lines of the container that failed, redacted
}

// Approval is one person's word that a release may go on.
type Approval struct {
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// ReleaseTarget is how far one cluster is in a Release.
type ReleaseTarget struct {
	Cluster     string    `json:"cluster"`
	Wave        string    `json:"wave,omitempty"`
	State       string    `json:"state"`              // "Waiting", "Moving", "RollingOut", "Available", "Unknown", "Failed" or "RolledBack"
	Previous    string    `json:"previous,omitempty"` // artifact that it was to run before
	MovedAt     time.Time `json:"movedAt,omitzero"`   // when it was told to run the artifact
	AvailableAt time.Time `json:"availableAt,omitzero"`
	Reason      string    `json:"reason,omitempty"`
}

// ArtifactSource is where an artifact comes from.
type ArtifactSource struct {
	Repository string    `json:"repository,omitempty"`
	Branch     string    `json:"branch,omitempty"`
	Commit     string    `json:"commit,omitempty"` // with all of its digits
	Author     string    `json:"author,omitempty"`
	CI         string    `json:"ci,omitempty"`     // address of the run that made the artifact
	Created    time.Time `json:"created,omitzero"` // when the artifact was made
}

// Artifact is the payload of artifact.created, sent by the platform when it first sees an artifact
// in the registry.
type Artifact struct {
	Team    string         `json:"team"`
	Service string         `json:"service"`
	ID      string         `json:"id"`
	Digest  string         `json:"digest,omitempty"` // "sha256:…"
	Source  ArtifactSource `json:"source,omitzero"`
}

// String says on one line who released what where: "payments/ledger main-4f1c9d2-a81b to prod, promoted
// from staging by dev@example.com".
func (r *Release) String() string {
	how := "released"
	switch r.Intent {
	case "Promote":
		how = "promoted from " + r.From
	case "Rollback":
		how = "rolled back"
	}
	return r.Team + "/" + r.Service + " " + r.Artifact + " to " + r.Environment + ", " + how + " by " + r.RequestedBy
}

// NewRelease makes the platform's event about a Release, cut to the bounds of the contract. Whoever
// publishes it sets its ID.
func NewRelease(typ Type, r Release, at time.Time) (Event, error) {
	r.Clusters = r.Clusters[:min(len(r.Clusters), MaxTargets)]
	r.Approvals = r.Approvals[:min(len(r.Approvals), MaxApprovals)]
	r.Message, r.Comment, r.Lines = cut(r.Message, MaxMessage), cut(r.Comment, MaxMessage), lastLines(r.Lines)
	namespace, name, _ := strings.Cut(r.Name, "/")
	e, err := New(Platform, typ, Object{Kind: "Release", Namespace: namespace, Name: name}, at, r)
	e.Environment, e.Team, e.Service, e.Artifact, e.Revision = r.Environment, r.Team, r.Service, r.Artifact, r.Commit
	return e, err
}

// NewArtifact makes the platform's event about an artifact. Whoever publishes it sets its ID.
func NewArtifact(a Artifact, at time.Time) (Event, error) {
	e, err := New(Platform, ArtifactCreated, Object{Kind: "Artifact", Namespace: a.Team, Name: a.ID}, at, a)
	e.Team, e.Service, e.Artifact = a.Team, a.Service, a.ID
	return e, err
}

// cut is text with at most limit bytes, of whole characters.
func cut(text string, limit int) string {
	if len(text) > limit {
		return strings.ToValidUTF8(text[:limit], "")
	}
	return text
}

// lastLines are the last lines, as many as may be sent.
func lastLines(lines []string) []string {
	lines = lines[max(0, len(lines)-MaxLogLines):]
	size := 0
	for i := len(lines) - 1; i >= 0; i-- {
		if size += len(lines[i]); size > MaxLog {
			return lines[i+1:]
		}
	}
	return lines
}
