package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	genericevent "sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/eventbus"
	"github.com/fairway-dev/fairway/operator/fleet"
	"github.com/fairway-dev/fairway/operator/policy"
	"github.com/fairway-dev/fairway/operator/rings"
	"github.com/fairway-dev/fairway/operator/workloadcluster"
)

// Pace of the feed.
const (
	restart  = 2 * time.Second  // between two sessions
	look     = time.Second      // between two looks at the connection and at who fell silent
	keysLook = 15 * time.Second // between two looks at the keys
	// announceLimit bounds the wait for the bus: who announces tries again with its next pass.
	announceLimit = 10 * time.Second
	wakeBuffer    = 4096
)

var errNotConnected = errors.New("the operator is not connected to the event bus yet")

// feed is the operator's side of the event bus: it follows the fleet while it can, says what is
// known of agents, and publishes the platform's own events. The bus may come long after the
// operator, and may go: nothing waits for it.
type feed struct {
	store    *eventbus.Store
	platform client.Reader
	url      string
	clock    clock.PassiveClock

	clusters, fleets, releases chan genericevent.GenericEvent // wake the reconcilers

	session  atomic.Pointer[session]   // nil between sessions
	last     atomic.Pointer[string]    // error of the connection
	blinding atomic.Pointer[blindness] // as last looked
}

type blindness struct {
	since time.Time
	why   error
}

func newFeed(store *eventbus.Store, platform client.Reader, url string, now clock.PassiveClock) *feed {
	f := &feed{
		store: store, platform: platform, url: url, clock: now,
		clusters: make(chan genericevent.GenericEvent, wakeBuffer),
		fleets:   make(chan genericevent.GenericEvent, 1),
		releases: make(chan genericevent.GenericEvent, wakeBuffer),
	}
	f.blinding.Store(&blindness{since: now.Now(), why: errNotConnected})
	return f
}

// NeedLeaderElection lets a standby follow as well, so that it knows the fleet when it takes over.
func (f *feed) NeedLeaderElection() bool { return false }

// Start follows the bus until ctx ends, in sessions: each has one set of keys.
func (f *feed) Start(ctx context.Context) error {
	log := ctrl.LoggerFrom(ctx).WithName("events")
	for ctx.Err() == nil {
		err := f.follow(ctx)
		f.see()
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, eventbus.ErrNoKeys):
			log.V(1).Info("waiting for the event bus's keys")
		case err != nil:
			log.Error(err, "lost the event bus; trying again")
		}
		select {
		case <-ctx.Done():
		case <-time.After(restart):
		}
	}
	return nil
}

// Agent implements workloadcluster.Agents.
func (f *feed) Agent(id string) (workloadcluster.Agent, bool) {
	s := f.session.Load()
	if s == nil {
		return workloadcluster.Agent{}, false
	}
	a, heard := s.view.Agent(f.clock.Now(), id)
	return workloadcluster.Agent{
		Connected: a.Connected, LastHeartbeat: a.LastHeartbeat, Version: a.Version, Snapshot: a.Snapshot,
	}, heard
}

// Flux implements fleet.View.
func (f *feed) Flux(id string, since time.Time) fleet.Health {
	s := f.session.Load()
	if s == nil {
		return fleet.Health{}
	}
	a, heard := s.view.Agent(f.clock.Now(), id)
	seen := s.view.FluxHealth(id, since)
	out := fleet.Health{Connected: a.Connected && a.Snapshot, Calm: seen.Calm}
	if heard && !a.Connected && !a.LastHeartbeat.IsZero() {
		out.Silent = a.LastHeartbeat
	}
	if failure := seen.Failure; failure != nil {
		out.Failure = &rings.Trouble{Reason: failure.Reason, Message: failure.Object + ": " + failure.Message, Since: failure.Since}
	}
	return out
}

// Rollout implements release.View.
func (f *feed) Rollout(cluster, team, service, artifact string, since time.Time) policy.Rollout {
	s := f.session.Load()
	if s == nil {
		return policy.Rollout{}
	}
	seen := s.view.Rollout(f.clock.Now(), cluster, team, service, artifact, since)
	out := policy.Rollout{
		Known: seen.Known, AsOf: seen.AsOf, Artifact: seen.Artifact, Applied: seen.Applied, Available: seen.Available,
		Since: seen.Since, Message: seen.Message,
	}
	if failure := seen.Failure; failure != nil {
		out.Failure = &policy.Failure{Reason: fleetv1.ReasonRolloutFailed, Object: failure.Object, Lines: failure.Lines, Since: failure.Since,
			Message: strings.TrimSuffix(failure.Reason+": "+failure.Message, ": ")}
		if failure.Flux {
			out.Failure.Reason = fleetv1.ReasonDeployFailed
		}
	}
	return out
}

// Blind implements workloadcluster.Agents, fleet.View and release.View.
func (f *feed) Blind() (time.Time, error) {
	b := f.blinding.Load()
	return b.since, b.why
}

// Check implements fleet.Bus.
func (f *feed) Check() error {
	s := f.session.Load()
	if s != nil && s.conn.Connected() {
		return nil
	}
	if last := f.last.Load(); last != nil {
		return fmt.Errorf("%w: %s", errNotConnected, *last)
	}
	return errNotConnected
}

// Announce implements the Announcers of the reconcilers. An event without an id gets one.
func (f *feed) Announce(ctx context.Context, e event.Event) error {
	s := f.session.Load()
	if s == nil || !s.conn.Connected() {
		return errNotConnected
	}
	if e.ID == "" {
		id, err := uuid.NewV7()
		if err != nil {
			return fmt.Errorf("make event id: %w", err)
		}
		e.ID = id.String()
	}
	ctx, cancel := context.WithTimeout(ctx, announceLimit)
	defer cancel()
	return s.conn.Publish(ctx, event.Platform, &e)
}

// see looks whether anything can be said of agents, and wakes the reconcilers when that changes.
func (f *feed) see() {
	now, before := f.clock.Now(), f.blinding.Load()
	why := errNotConnected
	if s := f.session.Load(); s != nil {
		why = s.blind(now)
	}
	if (why == nil) == (before.why == nil) {
		return
	}
	f.blinding.Store(&blindness{since: now, why: why})
	f.wake("")
	f.wakeFleet()
	f.wakeReleases("", "")
}

// wake asks for a pass over a cluster; "" is all of them. When nobody takes them any more, as on a
// standby, they are of no use.
func (f *feed) wake(cluster string) {
	obj := &fleetv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Name: cluster}}
	select {
	case f.clusters <- genericevent.GenericEvent{Object: obj}:
	default:
	}
}

func (f *feed) wakeFleet() {
	obj := &fleetv1.Fleet{ObjectMeta: metav1.ObjectMeta{Name: fleetv1.FleetName}}
	select {
	case f.fleets <- genericevent.GenericEvent{Object: obj}:
	default:
	}
}

// wakeReleases asks for passes over the releases of a service; without one, over all.
func (f *feed) wakeReleases(team, service string) {
	obj := &fleetv1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: team, Labels: map[string]string{fleetv1.LabelService: service}}}
	select {
	case f.releases <- genericevent.GenericEvent{Object: obj}:
	default:
	}
}

// wakeRelease asks for a pass over a release.
func (f *feed) wakeRelease(key client.ObjectKey) {
	obj := &fleetv1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	select {
	case f.releases <- genericevent.GenericEvent{Object: obj}:
	default:
	}
}
