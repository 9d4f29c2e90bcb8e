package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/history"
	"github.com/fairway-dev/fairway/fleet/server"
	"github.com/fairway-dev/fairway/fleet/view"
)

const (
	sweepEvery  = time.Second
	resyncAfter = 30 * time.Second // events on their way are not missing yet
	resyncEvery = 2 * time.Minute  // and a snapshot costs the cluster something
	resyncLeast = 30 * time.Minute // how often it is asked for one that does not help
)

// follow folds the stream into the view, from where its checkpoint ends, and feeds those who watch.
func (h *hub) follow(ctx context.Context, from bus.Start) error {
	state, err := h.bus.State(ctx)
	if err != nil {
		return err
	}
	h.target.Store(state.Last + 1)
	h.log.Info("reading the event stream", "first", max(from.Sequence, state.First), "last", state.Last)
	return h.bus.Follow(ctx, from, func(m bus.Message) { h.take(ctx, m) }, func(subject string, err error) {
		h.view.Reject(subject, err)
		var bad *bus.MessageError
		if errors.As(err, &bad) {
			h.skip(ctx, bad.Sequence, bad.Stored)
		}
	})
}

// skip moves the position over what is no event.
func (h *hub) skip(ctx context.Context, sequence uint64, stored time.Time) {
	h.view.Advance(sequence, stored)
	h.history.Add(ctx, history.Record{Record: view.Record{Sequence: sequence, Stored: stored}})
}

// take folds one event before anybody is told of it: who asks for the view then, sees it.
func (h *hub) take(ctx context.Context, m bus.Message) {
	item, err := server.NewItem(m)
	if err != nil {
		h.view.Reject(m.Subject.Cluster, err)
		h.skip(ctx, m.Sequence, m.Stored)
		return
	}
	r := view.Record{Sequence: m.Sequence, Stored: m.Stored, Cluster: m.Subject.Cluster, Event: item.Event}
	h.view.Apply(r)
	h.feed.Send(item)
	h.history.Add(ctx, history.Record{Record: r, Data: m.Data})
	if err := h.history.Checkpoint(ctx, h.view); err != nil {
		h.log.Error(err, "cannot save the view")
	}
}

// caughtUp says what the hub waits for before it can answer.
func (h *hub) caughtUp() error {
	if h.ready.Load() {
		return nil
	}
	target := h.target.Load()
	if target == 0 {
		return errors.New("waiting for the event stream")
	}
	if sequence, _ := h.view.Position(); sequence+1 < target {
		return fmt.Errorf("reading the event stream: at %d of %d", sequence, target-1)
	}
	h.ready.Store(true)
	return nil
}

// sweep looks every second for clusters that fell silent or came back, and asks those that miss
// something for their snapshot.
func (h *hub) sweep(ctx context.Context, tick *time.Ticker) error {
	defer tick.Stop()
	asks := resyncs{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			if h.caughtUp() != nil {
				continue
			}
			for _, t := range h.view.Sweep(now) {
				h.tell(t)
			}
			h.history.Watched(now)
			for _, cluster := range asks.due(now, h.view.Incomplete(now)) {
				if err := h.bus.Command(ctx, cluster, bus.Resync); err != nil {
					h.log.Info("cannot ask for a snapshot", "cluster", cluster, "reason", err.Error())
				}
			}
		}
	}
}

// tell feeds a transition to those who watch. It is not put on the stream: it is no fact but this
// hub's reading of the clock, another hub may come to another, and a replay would repeat it.
func (h *hub) tell(t view.Transition) {
	h.log.Info("cluster changed", "cluster", t.Cluster, "connected", t.Connected)
	typ := event.ClusterSilent
	if t.Connected {
		typ = event.ClusterConnected
	}
	detail, ok := h.view.Cluster(t.At, t.Cluster)
	if !ok {
		return
	}
	e, err := event.New(t.Cluster, typ, event.Object{}, t.At, event.Cluster{
		KubernetesVersion: detail.KubernetesVersion, FluxVersion: detail.FluxVersion,
		NodesReady: detail.NodesReady, NodesTotal: detail.NodesTotal,
	})
	if err != nil {
		h.log.Error(err, "cannot tell of a transition", "cluster", t.Cluster)
		return
	}
	e.ID = uuid.NewString()
	e.Environment, e.Cloud, e.Region = detail.Environment, detail.Cloud, detail.Region
	item, err := server.Derived(&e, t.At)
	if err != nil {
		h.log.Error(err, "cannot tell of a transition", "cluster", t.Cluster)
		return
	}
	h.history.Transition(t, &e)
	h.feed.Send(item)
}

func (h *hub) heartbeat(cluster string, b event.Heartbeat, received time.Time) {
	h.view.Heartbeat(cluster, b, received)
	h.history.Heartbeat(cluster, b, received)
}

// resyncs remembers since when a cluster has been incomplete, and when it was asked last.
type resyncs map[string]resync

type resync struct {
	since, asked time.Time
	wait         time.Duration // until it is asked again; longer each time
}

// due returns the clusters to ask now: incomplete for long enough, and not asked just before.
func (r resyncs) due(now time.Time, incomplete []string) []string {
	var out []string
	still := map[string]bool{}
	for _, cluster := range incomplete {
		still[cluster] = true
		s, ok := r[cluster]
		if !ok {
			s.since = now
		}
		if now.Sub(s.since) >= resyncAfter && now.Sub(s.asked) >= s.wait {
			s.asked, s.wait = now, min(max(resyncEvery, 2*s.wait), resyncLeast)
			out = append(out, cluster)
		}
		r[cluster] = s
	}
	for cluster := range r {
		if !still[cluster] {
			delete(r, cluster)
		}
	}
	return out
}
