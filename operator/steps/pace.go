package steps

import (
	"math/rand/v2"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// How long an object that fails is left alone: from baseDelay, doubled each time, to maxDelay.
const (
	baseDelay = time.Second
	maxDelay  = 2 * time.Minute
)

// spread is how far a delay is moved up or down, so that clusters that failed together do not come
// back together.
const spread = 0.2

// Jitter moves a delay by up to a fifth.
func Jitter(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 + spread*(2*rand.Float64()-1)))
}

// Backoff is the rate limiter of a controller: exponential for each object, with jitter, and with
// no limit over all objects, so that those that fail never delay the others.
func Backoff() workqueue.TypedRateLimiter[reconcile.Request] {
	return jittered{workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](baseDelay, maxDelay)}
}

type jittered struct {
	workqueue.TypedRateLimiter[reconcile.Request]
}

// When adds jitter to the limiter's delay.
func (j jittered) When(item reconcile.Request) time.Duration {
	return Jitter(j.TypedRateLimiter.When(item))
}
