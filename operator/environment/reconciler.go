// Package environment reconciles Environments: it says which clusters are in which wave, and whether what an Environment wants can be had.
package environment

import (
	"context"
	"fmt"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/fluxcd/pkg/runtime/patch"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/policy"
	"github.com/fairway-dev/fairway/operator/steps"
)

// Reconciler reconciles Environments.
type Reconciler struct {
	client.Client
	Recorder   events.EventRecorder
	FieldOwner string
}

// findings are what one pass saw.
type findings struct {
	waves       []policy.Wave
	wavesErr    error                 // a selector cannot be read
	registering int                   // clusters that do not follow the config repository yet
	path        []fleetv1.Environment // all there are, for promotion paths
}

// Reconcile is one pass.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &fleetv1.Environment{}
	if err := r.Get(ctx, req.NamespacedName, obj); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !obj.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	patcher := patch.NewSerialPatcher(obj, r.Client)
	found, err := r.observe(ctx, obj)
	if err != nil {
		return ctrl.Result{}, err
	}
	before := conditions.Get(obj, meta.ReadyCondition)
	report(obj, found)
	err = patcher.Patch(ctx, obj, patch.WithOwnedConditions{Conditions: steps.Owned()}, patch.WithStatusObservedGeneration{},
		patch.WithFieldOwner(r.FieldOwner))
	if err != nil {
		return ctrl.Result{}, fmt.Errorf("patch Environment: %w", err)
	}
	if now := conditions.Get(obj, meta.ReadyCondition); before == nil || before.Status != now.Status || before.Reason != now.Reason {
		kind := corev1.EventTypeNormal
		if conditions.IsStalled(obj) {
			kind = corev1.EventTypeWarning
		}
		steps.Record(r.Recorder, obj, []steps.Transition{{Type: kind, Condition: meta.ReadyCondition, Reason: now.Reason, Message: now.Message}})
	}
	return ctrl.Result{}, nil
}

// observe sees the clusters and the other Environments.
func (r *Reconciler) observe(ctx context.Context, obj *fleetv1.Environment) (findings, error) {
	var found findings
	targets, registering, err := clustersOf(ctx, r.Client, obj.Name)
	if err != nil {
		return found, err
	}
	found.registering = registering
	found.waves, found.wavesErr = policy.Waves(obj, Members(targets))
	var all fleetv1.EnvironmentList
	if err := r.List(ctx, &all); err != nil {
		return found, fmt.Errorf("list Environments: %w", err)
	}
	found.path = all.Items
	return found, nil
}
