package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/bus/bustest"
	"github.com/fairway-dev/fairway/fleet/outbox"
)

// An acquired cluster, as it is on the day it joins: objects of each kind, and how many of them have been
// failing for days.
const (
	someDeployments, crashLoops = 130, 20
	someKustomizations, unbuilt = 40, 5
	someJobs, failedJobs        = 30, 5
	somePods                    = someDeployments
	reported                    = someDeployments + someKustomizations + someJobs // pods stand for nothing by themselves
	failures                    = crashLoops + unbuilt + failedJobs
	failingFor                  = 3 * 24 * time.Hour
)

// acquire fills a cluster.
func acquire(w *world, since metav1.Time) {
	for i := range someKustomizations {
		k := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("apps-%d", i)},
			Spec: kustomizev1.KustomizationSpec{Interval: metav1.Duration{Duration: time.Minute}, SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: "config"}}}
		state := reconciled(k, "True", "ReconciliationSucceeded", "main@sha1:a", "main@sha1:a")
		if i < unbuilt {
			state = reconciled(k, "False", "BuildFailed", "main@sha1:b", "main@sha1:a")
		}
		w.create(k, state, func() { k.Status.Conditions[0].LastTransitionTime = since })
	}
	for i := range someDeployments {
		d := deployment(fmt.Sprintf("app-%d", i))
		p := podOf(d.Name, "aaaaa")
		if i >= crashLoops {
			w.create(d, replicas(d, 2))
			w.create(p)
			continue
		}
		w.create(d, replicas(d, 0))
		w.create(p, crashed(p, 1), func() {
			died := p.Status.ContainerStatuses[0].LastTerminationState.Terminated
			died.StartedAt, died.FinishedAt = since, since
		})
	}
	for i := range someJobs {
		j := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: fmt.Sprintf("job-%d", i)},
			Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: "Never", Containers: []corev1.Container{{Name: "app", Image: "x"}}}}}}
		if i >= failedJobs {
			w.create(j)
			continue
		}
		w.create(j, func() {
			j.Status = batchv1.JobStatus{StartTime: &since, Conditions: []batchv1.JobCondition{
				{Type: batchv1.JobFailureTarget, Status: "True", Reason: "BackoffLimitExceeded", LastTransitionTime: since},
				{Type: batchv1.JobFailed, Status: "True", Reason: "BackoffLimitExceeded", LastTransitionTime: since}}}
		})
	}
}

// heartbeatsOf are a cluster's heartbeats, until the test ends.
func heartbeatsOf(t *testing.T, hub *bus.Conn) <-chan event.Heartbeat {
	t.Helper()
	beats := make(chan event.Heartbeat, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := hub.FollowHeartbeats(ctx, func(_ string, h event.Heartbeat, _ time.Time) { beats <- h }); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return beats
}

// TestOnboardingIsQuiet: a cluster with hundreds of objects joins, and some of them have been failing for
// days. All of it is in the snapshot, with its own times, and nothing is told as if it happened now.
func TestOnboardingIsQuiet(t *testing.T) {
	config, c := newCluster(t, crd("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations"))
	since := metav1.NewTime(time.Now().Add(-failingFor).Truncate(time.Second))
	acquire(&world{T: t, Client: c}, since)

	b := bustest.Start(t)
	hub := b.Hub(t)
	beats := heartbeatsOf(t, hub)
	report(t, config, b.AgentOptions(t, "c1"))

	limit := time.After(time.Minute)
	for settled := 0; settled < 5; { // heartbeats after which nothing more was sent
		select {
		case h := <-beats:
			if settled++; h.Sequence < 2 || h.Objects != reported {
				settled = 0
			}
		case <-limit:
			t.Fatal("no snapshot within a minute")
		}
	}
	snapshot := onlySnapshot(t, hub)
	count := map[event.Kind]int{}
	for _, e := range snapshot {
		count[e.Type.Kind()]++
		if e.Type.Kind() != event.KindEpisode {
			continue
		}
		var data event.Episode
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		if e.Type != event.EpisodeOpened || !data.OpenedAt.Equal(since.Time) {
			t.Errorf("%s of %s: %s at %s, want opened at %s", data.Reason, e.Subject, e.Type.What(), data.OpenedAt, since)
		}
	}
	want := map[event.Kind]int{event.KindCluster: 1, event.KindFlux: someKustomizations, event.KindWorkload: someDeployments + someJobs, event.KindEpisode: failures}
	if diff := cmp.Diff(want, count); diff != "" {
		t.Errorf("entries of the snapshot (-want +got):\n%s", diff)
	}
	t.Logf("%d objects, %d of them failing: %d entries in the snapshot, no other event", reported+somePods, failures, len(snapshot))
}

// report runs an agent over a real bus, until the test ends.
func report(t *testing.T, config *rest.Config, o bus.Options) {
	t.Helper()
	a, err := New(Options{Cluster: "c1", Config: config, Outbox: box(t, outbox.Options{}), Heartbeat: 200 * time.Millisecond, Discovery: 100 * time.Millisecond,
		Denied: func(err error) bool { return errors.Is(err, bus.ErrDenied) },
		Connect: func(ctx context.Context, onError func(error)) (Bus, error) {
			o.OnError = onError
			return bus.Connect(ctx, o)
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// onlySnapshot are the entries of the snapshot, beside which the stream must have nothing but that the
// agent has started.
func onlySnapshot(t *testing.T, hub *bus.Conn) (entries []event.Entry) {
	t.Helper()
	err := hub.Read(t.Context(), bus.Start{}, bus.Filter{}, func(m bus.Message) bool {
		e, err := event.Decode(m.Data)
		if err != nil {
			t.Error(err)
			return true
		}
		switch e.Type {
		case event.AgentStarted:
		case event.AgentSnapshot:
			var part event.Snapshot
			if err := e.Payload(&part); err != nil {
				t.Error(err)
			}
			entries = append(entries, part.Entries...)
		default:
			t.Errorf("%s %s is told as news", e.Type, e.Subject)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return entries
}
