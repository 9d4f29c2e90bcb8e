package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/google/uuid"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/e2e/load/sim"
	"github.com/fairway-dev/fairway/fleet/observe"
	"github.com/fairway-dev/fairway/fleet/view"
)

const (
	viewMemoryBar = 6 // KiB
	idleObjects   = 50
)

// viewMemory is what the view keeps of an idle cluster of 50 objects, beyond their names.
func viewMemory(_ context.Context, b *bench) ([]Result, error) {
	b.say("folding the snapshots of %d idle clusters", b.size.clusters)
	before, names := heap(), 0
	v := view.New(view.Options{})
	for i := range b.size.clusters {
		n, err := foldIdle(v, sim.Name(i))
		if err != nil {
			return nil, err
		}
		names += n
	}
	used := float64(heap()-before-names) / float64(b.size.clusters)
	runtime.KeepAlive(v)
	return []Result{atMost("hub memory for an idle cluster of 50 objects, beyond their names", used/1024, "KiB", viewMemoryBar)}, nil
}

// foldIdle brings a whole cluster into the view, as its agent does when it starts, and counts the bytes of its
// objects' names.
func foldIdle(v *view.View, cluster string) (names int, err error) {
	obs, now := observe.New(observe.Options{Cluster: cluster}), time.Now()
	for _, obj := range sim.NewWorld(cluster, idleObjects, 1, nil).List() {
		obs.Apply(obj, now)
	}
	snapshot := event.Snapshot{ID: uuid.NewString(), Part: 1, Parts: 1}
	for _, d := range obs.Snapshot() {
		e, err := event.New(cluster, d.Type, d.Object, d.Time, d.Data)
		if err != nil {
			return 0, err
		}
		e.Team, e.Service, e.Artifact, e.Revision = d.Team, d.Service, d.Artifact, d.Revision
		snapshot.Entries = append(snapshot.Entries, e.Entry())
		names += len(e.Subject)
	}
	epoch := uuid.Must(uuid.NewV7()).String()
	e, err := event.New(cluster, event.AgentSnapshot, event.Object{}, now, snapshot)
	if err != nil {
		return 0, err
	}
	e.ID, e.Epoch, e.Sequence = uuid.NewString(), epoch, 1
	e.Environment, e.Cloud, e.Region = "prod", "AWS", "eu-west-1"
	data, err := e.Encode()
	if err != nil {
		return 0, err
	}
	decoded, err := event.Decode(data)
	if err != nil {
		return 0, err
	}
	v.Apply(view.Record{Sequence: 1, Stored: now, Cluster: cluster, Event: &decoded})
	v.Heartbeat(cluster, event.Heartbeat{Epoch: epoch, Sequence: 1, Objects: obs.Objects(), Time: now,
		Interval: event.Duration(time.Minute), Version: "v0.1.0", Started: now, Cluster: obs.Cluster()}, now)
	if detail, ok := v.Cluster(now, cluster); !ok || detail.Objects != idleObjects {
		return 0, fmt.Errorf("the view has %d objects of %s, want %d", detail.Objects, cluster, idleObjects)
	}
	return names, nil
}

// heap is what is in use after collection. Handles are dropped over two collections.
func heap() int {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc) //nolint:gosec // far below
}
