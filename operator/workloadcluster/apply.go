package workloadcluster

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/apis/meta"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/operator/steps"
)

// reapply is how long a set that was applied is not applied again while something is waited for:
// comparing every object with the cluster every two seconds would keep its API server busy.
const reapply = time.Minute

// recompare is how long objects that were found to be as they should be, and that nobody has touched since, are not compared again.
const recompare = time.Hour

// applier is a way of applying a set of objects.
type applier func(ctx context.Context, set string, objs []*unstructured.Unstructured) (flux.Result, error)

// apply makes a set of objects so on the cluster, and says which of them are not ready.
func (r *Reconciler) apply(ctx context.Context, p *pass, set string, objs []*unstructured.Unstructured) (pending []string, err error) {
	return r.applyBy(ctx, p, p.applier.Apply, set, objs)
}

func (r *Reconciler) applyBy(ctx context.Context, p *pass, how applier, set string, objs []*unstructured.Unstructured) (pending []string, err error) {
	requested, _ := meta.ReconcileAnnotationValue(p.obj.Annotations)
	wish, err := hashOf(objs, requested)
	if err != nil {
		return nil, err
	}
	key, now := recentKey{cluster: p.obj.ID(), set: set}, r.Clock.Now()
	next := recentSet{wish: wish, access: sha256.Sum256(p.access.kubeconfig), at: now}
	last, known := r.applied.last(key)
	if known && last.within(next, reapply) {
		return pendingDeployments(ctx, p.cluster.Client, objs)
	}
	if known && last.wish == wish {
		if next.found, next.whole, err = p.applier.Fingerprint(ctx, set, objs); err != nil {
			return nil, err
		}
		if last.untouched(next, recompare) {
			return nil, nil
		}
	}
	r.applied.forget(key)
	done := r.applying.take(ctx)
	result, err := how(ctx, set, objs)
	done()
	if err != nil {
		return nil, err
	}
	next.whole = next.whole && result.Settled()
	r.applied.note(key, next)
	return result.Pending, nil
}

// maxApplying is how many clusters are compared with what they should be at the same time: what is read of each for that is some ten
// megabytes. It leaves places beside those that clusters which may not answer can take.
const maxApplying = 8

// places are taken by those that do something at the same time; nil ones are without end.
type places chan struct{}

// take waits for a place, or for the end of ctx, and says how to give it back.
func (p places) take(ctx context.Context) (done func()) {
	if p == nil {
		return func() {}
	}
	select {
	case p <- struct{}{}:
		return func() { <-p }
	case <-ctx.Done():
		return func() {}
	}
}

// hashOf changes when the objects are others.
func hashOf(objs []*unstructured.Unstructured, more string) ([sha256.Size]byte, error) {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q ", more)
	encoder := json.NewEncoder(sum)
	for _, obj := range objs {
		if err := encoder.Encode(obj.Object); err != nil {
			return [sha256.Size]byte{}, fmt.Errorf("encode %s %s: %w", obj.GetKind(), obj.GetName(), err)
		}
	}
	return [sha256.Size]byte(sum.Sum(nil)), nil
}

// pendingDeployments are those of the objects that take time to become ready after they were
// applied.
func pendingDeployments(ctx context.Context, c client.Reader, objs []*unstructured.Unstructured) ([]string, error) {
	var pending []string
	for _, obj := range objs {
		if obj.GetKind() != "Deployment" {
			continue
		}
		live := &unstructured.Unstructured{}
		live.SetGroupVersionKind(obj.GroupVersionKind())
		if err := c.Get(ctx, client.ObjectKeyFromObject(obj), live); err != nil {
			return nil, fmt.Errorf("get Deployment %s: %w", obj.GetName(), err)
		}
		result, err := status.Compute(live)
		if err != nil {
			return nil, fmt.Errorf("compute status of Deployment %s: %w", obj.GetName(), err)
		}
		if result.Status != status.CurrentStatus {
			pending = append(pending, fmt.Sprintf("Deployment/%s/%s: %s", obj.GetNamespace(), obj.GetName(), result.Message))
		}
	}
	return pending, nil
}

// recent remembers what was applied lately. The zero value is empty. It is safe for concurrent use.
type recent struct {
	mu   sync.Mutex
	sets map[recentKey]recentSet
}

type recentKey struct{ cluster, set string }

// recentSet is a set that was applied.
type recentSet struct {
	wish   [sha256.Size]byte // of what it should be
	access [sha256.Size]byte // of the kubeconfig
	at     time.Time
	found  [sha256.Size]byte // what stood on the cluster before, by Applier.Fingerprint
	whole  bool              // found is known, and was as it should be
}

// within says whether the same was applied so lately that it need not be again, whatever became of it.
func (s recentSet) within(next recentSet, age time.Duration) bool {
	return s.wish == next.wish && s.access == next.access && next.at.Sub(s.at) < age
}

// untouched says whether what is on the cluster now was compared with the same wish before. The kubeconfig may be another: tokens turn,
// and another cluster has other objects.
func (s recentSet) untouched(next recentSet, age time.Duration) bool {
	return s.whole && next.whole && s.wish == next.wish && s.found == next.found && next.at.Sub(s.at) < age
}

func (r *recent) last(key recentKey) (recentSet, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	last, ok := r.sets[key]
	return last, ok
}

func (r *recent) note(key recentKey, set recentSet) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sets == nil {
		r.sets = map[recentKey]recentSet{}
	}
	r.sets[key] = set
}

func (r *recent) forget(keys ...recentKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, key := range keys {
		delete(r.sets, key)
	}
}

// applyFailed is the outcome of an apply that the cluster refused, or did not answer.
func applyFailed(err error) steps.Outcome {
	outcome := clusterFailed(err)
	if outcome.Reason == fleetv1.ReasonInternal {
		outcome.Reason = fleetv1.ReasonApplyFailed
	}
	return outcome
}

// clusterFailed is the outcome of a request to a cluster that could be reached a moment before.
func clusterFailed(err error) steps.Outcome {
	err = remote.Classify(err)
	outcome := steps.Internal(err)
	switch {
	case errors.Is(err, remote.ErrUnauthorized):
		outcome.Reason = fleetv1.ReasonUnauthorized
	case errors.Is(err, remote.ErrUnreachable):
		outcome.Reason = fleetv1.ReasonUnreachable
	}
	return outcome
}

// pollUnlessDone is when to look again at a step that is under way, counted from the last change of
// its condition; zero when nothing is pending.
func (r *Reconciler) pollUnlessDone(p *pass, condition string, pending int) time.Duration {
	if pending == 0 {
		return 0
	}
	return r.pollSince(p, condition)
}

func (r *Reconciler) pollSince(p *pass, condition string) time.Duration {
	now := r.Clock.Now()
	since := now
	if have := apimeta.FindStatusCondition(p.obj.Status.Conditions, condition); have != nil {
		since = have.LastTransitionTime.Time
	}
	return poll(since, now)
}
