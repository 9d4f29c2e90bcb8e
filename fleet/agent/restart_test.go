package agent

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/observe"
)

func TestAnAgentThatWasDownTellsWhatItMissed(t *testing.T) {
	config, c := newCluster(t, crd("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations"))
	w := &world{T: t, Client: c, bus: newRecorder()}
	path := filepath.Join(t.TempDir(), "outbox.db")
	apps := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "apps"},
		Spec: kustomizev1.KustomizationSpec{Interval: metav1.Duration{Duration: time.Minute}, SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: "config"}}}
	w.create(apps, reconciled(apps, "True", "ReconciliationSucceeded", "main@sha1:a", "main@sha1:a"))
	w.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	same, gone, ledger, mailer := deployment("same"), deployment("gone"), deployment("ledger"), deployment("mailer")
	for _, d := range []*appsv1.Deployment{same, gone, ledger, mailer} {
		w.create(d, replicas(d, 2))
	}

	stop := run(t, config, w.bus, path)
	w.expect("the snapshot", "agent.started", "agent.snapshot")
	ledgerPod, mailerPod := podOf("ledger", "aaaaa"), podOf("mailer", "aaaaa")
	w.create(ledgerPod, crashed(ledgerPod, 1))
	opened := payload[event.Episode](t, w.expect("opened", "episode.opened Deployment/default/ledger CrashLoopBackOff")[0])
	w.create(mailerPod, crashed(mailerPod, 2))
	w.expect("opened", "episode.opened Deployment/default/mailer CrashLoopBackOff")
	stop()

	// While it is down: one success, one removal, one episode that goes on, one that ends, one new
	// rollout; and an object that is written without a change of meaning.
	w.status(apps, reconciled(apps, "True", "ReconciliationSucceeded", "main@sha1:b", "main@sha1:b"))
	w.remove(gone)
	w.status(ledgerPod, crashed(ledgerPod, 1))
	w.status(ledgerPod, func() { ledgerPod.Status.ContainerStatuses[0].RestartCount = 9 })
	w.remove(mailerPod)
	same.Labels["touched"] = "yes"
	if err := c.Update(t.Context(), same); err != nil {
		t.Fatal(err)
	}
	fresh := deployment("fresh")
	w.create(fresh)

	stop = run(t, config, w.bus, path)
	missed := w.expect("what was missed", "agent.started",
		"flux.succeeded Kustomization/default/apps", "workload.rolling Deployment/default/fresh", "workload.removed Deployment/default/gone",
		"episode.resolved Deployment/default/mailer CrashLoopBackOff")
	if at := apps.Status.Conditions[0].LastTransitionTime; !missed[1].Time.Equal(at.Time) {
		t.Errorf("the success is told at %s, want %s as the object says", missed[1].Time, at)
	}
	w.status(fresh, replicas(fresh, 2)) // had anything else been missed, it would come before this
	w.expect("a live event", "workload.available Deployment/default/fresh")
	w.remove(ledgerPod)
	w.status(ledger, replicas(ledger, 1))
	w.status(ledger, replicas(ledger, 2))
	resolved := w.until("resolved", "episode.resolved Deployment/default/ledger CrashLoopBackOff")
	if got := payload[event.Episode](t, resolved); got.ID != opened.ID || !got.OpenedAt.Equal(opened.OpenedAt) || got.Restarts != 9 {
		t.Errorf("resolved %+v, want the episode that was opened before the restart: %+v", got, opened)
	}

	all := w.bus.all()
	for i, e := range all {
		if e.Sequence != uint64(i+1) || e.Epoch != all[0].Epoch {
			t.Errorf("event %d is sequence %d of epoch %s, want one epoch without holes", i, e.Sequence, e.Epoch)
		}
	}
	w.bus.command("resync")
	snapshot := w.until("the snapshot", "agent.snapshot")
	var sum uint64
	for _, entry := range payload[event.Snapshot](t, snapshot).Entries {
		if entry.Type.Kind() != event.KindCluster {
			sum += entry.Sum()
		}
	}
	w.bus.until(t, "a heartbeat with the digest of the snapshot", func() bool {
		w.bus.mu.Lock()
		defer w.bus.mu.Unlock()
		return slices.ContainsFunc(w.bus.beats, func(h event.Heartbeat) bool { return h.Sequence == snapshot.Sequence && h.Digest == sum })
	})
	stop()
}

func TestARestartWithoutNewsIsQuiet(t *testing.T) {
	config, c := newCluster(t, crd("kustomize.toolkit.fluxcd.io", "v1", "Kustomization", "kustomizations"))
	w := &world{T: t, Client: c, bus: newRecorder()}
	path := filepath.Join(t.TempDir(), "outbox.db")
	acquire(w, metav1.NewTime(time.Now().Add(-failingFor).Truncate(time.Second)))
	stop := run(t, config, w.bus, path)
	first := w.expect("the snapshot", "agent.started", "agent.snapshot")[1]
	for range payload[event.Snapshot](t, first).Parts - 1 {
		w.expect("the rest of it", "agent.snapshot")
	}
	stop()

	stop = run(t, config, w.bus, path)
	w.expect("the restart", "agent.started")
	marker := deployment("marker")
	w.create(marker)
	w.expect("a live event", "workload.rolling Deployment/default/marker")
	stop()
}

func payload[T any](t *testing.T, e event.Event) T {
	t.Helper()
	var out T
	if err := e.Payload(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

// until waits for an event and skips those before it.
func (w *world) until(what, want string) event.Event {
	w.Helper()
	var at int
	w.bus.until(w.T, what, func() bool {
		at = slices.Index(w.bus.after(w.seen), want)
		return at >= 0
	})
	w.seen += at + 1
	return w.bus.all()[w.seen-1]
}

func TestAKindThatIsGoneIsToldAndOneThatCannotBeReadIsNot(t *testing.T) {
	a := offline(t)
	told := event.Snapshot{ID: "s", Part: 1, Parts: 1}
	for _, kind := range []string{"Kustomization", "HelmRelease"} {
		e, err := event.New("c1", event.FluxSucceeded, event.Object{Kind: kind, Namespace: "a", Name: "x"}, time.Now(), event.Flux{})
		if err != nil {
			t.Fatal(err)
		}
		told.Entries = append(told.Entries, e.Entry())
	}
	before, err := event.New("c1", event.AgentSnapshot, event.Object{}, time.Now(), told)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.outbox.Commit(before); err != nil {
		t.Fatal(err)
	}
	sent(t, a, 1)
	l := newLoop(a)
	if err := l.recall(); err != nil {
		t.Fatal(err)
	}
	l.recheck = time.NewTimer(idle)
	for _, k := range kinds {
		switch {
		case k.name == "HelmRelease":
			l.take(t.Context(), change{kind: k, op: opWanted})
			l.take(t.Context(), change{kind: k, op: opSkip})
		case !k.optional:
			l.take(t.Context(), change{kind: k, op: opWanted})
			l.take(t.Context(), change{kind: k, op: opList, objects: []observe.Object{}})
		}
	}
	if l.live {
		t.Fatal("it went live before it is known which lists there will be")
	}
	l.take(t.Context(), change{op: opVersion, version: "v1.36.4"})
	l.commit()
	var got []string
	for _, e := range sent(t, a, a.outbox.Stats().Events) {
		got = append(got, line(&e))
	}
	if diff := cmp.Diff([]string{"agent.started", "cluster.changed", "flux.removed Kustomization/a/x"}, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
