// Package release reconciles Releases: it asks the rules, tries the artifact out on every cluster, moves pointers in the config
// repository wave by wave, and follows what comes of it until the release succeeded, failed or was taken back.
//
// What is to be done is decided by operator/policy, from nothing but what is seen. What has been done stands in Git: the status is
// written before each commit, a commit that was made already changes nothing, so the operator may end at any moment.
package release

import (
	"context"
	"fmt"
	"time"

	"github.com/fluxcd/pkg/runtime/patch"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/operator/artifact"
	"github.com/fairway-dev/fairway/operator/gitrepo"
	"github.com/fairway-dev/fairway/operator/policy"
)

const (
	// budget bounds the work of one pass.
	budget = time.Minute
	// maxRounds bounds how often one pass decides anew after it has done something.
	maxRounds = 8
)

// View is the fleet view, as far as this package needs it.
type View interface {
	// Rollout says how a service is on a cluster. A failure counts when it began at or after since, unless it is known to be one of
	// another artifact; with a zero since every failure that lasts counts.
	Rollout(cluster, team, service, artifact string, since time.Time) policy.Rollout
	// Blind says why nothing can be said of any cluster at the moment, and since when; nil when it can.
	Blind() (since time.Time, why error)
}

// Clusters reaches workload clusters.
type Clusters interface {
	// Connect returns once the cluster has answered. What waits longer than patience goes on without the caller, who comes again.
	Connect(ctx context.Context, obj *fleetv1.WorkloadCluster, patience time.Duration) (*remote.Cluster, error)
}

// ConfigRepository is the config repository, as far as this package needs it.
type ConfigRepository interface {
	Snapshot(ctx context.Context, fleet *fleetv1.Fleet) (*gitrepo.Snapshot, error)
	Submit(ctx context.Context, fleet *fleetv1.Fleet, change gitrepo.Change) (revision string, err error)
}

// Artifacts is the fleet's artifact registry. Errors are those of operator/artifact and operator/registry.
type Artifacts interface {
	Resolve(ctx context.Context, fleet *fleetv1.Fleet, team, service, id string) (artifact.Artifact, error)
	Pull(ctx context.Context, fleet *fleetv1.Fleet, team, service string, a artifact.Artifact) (artifact.Files, error)
}

// Announcer publishes the platform's own events.
type Announcer interface {
	// Announce returns when the bus has the event, or at once when there is no connection.
	Announce(ctx context.Context, e event.Event) error
}

// Reconciler reconciles Releases.
type Reconciler struct {
	client.Client
	// Live reads Releases as they are: a status that is older than what was written would lose what only the status knows.
	Live       client.Reader
	Recorder   events.EventRecorder
	Clusters   Clusters
	Config     ConfigRepository
	Artifacts  Artifacts
	View       View
	Announcer  Announcer
	Clock      clock.PassiveClock
	FieldOwner string
	// Wake asks for a pass over a Release. It must be fast and safe for concurrent use, and may forget.
	Wake func(key client.ObjectKey)

	busy    lanes
	checks  checks
	trouble troubles
}

// Reconcile is one pass over one Release.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &fleetv1.Release{}
	if err := r.Live.Get(ctx, req.NamespacedName, obj); err != nil {
		r.checks.forget(req.NamespacedName)
		r.trouble.forget(req.NamespacedName)
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !obj.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	// Two releases of a service to an environment take turns, so that the newer one is known to the older one's next pass.
	lane := laneOf(obj)
	if !r.busy.enter(lane) {
		return ctrl.Result{RequeueAfter: laneRetry}, nil
	}
	defer r.busy.leave(lane)
	work, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	p := &pass{obj: obj, patcher: patch.NewSerialPatcher(obj, r.Client), key: req.NamespacedName}
	if obj.Status.Phase.Final() {
		return r.settle(work, p)
	}
	return r.run(work, p)
}

// run decides and acts until there is nothing to be done now.
func (r *Reconciler) run(ctx context.Context, p *pass) (ctrl.Result, error) {
	for range maxRounds {
		if err := r.observe(ctx, p); err != nil {
			return r.hindered(ctx, p, err)
		}
		step := policy.Next(p.input)
		if err := r.report(ctx, p, step); err != nil {
			return ctrl.Result{}, err
		}
		again, err := r.act(ctx, p, step)
		switch {
		case err != nil:
			r.trouble.note(p.key, err)
			return r.hindered(ctx, p, err)
		case p.obj.Status.Phase.Final():
			return r.settle(ctx, p)
		case !again:
			later, err := r.tell(ctx, p)
			return ctrl.Result{RequeueAfter: sooner(sooner(step.After, p.after), later)}, err
		}
	}
	return ctrl.Result{}, fmt.Errorf("decide about Release: still not settled after %d rounds", maxRounds)
}

// act does what a step says; again is true when it has to be decided anew.
func (r *Reconciler) act(ctx context.Context, p *pass, step policy.Step) (again bool, err error) {
	switch step.Do {
	case policy.Dry:
		return r.try(ctx, p, step.Dry)
	case policy.Move, policy.RollBack:
		return true, r.commit(ctx, p, step)
	}
	return false, nil
}

// sooner is the shorter of two delays, where zero is no wish.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || (b > 0 && b < a) {
		return b
	}
	return a
}
