package history

import (
	"flag"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/bus"
)

// simulated makes n messages as a fleet sends them: for one service after the other Flux applies a
// revision, the Deployment rolls and is available, on all clusters at about the same time.
func simulated(b testing.TB, n, clusters, teams int) []bus.Message {
	b.Helper()
	p := newTape(b)
	for i := range n {
		p.roll(fmt.Sprintf("prod-aws-eu%d", i%clusters), i/clusters, teams)
	}
	return p.messages
}

// roll publishes the k-th event of a cluster.
func (p *tape) roll(cluster string, k, teams int) {
	team, service := fmt.Sprintf("team-%d", k/3%teams), fmt.Sprintf("service-%d", k/3%25)
	revision := fmt.Sprintf("main@sha1:%040x", k/75)
	own := func(e *event.Event) {
		e.Team, e.Service, e.Revision, e.Artifact = team, service, revision, fmt.Sprintf("main-%07x-a81b", k/75)
	}
	kustomization := event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: team + "-" + service}
	deployment := event.Object{Kind: "Deployment", Namespace: team, Name: service}
	switch k % 3 {
	case 0:
		p.publish(cluster, epoch1, event.FluxSucceeded, kustomization, event.Flux{APIVersion: "kustomize.toolkit.fluxcd.io/v1",
			Reason: "ReconciliationSucceeded", Message: "Applied revision: " + revision, AttemptedRevision: revision, AppliedRevision: revision,
			Inventory: 4, DurationMillis: 840, Source: root, Owner: root, Path: "./releases/payments/" + service, Generation: 1}, own)
	case 1:
		p.publish(cluster, epoch1, event.WorkloadRolling, deployment, event.Workload{Desired: 3, Updated: 1, Ready: 3, Available: 3,
			Images: []string{"ghcr.io/example/service:1"}, Generation: 7, Owner: kustomization}, own)
	default:
		p.publish(cluster, epoch1, event.WorkloadAvailable, deployment, event.Workload{Desired: 3, Updated: 3, Ready: 3, Available: 3,
			Images: []string{"ghcr.io/example/service:1"}, Generation: 7, Owner: kustomization}, own)
	}
}

// BenchmarkIngest tells rows a second beside a loop that only decodes, which is what the hub does with
// an event in any case. On a busy machine look at the processor time.
func BenchmarkIngest(b *testing.B) {
	messages := simulated(b, 60_000, 100, 20)
	b.Run("decode only", func(b *testing.B) {
		measure(b, len(messages), func() {
			for _, m := range messages {
				if record(m).Event == nil {
					b.Fatal("not an event")
				}
			}
		})
	})
	b.Run("decode and history", func(b *testing.B) {
		measure(b, len(messages), func() {
			r := run(b, &tape{t: b, messages: messages, created: start, now: start}, path(b))
			r.add(b, messages...)
			if got := r.Stats().Rows; got != int64(len(messages)) {
				b.Fatalf("%d rows, want %d", got, len(messages))
			}
			r.stop()
		})
	})
}

func measure(b *testing.B, events int, do func()) {
	b.Helper()
	began := processorTime(b)
	for b.Loop() {
		do()
	}
	n := float64(events) * float64(b.N)
	b.ReportMetric(n/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64((processorTime(b)-began).Nanoseconds())/n, "cpu-ns/row")
	b.ReportMetric(0, "ns/op")
}

func processorTime(b testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

var million = flag.Int("events", 1_000_000, "events of BenchmarkSince")

// BenchmarkSince asks for one of 20 teams, when all events happened since then. First the newest are of one team after
// the other, as they were made; then events of all teams come, each batch with some of every team, as from a fleet that
// is at work.
func BenchmarkSince(b *testing.B) {
	messages := simulated(b, *million, 100, 20)
	p := &tape{t: b, messages: messages, sequence: map[string]uint64{}, created: start, now: messages[len(messages)-1].Stored}
	r := run(b, p, path(b))
	r.add(b, messages...)
	b.Run("the newest changes are together", func(b *testing.B) { r.since(b, *million/25) })
	for i := range 10_000 {
		p.roll(fmt.Sprintf("prod-azure-eu%d", i%100), i*37%1009, 20)
		if r.Add(b.Context(), record(p.messages[len(p.messages)-1])); i%100 == 99 {
			r.reach(b, uint64(len(p.messages)))
		}
	}
	b.Run("the newest changes are among others", func(b *testing.B) { r.since(b, *million/25) })
}

// since measures the first page of a team's changes, of which there are at least so many.
func (r *running) since(b *testing.B, least int) {
	b.ReportAllocs()
	began, changes := processorTime(b), 0
	for b.Loop() {
		got, err := r.Since(b.Context(), Query{From: start, Until: r.tape.now, Team: "team-3"})
		if changes = got.Total; err != nil || changes < least || len(got.Items) != defaultLimit {
			b.Fatalf("Since() = %d of %d, %v", len(got.Items), changes, err)
		}
	}
	b.ReportMetric(float64((processorTime(b)-began).Microseconds())/1000/float64(b.N), "cpu-ms/op")
	b.ReportMetric(float64(changes), "changes")
}
