package view

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// asOf is the cluster as the view shows it at the agent's own time.
func asOf(t *testing.T, v *View, a *agent, later time.Duration) rest.ClusterDetail {
	t.Helper()
	out, ok := v.Cluster(a.now().Add(later), a.cluster)
	if !ok {
		t.Fatal("the view does not have the cluster")
	}
	return out
}

func available(a *agent) *event.Event {
	return a.object(event.WorkloadAvailable, ledger, event.Workload{Desired: 1, Ready: int32(a.sequence)})
}

// sendSnapshot sends a snapshot and folds it.
func sendSnapshot(v *View, a *agent, id string) {
	before := len(a.sent)
	a.snapshot(id, 100)
	a.fold(v, a.sent[before:]...)
}

func TestADigestThatDiffersAsksForASnapshot(t *testing.T) {
	v := newView(t)
	a := connected(t, v, "a", func(a *agent) { available(a) })
	if f := asOf(t, v, a, 0).Freshness; f.Diverged || !f.Verified.Equal(a.now()) || f.Digest != a.digest() {
		t.Fatalf("freshness = %+v, want it verified at %s with digest %d", f, a.now(), a.digest())
	}
	heard := a.now()
	for key, entry := range a.objects { // as if the view had folded it wrongly
		entry.Team = "somebody else's"
		a.objects[key] = entry
	}
	a.fold(v, available(a)) // mends nothing: what the agent has is compared when its heartbeat comes
	entry := a.objects[ledger.String()]
	entry.Team = "somebody else's"
	a.objects[ledger.String()] = entry
	v.Heartbeat("a", a.heartbeat(a.now()), a.now())

	got := asOf(t, v, a, 0)
	if !got.Freshness.Diverged || !got.Freshness.Verified.Equal(heard) {
		t.Errorf("freshness = %+v, want it diverged and verified at %s", got.Freshness, heard)
	}
	if got.Status != rest.Progressing || got.Reason != fleetv1.ReasonViewDiverged {
		t.Errorf("status = %s, %s; want Progressing for the digest", got.Status, got.Reason)
	}
	if incomplete := v.Incomplete(a.now()); len(incomplete) != 1 {
		t.Errorf("Incomplete() = %v, want the cluster", incomplete)
	}
	sendSnapshot(v, a, "again")
	if f := asOf(t, v, a, 0).Freshness; f.Diverged {
		t.Error("diverged after the snapshot")
	}
	v.Heartbeat("a", a.heartbeat(a.now()), a.now())
	if f := asOf(t, v, a, 0).Freshness; f.Diverged || !f.Verified.Equal(a.now()) {
		t.Errorf("freshness = %+v, want it verified by the heartbeat after the snapshot", f)
	}
}

func TestDigestsOfDifferentMomentsAreNotCompared(t *testing.T) {
	v := newView(t)
	a := connected(t, v, "a", nil)
	before := a.heartbeat(a.now())
	a.fold(v, available(a))
	before.Digest = 4711
	v.Heartbeat("a", before, a.now()) // the agent wrote it before the event
	if asOf(t, v, a, 0).Freshness.Diverged {
		t.Error("diverged by a heartbeat that is older than the newest event")
	}
	early := available(a)
	v.Heartbeat("a", a.heartbeat(a.now()), a.now().Add(time.Second)) // it overtook the event
	if asOf(t, v, a, 0).Freshness.Diverged {
		t.Error("diverged by a heartbeat whose event is on its way")
	}
	a.fold(v, early)
	if f := asOf(t, v, a, 0).Freshness; f.Diverged || f.Verified.IsZero() {
		t.Errorf("freshness = %+v, want it verified when the event arrives", f)
	}
	silent := a.heartbeat(a.now())
	silent.Digest = 0
	v.Heartbeat("a", silent, a.now().Add(2*time.Second))
	if asOf(t, v, a, 0).Freshness.Diverged {
		t.Error("diverged by a heartbeat without a digest")
	}
	next := a.next(epoch2)
	next.objects = map[string]event.Entry{ledger.String(): {Type: event.WorkloadRolling}}
	next.fold(v, next.started())
	v.Heartbeat("a", next.heartbeat(next.now()), next.now())
	if asOf(t, v, next, 0).Freshness.Diverged {
		t.Error("diverged before the new epoch's snapshot, which is not there to compare")
	}
}

