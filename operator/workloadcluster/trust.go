package workloadcluster

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/operator/steps"
)

// trust is how surely a cluster is expected to answer. It decides what of the workers, which all clusters share, is spent on it.
type trust int

const (
	trusted trust = iota // nothing speaks against it
	doubted              // its agent has fallen silent: the cluster may have gone with it
	away                 // the last pass ended with no answer
)

// trustIn says what a pass may expect of a cluster, by its status and its agent.
func trustIn(obj *fleetv1.WorkloadCluster, silent bool) trust {
	switch {
	case !darkSince(obj).IsZero():
		return away
	case silent:
		return doubted
	}
	return trusted
}

// firstAnswer is how long a worker waits for the first answer of a cluster that is trusted, unless the Reconciler says. A cluster that
// takes longer is waited for all the same, only not by a worker.
const firstAnswer = 500 * time.Millisecond

// patience is how long a worker waits for the first answer, when it waits so long for that of a cluster that is trusted.
func (t trust) patience(most time.Duration) time.Duration {
	if t == trusted {
		return most
	}
	return 0
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
	soonestRetry = 5 * time.Second
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

// errNoPlace: as many clusters as may be are worked on that did not answer the last time.
var errNoPlace = errors.New("other clusters that did not answer are worked on")

// When a pass that was put off is taken up again.
const (
	pendingPoll = 20 * time.Second // the pool tells sooner
	busyPoll    = 5 * time.Second
)

// putOff says whether a pass cannot go on now, and when it is taken up again. Nothing is known of the cluster then, so nothing of it
// is written.
func putOff(err error) (after time.Duration, ok bool) {
	switch {
	case errors.Is(err, remote.ErrPending):
		return pendingPoll, true
	case errors.Is(err, remote.ErrBusy), errors.Is(err, errNoPlace):
		return busyPoll, true
	}
	return 0, false
}

// places bound how many of the workers are at once with clusters that are away: they may answer at first and hang then. The zero value
// has no bound. It is safe for concurrent use.
type places struct {
	most int

	mu    sync.Mutex
	taken int
}

// take takes a place, unless all are taken.
func (s *places) take() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.most > 0 && s.taken >= s.most {
		return false
	}
	s.taken++
	return true
}

func (s *places) free() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken--
}

// connect connects to a cluster, with the patience that it deserves.
func (r *Reconciler) connect(ctx context.Context, obj *fleetv1.WorkloadCluster, t trust, kubeconfig []byte) (*remote.Cluster, error) {
	return r.Remotes.Connect(ctx, obj.ID(), kubeconfig, t.patience(cmp.Or(r.FirstAnswer, firstAnswer)))
}

// placesOf are those of a number of workers: a quarter.
func placesOf(workers int) int { return max(1, workers/4) }
