package history

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/view"
)

// recorded is what a hub answered at a moment.
type recorded struct {
	at       time.Time
	clusters []rest.Cluster
	services []rest.Service
	episodes []rest.Episode
}

func record1(v *view.View, at time.Time) recorded {
	return recorded{at, v.Clusters(at, view.Filter{}), v.Services(at, view.Filter{}), v.Episodes(at, view.Filter{Resolved: true})}
}

// live is a hub without its bus: a view and a history that hear the same in the same order.
type live struct {
	*running
	view *view.View
	tape *tape
	seen int
}

func (l *live) catchUp(t *testing.T) {
	for _, m := range l.tape.messages[l.seen:] {
		apply(t, l.view, m)
		l.Add(t.Context(), record(m))
		if err := l.Checkpoint(t.Context(), l.view); err != nil {
			t.Fatal(err)
		}
	}
	l.seen = len(l.tape.messages)
}

func (l *live) heartbeat(cluster, epoch string) {
	h := event.Heartbeat{Epoch: epoch, Sequence: l.tape.sequence[cluster+epoch], Time: l.tape.now.Add(300 * time.Millisecond),
		Interval: event.Duration(15 * time.Second), Version: "v0.1.0", Started: start,
		Cluster: event.Cluster{KubernetesVersion: "v1.36.4", FluxVersion: "v2.9.5", NodesReady: 3, NodesTotal: 3}}
	l.view.Heartbeat(cluster, h, l.tape.now)
	l.Heartbeat(cluster, h, l.tape.now)
}

func (l *live) sweep(t *testing.T) {
	for _, tr := range l.view.Sweep(l.tape.now) {
		l.connect(t, tr.Cluster, tr.Connected, tr.At)
	}
	l.Watched(l.tape.now)
}

// AsOf of services and the freshness of clusters repeat the last heartbeat, which at a moment is told
// as of the moment.
var sameButHeartbeats = cmp.Options{
	cmpopts.IgnoreFields(rest.Freshness{}, "LastHeartbeat"), cmpopts.IgnoreFields(rest.ServiceCluster{}, "AsOf"),
	cmp.AllowUnexported(recorded{}),
}

func TestAtAMomentIsWhatAHubAnsweredThen(t *testing.T) {
	p := newTape(t)
	l := &live{running: run(t, p, path(t)), view: view.New(view.Options{}), tape: p}
	var run []recorded
	p.join("a", epoch1)
	p.join("b", epoch2)
	for minute := range 30 {
		cluster, epoch := "a", epoch1
		if minute%2 == 1 {
			cluster, epoch = "b", epoch2
		}
		typ := []event.Type{event.WorkloadRolling, event.WorkloadDegraded, event.WorkloadAvailable}[minute%3]
		p.publish(cluster, epoch, typ, ledger, event.Workload{Desired: 2, Ready: int32(minute % 3)})
		if minute%5 == 0 {
			p.publish(cluster, epoch, event.EpisodeOpened, ledger, event.Episode{ID: fmt.Sprint("e", minute), Reason: event.ReasonCrashLoop, Container: "app"})
		}
		if minute%5 == 4 {
			p.publish(cluster, epoch, event.EpisodeResolved, ledger, event.Episode{ID: fmt.Sprint("e", minute-4), Reason: event.ReasonCrashLoop, ResolvedBy: "rollout available"})
		}
		l.catchUp(t)
		for range 4 {
			p.now = p.now.Add(14 * time.Second)
			l.heartbeat("a", epoch1)
			if minute < 10 || minute > 20 { // b is cut off in between
				l.heartbeat("b", epoch2)
			}
			l.sweep(t)
		}
		run = append(run, record1(l.view, p.now))
		p.now = p.now.Add(time.Second)
	}
	unknown := 0
	for i, want := range run {
		v, err := l.At(t.Context(), want.at)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, record1(v, want.at), sameButHeartbeats); diff != "" {
			t.Errorf("after minute %d (-hub +history):\n%s", i, diff)
		}
		for _, c := range want.clusters {
			if c.Status == rest.Unknown {
				unknown++
			}
		}
	}
	if unknown < 5 {
		t.Errorf("a cluster was unknown %d times: the run shows too little", unknown)
	}
	var checkpoints int
	if err := l.opened().read.QueryRowContext(t.Context(), "SELECT count(*) FROM checkpoints").Scan(&checkpoints); err != nil || checkpoints < 5 {
		t.Errorf("%d checkpoints, %v, want one every five minutes", checkpoints, err)
	}
	if _, err := l.At(t.Context(), start.Add(-time.Hour)); !errors.Is(err, ErrTooOld) {
		t.Errorf("At() before everything = %v, want ErrTooOld", err)
	}
}

func TestWhenNobodyWatchedEveryClusterIsUnknown(t *testing.T) {
	p := newTape(t)
	l := &live{running: run(t, p, path(t)), view: view.New(view.Options{}), tape: p}
	p.join("a", epoch1)
	l.catchUp(t)
	l.heartbeat("a", epoch1)
	l.sweep(t)
	p.now = p.now.Add(10 * time.Second)
	then := p.now
	for at, want := range map[time.Time]bool{then: true, then.Add(10 * time.Minute): false} {
		p.now = then.Add(20 * time.Minute)
		if err := l.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		v, err := l.At(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Clusters(at, view.Filter{})[0].Freshness.Known; got != want {
			t.Errorf("at %s the cluster is known: %v, want %v", at, got, want)
		}
	}
}

func TestAHubThatStartsAgainReadsTheEndOfTheStreamOnly(t *testing.T) {
	p, file := newTape(t), path(t)
	l := &live{running: run(t, p, file), view: view.New(view.Options{}), tape: p}
	p.join("a", epoch1)
	for range 20 {
		available(p, "a", 1)
		p.now = p.now.Add(time.Minute)
		l.catchUp(t)
	}
	l.reach(t, uint64(len(p.messages)))
	l.stop()
	available(p, "a", 1) // while the hub is down

	again := run(t, p, file)
	v := view.New(view.Options{})
	from, err := again.Restore(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	if from < 15 || from > 23 {
		t.Errorf("the view goes on after %d of %d", from, len(p.messages))
	}
	if got, _ := v.Position(); got != from {
		t.Errorf("the view is at %d, want %d", got, from)
	}
	whole := view.New(view.Options{})
	for _, m := range p.messages {
		apply(t, whole, m)
		if m.Sequence > from {
			apply(t, v, m)
		}
	}
	if diff := cmp.Diff(record1(whole, p.now), record1(v, p.now), sameButHeartbeats); diff != "" {
		t.Errorf("(-from the beginning +from the checkpoint):\n%s", diff)
	}
}

func TestCheckpointsAreSpreadOverTheEvents(t *testing.T) {
	p := newTape(t)
	l := &live{running: run(t, p, path(t)), view: view.New(view.Options{}), tape: p}
	for range 3 * maxCheckpoints {
		available(p, "a", 1)
		p.now = p.now.Add(checkpointTime)
		l.catchUp(t)
	}
	l.reach(t, uint64(len(p.messages)))
	var count, widest, newest int
	err := l.opened().read.QueryRowContext(t.Context(), "SELECT count(*), max(gap), max(seq) FROM (SELECT seq, seq - lag(seq) OVER (ORDER BY seq) AS gap FROM checkpoints)").
		Scan(&count, &widest, &newest)
	if err != nil {
		t.Fatal(err)
	}
	if count != maxCheckpoints || widest > 8 || newest != len(p.messages) {
		t.Errorf("%d checkpoints, at most %d events apart, the newest at %d of %d", count, widest, newest, len(p.messages))
	}
}
