package view

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/fairway-dev/fairway/api/event"
)

const (
	epoch1 = "0192f000-0000-7000-8000-000000000001"
	epoch2 = "0192f111-0000-7000-8000-000000000002"
)

var start = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// tester is what both testing.TB and rapid.T are.
type tester interface {
	Helper()
	Fatal(args ...any)
}

// agent speaks as a cluster's agent does: one event after the other, each consistent with those
// before.
type agent struct {
	t        tester
	cluster  string
	epoch    string
	sequence uint64
	offset   uint64 // seconds that the epochs before took
	objects  map[string]event.Entry
	episodes map[string]event.Entry
	opened   map[string]event.Entry // every episode of the epoch, and of those before
	before   map[string]event.Entry // what opened was when the epoch began
	once     bool                   // no failure happens twice
	sent     []*event.Event
}

func newAgent(t tester, cluster, epoch string) *agent {
	return &agent{t: t, cluster: cluster, epoch: epoch,
		objects: map[string]event.Entry{}, episodes: map[string]event.Entry{}, opened: map[string]event.Entry{}}
}

// now is a moment that grows with the sequence.
func (a *agent) now() time.Time { return start.Add(time.Duration(a.offset+a.sequence) * time.Second) }

func (a *agent) send(typ event.Type, obj event.Object, data any) *event.Event {
	a.t.Helper()
	a.sequence++
	e, err := event.New(a.cluster, typ, obj, a.now(), data)
	if err != nil {
		a.t.Fatal(err)
	}
	e.ID, e.Epoch, e.Sequence = fmt.Sprintf("%s-%d", a.epoch, a.sequence), a.epoch, a.sequence
	e.Environment, e.Cloud = "prod", "AWS"
	if obj.Namespace == "payments" {
		e.Team, e.Service, e.Artifact = "payments", obj.Name, "main-1"
	}
	a.sent = append(a.sent, &e)
	return &e
}

func (a *agent) started() *event.Event {
	return a.send(event.AgentStarted, event.Object{}, event.Started{Version: "v0.1.0",
		Cluster: event.Cluster{KubernetesVersion: "v1.36.4", NodesReady: 2, NodesTotal: 3}})
}

func (a *agent) object(typ event.Type, obj event.Object, data any) *event.Event {
	e := a.send(typ, obj, data)
	if typ.What() == "removed" {
		delete(a.objects, e.Subject)
	} else {
		a.objects[e.Subject] = e.Entry()
	}
	return e
}

func (a *agent) episode(typ event.Type, obj event.Object, p event.Episode) *event.Event {
	e := a.send(typ, obj, p)
	if typ == event.EpisodeResolved {
		delete(a.episodes, p.ID)
	} else {
		a.episodes[p.ID], a.opened[p.ID] = e.Entry(), e.Entry()
	}
	return e
}

// snapshot sends the whole state in parts of at most size entries.
func (a *agent) snapshot(id string, size int) {
	var entries []event.Entry
	for _, from := range []map[string]event.Entry{a.objects, a.episodes} {
		for _, key := range slices.Sorted(maps.Keys(from)) {
			entries = append(entries, from[key])
		}
	}
	chunks := slices.Collect(slices.Chunk(entries, size))
	if len(chunks) == 0 {
		chunks = [][]event.Entry{{}}
	}
	for i, chunk := range chunks {
		a.send(event.AgentSnapshot, event.Object{}, event.Snapshot{ID: id, Part: i + 1, Parts: len(chunks), Entries: chunk})
	}
}

func (a *agent) record(e *event.Event, at int) Record {
	return Record{Sequence: uint64(at + 1), Stored: e.Time, Cluster: a.cluster, Event: e}
}

func (a *agent) fold(v *View, events ...*event.Event) {
	for i, e := range events {
		v.Apply(a.record(e, i))
	}
}

func (a *agent) heartbeat(at time.Time) event.Heartbeat {
	return event.Heartbeat{Epoch: a.epoch, Sequence: a.sequence, Objects: len(a.objects), Digest: a.digest(), Time: at,
		Interval: event.Duration(15 * time.Second), Version: "v0.1.0",
		Cluster: event.Cluster{KubernetesVersion: "v1.36.4", FluxVersion: "v2.9.5", NodesReady: 3, NodesTotal: 3}}
}

// digest is what the agent counts by itself, from the events that it committed.
func (a *agent) digest() (sum uint64) {
	for _, of := range []map[string]event.Entry{a.objects, a.episodes} {
		for _, entry := range of {
			sum += entry.Sum()
		}
	}
	return sum
}

// drop takes events that were not sent yet out of the outbox, and says so in an agent.gap.
func (a *agent) drop(events ...*event.Event) *event.Event {
	p := event.Gap{Reason: "outbox full", Dropped: map[event.Kind]int{}, From: events[0].Time}
	for _, e := range events {
		p.Dropped[e.Type.Kind()]++
		p.To = e.Time
		if last := len(p.Spans) - 1; last >= 0 && p.Spans[last].Last+1 == e.Sequence {
			p.Spans[last].Last++
		} else {
			p.Spans = append(p.Spans, event.Span{First: e.Sequence, Last: e.Sequence})
		}
	}
	return a.send(event.AgentGap, event.Object{}, p)
}

