// Package releasepolicy reconciles ReleasePolicies: it says where one contradicts an Environment, looks for new artifacts of the services
// that are released by themselves, and asks for their Releases.
package releasepolicy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/fluxcd/pkg/runtime/patch"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/artifact"
	"github.com/fairway-dev/fairway/operator/policy"
	"github.com/fairway-dev/fairway/operator/release"
	"github.com/fairway-dev/fairway/operator/steps"
)

const (
	// listed is how many artifacts of a service are looked at, the newest.
	listed = 100
	// defaultInterval is the API's default.
	defaultInterval = 30 * time.Second
	// listTimeout bounds one look at the registry.
	listTimeout = 30 * time.Second
)

// Artifacts is the fleet's artifact registry. Errors are those of operator/artifact and operator/registry.
type Artifacts interface {
	List(ctx context.Context, fleet *fleetv1.Fleet, team, service string, n int) ([]artifact.Artifact, error)
}

// Announcer publishes the platform's own events.
type Announcer interface {
	// Announce returns when the bus has the event, or at once when there is no connection.
	Announce(ctx context.Context, e event.Event) error
}

// Reconciler reconciles ReleasePolicies.
type Reconciler struct {
	client.Client
	Recorder   events.EventRecorder
	Artifacts  Artifacts
	Announcer  Announcer
	Clock      clock.PassiveClock
	FieldOwner string
}

// pass is what one reconcile saw and did.
type pass struct {
	obj          *fleetv1.ReleasePolicy
	fleet        *fleetv1.Fleet // nil: there is none
	environments []fleetv1.Environment
	releases     []fleetv1.Release
	artifacts    []artifact.Artifact
	listErr      error
	after        time.Duration // look again then; 0: no wish
}

// Reconcile is one pass.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	obj := &fleetv1.ReleasePolicy{}
	if err := r.Get(ctx, req.NamespacedName, obj); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !obj.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	p := &pass{obj: obj}
	patcher := patch.NewSerialPatcher(obj, r.Client)
	if err := r.observe(ctx, p); err != nil {
		return ctrl.Result{}, err
	}
	asked := r.ask(ctx, p)
	r.announce(ctx, p)
	before := conditions.Get(obj, meta.ReadyCondition)
	report(p)
	err := patcher.Patch(ctx, obj, patch.WithOwnedConditions{Conditions: steps.Owned()}, patch.WithStatusObservedGeneration{},
		patch.WithFieldOwner(r.FieldOwner))
	if err != nil {
		return ctrl.Result{}, errors.Join(asked, fmt.Errorf("patch ReleasePolicy: %w", err))
	}
	r.record(obj, before)
	return ctrl.Result{RequeueAfter: p.after}, asked
}

// record tells of a Ready that has changed.
func (r *Reconciler) record(obj *fleetv1.ReleasePolicy, before *metav1.Condition) {
	now := conditions.Get(obj, meta.ReadyCondition)
	if before != nil && before.Status == now.Status && before.Reason == now.Reason {
		return
	}
	kind := corev1.EventTypeNormal
	if now.Status == metav1.ConditionFalse {
		kind = corev1.EventTypeWarning
	}
	steps.Record(r.Recorder, obj, []steps.Transition{{Type: kind, Condition: meta.ReadyCondition, Reason: now.Reason, Message: now.Message}})
}

// observe sees the environments, the team's releases of the service, and its artifacts where any is released by itself.
func (r *Reconciler) observe(ctx context.Context, p *pass) error {
	fleet := &fleetv1.Fleet{}
	err := r.Get(ctx, client.ObjectKey{Name: fleetv1.FleetName}, fleet)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("get Fleet: %w", err)
	}
	if err == nil {
		p.fleet = fleet
	}
	var environments fleetv1.EnvironmentList
	if err := r.List(ctx, &environments); err != nil {
		return fmt.Errorf("list Environments: %w", err)
	}
	var releases fleetv1.ReleaseList
	err = r.List(ctx, &releases, client.InNamespace(p.obj.Namespace), client.MatchingFields{release.ServiceField: p.obj.Spec.Service})
	if err != nil {
		return fmt.Errorf("list Releases: %w", err)
	}
	p.environments, p.releases = environments.Items, releases.Items
	if len(p.obj.Spec.AutoRelease) > 0 && p.fleet != nil {
		ctx, cancel := context.WithTimeout(ctx, listTimeout)
		defer cancel()
		p.artifacts, p.listErr = r.Artifacts.List(ctx, p.fleet, p.obj.Namespace, p.obj.Spec.Service, listed)
		if errors.Is(p.listErr, artifact.ErrNotFound) { // nothing was pushed yet
			p.listErr = nil
		}
		p.after = steps.Jitter(interval(p.fleet))
	}
	return nil
}

func interval(fleet *fleetv1.Fleet) time.Duration {
	if fleet.Spec.Artifacts == nil || fleet.Spec.Artifacts.Interval.Duration <= 0 {
		return defaultInterval
	}
	return fleet.Spec.Artifacts.Interval.Duration
}

// ask asks for the releases that the policy wants by now. One that is there already was asked for before.
func (r *Reconciler) ask(ctx context.Context, p *pass) error {
	asked, after := policy.AutoReleases(policy.AutoInput{
		Policy: p.obj, Artifacts: byBranch(p.artifacts), Environments: p.environments, Releases: p.releases, Now: r.Clock.Now(),
	})
	if after > 0 && (p.after == 0 || after < p.after) {
		p.after = after
	}
	var errs []error
	for _, each := range asked {
		err := r.Create(ctx, &fleetv1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: p.obj.Namespace, Name: each.Name}, Spec: each.Spec},
			client.FieldOwner(r.FieldOwner))
		if client.IgnoreAlreadyExists(err) != nil {
			errs = append(errs, fmt.Errorf("ask for Release %s: %w", each.Name, err))
		}
	}
	return errors.Join(errs...)
}

// byBranch are the artifacts as operator/policy sees them, in their order.
func byBranch(all []artifact.Artifact) map[string][]policy.Artifact {
	out := map[string][]policy.Artifact{}
	for _, a := range all {
		out[a.Branch] = append(out[a.Branch], policy.Artifact{ID: a.ID, Digest: a.Digest, Source: a.Metadata})
	}
	return out
}
