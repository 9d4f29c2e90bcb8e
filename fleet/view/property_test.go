package view

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// picture is all that can be asked of a cluster.
type picture struct {
	Detail   rest.ClusterDetail
	Services []rest.Service
	Episodes []rest.Episode
}

func pictureOf(v *View, id string, now time.Time) picture {
	detail, _ := v.Cluster(now, id)
	detail.Gaps = slices.DeleteFunc(detail.Gaps, func(g rest.Gap) bool { return !g.Closed.IsZero() }) // how it came, not how it is
	return picture{detail, v.Services(now, Filter{}), v.Episodes(now, Filter{Resolved: true})}
}

func TestAnyOrderAndAnyDuplicatesGiveTheSameView(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := newAgent(t, "a", epoch1)
		a.started()
		a.snapshot("s1", 2)
		resyncAt := rapid.IntRange(1, 60).Draw(t, "resync")
		for i := range rapid.IntRange(1, 40).Draw(t, "events") {
			if i == resyncAt {
				a.snapshot("s2", rapid.IntRange(1, 4).Draw(t, "size"))
			}
			a.random(t)
		}
		var order []int
		for i := range a.sent {
			for range rapid.IntRange(1, 3).Draw(t, "copies") {
				order = append(order, i)
			}
		}
		order = rapid.Permutation(order).Draw(t, "order")

		inOrder, shuffled := New(Options{}), New(Options{})
		a.fold(inOrder, a.sent...)
		for _, i := range order {
			shuffled.Apply(a.record(a.sent[i], i))
		}
		now := a.now()
		for _, v := range []*View{inOrder, shuffled} {
			v.Heartbeat("a", a.heartbeat(now), now)
		}
		if diff := cmp.Diff(pictureOf(inOrder, "a", now), pictureOf(shuffled, "a", now)); diff != "" {
			t.Fatalf("the order matters (-in order +shuffled):\n%s", diff)
		}
		if removed := len(shuffled.find("a").removed); removed != 0 {
			t.Fatalf("%d removals are kept although everything was seen", removed)
		}
		a.compare(t, inOrder, now)
	})
}

// compare holds the view to what the agent itself knows.
func (a *agent) compare(t *rapid.T, v *View, now time.Time) {
	detail, _ := v.Cluster(now, a.cluster)
	open := map[string]bool{}
	for _, ep := range detail.Open {
		open[ep.ID] = true
	}
	a.hold(t, v, detail, open, now)
}

func (a *agent) hold(t *rapid.T, v *View, detail rest.ClusterDetail, open map[string]bool, now time.Time) {
	got := map[string]string{}
	for _, o := range detail.Inventory {
		got[o.Object] = o.State
	}
	want := map[string]string{}
	for key, entry := range a.objects {
		want[key] = entry.Type.What()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("inventory differs from the cluster's own (-cluster +view):\n%s", diff)
	}
	wantOpen := map[string]bool{}
	for id := range a.episodes {
		wantOpen[id] = true
	}
	if diff := cmp.Diff(wantOpen, open); diff != "" {
		t.Fatalf("open episodes differ from the cluster's own (-cluster +view):\n%s", diff)
	}
	if f := detail.Freshness; f.Missing != 0 || f.Gaps != 0 || f.Diverged || len(v.Incomplete(now)) > 0 {
		t.Fatalf("freshness = %+v, want nothing missing", f)
	}
	if got, want := v.Digests()[a.cluster], a.digest(); got != want {
		t.Fatalf("the view's digest is %x, the agent's %x", got, want)
	}
	if want := a.digest(); want != 0 && !detail.Freshness.Verified.Equal(now) {
		t.Fatalf("verified at %s, want by the last heartbeat at %s", detail.Freshness.Verified, now)
	}
	if got := v.find(a.cluster).recount(); got != a.digest() {
		t.Fatalf("the members' sums are %x, the running digest is %x", got, a.digest())
	}
}

// history is what happened to one cluster: several lives of its agent, with what never arrived.
type history struct {
	last *agent         // of the newest epoch
	sent []*event.Event // what arrives sooner or later, in the order of sending
	lost int            // what never does
}

func drawHistory(t *rapid.T, cluster string) history { return drawOf(t, newAgent(t, cluster, "")) }

func drawOf(t *rapid.T, first *agent) (h history) {
	h.last = first
	for epoch := range rapid.IntRange(1, 3).Draw(t, "epochs") {
		h.last = h.last.next(fmt.Sprintf("0192f000-0000-7000-8000-%012d", epoch))
		h.live(t, epoch)
	}
	h.last.snapshot("last", rapid.IntRange(1, 5).Draw(t, "size")) // what was lost is asked for
	h.deliver(len(h.last.sent))
	return h
}

// live is one epoch, all of which is sent but what the loss takes.
func (h *history) live(t *rapid.T, epoch int) {
	a := h.last
	a.started()
	a.snapshot("first", rapid.IntRange(1, 5).Draw(t, "size"))
	h.deliver(len(a.sent))
	for i := range rapid.IntRange(0, 30).Draw(t, "events") {
		before := len(a.sent)
		a.random(t)
		switch did := a.sent[before:]; {
		case len(did) == 0:
		case rapid.IntRange(0, 9).Draw(t, "fate") == 0:
			h.lost++
			a.sent = a.sent[:before]
		case rapid.IntRange(0, 9).Draw(t, "fate") == 0:
			h.lost++
			a.sent = append(a.sent[:before], a.drop(did...))
		case rapid.IntRange(0, 9).Draw(t, "fate") == 0:
			a.snapshot(fmt.Sprintf("s%d-%d", epoch, i), rapid.IntRange(1, 5).Draw(t, "size"))
		}
		h.deliver(len(a.sent))
	}
}

