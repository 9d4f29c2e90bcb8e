package workloadcluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fluxcd/pkg/runtime/conditions"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/adopt"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/operator/steps"
)

// renewRetry is when a token that could not be renewed is tried again.
const renewRetry = time.Minute

// lifetime is how long the credentials that a cluster is reached with are good.
type lifetime struct{ from, until time.Time } // zero: nothing says

// due is when they are to be renewed: when a third of their life is left.
func (l lifetime) due() time.Time { return l.until.Add(-l.until.Sub(l.from) / 3) }

// renew replaces the token of an adopted cluster in time, by means of the one that still is good. No
// other step waits for it.
func (r *Reconciler) renew(ctx context.Context, p *pass) {
	from, until := remote.Lifetime(p.cluster.Config)
	p.expires = until
	life, err := adopt.Life(p.access.annotations)
	switch {
	case err != nil:
		p.renewed = renewal(steps.Outcome{State: steps.Blocked, Reason: fleetv1.ReasonRenewalFailed, After: steps.Jitter(secretPoll),
			Message: fmt.Sprintf("Secret %q: %v", p.access.name, err)})
		return
	case life == 0 || until.IsZero(): // somebody else's to renew
		return
	}
	l, now := lifetime{from, until}, r.Clock.Now()
	if now.Before(l.due()) {
		p.later = sooner(p.later, l.due().Sub(now))
		p.renewed = renewal(renewedUntil(until))
		return
	}
	if until, err = r.renewToken(ctx, p, life); err != nil {
		p.renewed = renewal(renewalFailed(p.obj.ID(), l.until, err))
		return
	}
	p.expires = until
	p.renewed = renewal(renewedUntil(until).Again(steps.Jitter(watchPoll))) // with the new token
}

func renewal(outcome steps.Outcome) *steps.Step {
	return &steps.Step{Condition: fleetv1.ConditionAccessRenewed, Outcome: outcome}
}

// renewedUntil says the same until the token is another one.
func renewedUntil(until time.Time) steps.Outcome {
	return steps.Succeeded("the token ends at %s, and is renewed when a third of its life is left", until.Format(time.RFC3339))
}

// renewalFailed asks for no retry with backoff: the cluster is well while the token is good.
func renewalFailed(id string, until time.Time, err error) steps.Outcome {
	return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonRenewalFailed, After: steps.Jitter(renewRetry), Message: fmt.Sprintf(
		"the token ends at %s and cannot be renewed: %v; if it goes on: fairway adopt %s, once more", until.Format(time.RFC3339), err, id)}
}

// renewToken stores a new token, and says when it ends.
func (r *Reconciler) renewToken(ctx context.Context, p *pass, life time.Duration) (until time.Time, err error) {
	token, err := adopt.Token(ctx, p.cluster.Client, life)
	if err != nil {
		return time.Time{}, remote.Classify(err)
	}
	kubeconfig, err := adopt.WithToken(p.access.kubeconfig, token)
	if err != nil {
		return time.Time{}, err
	}
	config, err := remote.Config(kubeconfig)
	if err != nil {
		return time.Time{}, err
	}
	if _, until = remote.Lifetime(config); until.IsZero() {
		return time.Time{}, errors.New("the new token does not say when it ends")
	}
	// A Secret that somebody has changed meanwhile is theirs: the next pass reads it.
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: p.obj.Namespace, Name: p.access.name, ResourceVersion: p.access.version}}
	before := secret.DeepCopy()
	secret.Data = map[string][]byte{p.access.key: kubeconfig}
	err = r.Patch(ctx, secret, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}), client.FieldOwner(r.FieldOwner))
	if err != nil {
		return time.Time{}, fmt.Errorf("write Secret %s: %w", p.access.name, err)
	}
	return until, nil
}

// reportAccess writes until when the cluster can be reached, as far as that is known.
func reportAccess(p *pass) {
	if p.cluster != nil {
		p.obj.Status.Access.Expires = nil
		if !p.expires.IsZero() {
			p.obj.Status.Access.Expires = &metav1.Time{Time: p.expires}
		}
	}
	switch {
	case p.renewed != nil:
		steps.Set(p.obj, *p.renewed)
	case p.cluster != nil:
		conditions.Delete(p.obj, fleetv1.ConditionAccessRenewed)
	}
}
