package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	apiwatch "k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// reconciles tells how long the operator takes from a request for a pass over a cluster until it says in the cluster's status that the
// pass was made.
type reconciles struct {
	fleet *wholeFleet
	watch apiwatch.Interface
	ended chan struct{}

	mu      sync.Mutex
	asked   map[string]request // by cluster
	samples []passed
}

// passed is a pass that was asked for.
type passed struct {
	asked time.Time
	took  float64 // milliseconds
}

// took is how long passes took, in milliseconds.
func took(samples []passed) []float64 {
	var out []float64
	for _, s := range samples {
		out = append(out, s.took)
	}
	return out
}

// slowest tells of the passes that took longest, and how long after a moment they were asked for: what comes in bursts shows.
func slowest(samples []passed, since time.Time) string {
	const most = 10
	ordered := slices.SortedFunc(slices.Values(samples), func(a, b passed) int { return cmp.Compare(b.took, a.took) })
	var out []string
	for _, s := range ordered[:min(most, len(ordered))] {
		out = append(out, fmt.Sprintf("%.0f ms at %.1f s", s.took, s.asked.Sub(since).Seconds()))
	}
	return strings.Join(out, ", ")
}

type request struct {
	value string
	at    time.Time
}

const requestAnnotation = "reconcile.fluxcd.io/requestedAt"

func (f *wholeFleet) watchReconciles(ctx context.Context) (*reconciles, error) {
	var list fleetv1.WorkloadClusterList
	watching, err := f.client.Watch(ctx, &list, client.InNamespace(clustersNamespace))
	if err != nil {
		return nil, fmt.Errorf("watch WorkloadClusters: %w", err)
	}
	r := &reconciles{fleet: f, watch: watching, ended: make(chan struct{}), asked: map[string]request{}}
	go func() {
		defer close(r.ended)
		for event := range watching.ResultChan() {
			if obj, ok := event.Object.(*fleetv1.WorkloadCluster); ok {
				r.seen(obj, time.Now())
			}
		}
	}()
	return r, nil
}

func (r *reconciles) seen(obj *fleetv1.WorkloadCluster, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	asked, ok := r.asked[obj.Name]
	if ok && obj.Status.LastHandledReconcileAt == asked.value {
		delete(r.asked, obj.Name)
		r.samples = append(r.samples, passed{asked: asked.at, took: milliseconds(now.Sub(asked.at))})
	}
}

// ask asks for a pass.
func (r *reconciles) ask(ctx context.Context, id string) error {
	now := time.Now()
	value := now.UTC().Format(time.RFC3339Nano)
	r.mu.Lock()
	r.asked[id] = request{value, now}
	r.mu.Unlock()
	obj := &fleetv1.WorkloadCluster{}
	obj.Namespace, obj.Name = clustersNamespace, id
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, requestAnnotation, value)
	if err := r.fleet.client.Patch(ctx, obj, client.RawPatch("application/merge-patch+json", patch)); err != nil {
		return fmt.Errorf("ask for a pass over %s: %w", id, err)
	}
	return nil
}

const (
	askEvery   = 250 * time.Millisecond
	answerLast = 2 * time.Minute // for the last request to be answered
)

// measure asks for passes over clusters in turn, one every so often, for a while.
func (r *reconciles) measure(ctx context.Context, ids []string, every, lasting time.Duration) ([]passed, error) {
	r.mu.Lock()
	r.samples = nil
	r.mu.Unlock()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n, end := 0, time.Now().Add(lasting); time.Now().Before(end); n++ {
		select {
		case <-tick.C:
		case <-r.ended:
			return nil, errors.New("the watch on WorkloadClusters has ended")
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if err := r.ask(ctx, ids[n%len(ids)]); err != nil {
			return nil, err
		}
	}
	err := wait(ctx, "every request to be answered", answerLast, func(context.Context) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		for id, asked := range r.asked {
			return fmt.Errorf("%d are not; %s asked %s ago", len(r.asked), id, time.Since(asked.at).Round(time.Millisecond))
		}
		return nil
	})
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.samples, err
}

func (r *reconciles) stop() {
	r.watch.Stop()
	<-r.ended
}
