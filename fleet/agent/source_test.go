package agent

import (
	"context"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-dev/fairway/fleet/observe"
	"github.com/fairway-dev/fairway/fleet/outbox"
)

// one is a cluster with a single Deployment, whose changes come over a channel.
type one struct{ changes chan func(Sink) }

func (s one) Watch(ctx context.Context, to Sink) error {
	to.List("Pod", nil)
	to.List("Ingress", nil) // is not watched
	to.List("Deployment", []observe.Object{small(1, 1)})
	to.Version("v1.37.1")
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case tell := <-s.changes:
			tell(to)
		}
	}
}

func (one) Logs(context.Context, observe.LogRef) ([]byte, string) { return nil, "there are none" }

func small(generation int64, available int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: "x", Generation: generation, CreationTimestamp: metav1.Now()},
		Status:     appsv1.DeploymentStatus{ObservedGeneration: generation, Replicas: 1, UpdatedReplicas: 1, AvailableReplicas: available},
	}
}

func TestAnAgentReportsWhatItsSourceTells(t *testing.T) {
	source, bus := one{changes: make(chan func(Sink))}, newRecorder()
	a, err := New(Options{Cluster: "c1", Source: source, Outbox: box(t, outbox.Options{}), Connect: func(context.Context, func(error)) (Bus, error) { return bus, nil }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	w := &world{T: t, bus: bus}
	w.expect("the list", "agent.started", "agent.snapshot")
	source.changes <- func(to Sink) { to.Apply(small(2, 0)) }
	w.expect("a rollout", "workload.rolling Deployment/a/x")
	source.changes <- func(to Sink) { to.Remove(small(2, 0)) }
	w.expect("its end", "workload.removed Deployment/a/x")
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}
