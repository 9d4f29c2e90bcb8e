package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/e2e/load/sim"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/operator/natsauth"
)

// testServer is the hub's own embedded server on loopback, with the keys of a fleet.
type testServer struct {
	*bus.Server
	hub natsauth.User
	dir string
}

func startServer(ctx context.Context) (*testServer, error) {
	keys, err := natsauth.NewKeys()
	if err != nil {
		return nil, err
	}
	tokens, err := keys.Server(nil)
	if err != nil {
		return nil, err
	}
	s := &testServer{}
	if s.hub, err = keys.Hub(); err != nil {
		return nil, err
	}
	if s.dir, err = os.MkdirTemp("", "fairway-bench-"); err != nil {
		return nil, fmt.Errorf("create store: %w", err)
	}
	s.Server, err = bus.StartServer(ctx, bus.ServerOptions{
		Listen: "127.0.0.1:0", StoreDir: s.dir, Log: logr.Discard(),
		OperatorJWT: tokens.OperatorJWT, AccountJWT: tokens.AccountJWT, SystemJWT: tokens.SystemJWT,
	})
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(s.dir))
	}
	return s, nil
}

// Close ends the server and deletes its store.
func (s *testServer) Close() {
	s.Server.Close()
	_ = os.RemoveAll(s.dir) // in the system's folder for temporary files
}

// options are those of the hub's own connection.
func (s *testServer) options() bus.Options {
	return bus.Options{URL: s.URL(), Name: "bench", Creds: s.hub.Creds}
}

// fill makes the streams and publishes events.
func (s *testServer) fill(ctx context.Context, n size) error {
	conn, err := bus.Connect(ctx, s.options())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.EnsureStreams(ctx, bus.Retention{}); err != nil {
		return err
	}
	nc, err := dial(s.options())
	if err != nil {
		return err
	}
	defer nc.Close()
	return fill(ctx, nc, n, func(i int) string { return fmt.Sprintf("prod-aws-eu%d", i) })
}

// dial connects without Fairway's own client.
func dial(o bus.Options) (*nats.Conn, error) {
	opts := []nats.Option{nats.Name(o.Name), nats.UserCredentialBytes(o.Creds)}
	if len(o.CA) > 0 {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM(o.CA)
		opts = append(opts, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}))
	}
	nc, err := nats.Connect(o.URL, opts...)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return nc, nil
}

// fill publishes the events of every cluster in turn, into streams that are there.
func fill(ctx context.Context, nc *nats.Conn, n size, name func(i int) string) error {
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(2000))
	if err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	epoch := uuid.Must(uuid.NewV7()).String()
	for i := range n.events {
		if err := publish(js, name(i%n.clusters), epoch, i/n.clusters, n.events/n.clusters+1); err != nil {
			return err
		}
	}
	select {
	case <-js.PublishAsyncComplete():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stallLimit is how long a busy server may leave all pending messages without an answer.
const stallLimit = time.Minute

func publish(js jetstream.JetStream, cluster, epoch string, i, of int) error {
	e, err := simulated(cluster, i, of)
	if err != nil {
		return err
	}
	e.ID, e.Epoch, e.Sequence = uuid.Must(uuid.NewV7()).String(), epoch, uint64(i+1)
	e.Environment, e.Cloud, e.Region = "prod", "AWS", "eu-west-1"
	data, err := e.Encode()
	if err != nil {
		return err
	}
	msg := nats.NewMsg(event.OfCluster(cluster, e.Type.Kind()).String())
	msg.Header.Set("Content-Type", event.ContentType)
	// No message id: the bus would keep a million of them for the time in which it looks for duplicates, which no fleet
	// brings about.
	msg.Data = data
	if _, err := js.PublishMsgAsync(msg, jetstream.WithStallWait(stallLimit)); err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	return nil
}

// servicesPerCluster is how many Deployments, each with its Kustomization, a simulated cluster runs.
const servicesPerCluster = 25

// historyOf is how long ago the first event of the stream happened; the others are spread evenly until now.
const historyOf = 48 * time.Hour

// simulated is the i-th of so many events of a cluster: for one service after the other Flux applies a revision, the
// Deployment rolls and is available.
func simulated(cluster string, i, of int) (event.Event, error) {
	n := i / 3 % servicesPerCluster
	team, service := sim.Teams[n%len(sim.Teams)], fmt.Sprintf("service-%d", n)
	revision := fmt.Sprintf("main@sha1:%040x", i/3/servicesPerCluster)
	artifact := fmt.Sprintf("main-%07x-a81b", i/3/servicesPerCluster)
	kustomization := event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: team + "-" + service}
	deployment := event.Object{Kind: "Deployment", Namespace: team, Name: service}
	at := time.Now().Add(-historyOf + historyOf/time.Duration(of)*time.Duration(i))
	var e event.Event
	var err error
	switch i % 3 {
	case 0:
		e, err = event.New(cluster, event.FluxSucceeded, kustomization, at, event.Flux{
			APIVersion: "kustomize.toolkit.fluxcd.io/v1", Reason: "ReconciliationSucceeded", Message: "Applied revision: " + revision,
			AttemptedRevision: revision, AppliedRevision: revision, Inventory: 4, DurationMillis: 840, Generation: 1,
			Source: event.Object{Kind: "GitRepository", Namespace: "flux-system", Name: "fairway"},
			Path:   "./releases/" + team + "/" + service + "/" + artifact,
			Owner:  event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: "fairway"},
		})
	case 1:
		e, err = event.New(cluster, event.WorkloadRolling, deployment, at, rollout(artifact, 1, kustomization))
	default:
		e, err = event.New(cluster, event.WorkloadAvailable, deployment, at, rollout(artifact, 3, kustomization))
	}
	e.Team, e.Service, e.Artifact, e.Revision = team, service, artifact, revision
	return e, err
}

func rollout(artifact string, updated int32, owner event.Object) event.Workload {
	return event.Workload{Desired: 3, Updated: updated, Ready: 3, Available: 3, Generation: 7, Owner: owner,
		Images: []string{"ghcr.io/example/service:" + artifact}}
}
