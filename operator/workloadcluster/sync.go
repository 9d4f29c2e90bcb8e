package workloadcluster

import (
	"context"
	"fmt"

	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/clusters/layers"
	"github.com/fairway-dev/fairway/operator/steps"
)

// sync takes the step Synced: the values, the GitRepository and the root Kustomization.
func (r *Reconciler) sync(ctx context.Context, p *pass, ready steps.Outcome) steps.Outcome {
	if outcome, not := notSyncing(p.obj.Spec.Mode, p.fleet != nil, ready); not {
		return outcome
	}
	secret, outcome, ok := r.gitSecret(ctx, p.fleet)
	if !ok {
		return outcome
	}
	if _, err := r.apply(ctx, p, setSync, syncOf(p, secret).Objects()); err != nil {
		return applyFailed(err)
	}
	state, err := flux.ReadSync(ctx, p.cluster.Client)
	if err != nil {
		return clusterFailed(err)
	}
	p.revision = state.Revision
	state = withoutLooks(state, p.obj)
	outcome = syncOutcome(state)
	if outcome.State != steps.Done || state.Reconciling {
		outcome.After = r.pollSince(p, fleetv1.ConditionSynced)
	}
	return outcome
}

// notSyncing says why the step is not taken.
func notSyncing(mode fleetv1.Mode, fleet bool, ready steps.Outcome) (steps.Outcome, bool) {
	switch {
	case mode == fleetv1.ModeObserve:
		return steps.Outcome{State: steps.Skipped, Reason: fleetv1.ReasonObserveOnly,
			Message: "spec.mode is Observe: the cluster does not follow the config repository"}, true
	case !fleet:
		return noFleet(), true
	case ready.State != steps.Done:
		return steps.Previous(fleetv1.ConditionFluxReady), true
	}
	return steps.Outcome{}, false
}

// gitSecret is the data of the config repository's Secret; nil for a public one.
func (r *Reconciler) gitSecret(ctx context.Context, fleet *fleetv1.Fleet) (map[string][]byte, steps.Outcome, bool) {
	ref := fleet.Spec.ConfigRepository.SecretRef
	if ref == nil {
		return nil, steps.Outcome{}, true
	}
	var secret corev1.Secret
	err := r.Get(ctx, types.NamespacedName{Namespace: r.Namespace, Name: ref.Name}, &secret)
	if apierrors.IsNotFound(err) {
		return nil, steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonSecretMissing, After: steps.Jitter(secretPoll),
			Message: fmt.Sprintf("Secret %s/%s of the Fleet's configRepository.secretRef does not exist on the platform cluster; create it", r.Namespace, ref.Name)}, false
	}
	if err != nil {
		return nil, steps.Internal(fmt.Errorf("get Secret %s/%s: %w", r.Namespace, ref.Name, err)), false
	}
	return secret.Data, steps.Outcome{}, true
}

func syncOf(p *pass, secret map[string][]byte) flux.Sync {
	repository := p.fleet.Spec.ConfigRepository
	return flux.Sync{
		ClusterID: p.obj.ID(),
		URL:       repository.URL, Branch: repository.Branch, Interval: repository.Interval.Duration,
		Secret: secret,
		Values: layers.Values(p.obj, p.cloud),
	}
}

// withoutLooks takes Flux's look at each interval for no news of a cluster that is well: it says nothing while it looks, and
// what it finds in the end.
func withoutLooks(state flux.SyncState, obj *fleetv1.WorkloadCluster) flux.SyncState {
	if state.Again && state.Revision == obj.Status.Flux.Revision && conditions.IsTrue(obj, fleetv1.ConditionSynced) {
		return state.Still()
	}
	return state
}

// syncOutcome is what the cluster's root Kustomization and its source come to.
func syncOutcome(state flux.SyncState) steps.Outcome {
	outcome := steps.Outcome{State: steps.Working, Reason: state.Reason, Message: state.Message}
	switch {
	case state.Ready:
		outcome.State = steps.Done
	case state.Failed:
		outcome.State = steps.Failing
	}
	return outcome
}
