package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/view"
)

// settle is how long after connecting the last heartbeats of all clusters take to arrive.
const settle = 2 * time.Second

// errTurned ends a session whose keys or settings are no longer those of the fleet.
var errTurned = errors.New("the event bus's keys or the Fleet's heartbeat have changed")

// session is one connection with what was learned over it.
type session struct {
	conn    *bus.Conn
	view    *view.View
	started time.Time
	end     uint64 // of the stream when the session began: before it is reached, little is known
}

// blind says why nothing can be said of agents yet; nil when it can.
func (s *session) blind(now time.Time) error {
	read, _ := s.view.Position()
	switch {
	case !s.conn.Connected():
		return errNotConnected
	case read < s.end, now.Sub(s.started) < settle:
		return errors.New("the operator is still reading the event stream")
	}
	return nil
}

// follow runs one session.
func (f *feed) follow(ctx context.Context) error {
	mark, misses, err := f.fingerprint(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return f.watchKeys(ctx, mark) })
	group.Go(func() error {
		s, err := f.connect(ctx, misses)
		if err != nil {
			return err
		}
		defer s.conn.Close()
		f.session.Store(s)
		defer f.session.Store(nil)
		return f.read(ctx, s)
	})
	err = group.Wait()
	if errors.Is(err, errTurned) {
		ctrl.LoggerFrom(ctx).Info("starting with the event bus anew", "reason", err.Error())
		return nil
	}
	return err
}

// connect returns when the bus answers and has its stream.
func (f *feed) connect(ctx context.Context, misses int) (*session, error) {
	user, ca, err := f.store.Operator(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := bus.Connect(ctx, bus.Options{
		URL: f.url, Name: fieldOwner, Creds: user.Creds, CA: ca, InboxPrefix: user.InboxPrefix, OnError: f.trouble(ctx),
	})
	if err != nil {
		return nil, err
	}
	state, err := conn.State(ctx)
	for ; err != nil; state, err = conn.State(ctx) {
		f.trouble(ctx)(err)
		select {
		case <-ctx.Done():
			conn.Close()
			return nil, ctx.Err()
		case <-time.After(restart):
		}
	}
	return &session{
		conn: conn, started: f.clock.Now(), end: state.Last,
		view: view.New(view.Options{MissesUntilUnknown: misses, Changed: f.wake}),
	}, nil
}

// trouble keeps the last error of the connection for the Fleet's condition.
func (f *feed) trouble(ctx context.Context) func(error) {
	log := ctrl.LoggerFrom(ctx).WithName("events")
	return func(err error) {
		text := err.Error()
		if before := f.last.Swap(&text); before == nil || *before != text {
			log.Info("the event bus reports", "error", text)
		}
	}
}

// read follows the bus until the session ends.
func (f *feed) read(ctx context.Context, s *session) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return s.conn.Follow(ctx, bus.Start{}, func(m bus.Message) { f.apply(s, m) }, s.reject)
	})
	group.Go(func() error { return s.conn.FollowHeartbeats(ctx, s.view.Heartbeat) })
	group.Go(func() error {
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(look):
				s.view.Sweep(f.clock.Now())
				f.see()
			}
		}
	})
	return group.Wait()
}

// reject counts a message that is no event; the view has seen that far all the same.
func (s *session) reject(subject string, err error) {
	s.view.Reject(subject, err)
	var bad *bus.MessageError
	if errors.As(err, &bad) {
		s.view.Advance(bad.Sequence, bad.Stored)
	}
}

// apply folds one message. Of the root Kustomization's events the cluster's reconciler hears at
// once, since nothing on the platform watches the cluster; the Fleet's of failures that may halt an upgrade; and those of releases of
// what happens to their services.
func (f *feed) apply(s *session, m bus.Message) {
	e, err := event.Decode(m.Data)
	if err != nil {
		s.view.Reject(m.Subject.Cluster, err)
		s.view.Advance(m.Sequence, m.Stored)
		return
	}
	s.view.Apply(view.Record{Sequence: m.Sequence, Stored: m.Stored, Cluster: m.Subject.Cluster, Event: &e})
	if m.Sequence > s.end && e.Subject == root.String() {
		f.wake(m.Subject.Cluster)
	}
	if m.Sequence > s.end && view.OfFlux(&e) {
		f.wakeFleet()
	}
	if team, service, ok := view.ServiceOf(&e); ok && m.Sequence > s.end {
		f.wakeReleases(team, service)
	}
}

// root is the Kustomization that Fairway makes on every cluster.
var root = event.Object{Kind: "Kustomization", Namespace: fleetv1.FluxNamespace, Name: fleetv1.RootName}

// fingerprint changes when a session has to begin anew.
func (f *feed) fingerprint(ctx context.Context) (mark string, misses int, err error) {
	if mark, err = f.store.Fingerprint(ctx); err != nil {
		return "", 0, err
	}
	fleet := &fleetv1.Fleet{}
	if err := f.platform.Get(ctx, client.ObjectKey{Name: fleetv1.FleetName}, fleet); client.IgnoreNotFound(err) != nil {
		return "", 0, fmt.Errorf("get Fleet: %w", err)
	}
	misses = int(fleet.Spec.Heartbeat.MissesUntilUnknown)
	return mark + strconv.Itoa(misses), misses, nil
}

// watchKeys returns errTurned when the session has to begin anew. What cannot be read is read again.
func (f *feed) watchKeys(ctx context.Context, mark string) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(keysLook):
		}
		now, _, err := f.fingerprint(ctx)
		switch {
		case err != nil:
			f.trouble(ctx)(err)
		case now != mark:
			return errTurned
		}
	}
}
