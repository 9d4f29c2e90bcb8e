package view

import (
	"runtime"
	"testing"

	"github.com/fairway-dev/fairway/api/event"
)

func BenchmarkApply(b *testing.B) {
	a := newAgent(b, "a", epoch1)
	obj := event.Object{Kind: "Deployment", Namespace: "payments", Name: "ledger"}
	e := *a.object(event.WorkloadAvailable, obj, event.Workload{Desired: 3, Ready: 3, Available: 3, Images: []string{"ghcr.io/acme/app:v1.2.3"}, Owner: rootObject})
	v := New(Options{})
	b.ReportAllocs()
	for b.Loop() {
		e.Sequence++
		v.Apply(Record{Sequence: e.Sequence, Stored: e.Time, Cluster: "a", Event: &e})
	}
}

// The bar of the design: an idle cluster of 50 objects takes at most 6 KiB beyond the names of its
// objects, a fleet of 1,000 at most 256 MiB in all.
func TestMemoryOfAnIdleFleet(t *testing.T) {
	const clusters, bar = 1000, 6 << 10
	if used, names := memory(t, clusters); used > bar {
		t.Errorf("a cluster takes %d bytes beyond the names of its objects, which take %d; at most %d are wanted", used, names, bar)
	} else {
		t.Logf("%d bytes for a cluster beyond the names of its objects, which take %d", used, names)
	}
}

func BenchmarkMemoryOfAnIdleCluster(b *testing.B) {
	for b.Loop() {
		used, _ := memory(b, 1000)
		b.ReportMetric(float64(used), "bytes/cluster")
	}
}

// memory is what an idle cluster takes, without the names of its objects, and what these take.
func memory(t testing.TB, clusters int) (used, names int) {
	before := heap()
	v, names := fleetOf(t, clusters)
	used = (heap() - before - names) / clusters
	runtime.KeepAlive(v)
	return used, names / clusters
}

func heap() int {
	for range 3 { // handles are dropped over two collections
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