func TestGaps(t *testing.T) {
	at := func(second int) time.Time { return start.Add(time.Duration(second) * time.Second) }
	for name, test := range map[string]struct {
		do   func(*View, *agent) // from sequence 3 on
		want []rest.Gap
		open int
	}{
		"an event that is missing opens a gap at the event after it": {
			do: func(v *View, a *agent) {
				available(a)
				a.fold(v, available(a))
			},
			want: []rest.Gap{{Reason: rest.GapMissing, Opened: at(4), Events: 1}}, open: 1},
		"a snapshot closes it": {
			do: func(v *View, a *agent) {
				available(a)
				available(a)
				a.fold(v, available(a))
				sendSnapshot(v, a, "again")
			},
			want: []rest.Gap{{Reason: rest.GapMissing, Opened: at(5), Closed: at(6), ClosedBy: rest.BySnapshot, Events: 2}}},
		"what comes late but soon was no gap": {
			do: func(v *View, a *agent) {
				late := available(a)
				a.fold(v, available(a), late)
			}},
		"what comes long after its successors was one": {
			do: func(v *View, a *agent) {
				late := available(a)
				a.fold(v, available(a))
				late.Time = late.Time.Add(time.Minute)
				a.fold(v, late)
			},
			want: []rest.Gap{{Reason: rest.GapMissing, Opened: at(4), Closed: at(63), ClosedBy: rest.ByEvents, Events: 1}}},
		"what a heartbeat counts is on its way at first": {
			do: func(v *View, a *agent) {
				available(a)
				v.Heartbeat("a", a.heartbeat(a.now()), a.now())
			}},
		"dropped events are not missing, and stand in a gap until the next snapshot": {
			do: func(v *View, a *agent) {
				gap := a.drop(available(a), available(a))
				a.fold(v, gap, available(a))
			},
			want: []rest.Gap{{Reason: rest.GapDropped, Message: "outbox full", Opened: at(5), Events: 2,
				Dropped: map[string]uint64{"workload": 2}, From: at(3), To: at(4)}}, open: 1},
		"which closes it": {
			do: func(v *View, a *agent) {
				a.fold(v, a.drop(available(a)), a.drop(available(a)))
				sendSnapshot(v, a, "again")
			},
			want: []rest.Gap{{Reason: rest.GapDropped, Message: "outbox full", Opened: at(4), Closed: at(7), ClosedBy: rest.BySnapshot, Events: 2,
				Dropped: map[string]uint64{"workload": 2}, From: at(3), To: at(5)}}},
		"a snapshot that is there already closes it at once": {
			do: func(v *View, a *agent) {
				lost := available(a)
				sendSnapshot(v, a, "again")
				a.fold(v, a.drop(lost))
			},
			want: []rest.Gap{
				{Reason: rest.GapDropped, Message: "outbox full", Opened: at(5), Closed: at(5), ClosedBy: rest.BySnapshot, Events: 1,
					Dropped: map[string]uint64{"workload": 1}, From: at(3), To: at(3)},
				{Reason: rest.GapMissing, Opened: at(4), Closed: at(4), ClosedBy: rest.BySnapshot, Events: 1}}},
		"a new epoch is a gap since the cluster was heard last": {
			do: func(v *View, a *agent) {
				a.fold(v, available(a))
				n := a.next(epoch2)
				n.fold(v, n.started())
			},
			want: []rest.Gap{{Reason: rest.GapEpoch, Opened: at(3)}}, open: 1},
		"which counts what the last heartbeat before it did, also when the new one's came first": {
			do: func(v *View, a *agent) {
				a.fold(v, available(a))
				available(a)
				available(a)
				v.Heartbeat("a", a.heartbeat(a.now()), a.now())
				n := a.next(epoch2)
				v.Heartbeat("a", n.heartbeat(n.now()), n.now())
				n.fold(v, n.started())
			},
			want: []rest.Gap{{Reason: rest.GapEpoch, Opened: at(5), Events: 2}}, open: 1},
		"which its snapshot closes": {
			do: func(v *View, a *agent) {
				available(a)
				a.fold(v, available(a))
				n := a.next(epoch2)
				n.fold(v, n.started())
				sendSnapshot(v, n, "new")
			},
			want: []rest.Gap{{Reason: rest.GapEpoch, Opened: at(4), Closed: at(6), ClosedBy: rest.BySnapshot, Events: 1}}},
	} {
		t.Run(name, func(t *testing.T) {
			v := newView(t)
			a := connected(t, v, "a", nil)
			test.do(v, a)
			got := asOf(t, v, a, 0)
			want := test.want
			if want == nil {
				want = []rest.Gap{}
			}
			if diff := cmp.Diff(want, got.Gaps); diff != "" {
				t.Errorf("gaps (-want +got):\n%s", diff)
			}
			if got.Freshness.Gaps != test.open || (test.open > 0) == got.Freshness.GapSince.IsZero() {
				t.Errorf("freshness = %+v, want %d open", got.Freshness, test.open)
			}
		})
	}
}

