package outbox

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/view"
)

// reader is who gets the events: what it has, what it was told that it will never have, and the view.
type reader struct {
	ids    map[uint64]string
	lost   map[uint64]bool
	view   *view.View
	stream uint64
}

func (r *reader) get(t *rapid.T, e event.Event) {
	if had, ok := r.ids[e.Sequence]; ok && had != e.ID {
		t.Fatalf("sequence %d was given to %s and to %s", e.Sequence, had, e.ID)
	}
	r.ids[e.Sequence] = e.ID
	wire, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	read, err := event.Decode(wire)
	if err != nil {
		t.Fatal(err)
	}
	r.stream++
	r.view.Apply(view.Record{Sequence: r.stream, Stored: noon, Cluster: "c1", Event: &read})
	if e.Type != event.AgentGap {
		return
	}
	var gap event.Gap
	if err := e.Payload(&gap); err != nil {
		t.Fatal(err)
	}
	for _, span := range gap.Spans {
		if span.First > span.Last || span.Last >= e.Sequence {
			t.Fatalf("gap %d has the span %+v", e.Sequence, span)
		}
		for s := span.First; s <= span.Last; s++ {
			r.lost[s] = true
		}
	}
}

// TestNothingIsLostAndSequencesHaveNoHoles commits, sends, acknowledges and crashes in any order,
// with an outbox that is too small: in the end the reader has every sequence, or was told by a gap
// that it will not come; and the digests of the outbox, of all that was committed and of the view
// are one.
func TestNothingIsLostAndSequencesHaveNoHoles(t *testing.T) {
	types := []event.Type{event.WorkloadRolling, event.WorkloadAvailable, event.WorkloadRemoved, event.WorkloadDegraded,
		event.EpisodeOpened, event.EpisodeChanged, event.EpisodeResolved}
	rapid.Check(t, func(rt *rapid.T) {
		b := open(t, Options{Bytes: rapid.SampledFrom([]int{6 << 10, 16 << 10, 1 << 20}).Draw(rt, "bytes")})
		epoch := b.Epoch()
		r := &reader{ids: map[uint64]string{}, lost: map[uint64]bool{}, view: view.New(view.Options{})}
		told := map[string]uint64{}
		committed := 0
		commit(t, b, snapshot())
		rt.Repeat(map[string]func(*rapid.T){
			"commit": func(rt *rapid.T) {
				var batch []event.Event
				for range rapid.IntRange(1, 5).Draw(rt, "events") {
					name := fmt.Sprint(rapid.IntRange(1, 4).Draw(rt, "name"))
					typ := rapid.SampledFrom(types).Draw(rt, "type")
					e := workload(typ, name, int64(committed))
					if typ.Kind() == event.KindEpisode {
						e = made(typ, name, event.Episode{ID: "e" + name, Reason: event.ReasonCrashLoop, Restarts: int32(committed), OpenedAt: noon})
					}
					committed++
					entry := e.Entry()
					key, there, _ := Member(&entry)
					if told[key] = entry.Sum(); !there {
						delete(told, key)
					}
					batch = append(batch, e)
				}
				commit(t, b, batch...)
			},
			"send": func(rt *rapid.T) {
				if b.Stats().Events == 0 {
					rt.Skip("nothing waits")
				}
				e := next(t, b)
				r.get(rt, e)
				if rapid.Bool().Draw(rt, "acknowledged") {
					b.Done(e.Sequence)
				}
			},
			"flush": func(*rapid.T) {
				if err := b.Flush(); err != nil {
					rt.Fatal(err)
				}
			},
			"crash": func(*rapid.T) {
				before := b
				b = crash(t, b)
				_ = before.db.Close()
			},
		})
		all := func() {
			for b.Stats().Events > 0 || len(b.gap.Dropped) > 0 {
				e := next(t, b)
				r.get(rt, e)
				b.Done(e.Sequence)
			}
		}
		all()
		if b.SnapshotDue() {
			commit(t, b, stateSnapshot(t, b))
			all()
		}
		last, digest := b.Position()
		for s := uint64(1); s <= last; s++ {
			if r.ids[s] == "" && !r.lost[s] {
				rt.Fatalf("sequence %d of %d neither came nor is in a gap", s, last)
			}
		}
		var want uint64
		for _, sum := range told {
			want += sum
		}
		if digest != want || b.Epoch() != epoch {
			rt.Fatalf("digest %d in epoch %s, want %d in %s", digest, b.Epoch(), want, epoch)
		}
		if seen, _ := r.view.Agent(noon, "c1"); r.view.Digests()["c1"] != digest || seen.Missing != 0 {
			rt.Fatalf("the view's digest is %d, want %d; %+v", r.view.Digests()["c1"], digest, seen)
		}
	})
}

// stateSnapshot is a snapshot as an agent makes it of what it knows.
func stateSnapshot(t *testing.T, b *Outbox) event.Event {
	t.Helper()
	entries, err := b.State()
	if err != nil {
		t.Fatal(err)
	}
	e, err := event.New("c1", event.AgentSnapshot, event.Object{}, noon, event.Snapshot{ID: fmt.Sprint(b.last), Part: 1, Parts: 1, Entries: entries})
	if err != nil {
		t.Fatal(err)
	}
	return e
}
