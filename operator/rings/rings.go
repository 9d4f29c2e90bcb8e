// Package rings decides which clusters may have a new version of Flux: ring by ring, no more of them at
// the same time than wanted, and none after one that failed. It is pure: what is seen of the clusters and
// the time come in as values, and all that it has to know of the past is among them.
package rings

import (
	"cmp"
	"time"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Ring is a set of clusters that are upgraded together.
type Ring struct {
	Name         string
	Environments []string        // empty: every one
	Selector     labels.Selector // over a cluster's labels
	Soak         time.Duration   // how long all of them must be healthy before the next ring begins
}

// Trouble is a failure on a cluster.
type Trouble struct {
	Reason, Message string
	Since           time.Time
}

// Failure is a failure that is remembered.
type Failure struct {
	Version string // that failed
	Trouble
}

// Cluster is what is seen of one cluster.
type Cluster struct {
	ID          string
	Environment string
	Labels      map[string]string

	LeftOut string // why upgrades are none of its business: "pinned to 2.8.x"; empty: they are
	Away    string // why nothing can be done there or seen of it; empty: it can

	Installed string    // version that was found there; empty: none
	Tried     string    // version that was put there last; empty: none, or it is not known any more
	TriedAt   time.Time // when that began
	Joined    bool      // Tried is the first version that the cluster ever had

	// Healthy: it runs Tried, all of it is available, its agent is connected, and nothing of Flux that
	// has failed since TriedAt still does.
	Healthy bool
	Since   time.Time // when it became so, or stopped being so
	Lacks   Trouble   // what keeps it from that; Since is not read
	// Trouble has begun since TriedAt and lasts: of Flux, or the agent has fallen silent.
	Trouble *Trouble
	Failed  *Failure // nil: none is remembered
}

// Input is what decides.
type Input struct {
	Target        string // version that every cluster should have; empty: it is not known
	Rings         []Ring // in their order; every cluster is in the first that selects it
	MaxConcurrent intstr.IntOrString
	Timeout       time.Duration // after which a cluster that is not healthy has failed
	Clusters      []Cluster
	Blind         string // why nothing can be seen of any cluster; empty: it can
	Now           time.Time
}

// State of an upgrade.
type State int

// States of an upgrade.
const (
	Unknown   State = iota // there is no target, or nothing can be seen
	UpToDate               // nothing is left to do
	Upgrading              // clusters of a ring get the version
	Soaking                // a ring has it and must be healthy for a while longer
	Halted                 // a cluster failed
	Silent                 // no cluster of a ring can be reached
)

// Word is what a decision says of one cluster.
type Word struct {
	Target  string // of the decision
	Version string // that the cluster may have; empty: whatever is newest
	First   bool   // it is for a cluster that has no Flux
	Note    string // why that is not the target: "v2.9.6 waits for ring canary"
}

// Counts of clusters.
type Counts struct{ Upgraded, Upgrading, Failed, Waiting, Skipped, LeftOut int }

// Halt is what has stopped an upgrade.
type Halt struct {
	Cluster string
	Trouble
}

// Decision is what is to be done.
type Decision struct {
	State     State
	Ring      string // that is upgraded, or soaks; empty: none is
	SoakUntil time.Time
	Counts    Counts
	Halt      *Halt // set when the state is Halted
	Words     map[string]Word
	Skipped   []string           // "eu3 (no heartbeat since …)", ordered by id
	Failed    map[string]Failure // to remember, by cluster
	Mended    []string           // clusters whose remembered failure is over, ordered
	After     time.Duration      // look again then, if nothing happens before; 0: no need
}

// For is the version that the cluster is to have, given what was tried on it and what is found there now;
// empty is the newest. What has the target is never taken back by a decision that is older than that, and
// a Flux that the decision did not know of stays what it is until it does.
func (w Word) For(tried, installed string) string {
	have := cmp.Or(tried, installed)
	if have != "" && (w.First || tried == "" || tried == w.Target || w.Version == "") {
		return have
	}
	return w.Version
}
