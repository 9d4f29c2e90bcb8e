// Package policy decides about releases: may this artifact go there, in which waves, what next. It is pure: what is seen of Git, of
// clusters, of the registry and the time come in as values, and all that it has to know of the past is among them.
//
// # Who is newer, and who takes over
//
// Of two Releases of a service to an environment the newer one is that with the later creationTimestamp, and of two of the same second
// that whose name comes later. A newer one takes over when it begins to move clusters (phase Releasing or one after it, or a pointer
// that carries its name): the older one is Superseded then, and leaves its pointers to it. One that waits or is refused takes nothing
// over.
//
// # What a release owns
//
// A pointer that carries a release's name is that release's. With the artifact of the release it is moved; with any other one, the
// release has rolled it back. A pointer that a release moved and that is not its own any more was moved by somebody else: the release
// ends as Failed and touches nothing more, since whoever did that wanted it so.
package policy

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Cluster is a cluster that an environment's releases go to: one that follows the config repository. One that is being registered is not
// yet such a cluster, and one whose mode is Observe never is.
type Cluster struct {
	ID     string
	Labels map[string]string // of its WorkloadCluster
}

// Wave is a wave of an environment with its clusters.
type Wave struct {
	Name          string
	Clusters      []string // ordered; none: no cluster is in it, and nobody waits for it
	MaxConcurrent int      // clusters under way at the same time, at least 1
	Soak          time.Duration
}

// Artifact is what the registry, or the config repository, says of an artifact.
type Artifact struct {
	ID      string
	Digest  string
	Source  fleetv1.ArtifactSource
	Problem *Problem // why it cannot be released; nil: it can
}

// Problem is a reason and a message. Of an Artifact: ReasonArtifactNotFound, ReasonArtifactInvalid (final), ReasonArtifactsAway or
// ReasonNoArtifactStore (waited for). Of a Check: a reason of ConditionChecked.
type Problem struct {
	Reason  string
	Message string
	Object  string // "Deployment/payments/ledger"; empty: it is about none
}

// State of a pointer's file.
type State int

// States of a pointer's file.
const (
	Absent  State = iota // there is none
	Ours                 // it is as Fairway writes it
	Edited               // somebody changed what Fairway wrote
	Foreign              // it is not Fairway's
)

// Pointer is what the config repository says of a service on a cluster.
type Pointer struct {
	State    State
	Artifact string // empty: Absent, or it cannot be read
	Release  string // that put it there: "payments/ledger-7k2x9"
}

// Rollout is what is known of a service on a cluster.
type Rollout struct {
	Known bool
	AsOf  time.Time // what is known, or was known last, was so then, by the platform's clock; zero: nothing ever was
	// Artifact that all workloads of the service carry; of a service without workloads, that Flux applied. Empty: none, or several.
	Artifact  string
	Applied   bool      // Flux has applied Artifact and its last attempt is no failure
	Available bool      // every workload of the service is; of a service without workloads: it is Applied
	Since     time.Time // when the last of Artifact, Applied and Available became what it is; zero: not known
	Failure   *Failure  // the oldest one since the time that was asked for that lasts; nil: none
	Message   string    // what is not there yet: "Deployment/payments/ledger: 1 of 2 available"; may be empty
}

// Failure is an episode, or a failure of Flux, that lasts.
type Failure struct {
	Reason  string // ReasonRolloutFailed or ReasonDeployFailed
	Message string // "CrashLoopBackOff: container app ended with code 2"
	Object  string // "Deployment/payments/ledger"
	Lines   []string
	Since   time.Time
}

// Origin is the environment that a promotion path names, and the service on its clusters.
type Origin struct {
	Found    bool // there is such an Environment
	Clusters []OriginCluster
}

// OriginCluster is a service on a cluster of the environment before.
type OriginCluster struct {
	ID      string
	Pointer Pointer
	Rollout Rollout // asked for without a time: every failure that lasts counts
}

// AdmitInput is what the rules are asked with.
type AdmitInput struct {
	Release     *fleetv1.Release        // its namespace is the team
	Environment *fleetv1.Environment    // nil: there is none of that name
	Policies    []fleetv1.ReleasePolicy // of the team; those of other services, and of other teams, do not count
	Artifact    Artifact
	Origin      Origin            // not read unless the Environment has promotesFrom
	Others      []fleetv1.Release // of the team; those of other services do not count, nor the Release itself
	Now         time.Time
}

