// Package workloadcluster reconciles WorkloadClusters: it reaches the cluster, brings Flux onto it,
// makes it follow the config repository, and installs the agent that reports what happens there.
//
// Each step is a decision (a pure function) and an action. A step that fails hides none before it,
// and the agent waits for nothing but the cluster: reporting a broken cluster is what it is for.
package workloadcluster

import (
	"context"
	"fmt"
	"time"

	"github.com/fluxcd/pkg/runtime/patch"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/operator/eventbus"
	"github.com/fairway-dev/fairway/operator/memo"
	"github.com/fairway-dev/fairway/operator/rings"
	"github.com/fairway-dev/fairway/operator/steps"
)

// budget bounds the work of one pass.
const budget = time.Minute

// Agent is what the fleet view knows of a cluster's agent.
type Agent struct {
	Connected     bool // heartbeats arrive
	LastHeartbeat time.Time
	Version       string
	Snapshot      bool // the cluster's full state is in the view
}

// Agents is the fleet view, as far as this package needs it.
type Agents interface {
	// Agent says how a cluster's agent is; heard is false when nothing was ever heard of it.
	Agent(id string) (agent Agent, heard bool)
	// Blind says why nothing can be said of any agent at the moment, and since when; nil when it can.
	Blind() (since time.Time, why error)
}

// Upgrades says which version of Flux the fleet's upgrade gives a cluster.
type Upgrades interface {
	// Word is the last word on a cluster; false when there is none yet.
	Word(id string) (rings.Word, bool)
}

// Announcer publishes the platform's own events.
type Announcer interface {
	// Announce returns when the bus has the event, or at once when there is no connection.
	Announce(ctx context.Context, e event.Event) error
}

// Catalog finds versions of Flux and their manifests.
type Catalog interface {
	Versions
	Manifests
}

// Reconciler reconciles WorkloadClusters. Its client must not cache Secrets.
type Reconciler struct {
	client.Client
	Recorder   events.EventRecorder
	Remotes    *remote.Pool
	Catalog    Catalog
	Store      *eventbus.Store
	Agents     Agents
	Upgrades   Upgrades
	Announcer  Announcer
	Config     ConfigRepository
	Clock      clock.PassiveClock
	Namespace  string // of the operator
	AgentImage string
	FieldOwner string
	// FirstAnswer is how long a worker waits for the first answer of a cluster that is trusted to answer; 0: half a second.
	FirstAnswer time.Duration
	// Wake asks for a pass over the cluster with an id. It must be fast and safe for concurrent use, and may forget.
	Wake func(id string)

	versions    memo.Memo[flux.Version]
	applied     recent
	applying    places
	announced   announcements
	surveys     surveys
	surveying   turns // each survey holds what it saw in memory
	asking      pace  // clusters that are doubted whether they answer
	slow        turns // with those of them that did
	unpublished uids  // clusters that are known to have no ClusterProfile of ours
}

// Reconcile is one pass over one cluster.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &fleetv1.WorkloadCluster{}
	if err := r.Get(ctx, req.NamespacedName, obj); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	patcher := patch.NewSerialPatcher(obj, r.Client)
	if !obj.DeletionTimestamp.IsZero() {
		return r.depart(ctx, obj, patcher)
	}
	doubted, ok := r.mayAsk(obj)
	if !ok {
		return ctrl.Result{RequeueAfter: steps.Jitter(turnPoll), Priority: &behind}, nil
	}
	p, err := r.begin(ctx, obj)
	if err != nil {
		return ctrl.Result{}, err
	}
	p.patcher, p.doubted = patcher, doubted
	if p.works() && controllerutil.AddFinalizer(obj, fleetv1.Finalizer) {
		if err := r.patch(ctx, obj, patcher); err != nil { // before anything is made that it cleans up
			return ctrl.Result{}, err
		}
	}
	if p.works() {
		work, cancel := context.WithTimeout(ctx, budget)
		defer cancel()
		r.run(work, p)
	}
	if after, wait := putOff(p.putOff); wait {
		return ctrl.Result{RequeueAfter: steps.Jitter(after), Priority: &behind}, nil
	}
	return r.finish(ctx, p, patcher)
}

