package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/fairway-dev/fairway/e2e/fleet"
	"github.com/fairway-dev/fairway/e2e/load/sim"
)

// scene is a platform with one cluster, on which Flux tells a NATS server of its own and Fairway's agent the event bus, each
// through the same network.
type scene struct {
	plan     plan
	progress io.Writer
	fleet    *fleet.Fleet
	network  sim.Network
	nats     *server.Server
	record   *record
	commits  map[string]time.Time // when each was made
	rounds   int

	fail context.CancelCauseFunc // ends the run, when something that the figures need has ended

	mu      sync.Mutex
	closers []func()
}

// setUp brings everything up and waits until both have told of a commit. fail ends ctx.
func setUp(ctx context.Context, fail context.CancelCauseFunc, p plan, progress io.Writer) (_ *scene, err error) {
	s := &scene{plan: p, progress: progress, fail: fail, record: newRecord(p.counted), commits: map[string]time.Time{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.nats, err = startNATS(); err != nil {
		return nil, err
	}
	s.onClose(s.nats.Shutdown)
	provider, err := s.open(ctx, s.nats.Addr().String())
	if err != nil {
		return nil, err
	}
	bus := ""
	s.fleet, err = fleet.Up(ctx, fleet.Options{Name: "compare", Progress: progress, Clusters: []string{cluster},
		EventsVia: func(address string) (string, error) { bus = address; return s.open(ctx, address) }})
	if err != nil {
		return nil, err
	}
	go s.watchFleet(ctx)
	if err := s.listen(ctx, provider, bus); err != nil {
		return nil, err
	}
	return s, s.warmUp(ctx)
}

// open makes a way through the network to an address.
func (s *scene) open(ctx context.Context, target string) (address string, err error) {
	door, err := s.network.Open(ctx, target)
	if err != nil {
		return "", err
	}
	s.onClose(func() { _ = door.Close() }) // it ends with this process at the latest
	return door.Address(), nil
}

// watchFleet ends the run when a process of the fleet dies by itself.
func (s *scene) watchFleet(ctx context.Context) {
	select {
	case err := <-s.fleet.Failed():
		s.fail(fmt.Errorf("a process of the fleet died: %w", err))
	case <-ctx.Done():
	}
}

// listen makes notification-controller tell the provider's address, and takes down what both tell and what happens.
func (s *scene) listen(ctx context.Context, provider, bus string) error {
	member := s.fleet.Member(cluster)
	return firstError(
		func() error { return s.hearFlux() },
		func() error { return s.hearFairway(ctx, bus) },
		func() error { return s.watchFlux(ctx, member.Config()) },
		func() error { return member.AllowEgress(provider) },
		func() error { return member.ApplyYAML(ctx, fmt.Appendf(nil, alert, provider, fluxSubject)) },
	)
}

func firstError(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *scene) say(format string, args ...any) { fmt.Fprintf(s.progress, "► "+format+"\n", args...) }

func (s *scene) onClose(end func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closers = append(s.closers, end)
}

// close ends everything, what was begun last first.
func (s *scene) close() (err error) {
	s.fail(errors.New("the run is over"))
	s.network.Heal()
	if s.fleet != nil {
		err = s.fleet.Down()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	return err
}

// alert sends everything that Flux says of sources and what they apply.
const alert = `apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Provider
metadata: {name: nats, namespace: flux-system}
spec:
  type: nats
  address: nats://%s
  channel: %s
---
apiVersion: notification.toolkit.fluxcd.io/v1beta3
kind: Alert
metadata: {name: everything, namespace: flux-system}
spec:
  providerRef: {name: nats}
  eventSeverity: info
  eventSources:
  - {kind: GitRepository, name: '*'}
  - {kind: Kustomization, name: '*'}
  - {kind: HelmRelease, name: '*'}
`
