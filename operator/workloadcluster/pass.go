package workloadcluster

import (
	"time"

	"github.com/fluxcd/pkg/runtime/patch"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/capi"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/operator/steps"
)

// pass is what one reconcile knows and did.
type pass struct {
	obj    *fleetv1.WorkloadCluster
	fleet  *fleetv1.Fleet // nil: there is none
	access access
	rest   rest // why nothing is done; zero: the steps are taken

	doubted bool  // the cluster may not answer
	putOff  error // why the pass cannot go on now; nil: it can

	patcher *patch.SerialPatcher // for what has to be known before it is done

	cluster *remote.Cluster // from Reachable on
	applier *flux.Applier
	steps   []steps.Step

	surveyed  *steps.Step   // nil: no survey was made this time
	renewed   *steps.Step   // nil: the credentials are not the operator's to renew
	later     time.Duration // when either is looked at again; 0: it need not be asked for
	published *steps.Step   // nil: there is to be no ClusterProfile
	config    *steps.Step   // ConfigWritten, while the Fleet has no layers; nil: nothing was looked at

	// What was learned for the status; zero values leave what stands there.
	cloud    fleetv1.Cloud
	flux     *fleetv1.FluxStatus // nil: nothing was learned of it
	revision string              // that the root Kustomization applied
	agent    fleetv1.AgentStatus
	version  string                // of Kubernetes
	survey   *fleetv1.SurveyStatus // nil: there is no new one
	expires  time.Time             // when the credentials end; zero: nothing says
}

func (p *pass) add(condition string, outcome steps.Outcome) {
	p.steps = append(p.steps, steps.Step{Condition: condition, Outcome: outcome})
}

// configured notes what became of the cluster's file. Ready minds it while the Fleet has layers.
func (p *pass) configured(outcome *steps.Outcome) {
	switch {
	case outcome == nil:
	case layered(p.fleet):
		p.add(fleetv1.ConditionConfigWritten, *outcome)
	default:
		p.config = &steps.Step{Condition: fleetv1.ConditionConfigWritten, Outcome: *outcome}
	}
}

// all are the steps, with those that Ready does not mind.
func (p *pass) all() []steps.Step {
	var aside []steps.Step
	for _, step := range []*steps.Step{p.renewed, p.surveyed, p.published, p.config} {
		if step != nil {
			aside = append(aside, *step)
		}
	}
	return append(aside, p.steps...)
}

// works says whether steps are taken.
func (p *pass) works() bool { return p.rest == rest{} }

// rest is a reason for leaving a cluster alone.
type rest struct {
	reason, message string
	blocked         bool // a person has to do something
}

// resting says why nothing is done for a cluster: its id is another's, or somebody wants a pause.
func resting(obj, holder *fleetv1.WorkloadCluster, a access) rest {
	_, paused := obj.Annotations[capi.PausedAnnotation]
	switch {
	case holder.UID != obj.UID:
		return rest{blocked: true, reason: fleetv1.ReasonIDTaken,
			message: "WorkloadCluster " + holder.Namespace + "/" + holder.Name + " is older and has the id " + obj.ID() +
				"; delete one of them, or register this cluster under another name"}
	case obj.Spec.Suspend:
		return rest{reason: fleetv1.ReasonSuspended,
			message: "spec.suspend is true: nothing is done on the cluster, and its agent goes on reporting"}
	case paused, a.state.Paused:
		return rest{reason: fleetv1.ReasonPaused,
			message: "the annotation " + capi.PausedAnnotation + ", or spec.paused of its Cluster API Cluster, stops all work on the cluster"}
	}
	return rest{}
}

// The pace of polling a cluster while something on it is under way. A cluster that settles does so
// in the first minutes.
const (
	quickPoll   = 2 * time.Second
	quickFor    = 3 * time.Minute
	slowerPoll  = 10 * time.Second
	slowerFor   = 15 * time.Minute
	slowestPoll = 30 * time.Second
	steady      = 5 * time.Minute // a pass that finds everything as it should be

	restful = 30 * time.Second // without a pass a cluster needs no connection
)

// How long the newest version of Flux in a range is believed, and an error in finding it.
const (
	versionLife = 5 * time.Minute
	failureLife = 5 * time.Second
)

// poll is when to look again at what has been under way since a moment.
func poll(since, now time.Time) time.Duration {
	switch under := now.Sub(since); {
	case under < quickFor:
		return quickPoll
	case under < slowerFor:
		return steps.Jitter(slowerPoll)
	}
	return steps.Jitter(slowestPoll)
}

// sooner is the shorter of two delays, where zero is no wish.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || (b > 0 && b < a) {
		return b
	}
	return a
}