// begin learns whether anything may be done for the cluster now.
func (r *Reconciler) begin(ctx context.Context, obj *fleetv1.WorkloadCluster) (*pass, error) {
	p := &pass{obj: obj}
	holder, err := r.holder(ctx, obj)
	if err != nil {
		return nil, err
	}
	if p.access, err = r.readAccess(ctx, obj); err != nil {
		p.access = access{err: err}
	}
	p.rest = resting(obj, holder, p.access)
	if p.fleet, err = r.fleet(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// run takes the steps.
func (r *Reconciler) run(ctx context.Context, p *pass) {
	reachable, done := r.reach(ctx, p)
	defer done()
	if p.putOff != nil {
		return
	}
	p.add(fleetv1.ConditionReachable, reachable)
	if reachable.State != steps.Done {
		if layered(p.fleet) {
			p.add(fleetv1.ConditionConfigWritten, steps.Previous(fleetv1.ConditionReachable))
		}
		for _, condition := range stepConditions[1:] {
			p.add(condition, steps.Previous(fleetv1.ConditionReachable))
		}
		return
	}
	r.renew(ctx, p)
	// Before anything is put there. Whatever comes of it, the rest goes on.
	surveyed := r.survey(ctx, p)
	// The agent comes first of the rest although its condition is last: it is what reports when the others fail.
	connected := r.unlessSilent(p, surveyed, func() steps.Outcome { return r.connectAgent(ctx, p) })
	// Before Flux, so that a new cluster finds its file when it begins to follow the repository.
	configured := r.configure(ctx, p)
	ready := r.unlessSilent(p, connected, func() steps.Outcome { return r.installFlux(ctx, p) })
	synced := r.unlessSilent(p, ready, func() steps.Outcome { return r.sync(ctx, p, ready) })
	p.configured(configured)
	p.add(fleetv1.ConditionFluxReady, ready)
	p.add(fleetv1.ConditionSynced, synced)
	p.add(fleetv1.ConditionAgentConnected, connected)
}

// finish writes what became of the pass: status, Kubernetes events, the platform's event.
func (r *Reconciler) finish(ctx context.Context, p *pass, patcher *patch.SerialPatcher) (ctrl.Result, error) {
	before := p.obj.DeepCopy().Status.Conditions
	report(p)
	if p.published = r.publish(ctx, p); p.published != nil {
		steps.Set(p.obj, *p.published)
	}
	transitions := steps.Transitions(before, p.all())
	if err := r.patch(ctx, p.obj, patcher); err != nil {
		return ctrl.Result{}, err
	}
	steps.Record(r.Recorder, p.obj, transitions)
	after, err := steps.Next(p.all())
	after = sooner(after, p.later)
	if p.rest.reason != fleetv1.ReasonIDTaken {
		after = sooner(after, r.announce(ctx, p.obj))
	}
	if err != nil {
		return ctrl.Result{}, err
	}
	if after == 0 {
		after = steps.Jitter(steady)
	}
	if after >= restful {
		r.Remotes.Forget(p.obj.ID()) // of a thousand clusters few are worked on at a time, and a connection holds all of discovery
	}
	return ctrl.Result{RequeueAfter: after, Priority: &behind}, nil
}

func (r *Reconciler) patch(ctx context.Context, obj *fleetv1.WorkloadCluster, patcher *patch.SerialPatcher) error {
	err := patcher.Patch(ctx, obj, patch.WithOwnedConditions{Conditions: owned}, patch.WithStatusObservedGeneration{},
		patch.WithFieldOwner(r.FieldOwner))
	if err != nil {
		return fmt.Errorf("patch WorkloadCluster: %w", err)
	}
	return nil
}

// fleet reads the Fleet; nil when there is none.
func (r *Reconciler) fleet(ctx context.Context) (*fleetv1.Fleet, error) {
	fleet := &fleetv1.Fleet{}
	err := r.Get(ctx, client.ObjectKey{Name: fleetv1.FleetName}, fleet)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("get Fleet: %w", err)
	}
	if err != nil {
		return nil, nil
	}
	return fleet, nil
}