func TestWhatAHeartbeatCountsIsAGapWhenItDoesNotCome(t *testing.T) {
	v := newView(t)
	a := connected(t, v, "a", nil)
	available(a)
	for range 4 {
		v.Heartbeat("a", a.heartbeat(a.now()), a.now())
		a.offset += 15
	}
	got := asOf(t, v, a, -10*time.Second)
	want := []rest.Gap{{Reason: rest.GapMissing, Opened: start.Add(3 * time.Second), Events: 1}}
	if diff := cmp.Diff(want, got.Gaps); diff != "" || got.Reason != fleetv1.ReasonEventsMissing {
		t.Errorf("reason %q; gaps (-want +got):\n%s", got.Reason, diff)
	}
	if incomplete := v.Incomplete(a.now()); len(incomplete) != 1 {
		t.Errorf("Incomplete() = %v, want the cluster", incomplete)
	}
}

func TestAStreamThatBeginsAmidAnEpochIsNoGap(t *testing.T) {
	v := newView(t)
	a := newAgent(t, "a", epoch1)
	a.sequence = 4000
	a.fold(v, available(a))
	v.Heartbeat("a", a.heartbeat(a.now()), a.now())
	if got := asOf(t, v, a, 0); got.Freshness.Missing != 4000 || len(v.Incomplete(a.now())) != 1 {
		t.Errorf("freshness = %+v, want 4000 events missing and a snapshot asked for", got.Freshness)
	}
	sendSnapshot(v, a, "s")
	if got := asOf(t, v, a, 0); got.Freshness.Missing != 0 || len(got.Gaps) != 0 {
		t.Errorf("missing = %d, gaps = %+v; want none", got.Freshness.Missing, got.Gaps)
	}
}

func TestClosedGapsAreBounded(t *testing.T) {
	v := newView(t)
	a := connected(t, v, "a", nil)
	for range 3 * maxGaps {
		available(a)
		a.fold(v, available(a))
		sendSnapshot(v, a, a.now().String())
	}
	gaps := asOf(t, v, a, 0).Gaps
	if len(gaps) != maxGaps || !gaps[0].Closed.Equal(a.now()) {
		t.Errorf("%d gaps are kept, the first closed at %s; want %d, the newest first", len(gaps), gaps[0].Closed, maxGaps)
	}
}

func TestAClockThatIsOffChangesNothingButWords(t *testing.T) {
	for name, test := range map[string]struct {
		off     time.Duration
		message string
	}{
		"five minutes fast": {5 * time.Minute, "the agent's clock is 5m0s fast; the times of what happened are, too"},
		"five minutes slow": {-5 * time.Minute, "the agent's clock is 5m0s slow; the times of what happened are, too"},
		"a little":          {4 * time.Second, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := newView(t)
			a := newAgent(t, "a", epoch1)
			a.started()
			a.snapshot("s1", 100)
			for i, e := range a.sent {
				stored := e.Time
				e.Time = e.Time.Add(test.off)
				v.Apply(Record{Sequence: uint64(i + 1), Stored: stored, Cluster: "a", Event: e})
			}
			heard := a.now()
			v.Heartbeat("a", a.heartbeat(heard.Add(test.off)), heard)
			got := asOf(t, v, a, 45*time.Second)
			if !got.Freshness.Known || got.Status != rest.Ready || got.Message != test.message || !got.Freshness.LastEvent.Equal(heard) {
				t.Errorf("after three intervals: %s, %q, %+v; want Ready, %q, the last event at %s", got.Status, got.Message, got.Freshness, test.message, heard)
			}
			if got := asOf(t, v, a, 46*time.Second); got.Freshness.Known || got.Status != rest.Unknown {
				t.Errorf("later: %s, %+v; want it unknown", got.Status, got.Freshness)
			}
		})
	}
}

func TestASlowHeartbeatIsNoSkew(t *testing.T) {
	v := newView(t)
	a := connected(t, v, "a", nil)
	written := a.now().Add(15 * time.Second)
	v.Heartbeat("a", a.heartbeat(written), written.Add(20*time.Second))
	if skew := asOf(t, v, a, 0).Freshness.ClockSkew; skew != 0 {
		t.Errorf("skew = %v by one heartbeat that took 20 s, want that of the one before it", skew)
	}
}
