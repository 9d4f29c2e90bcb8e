package rest

import "time"

// Since is the body of GET /api/v1/since: what changed, as counts and as a list. What a cluster had
// when it joined, and what a snapshot repeats, did not change and is in neither.
type Since struct {
	Page
	From    time.Time    `json:"from"`
	Until   time.Time    `json:"until"`
	Summary Summary      `json:"summary"`
	Items   []Transition `json:"items"`
}

// Summary counts what changed between two moments.
type Summary struct {
	Releases          int `json:"releases"` // that ended, well or not
	Rollouts          int `json:"rollouts"` // of a workload on a cluster, finished
	Failures          int `json:"failures"` // of Flux objects and workloads
	EpisodesOpened    int `json:"episodesOpened"`
	EpisodesResolved  int `json:"episodesResolved"`
	Gaps              int `json:"gaps"` // in what clusters could report
	ClustersJoined    int `json:"clustersJoined"`
	ClustersLeft      int `json:"clustersLeft"`
	ClustersSilent    int `json:"clustersSilent"`    // that fell silent, each time
	ClustersConnected int `json:"clustersConnected"` // that came back, each time
	// ByType counts every type: "workload.available".
	ByType map[string]int `json:"byType"`
}

// Transition is one change on the platform's clock.
type Transition struct {
	// Sequence is the place in the stream; 0 for what no event says (cluster silent, cluster connected)
	// and for what was in a stream that is gone.
	Sequence uint64 `json:"sequence,omitempty"`
	// Time is when it happened, by the cluster's clock, but never after the bus had it.
	Time        time.Time `json:"time"`
	Stored      time.Time `json:"stored,omitzero"` // when the bus had it
	Cluster     string    `json:"cluster"`         // that it is about
	Environment string    `json:"environment,omitempty"`
	Kind        string    `json:"kind"` // "workload"
	What        string    `json:"what"` // "available"
	Object      string    `json:"object,omitempty"`
	Team        string    `json:"team,omitempty"`
	Service     string    `json:"service,omitempty"`
	Artifact    string    `json:"artifact,omitempty"`
	Revision    string    `json:"revision,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	Message     string    `json:"message,omitempty"`
	Episode     string    `json:"episode,omitempty"` // its id
	Container   string    `json:"container,omitempty"`
	ExitCode    *int32    `json:"exitCode,omitempty"`
	Lines       []string  `json:"lines,omitempty"` // last lines of the container that died
}

// Timeline is the body of GET /api/v1/timeline: everything around a moment, oldest first.
type Timeline struct {
	Page
	From   time.Time `json:"from"`
	Until  time.Time `json:"until"`
	Around time.Time `json:"around"`
	// Episode is the one that the timeline is around, when it is around one.
	Episode *Episode     `json:"episode,omitempty"`
	Items   []Transition `json:"items"`
}

// EpisodeDetail is the body of GET /api/v1/episodes/{id}: the episode, and the same failure on other
// clusters or days, the newest first.
type EpisodeDetail struct {
	Episode
	Similar []SimilarEpisode `json:"similar"`
}

// SimilarEpisode is an episode with the same signature, and what ended it.
type SimilarEpisode struct {
	ID          string    `json:"id"`
	Cluster     string    `json:"cluster"`
	Environment string    `json:"environment,omitempty"`
	Object      string    `json:"object"`
	Team        string    `json:"team,omitempty"`
	Service     string    `json:"service,omitempty"`
	Reason      string    `json:"reason"`
	OpenedAt    time.Time `json:"openedAt"`
	ResolvedAt  time.Time `json:"resolvedAt,omitzero"`
	ResolvedBy  string    `json:"resolvedBy,omitempty"`
	// ResolvedAfter is that of Episode.
	ResolvedAfter time.Time `json:"resolvedAfter,omitzero"`
	// What ran when it opened, and when it was resolved; empty where no event said it.
	Artifact         string `json:"artifact,omitempty"`
	Revision         string `json:"revision,omitempty"`
	ResolvedArtifact string `json:"resolvedArtifact,omitempty"`
	ResolvedRevision string `json:"resolvedRevision,omitempty"`
}
