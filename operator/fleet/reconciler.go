// Package fleet reconciles the Fleet: it looks whether the config repository, the Flux artifact and
// the event bus can be used, makes the bus's keys, registers the Cluster API Clusters that the Fleet
// selects, and says which clusters may have a new version of Flux.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fluxcd/pkg/runtime/patch"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/agent"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/operator/eventbus"
	"github.com/fairway-dev/fairway/operator/memo"
	"github.com/fairway-dev/fairway/operator/steps"
)

// budget bounds the work of one pass.
const budget = time.Minute

// How long what was learned of the world outside is believed. A change of the Fleet, or of the
// repository's Secret, is always looked at anew.
const (
	versionLife = 10 * time.Minute
	failureLife = 5 * time.Second
	steady      = 5 * time.Minute // between two passes when nothing happens, at most
)

// Bus is the operator's own connection to the event bus.
type Bus interface {
	// Check is nil while the connection stands, and else says why not.
	Check() error
}

// Catalog finds versions of Flux.
type Catalog interface {
	Resolve(ctx context.Context, artifact, versionRange string) (flux.Version, error)
}

// Reconciler reconciles the Fleet. Its client must not cache Secrets.
type Reconciler struct {
	client.Client
	Recorder   events.EventRecorder
	Store      *eventbus.Store
	Catalog    Catalog
	Bus        Bus
	View       View
	Upgrades   *Upgrades
	Clock      clock.PassiveClock
	Namespace  string // of the operator
	FieldOwner string

	heads    memo.Memo[string]
	versions memo.Memo[flux.Version]
}

// findings are what one pass saw and did.
type findings struct {
	steps    []steps.Step
	counts   fleetv1.ClusterCounts
	revision string
	version  string
	upgrade  *fleetv1.FluxUpgradeStatus // nil: nothing was learned of it
}

// Reconcile is one pass.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, err error) {
	obj := &fleetv1.Fleet{}
	if err := r.Get(ctx, req.NamespacedName, obj); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !obj.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	patcher := patch.NewSerialPatcher(obj, r.Client)
	work, cancel := context.WithTimeout(ctx, budget)
	defer cancel()
	found, err := r.observe(work, obj)
	if err != nil {
		return ctrl.Result{}, err
	}
	transitions := steps.Transitions(obj.Status.Conditions, found.steps)
	report(obj, found)
	err = patcher.Patch(ctx, obj, patch.WithOwnedConditions{Conditions: owned}, patch.WithStatusObservedGeneration{},
		patch.WithFieldOwner(r.FieldOwner))
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("patch status: %w", err)
	}
	steps.Record(r.Recorder, obj, transitions)
	after, err := steps.Next(found.steps)
	if err != nil {
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: after}, nil
}

// observe looks at each part of the fleet. Parts do not wait for each other: what is wrong with one
// hides nothing of the others.
func (r *Reconciler) observe(ctx context.Context, obj *fleetv1.Fleet) (findings, error) {
	var found findings
	var repository, artifact steps.Outcome
	repository, found.revision = r.repository(ctx, obj)
	artifact, found.version = r.artifact(ctx, obj)
	found.steps = []steps.Step{
		{Condition: fleetv1.ConditionConfigRepositoryReady, Outcome: repository},
		{Condition: fleetv1.ConditionFluxArtifactReady, Outcome: artifact},
		{Condition: fleetv1.ConditionEventsReady, Outcome: r.events(ctx, obj)},
		{Condition: fleetv1.ConditionSettingsAccepted, Outcome: settings(obj)},
		{Condition: fleetv1.ConditionClustersRegistered, Outcome: r.registration(ctx, obj)},
	}
	var clusters fleetv1.WorkloadClusterList
	if err := r.List(ctx, &clusters); err != nil {
		return found, fmt.Errorf("list WorkloadClusters: %w", err)
	}
	found.counts = count(clusters.Items)
	var upgrade steps.Outcome
	upgrade, found.upgrade = r.upgrade(ctx, obj, found.version, clusters.Items)
	if found.upgrade != nil || upgrade.Err != nil {
		found.steps = append(found.steps, steps.Step{Condition: fleetv1.ConditionFluxUpgraded, Outcome: upgrade})
	}
	return found, nil
}

// events makes the bus's keys and looks whether it answers.
func (r *Reconciler) events(ctx context.Context, obj *fleetv1.Fleet) steps.Outcome {
	hosts, err := r.Store.Hosts(ctx, obj)
	if err != nil {
		return steps.Internal(err)
	}
	if outcome, not := r.mayMakeKeys(ctx, obj); not {
		return outcome
	}
	if _, err := r.Store.Ensure(ctx, hosts, eventbus.SettingsOf(obj)); err != nil {
		return keysFailed(err)
	}
	if err := r.noteKeys(ctx, obj); err != nil {
		return keysFailed(err)
	}
	if _, err := r.Store.Address(ctx, obj); err != nil {
		return addressMissing(err)
	}
	return busAnswers(r.Bus.Check())
}

// settings says whether agents can use what the Fleet sets for them.
func settings(obj *fleetv1.Fleet) steps.Outcome {
	if _, err := agent.SettingsOf(obj, nil); err != nil {
		return steps.Outcome{State: steps.Blocked, Reason: fleetv1.ReasonSettingsInvalid, Message: err.Error(), Err: err}
	}
	return steps.Succeeded("agents can use the settings of ownership and redaction")
}

func keysFailed(err error) steps.Outcome {
	if errors.Is(err, eventbus.ErrKeysDamaged) {
		return steps.Outcome{State: steps.Blocked, Reason: fleetv1.ReasonKeysDamaged, Message: err.Error(), Err: err}
	}
	return steps.Internal(err)
}

func addressMissing(err error) steps.Outcome {
	if errors.Is(err, eventbus.ErrNoAddress) {
		return steps.Outcome{State: steps.Working, Reason: fleetv1.ReasonEventsAddress, Message: err.Error(),
			After: steps.Jitter(addressPoll)}
	}
	return steps.Internal(err)
}

func busAnswers(err error) steps.Outcome {
	if err != nil {
		return steps.Outcome{State: steps.Working, Reason: fleetv1.ReasonEventsUnreachable, After: steps.Jitter(busPoll),
			Message: "the keys are made; the event bus does not answer yet: " + err.Error()}
	}
	return steps.Succeeded("the keys are made and the event bus answers").Again(steps.Jitter(steady))
}

// How often a Service is looked at that has no address, and a bus that does not answer.
const (
	addressPoll = 10 * time.Second
	busPoll     = 5 * time.Second
)
