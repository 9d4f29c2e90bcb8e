package view

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

func saved(t tester, v *View) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := v.Save(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func loaded(t tester, data []byte) *View {
	t.Helper()
	v := New(Options{})
	if err := v.Load(bytes.NewReader(data)); err != nil {
		t.Fatal(err)
	}
	return v
}

// A view that goes on from a checkpoint, and reads some of the stream again, is the same as one that read it all:
// two whose checkpoints are equal are equal in all that they will ever make of what comes.
func TestACheckpointAndTheRestOfTheStreamAreTheWholeStream(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t, "a")
		order := rapid.Permutation(indices(h.sent)).Draw(t, "order")
		if rapid.Bool().Draw(t, "in order") {
			order = indices(h.sent)
		}
		at := rapid.IntRange(0, len(order)).Draw(t, "saved at")
		again := rapid.IntRange(0, at).Draw(t, "read again from")

		whole := New(Options{})
		platform(whole, 1, event.ClusterRegistered, event.Registration{Cluster: "a", Environment: "prod", Conditions: []event.Condition{
			{Type: "Reachable", Status: "True", Since: start}}})
		platform(whole, 2, event.ClusterDeregistered, event.Registration{Cluster: "b"})
		apply := func(v *View, place int) {
			e := h.sent[order[place]]
			v.Apply(Record{Sequence: uint64(place + 3), Stored: start.Add(time.Duration(place) * time.Second), Cluster: "a", Event: e})
		}
		for place := range at {
			apply(whole, place)
			if beat := h.last.heartbeat(h.last.now()); place%5 == 0 {
				beat.Epoch, beat.Sequence, beat.Digest = h.sent[order[place]].Epoch, h.sent[order[place]].Sequence, uint64(place)
				whole.Heartbeat("a", beat, start.Add(time.Duration(place)*time.Second))
			}
		}
		whole.Sweep(start)
		data := saved(t, whole)
		restored := loaded(t, data)
		if !bytes.Equal(data, saved(t, restored)) {
			t.Fatal("what was loaded saves otherwise")
		}
		if diff := cmp.Diff(pictureOf(whole, "a", start), pictureOf(restored, "a", start)); diff != "" {
			t.Fatalf("(-saved +loaded):\n%s", diff)
		}
		for place := again; place < at; place++ { // as after a checkpoint that took a while
			apply(restored, place)
		}
		for place := at; place < len(order); place++ {
			apply(whole, place)
			apply(restored, place)
		}
		now := h.last.now()
		for _, v := range []*View{whole, restored} {
			v.Heartbeat("a", h.last.heartbeat(now), now)
			h.last.compareDigest(t, v, now)
		}
		if diff := cmp.Diff(pictureOf(whole, "a", now), pictureOf(restored, "a", now)); diff != "" {
			t.Fatalf("(-whole stream +checkpoint and rest):\n%s", diff)
		}
		if !bytes.Equal(saved(t, whole), saved(t, restored)) {
			t.Fatal("the views answer alike and are not alike")
		}
	})
}

func TestWhatWasRemovedAndCameBackLeavesNothingInACheckpoint(t *testing.T) {
	v := newView(t)
	a := connected(t, v, "a", nil)
	available(a) // is late, so that removals are remembered
	removed := func() *event.Event { return a.object(event.WorkloadRemoved, ledger, event.Workload{}) }
	a.fold(v, removed(), available(a))
	other := loaded(t, saved(t, v))
	last := removed()
	for _, v := range []*View{v, other} {
		a.fold(v, last)
	}
	if !bytes.Equal(saved(t, v), saved(t, other)) || v.find("a").oldest != last.Sequence || other.find("a").oldest != last.Sequence {
		t.Errorf("removals from %d and, after a checkpoint, from %d; want %d in both", v.find("a").oldest, other.find("a").oldest, last.Sequence)
	}
}

func indices[T any](s []T) []int {
	out := make([]int, len(s))
	for i := range out {
		out[i] = i
	}
	return out
}

// fleetOf is a view of idle clusters of 50 objects each, and how many bytes their objects' names take.
func fleetOf(t testing.TB, clusters int) (v *View, names int) {
	v = New(Options{Rejected: func(_ string, err error) { t.Error(err) }})
	for c := range clusters {
		a := newAgent(t, fmt.Sprintf("cluster-%d", c), epoch1)
		for i := range 50 {
			obj := event.Object{Kind: "Deployment", Namespace: fmt.Sprintf("team-%d", i%7), Name: fmt.Sprintf("service-%d-of-%d", i, c)}
			e := a.object(event.WorkloadAvailable, obj, event.Workload{Desired: 2, Ready: 2, Images: []string{fmt.Sprintf("ghcr.io/acme/service-%d:v1", i)}, Owner: rootObject})
			names += len(e.Subject)
		}
		a.sequence, a.sent = 0, nil
		a.started()
		a.snapshot("s", 100)
		a.fold(v, a.sent...)
		v.Heartbeat(a.cluster, a.heartbeat(start), start)
		platform(v, 1, event.ClusterRegistered, event.Registration{Cluster: a.cluster, Namespace: "clusters", Environment: "prod",
			Conditions: []event.Condition{{Type: "Reachable", Status: "True"}, {Type: "FluxReady", Status: "True"}, {Type: "Synced", Status: "True"}, {Type: "AgentConnected", Status: "True"}}})
	}
	return v, names
}