// Word is what the rules say.
type Word int

// What the rules say.
const (
	GoOn Word = iota
	Wait
	Refuse
)

// Verdict is what the rules say of a Release, and why. Of several rules that stand in the way it is the first that speaks: superseded,
// suspended, then those that refuse, in the order of what is asked for, then those that wait.
type Verdict struct {
	Word    Word
	Reason  string        // of ConditionAdmitted; or ReasonSuspended
	Message string        // the rule, where it is written, and what would satisfy it
	After   time.Duration // look again then, if nothing happens before; 0: no need
}

// Check is what came of the dry run on a cluster.
type Check struct {
	Problems []Problem // none: it would take all of the artifact
	At       time.Time // when it was asked
	Away     string    // why it could not be asked; empty: it was
	Since    time.Time // of Away
}

// Sight is whether anything can be seen of any cluster, and since when. An operator that has just begun to see has to say since when it
// does, or clusters that it has not heard of yet have run out of time.
type Sight struct {
	Blind string    // why nothing can; empty: it can
	Since time.Time // when that began, either way; zero: it always was so
}

// Input is what decides. Pointers, Rollouts and Checks are by cluster. A Rollout is asked for since the movedAt of the status' target; it
// is not read where the pointer is not the Release's. Pointers are read before Others are listed: who has moved one is among those.
type Input struct {
	AdmitInput
	Clusters []Cluster // of the Environment
	Pointers map[string]Pointer
	Rollouts map[string]Rollout
	Checks   map[string]Check // of those that have been asked, for this artifact
	Sight    Sight
}

// Do is what is to be done. The status is patched before.
type Do int

// What is to be done.
const (
	Nothing  Do = iota
	Dry         // ask the clusters of Step.Dry, and call Next again with what they say
	Move        // Step.Moves, in one commit
	RollBack    // Step.Moves, in one commit, with Step.Evidence in its message; pointers carry the Release's name, as with Move
)

// Pointing is a pointer that is to be moved. It is moved only if it still is From when the commit is built: else nothing of the step is
// committed, and Next is asked again.
type Pointing struct {
	Cluster  string
	From     Pointer
	Artifact string // empty: the pointer is removed
}

// Step is what is to be done, and what the status has to say before it is.
type Step struct {
	Do       Do
	Dry      []string   // clusters, with Dry; ordered as the waves are
	Moves    []Pointing // with Move and RollBack
	Evidence string     // with RollBack: why, for people, several lines

	Phase     fleetv1.Phase
	Wave      string
	SoakUntil time.Time // zero: nothing soaks
	Targets   []fleetv1.Target
	// Conditions of a release's steps, in their order and without times: True it is done, Unknown it waits for one before it, False it is
	// under way or, when the Phase is final, it is what ended the release. None: they stay as they are.
	Conditions []metav1.Condition
	Artifact   Artifact
	Now        time.Time
	After      time.Duration // look again then, if nothing happens before; 0: no need
}

// AutoInput is what auto-releases are decided from.
type AutoInput struct {
	Policy       *fleetv1.ReleasePolicy
	Artifacts    map[string][]Artifact // by branch, newest first
	Environments []fleetv1.Environment
	Releases     []fleetv1.Release // of the team
	Now          time.Time
}

// Asked is a Release that is to be asked for. The name is the same each time: where there is one of that name, it was asked for before.
type Asked struct {
	Name string
	Spec fleetv1.ReleaseSpec
}

// SimulateInput is what a simulation starts from.
type SimulateInput struct {
	Team, Service, Branch string
	Environments          []fleetv1.Environment
	Policies              []fleetv1.ReleasePolicy // of the team
	Clusters              map[string][]Cluster    // by environment
	Now                   time.Time
}

// Outcome is what would happen.
type Outcome string

// What would happen.
const (
	Auto    Outcome = "Auto"    // it is released by itself
	ByHand  Outcome = "ByHand"  // somebody may ask for it
	Refused Outcome = "Refused" // a rule forbids it
)

// Simulated is what would happen in an environment when an artifact of a branch is pushed.
type Simulated struct {
	Environment string
	Outcome     Outcome
	Reason      string   // of Refused
	Messages    []string // what forbids it; else what it waits for, in the order of the rules
	Waves       []Wave   // without those that have no cluster
}
