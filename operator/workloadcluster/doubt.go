package workloadcluster

import (
	"cmp"
	"context"
	"errors"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/operator/steps"
)

// doubtful says whether a cluster may not answer: its last pass ended with no answer, or its agent, which was heard, has fallen silent.
// It decides what of the workers, which all clusters share, is spent on it: none waits for its first answer, and few go on with it.
func doubtful(obj *fleetv1.WorkloadCluster, silent bool) bool {
	return silent || !darkSince(obj).IsZero()
}

// firstAnswer is how long a worker waits for the first answer of a cluster that is not doubted, unless the Reconciler says. A cluster
// that takes longer is waited for all the same, only not by a worker.
const firstAnswer = 500 * time.Millisecond

// patience is how long a worker waits for the first answer of a cluster.
func (r *Reconciler) patience(doubted bool) time.Duration {
	if doubted {
		return 0
	}
	return cmp.Or(r.FirstAnswer, firstAnswer)
}

// askEvery is between two clusters that are doubted and asked: about as many of them are waited for then as the pool has room for.
const askEvery = 300 * time.Millisecond

// mayAsk says whether a cluster is doubted, and if so whether a pass over it can go on: it has answered, or will not, or it is its turn
// to be asked. Otherwise it is woken, and nothing is read for it: when many fall silent together the platform's API server has time for
// the others.
func (r *Reconciler) mayAsk(obj *fleetv1.WorkloadCluster) (doubted, ok bool) {
	id := obj.ID()
	if !doubtful(obj, r.agentSilent(id)) {
		r.asking.forget(id)
		return false, true
	}
	switch asked, answered := r.Remotes.Asked(id); {
	case answered:
		return true, true
	case asked:
		return true, false
	}
	return true, r.asking.begin(id)
}

// connect connects to a cluster. One that is doubted takes one of few places, since it may answer at first and hang then; done gives
// it back. The error says by putOff when the cluster has to come again.
func (r *Reconciler) connect(ctx context.Context, id string, doubted bool, kubeconfig []byte) (_ *remote.Cluster, done func(), err error) {
	cluster, err := r.Remotes.Connect(ctx, id, kubeconfig, r.patience(doubted))
	if !doubted {
		return cluster, func() {}, err
	}
	if err == nil && !r.slow.begin(id) {
		err = errNoPlace
	}
	switch _, wait := putOff(err); {
	case err == nil:
		r.asking.answered()
		return cluster, func() { r.wake(r.slow.end()) }, nil
	case errors.Is(err, errNoPlace), errors.Is(err, remote.ErrBusy):
		r.asking.admit(id) // it need not stand in line again
	case !wait:
		r.wake(r.slow.next()) // it may have been its turn
	}
	return nil, nil, err
}

// wake asks for a pass over the cluster whose turn it is, if there is one.
func (r *Reconciler) wake(id string, ok bool) {
	if ok && r.Wake != nil {
		r.Wake(id)
	}
}

// darkSince is when a cluster stopped answering, as its conditions say; zero for one that answers.
func darkSince(obj *fleetv1.WorkloadCluster) time.Time {
	var since time.Time
	for _, name := range stepConditions {
		c := apimeta.FindStatusCondition(obj.Status.Conditions, name)
		if c != nil && c.Reason == fleetv1.ReasonUnreachable && (since.IsZero() || c.LastTransitionTime.Time.Before(since)) {
			since = c.LastTransitionTime.Time
		}
	}
	return since
}

// When a cluster that does not answer is tried again.
const (
	soonestRetry = 10 * time.Second
	latestRetry  = 2 * time.Minute
)

// retryDark is when a cluster is tried again that has not answered for a while: after a quarter of that while, so that one that was
// away for a moment is soon back, and one that is gone costs little.
func retryDark(dark time.Duration) time.Duration {
	return min(max(dark/4, soonestRetry), latestRetry)
}

// backOff has a cluster that gave no answer tried again in its time. Other outcomes stay as they are.
func (r *Reconciler) backOff(p *pass, outcome steps.Outcome) steps.Outcome {
	if outcome.Reason != fleetv1.ReasonUnreachable {
		return outcome
	}
	now, since := r.Clock.Now(), darkSince(p.obj)
	if since.IsZero() {
		since = now
	}
	outcome.Err = nil
	return outcome.Again(steps.Jitter(retryDark(now.Sub(since))))
}

// unlessSilent takes a step, unless the one before it got no answer: a cluster that hangs in the midst of a pass costs a worker one
// request that is not answered, not one for every step.
func (r *Reconciler) unlessSilent(p *pass, before steps.Outcome, step func() steps.Outcome) steps.Outcome {
	if before.Reason != fleetv1.ReasonUnreachable {
		before = step()
	}
	return r.backOff(p, before)
}

// errNoPlace: as many clusters as may be are worked on that are doubted.
var errNoPlace = errors.New("it waits for its turn behind other clusters that may not answer")

// When a pass that was put off is taken up again.
const (
	pendingPoll = 20 * time.Second // the pool tells sooner
	turnPoll    = time.Minute      // who has its turn is woken
	busyPoll    = time.Minute      // as well
)

// putOff says whether a pass cannot go on now, and when it is taken up again. Nothing is known of the cluster then, so nothing of it
// is written.
func putOff(err error) (after time.Duration, ok bool) {
	switch {
	case errors.Is(err, remote.ErrPending):
		return pendingPoll, true
	case errors.Is(err, errNoPlace):
		return turnPoll, true
	case errors.Is(err, remote.ErrBusy):
		return busyPoll, true
	}
	return 0, false
}

// placesOf is how many of a number of workers may be with clusters that are doubted and have answered: a quarter.
func placesOf(workers int) int { return max(1, workers/4) }
