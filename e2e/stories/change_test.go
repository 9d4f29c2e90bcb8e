package stories

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

// minChanges is how many status changes the percentiles are taken over, at the least.
const minChanges = 50

// A commit to the config repository shows in the fleet view as the applied revision on every
// cluster; printed is the time from Flux's status change to the SSE message.
func TestChange(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	clock := newStopwatch()
	for _, id := range members {
		clock.watchFlux(ctx, t, id)
	}
	clock.watchHub(ctx, t)

	for round := 1; clock.both() < minChanges; round++ {
		if round > 40 {
			t.Fatalf("only %d changes were seen in %d commits", clock.both(), round)
		}
		revision := commit(t, fmt.Sprintf("change %d", round), fleet.Files{fleet.NotePath: fleet.Note(round)})
		for _, id := range members {
			syncFlux(t, id)
		}
		for _, id := range members {
			eventually(t, time.Minute, fmt.Sprintf("%s applied %.8s", id, revision), func(ctx context.Context) (bool, string) {
				c, err := bank.Cluster(ctx, id)
				return err == nil && strings.HasSuffix(c.Revision, revision), fmt.Sprintf("revision %s, error %v", c.Revision, err)
			})
		}
	}
	took := clock.took()
	slices.Sort(took)
	t.Logf("from Flux's status change to the SSE message, over %d changes: p50 %s, p99 %s, most %s", len(took),
		percentile(took, 50), percentile(took, 99), took[len(took)-1].Round(time.Millisecond))
}

// stopwatch pairs what Flux wrote on a cluster with what the hub streamed, by cluster, object and
// applied revision, each by its first sight.
type stopwatch struct {
	mu        sync.Mutex
	flux, hub map[string]time.Time
}

func newStopwatch() *stopwatch {
	return &stopwatch{flux: map[string]time.Time{}, hub: map[string]time.Time{}}
}

func (s *stopwatch) see(in map[string]time.Time, id, object, revision string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := id + " " + object + " " + revision
	if _, seen := in[key]; !seen && revision != "" {
		in[key] = time.Now()
	}
}

func (s *stopwatch) both() int { return len(s.took()) }

func (s *stopwatch) took() (all []time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, at := range s.flux {
		if seen, ok := s.hub[key]; ok {
			all = append(all, max(0, seen.Sub(at)))
		}
	}
	return all
}

// watchFlux notes when a Kustomization's status first says Ready with a new applied revision. What is there
// already does not count.
func (s *stopwatch) watchFlux(ctx context.Context, t *testing.T, id string) {
	t.Helper()
	c, err := client.NewWithWatch(bank.Member(id).Config(), client.Options{Scheme: fleet.Scheme})
	if err != nil {
		t.Fatal(err)
	}
	var list kustomizev1.KustomizationList
	if err := c.List(ctx, &list); err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, obj := range list.Items {
		known[obj.Name+obj.Status.LastAppliedRevision] = true
	}
	stream, err := c.Watch(ctx, &kustomizev1.KustomizationList{}, &client.ListOptions{Raw: &metav1.ListOptions{ResourceVersion: list.ResourceVersion}})
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer stream.Stop()
		for ev := range stream.ResultChan() {
			obj, ok := ev.Object.(*kustomizev1.Kustomization)
			if ok && ev.Type != watch.Deleted && ready(obj) && !known[obj.Name+obj.Status.LastAppliedRevision] {
				s.see(s.flux, id, "Kustomization/"+obj.Namespace+"/"+obj.Name, obj.Status.LastAppliedRevision)
			}
		}
	}()
}

func ready(obj *kustomizev1.Kustomization) bool {
	for _, c := range obj.Status.Conditions {
		if c.Type == "Ready" {
			return c.Status == "True" && c.ObservedGeneration == obj.Generation
		}
	}
	return false
}

// watchHub notes when the hub streams that a Kustomization succeeded with a revision.
func (s *stopwatch) watchHub(ctx context.Context, t *testing.T) {
	t.Helper()
	err := bank.Watch(ctx, func(cluster string, e event.Event) {
		var flux event.Flux
		if e.Type == event.FluxSucceeded && e.Payload(&flux) == nil {
			s.see(s.hub, cluster, e.Subject, flux.AppliedRevision)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// percentile of sorted durations, to the millisecond.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[min(len(sorted)-1, len(sorted)*p/100)].Round(time.Millisecond)
}