func TestACheckpointThatIsNotWholeIsRefused(t *testing.T) {
	v, _ := fleetOf(t, 2)
	data := saved(t, v)
	damaged := bytes.Clone(data)
	damaged[len(data)/2] ^= 1
	other := New(Options{})
	a := connected(t, other, "kept", nil)
	for name, bad := range map[string][]byte{
		"nothing": nil, "cut": data[:len(data)-1], "cut in the middle": data[:len(data)/2], "damaged": damaged,
		"longer": append(bytes.Clone(data), 0),
	} {
		t.Run(name, func(t *testing.T) {
			if err := other.Load(bytes.NewReader(bad)); !errors.Is(err, ErrCheckpoint) {
				t.Errorf("Load() = %v, want ErrCheckpoint", err)
			}
			if got := other.Clusters(a.now(), Filter{}); len(got) != 1 || got[0].ID != "kept" {
				t.Errorf("the view became %+v, want it as it was", got)
			}
		})
	}
	if err := v.Save(failing{}); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("Save() to a full disk = %v, want the disk's error", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// FuzzLoad reads checkpoints whose checksum is right and whose content is not.
func FuzzLoad(f *testing.F) {
	v := New(Options{})
	a := newAgent(f, "a", epoch1)
	a.started()
	a.object(event.WorkloadAvailable, ledger, event.Workload{Desired: 1, Ready: 1})
	a.episode(event.EpisodeOpened, ledger, crash("e1"))
	a.snapshot("s", 1)
	a.drop(a.object(event.FluxSucceeded, rootObject, event.Flux{}))
	a.fold(v, a.sent[:len(a.sent)-2]...)
	a.fold(v, a.sent[len(a.sent)-1])
	r := &releaser{t: f}
	r.say(event.ReleaseCommitted, moved(asked("ledger-1", "main-1", start), fleetv1.PhaseReleasing, start, on("a", fleetv1.TargetMoving, "main-0", start, start)))
	r.created(event.Artifact{Team: "payments", Service: "ledger", ID: "main-1"})
	fold(v, r.sent...)
	data := saved(f, v)
	f.Add(data[:len(data)-8])
	f.Fuzz(func(t *testing.T, data []byte) {
		v := New(Options{})
		if err := v.restore(&coder{reading: true, data: data}); err != nil {
			return
		}
		for id := range v.clusters {
			_ = fmt.Sprint(pictureOf(v, id, start))
		}
		_ = fmt.Sprint(v.Releases(ReleaseFilter{}), v.Artifacts("", ""))
		saved(t, v)
	})
}

func TestSavingRunsBesideEverythingElse(t *testing.T) {
	v, _ := fleetOf(t, 20)
	a := newAgent(t, "busy", epoch1)
	a.started()
	a.snapshot("s", 10)
	for range 2000 {
		a.object(event.WorkloadRolling, ledger, event.Workload{Desired: 3, Ready: int32(a.sequence % 4)})
	}
	base, _ := v.Position()
	apply := func(v *View, i int) {
		v.Apply(Record{Sequence: base + uint64(i+1), Stored: a.sent[i].Time, Cluster: "busy", Event: a.sent[i]})
	}
	var folding sync.WaitGroup
	folding.Go(func() {
		for i := range a.sent {
			apply(v, i)
		}
	})
	var checkpoints [][]byte
	for range 20 {
		checkpoints = append(checkpoints, saved(t, v))
	}
	folding.Wait()
	now := a.now()
	for _, data := range checkpoints {
		restored := loaded(t, data)
		position, _ := restored.Position()
		for i := int(position - base); i < len(a.sent); i++ {
			apply(restored, i)
		}
		if diff := cmp.Diff(pictureOf(v, "busy", now), pictureOf(restored, "busy", now)); diff != "" {
			t.Fatalf("checkpoint at %d (-folded +restored):\n%s", position, diff)
		}
	}
}

// The targets of the design: 1,000 clusters of 50 objects saved in half a second, loaded in one.
func BenchmarkCheckpoint(b *testing.B) {
	v, _ := fleetOf(b, 1000)
	data := saved(b, v)
	b.Run("save", func(b *testing.B) {
		for b.Loop() {
			if err := v.Save(io.Discard); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(data))/1000, "bytes/cluster")
	})
	b.Run("load", func(b *testing.B) {
		for b.Loop() {
			loaded(b, data)
		}
	})
}