// deliver moves what the agent has sent on its way.
func (h *history) deliver(n int) {
	for _, e := range h.last.sent[:n] {
		e.Region = fmt.Sprintf("region-%d", e.Sequence%3) // the newest event's counts
	}
	h.sent = append(h.sent, h.last.sent[:n]...)
	h.last.sent = h.last.sent[n:]
}

func TestAnyHistoryFoldsToWhatTheClusterHas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t, "a")
		var order []int
		for i := range h.sent {
			for range rapid.IntRange(1, 2).Draw(t, "copies") {
				order = append(order, i)
			}
		}
		inOrder, shuffled := New(Options{}), New(Options{})
		h.last.fold(inOrder, h.sent...)
		for at, i := range rapid.Permutation(order).Draw(t, "order") {
			shuffled.Apply(h.last.record(h.sent[i], at))
		}
		now := h.last.now()
		for _, v := range []*View{inOrder, shuffled} {
			v.Heartbeat("a", h.last.heartbeat(now), now)
			h.last.compareDigest(t, v, now)
		}
	})
}

// compareDigest holds the view to what the agent has, and to what it counts. The ids of episodes
// are those that they had in an earlier epoch.
func (a *agent) compareDigest(t *rapid.T, v *View, now time.Time) {
	detail, _ := v.Cluster(now, a.cluster)
	if got := len(detail.Open); got != len(a.episodes) {
		t.Fatalf("%d episodes are open, %d on the cluster", got, len(a.episodes))
	}
	ids := map[string]bool{}
	for id := range v.find(a.cluster).open {
		ids[id] = true
	}
	a.hold(t, v, detail, ids, now)
}

func TestMissingCountsWhatWasNotSeen(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var seen tracker
		last := rapid.Uint64Range(1, 400).Draw(t, "last")
		floor := rapid.Uint64Range(0, last).Draw(t, "floor")
		have, gone := map[uint64]bool{}, map[uint64]bool{}
		for _, seq := range rapid.SliceOfN(rapid.Uint64Range(1, last), 0, 200).Draw(t, "seen") {
			if seen.see(seq) == have[seq] {
				t.Fatalf("see(%d) = %v, and it was seen: %v", seq, !have[seq], have[seq])
			}
			have[seq] = true
		}
		for range rapid.IntRange(0, 5).Draw(t, "drops") {
			first := rapid.Uint64Range(1, last).Draw(t, "first")
			dropped := span{first, rapid.Uint64Range(first, last).Draw(t, "to")} // may cover what was seen, or comes after all
			seen.drop(dropped)
			for seq := dropped.first; seq <= dropped.last; seq++ {
				gone[seq] = true
			}
		}
		if late := rapid.Uint64Range(1, last).Draw(t, "late"); seen.see(late) == have[late] {
			t.Fatalf("see(%d) = %v after drops, and it was seen: %v", late, !have[late], have[late])
		} else {
			have[late] = true
		}
		var want uint64
		for seq := floor + 1; seq <= last; seq++ {
			if !have[seq] && !gone[seq] {
				want++
			}
		}
		if got := seen.missing(floor, last); got != want {
			t.Fatalf("missing(%d, %d) = %d, want %d; %+v", floor, last, got, want, seen)
		}
	})
}

func TestATrackerWithTooManyHolesForgetsTheOldest(t *testing.T) {
	var seen tracker
	for i := range uint64(10 * maxSpans) {
		seen.see(2 * (i + 1))
	}
	if len(seen.spans) > maxSpans+1 {
		t.Errorf("%d spans are kept, at most %d are wanted", len(seen.spans), maxSpans)
	}
	if got, want := seen.missing(0, 20*maxSpans), uint64(10*maxSpans); got != want {
		t.Errorf("missing = %d, want %d: what is forgotten stays missing", got, want)
	}
	if seen.see(1) {
		t.Error("a sequence that was given up counts as new")
	}
}

func FuzzApply(f *testing.F) {
	a := newAgent(f, "a", epoch1)
	a.started()
	a.object(event.WorkloadAvailable, ledger, event.Workload{Desired: 1, Ready: 1})
	a.episode(event.EpisodeOpened, ledger, crash("e1"))
	a.snapshot("s", 10)
	r := &releaser{t: f}
	r.say(event.ReleaseCommitted, moved(asked("ledger-1", "main-1", start), fleetv1.PhaseReleasing, start, on("a", fleetv1.TargetMoving, "main-0", start, start)))
	r.created(event.Artifact{Team: "payments", Service: "ledger", ID: "main-1"})
	for _, e := range append(a.sent, r.sent...) {
		f.Add(string(e.Type), e.Subject, []byte(e.Data))
	}
	f.Fuzz(func(t *testing.T, typ, subject string, data []byte) {
		v := New(Options{})
		for seq := range uint64(3) {
			v.Apply(Record{Sequence: seq + 1, Stored: start, Cluster: "a", Event: &event.Event{
				Source: event.Source("a"), Type: event.Type(typ), Subject: subject, Time: start, Epoch: epoch1, Sequence: seq + 1, Data: data}})
		}
		v.Apply(Record{Sequence: 4, Stored: start, Cluster: event.Platform, Event: &event.Event{
			Source: event.Source(event.Platform), ID: "1", Type: event.Type(typ), Subject: subject, Time: start, Data: data}})
		_ = fmt.Sprint(pictureOf(v, "a", start), v.Releases(ReleaseFilter{}), v.Artifacts("", ""))
	})
}
