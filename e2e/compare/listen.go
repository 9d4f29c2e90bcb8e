package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

// fluxSubject is where the nats provider publishes.
const fluxSubject = "flux.events"

// natsReady bounds the start of a NATS server.
const natsReady = 10 * time.Second

// startNATS starts the server that the nats provider publishes to: NATS as it comes, without users or TLS, of which the
// provider knows only passwords.
func startNATS() (*server.Server, error) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		return nil, fmt.Errorf("make NATS server: %w", err)
	}
	s.Start()
	if !s.ReadyForConnections(natsReady) {
		s.Shutdown()
		return nil, fmt.Errorf("start NATS server: not ready after %s", natsReady)
	}
	return s, nil
}

// hearFlux subscribes to what the provider publishes.
func (s *scene) hearFlux() error {
	conn, err := nats.Connect(s.nats.ClientURL())
	if err != nil {
		return fmt.Errorf("connect to the provider's NATS: %w", err)
	}
	s.onClose(conn.Close)
	_, err = conn.Subscribe(fluxSubject, func(m *nats.Msg) {
		s.hear(flux, func(at time.Time) (told, bool, error) { return readFlux(m.Data, at) })
	})
	if err = errors.Join(err, conn.Flush()); err != nil {
		return fmt.Errorf("subscribe to %s: %w", fluxSubject, err)
	}
	return nil
}

// hearFairway follows FLEET_EVENTS as a dashboard does, past the network that is cut.
func (s *scene) hearFairway(ctx context.Context, bus string) error {
	var made struct{ InboxPrefix, Creds, CA string }
	out, err := s.fleet.Fairway(ctx, "events", "credentials", "--name", "compare", "--expires", "2h", "-o", "json")
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		return fmt.Errorf("read credentials: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(made.CA))
	conn, err := nats.Connect("tls://"+bus, nats.UserCredentialBytes([]byte(made.Creds)),
		nats.CustomInboxPrefix(made.InboxPrefix), nats.Secure(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}))
	if err != nil {
		return fmt.Errorf("connect to the event bus: %w", err)
	}
	s.onClose(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	consumer, err := js.OrderedConsumer(ctx, event.StreamEvents, jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverNewPolicy})
	if err != nil {
		return fmt.Errorf("consume %s: %w", event.StreamEvents, err)
	}
	consumed, err := consumer.Consume(func(m jetstream.Msg) {
		s.hear(fairway, func(at time.Time) (told, bool, error) { return readFairway(cluster, m.Data(), at) })
	})
	if err != nil {
		return fmt.Errorf("consume %s: %w", event.StreamEvents, err)
	}
	s.onClose(consumed.Stop)
	return nil
}

// hear reads one message, now.
func (s *scene) hear(who int, read func(at time.Time) (told, bool, error)) {
	t, ok, err := read(time.Now())
	if err != nil {
		s.fail(err)
	} else if ok {
		s.record.hear(who, t)
	}
}

// watchFlux watches the statuses of Flux's objects on the cluster.
func (s *scene) watchFlux(ctx context.Context, config *rest.Config) error {
	c, err := client.NewWithWatch(config, client.Options{Scheme: fleet.Scheme})
	if err != nil {
		return fmt.Errorf("connect to %s: %w", cluster, err)
	}
	for _, list := range []client.ObjectList{&sourcev1.GitRepositoryList{}, &kustomizev1.KustomizationList{}} {
		w, err := c.Watch(ctx, list, client.InNamespace(fleetv1.FluxNamespace))
		if err != nil {
			return fmt.Errorf("watch %T of %s: %w", list, cluster, err)
		}
		go s.see(ctx, w)
	}
	return nil
}

func (s *scene) see(ctx context.Context, w watch.Interface) {
	for {
		select {
		case <-ctx.Done():
			w.Stop()
			return
		case e, open := <-w.ResultChan():
			obj, ok := e.Object.(client.Object)
			if !open || !ok {
				s.fail(fmt.Errorf("watch %s: it has ended: %v", cluster, e.Object))
				return
			}
			s.record.see(obj, time.Now())
		}
	}
}
