package event

import "strings"

// Kind is the coarse kind of an event: the last token of its subject and the second of its type.
type Kind string

// Kinds of events.
const (
	KindCluster  Kind = "cluster"
	KindFlux     Kind = "flux"
	KindWorkload Kind = "workload"
	KindEpisode  Kind = "episode"
	KindRelease  Kind = "release"
	KindArtifact Kind = "artifact"
	KindAgent    Kind = "agent"
)

// Kinds lists every kind, in the order of the contract.
var Kinds = []Kind{KindCluster, KindFlux, KindWorkload, KindEpisode, KindRelease, KindArtifact, KindAgent}

// Known says whether k is a kind of the contract.
func (k Kind) Known() bool {
	switch k {
	case KindCluster, KindFlux, KindWorkload, KindEpisode, KindRelease, KindArtifact, KindAgent:
		return true
	}
	return false
}

// Type is a CloudEvents type, "dev.fairway.<kind>.<what>.v1". The payload of each is the struct
// named beside it.
type Type string

// Types of events.
const (
	ClusterConnected    Type = "dev.fairway.cluster.connected.v1"    // Cluster
	ClusterSilent       Type = "dev.fairway.cluster.silent.v1"       // Cluster
	ClusterRegistered   Type = "dev.fairway.cluster.registered.v1"   // Registration
	ClusterDeregistered Type = "dev.fairway.cluster.deregistered.v1" // Registration
	ClusterChanged      Type = "dev.fairway.cluster.changed.v1"      // Cluster

	FluxProgressing Type = "dev.fairway.flux.progressing.v1" // Flux, as are all below
	FluxSucceeded   Type = "dev.fairway.flux.succeeded.v1"
	FluxFailed      Type = "dev.fairway.flux.failed.v1"
	FluxStalled     Type = "dev.fairway.flux.stalled.v1"
	FluxSuspended   Type = "dev.fairway.flux.suspended.v1"
	FluxRemoved     Type = "dev.fairway.flux.removed.v1"

	WorkloadRolling   Type = "dev.fairway.workload.rolling.v1" // Workload, as are all below
	WorkloadAvailable Type = "dev.fairway.workload.available.v1"
	WorkloadDegraded  Type = "dev.fairway.workload.degraded.v1"
	WorkloadRemoved   Type = "dev.fairway.workload.removed.v1"
	WorkloadSucceeded Type = "dev.fairway.workload.succeeded.v1" // Jobs only
	WorkloadFailed    Type = "dev.fairway.workload.failed.v1"    // Jobs only

	EpisodeOpened   Type = "dev.fairway.episode.opened.v1" // Episode, as are all below
	EpisodeChanged  Type = "dev.fairway.episode.changed.v1"
	EpisodeResolved Type = "dev.fairway.episode.resolved.v1"

	ReleaseRequested   Type = "dev.fairway.release.requested.v1" // Release, as are all below
	ReleaseRefused     Type = "dev.fairway.release.refused.v1"
	ReleaseCommitted   Type = "dev.fairway.release.committed.v1"
	ReleaseWaveStarted Type = "dev.fairway.release.waveStarted.v1"
	ReleaseWaveHealthy Type = "dev.fairway.release.waveHealthy.v1"
	ReleaseSucceeded   Type = "dev.fairway.release.succeeded.v1"
	ReleaseFailed      Type = "dev.fairway.release.failed.v1"
	ReleaseRolledBack  Type = "dev.fairway.release.rolledBack.v1"
	ReleaseSuperseded  Type = "dev.fairway.release.superseded.v1"

	ArtifactCreated Type = "dev.fairway.artifact.created.v1" // Artifact

	AgentStarted  Type = "dev.fairway.agent.started.v1"  // Started
	AgentSnapshot Type = "dev.fairway.agent.snapshot.v1" // Snapshot
	AgentGap      Type = "dev.fairway.agent.gap.v1"      // Gap
)

// Types lists every type that is published today, in the order of the contract.
var Types = []Type{
	ClusterConnected, ClusterSilent, ClusterRegistered, ClusterDeregistered, ClusterChanged,
	FluxProgressing, FluxSucceeded, FluxFailed, FluxStalled, FluxSuspended, FluxRemoved,
	WorkloadRolling, WorkloadAvailable, WorkloadDegraded, WorkloadRemoved, WorkloadSucceeded, WorkloadFailed,
	EpisodeOpened, EpisodeChanged, EpisodeResolved,
	ReleaseRequested, ReleaseRefused, ReleaseCommitted, ReleaseWaveStarted, ReleaseWaveHealthy,
	ReleaseSucceeded, ReleaseFailed, ReleaseRolledBack, ReleaseSuperseded,
	ArtifactCreated,
	AgentStarted, AgentSnapshot, AgentGap,
}

// Kind is the kind that the type's name carries, or "" when the name is not of the contract's
// form. A future type of a known kind has that kind, so that old readers can file what they do
// not understand.
func (t Type) Kind() Kind {
	kind, _, ok := t.split()
	if !ok {
		return ""
	}
	return kind
}

// What is the last word of the type's name: "opened" of dev.fairway.episode.opened.v1.
func (t Type) What() string {
	_, what, _ := t.split()
	return what
}

func (t Type) split() (kind Kind, what string, ok bool) {
	rest, ok := strings.CutPrefix(string(t), "dev.fairway.")
	if !ok {
		return "", "", false
	}
	rest, ok = strings.CutSuffix(rest, ".v1")
	if !ok {
		return "", "", false
	}
	name, what, ok := strings.Cut(rest, ".")
	kind = Kind(name)
	if !ok || !kind.Known() || what == "" || strings.Contains(what, ".") {
		return "", "", false
	}
	return kind, what, true
}