// next is the agent after its volume was lost: it knows what the cluster has, under a new epoch.
func (a *agent) next(epoch string) *agent {
	n := newAgent(a.t, a.cluster, epoch)
	n.objects, n.episodes, n.offset = maps.Clone(a.objects), maps.Clone(a.episodes), a.offset+a.sequence
	n.opened, n.before, n.once = maps.Clone(a.opened), a.opened, a.once
	return n
}

var (
	rootObject = event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: "fairway"}
	ledger     = event.Object{Kind: "Deployment", Namespace: "payments", Name: "ledger"}
)

// crash is an open episode of the ledger.
func crash(id string) event.Episode {
	return event.Episode{ID: id, Reason: "CrashLoopBackOff", Container: "app", Message: "exit 1", Lines: []string{"fatal: no database"}}
}

// drawn is what a property test makes an agent do, at random.
func (a *agent) random(t *rapid.T) {
	names := rapid.SampledFrom([]string{"a", "b", "c", "d"})
	switch rapid.IntRange(0, 9).Draw(t, "do") {
	case 0, 1, 2:
		obj := event.Object{Kind: "Deployment", Namespace: "payments", Name: names.Draw(t, "name")}
		typ := rapid.SampledFrom([]event.Type{event.WorkloadRolling, event.WorkloadAvailable, event.WorkloadDegraded}).Draw(t, "type")
		a.object(typ, obj, event.Workload{Desired: 2, Ready: int32(a.sequence % 3), Images: []string{"app:1"}, Owner: rootObject})
	case 3, 4:
		obj := event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: names.Draw(t, "name")}
		typ := rapid.SampledFrom([]event.Type{event.FluxProgressing, event.FluxSucceeded, event.FluxFailed, event.FluxSuspended}).Draw(t, "type")
		a.object(typ, obj, event.Flux{Reason: "R", Message: fmt.Sprint("at ", a.sequence), AppliedRevision: fmt.Sprint("main@sha1:", a.sequence)})
	case 5, 6:
		if len(a.objects) == 0 {
			return
		}
		key := rapid.SampledFrom(slices.Sorted(maps.Keys(a.objects))).Draw(t, "gone")
		obj, err := event.ParseObject(key)
		if err != nil {
			t.Fatal(err)
		}
		if obj.Kind == "Deployment" {
			a.object(event.WorkloadRemoved, obj, event.Workload{})
		} else {
			a.object(event.FluxRemoved, obj, event.Flux{})
		}
	case 7:
		a.fail(event.Object{Kind: "Deployment", Namespace: "payments", Name: names.Draw(t, "name")}, rapid.SampledFrom([]string{"CrashLoopBackOff", "OOMKilled"}).Draw(t, "reason"))
	case 8:
		a.oneEpisode(t, event.EpisodeChanged)
	case 9:
		a.oneEpisode(t, event.EpisodeResolved)
	}
}

// fail opens an episode, where the object has none that is open for the reason, and had none before the epoch: from
// a snapshot alone nobody could tell the two apart.
func (a *agent) fail(obj event.Object, reason string) {
	p := crash(fmt.Sprintf("e%d", a.offset+a.sequence))
	p.Reason, p.OpenedAt = reason, a.now()
	have := slices.AppendSeq(slices.Collect(maps.Values(a.episodes)), maps.Values(a.before))
	if a.once {
		have = slices.Collect(maps.Values(a.opened))
	}
	for _, entry := range have {
		var other event.Episode
		if err := (&event.Event{Data: entry.Data}).Payload(&other); err != nil {
			a.t.Fatal(err)
		}
		if entry.Subject == obj.String() && other.Reason == reason {
			return
		}
	}
	a.episode(event.EpisodeOpened, obj, p)
}

// oneEpisode changes or resolves one that is open.
func (a *agent) oneEpisode(t *rapid.T, typ event.Type) {
	if len(a.episodes) == 0 {
		return
	}
	entry := a.episodes[rapid.SampledFrom(slices.Sorted(maps.Keys(a.episodes))).Draw(t, "episode")]
	obj, err := event.ParseObject(entry.Subject)
	if err != nil {
		t.Fatal(err)
	}
	var p event.Episode
	if err := (&event.Event{Data: entry.Data}).Payload(&p); err != nil {
		t.Fatal(err)
	}
	p.Restarts++
	if typ == event.EpisodeResolved {
		p.Lines, p.ResolvedBy = nil, "rollout available"
	}
	a.episode(typ, obj, p)
}

func newView(t testing.TB) *View {
	t.Helper()
	return New(Options{Rejected: func(cluster string, err error) { t.Errorf("%s: event refused: %v", cluster, err) }})
}
