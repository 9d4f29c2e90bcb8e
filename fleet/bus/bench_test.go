package bus_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/bus/bustest"
	"github.com/fairway-dev/fairway/fleet/view"
)

// BenchmarkIngest reads a stream of b.N events with a bare ordered consumer, which looks at
// nothing, and into the view. The ratio of their speeds is the bar: at least 0.5.
func BenchmarkIngest(b *testing.B) {
	server := bustest.Start(b)
	hub := server.Hub(b)
	events := max(b.N, 20_000)
	fill(b, hub, events)
	creds, _ := server.User(b, jwt.Permissions{})
	nc, err := nats.Connect(server.Server.URL(), nats.UserCredentialBytes(creds), nats.RootCAs(server.CAFile(b)))
	if err != nil {
		b.Fatal(err)
	}
	defer nc.Close()
	b.ResetTimer()
	var bare, folded time.Duration
	for range 3 { // in turn, since machines have moods
		bare += timed(func() { readBare(b, nc, events) })
		folded += timed(func() { readIntoView(b, hub, events) })
	}
	b.ReportMetric(bare.Seconds()/folded.Seconds(), "ratio")
	b.ReportMetric(float64(3*events)/folded.Seconds(), "events/s")
	b.ReportMetric(float64(3*events)/bare.Seconds(), "bare/s")
}

func timed(fn func()) time.Duration {
	began := time.Now()
	fn()
	return time.Since(began)
}

// fill publishes events as a fleet of 100 clusters does: seven workloads for three Flux objects.
func fill(b *testing.B, hub *bus.Conn, events int) {
	b.Helper()
	const clusters, writers = 100, 20
	done := make(chan error, writers)
	for w := range writers {
		go func() {
			for i := w; i < events; i += writers {
				if err := hub.Publish(b.Context(), fmt.Sprintf("cluster-%d", i%clusters), sample(i, clusters)); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

func sample(i, clusters int) *event.Event {
	cluster := fmt.Sprintf("cluster-%d", i%clusters)
	root := event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: "apps"}
	var e event.Event
	var err error
	if i%10 < 7 {
		e, err = event.New(cluster, event.WorkloadAvailable, event.Object{Kind: "Deployment", Namespace: "payments", Name: fmt.Sprintf("app-%d", i/clusters%50)},
			time.Now(), event.Workload{Desired: 3, Updated: 3, Ready: 3, Available: 3, Images: []string{"ghcr.io/acme/app:v1.2.3"}, Generation: 4, Owner: root})
	} else {
		e, err = event.New(cluster, event.FluxSucceeded, root, time.Now(), event.Flux{APIVersion: "kustomize.toolkit.fluxcd.io/v1",
			Reason: "ReconciliationSucceeded", Message: "Applied revision: main@sha1:5c2f0e1d2c3b4a5968778695a4b3c2d1e0f10213",
			AppliedRevision: "main@sha1:5c2f0e1d2c3b4a5968778695a4b3c2d1e0f10213", Inventory: 12, DurationMillis: 840})
	}
	if err != nil {
		panic(err)
	}
	e.ID, e.Epoch, e.Sequence = fmt.Sprintf("0192f000-0000-7000-8000-%012d", i), "0192f000-0000-7000-8000-000000000001", uint64(i/clusters+1)
	e.Environment, e.Cloud, e.Region, e.Team, e.Service, e.Artifact = "prod", "AWS", "eu-west-1", "payments", "ledger", "main-4f1c9d2"
	return &e
}

func readBare(b *testing.B, nc *nats.Conn, events int) {
	js, err := jetstream.New(nc)
	if err != nil {
		b.Fatal(err)
	}
	consumer, err := js.OrderedConsumer(b.Context(), event.StreamEvents, jetstream.OrderedConsumerConfig{})
	if err != nil {
		b.Fatal(err)
	}
	done, n := make(chan struct{}), 0
	consuming, err := consumer.Consume(func(jetstream.Msg) {
		if n++; n == events {
			close(done)
		}
	})
	if err != nil {
		b.Fatal(err)
	}
	<-done
	consuming.Stop()
}

func readIntoView(b *testing.B, hub *bus.Conn, events int) {
	ctx, cancel := contextOf(b)
	defer cancel()
	v := view.New(view.Options{Rejected: func(_ string, err error) { b.Error(err) }})
	err := hub.Follow(ctx, bus.Start{}, func(m bus.Message) {
		e, err := event.Decode(m.Data)
		if err != nil {
			b.Error(err)
		}
		v.Apply(view.Record{Sequence: m.Sequence, Stored: m.Stored, Cluster: m.Subject.Cluster, Event: &e})
		if m.Sequence == uint64(events) {
			cancel()
		}
	}, func(subject string, err error) { b.Error(subject, err) })
	if err != nil {
		b.Fatal(err)
	}
}
