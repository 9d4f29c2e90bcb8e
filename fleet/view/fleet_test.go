package view

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fairway-dev/fairway/api/event"
)

// disordered is what arrives of the history: a stretch after the other, each in any order, and any event once more,
// at once or after all the others.
func (h *history) disordered(t *rapid.T) (out []*event.Event) {
	var late []*event.Event
	for rest := h.sent; len(rest) > 0; {
		n := stretch(t, rest)
		var some []*event.Event
		for _, e := range rest[:n] {
			some = append(some, e)
			switch rapid.IntRange(0, 5).Draw(t, "copy") {
			case 0:
				some = append(some, e)
			case 1:
				late = append(late, e)
			}
		}
		out = append(out, rapid.Permutation(some).Draw(t, "order")...)
		rest = rest[n:]
	}
	return append(out, rapid.Permutation(late).Draw(t, "late")...)
}

// stretch is how many of the events are of one epoch and have no more snapshots than the view holds unfinished.
func stretch(t *rapid.T, events []*event.Event) int {
	snapshots := map[string]bool{}
	for i, e := range events {
		if e.Epoch != events[0].Epoch {
			return i
		}
		if e.Type != event.AgentSnapshot {
			continue
		}
		var p event.Snapshot
		if err := e.Payload(&p); err != nil {
			t.Fatal(err)
		}
		if snapshots[p.ID] = true; len(snapshots) > maxPending {
			return i
		}
	}
	return len(events)
}

// interleaved takes the clusters' events in turns that are drawn.
func interleaved(t *rapid.T, of map[string][]*event.Event) (out []Record) {
	var turns []string
	for cluster, events := range of {
		turns = append(turns, slices.Repeat([]string{cluster}, len(events))...)
	}
	slices.Sort(turns)
	for at, cluster := range rapid.Permutation(turns).Draw(t, "turns") {
		e := of[cluster][0]
		of[cluster] = of[cluster][1:]
		out = append(out, Record{Sequence: uint64(at + 1), Stored: e.Time, Cluster: cluster, Event: e})
	}
	return out
}

// Whatever became of the events on their way, all that can be asked of the fleet has the same answer, and every
// cluster's digest is its agent's.
func TestAnyInterleavingOfAnyHistoriesGivesTheSameFleet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		histories := map[string]history{}
		arrived, inOrder := map[string][]*event.Event{}, New(Options{})
		now := start
		for _, cluster := range []string{"a", "b", "c"}[:rapid.IntRange(2, 3).Draw(t, "clusters")] {
			first := newAgent(t, cluster, "")
			first.once = true // two that are alike, the end of one lost: which of them a snapshot has under a third id, nobody can tell
			h := drawOf(t, first)
			histories[cluster], arrived[cluster] = h, h.disordered(t)
			h.last.fold(inOrder, h.sent...)
			now = later(now, h.last.now())
		}
		mixed := New(Options{})
		for _, r := range interleaved(t, arrived) {
			mixed.Apply(r)
		}
		for cluster, h := range histories {
			for _, v := range []*View{inOrder, mixed} {
				v.Heartbeat(cluster, h.last.heartbeat(now), now)
			}
		}
		for cluster, h := range histories {
			for _, v := range []*View{inOrder, mixed} {
				h.last.compareDigest(t, v, now)
			}
			if diff := cmp.Diff(pictureOf(inOrder, cluster, now), pictureOf(mixed, cluster, now)); diff != "" {
				t.Fatalf("the way matters (-in order +mixed):\n%s", diff)
			}
		}
	})
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func TestAnEpisodeOfAnEarlierEpochIsTheSameBeforeTheSnapshotSaysSo(t *testing.T) {
	v := newView(t)
	a := connected(t, v, "a", nil)
	a.fold(v, a.episode(event.EpisodeOpened, ledger, crash("e1")))
	n := a.next(epoch2)
	n.snapshot("first", 10)
	lost := n.sent[0]
	resolved := n.episode(event.EpisodeResolved, ledger, crash("e1"))
	n.snapshot("second", 10)
	n.fold(v, append(n.sent[1:], lost)...)
	got := v.Episodes(n.now(), Filter{Resolved: true})
	if len(got) != 1 || !got[0].OpenedAt.Equal(a.now()) || !got[0].ResolvedAt.Equal(resolved.Time) {
		t.Errorf("episodes = %+v, want one from %s to %s", got, a.now(), resolved.Time)
	}
}

func TestAnEpisodeIsTheSameOverEpochsUnderOtherIds(t *testing.T) {
	v := newView(t)
	a := connected(t, v, "a", nil)
	a.fold(v, a.episode(event.EpisodeOpened, ledger, crash("e1")))
	b := a.next(epoch2)
	delete(b.episodes, "e1")
	b.episode(event.EpisodeOpened, ledger, crash("e2")) // is in the snapshot only
	b.snapshot("s", 10)
	b.fold(v, b.sent[1:]...)
	c := b.next("0192f222-0000-7000-8000-000000000003")
	resolved := c.episode(event.EpisodeResolved, ledger, crash("e2"))
	c.snapshot("s", 10)
	c.fold(v, c.sent...)
	got := v.Episodes(c.now(), Filter{Resolved: true})
	if len(got) != 1 || got[0].ID != "e1" || !got[0].ResolvedAt.Equal(resolved.Time) || got[0].ResolvedBy == bySnapshot {
		t.Errorf("episodes = %+v, want e1 until %s", got, resolved.Time)
	}
}

func TestOfTwoEpisodesThatAreAlikeTheOneThatASnapshotNamesGoesOn(t *testing.T) {
	v := newView(t)
	a := connected(t, v, "a", nil)
	a.fold(v, a.episode(event.EpisodeOpened, ledger, crash("e1")))
	delete(a.episodes, "e1") // the event that says so is lost
	a.fold(v, a.episode(event.EpisodeOpened, ledger, crash("e2")))
	n := a.next(epoch2)
	n.snapshot("s", 10)
	resolved := n.episode(event.EpisodeResolved, ledger, crash("e2"))
	n.fold(v, resolved, n.sent[0])
	by := map[string]string{}
	for _, ep := range v.Episodes(n.now(), Filter{Resolved: true}) {
		by[ep.ID] = ep.ResolvedBy
	}
	if by["e1"] != bySnapshot || by["e2"] == bySnapshot || len(by) != 2 {
		t.Errorf("they were resolved by %q, want e1 by the snapshot and e2 by its event", by)
	}
}

func TestTheFirstSnapshotThatLacksAnEpisodeEndsItAlsoWhenItIsLate(t *testing.T) {
	v := newView(t)
	a := connected(t, v, "a", nil)
	opened := a.episode(event.EpisodeOpened, ledger, crash("e1"))
	delete(a.episodes, "e1") // it is resolved, and the event is lost
	a.sequence++
	before := len(a.sent)
	a.snapshot("first", 10)
	first := a.now()
	a.snapshot("second", 10)
	a.fold(v, opened, a.sent[before+1], a.sent[before])
	got := v.Episodes(a.now(), Filter{Resolved: true})
	if len(got) != 1 || !got[0].ResolvedAt.Equal(first) || got[0].ResolvedBy != bySnapshot {
		t.Errorf("episodes = %+v, want one that ended by %s", got, first)
	}
}
