package observe

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-dev/fairway/api/event"
)

// memory is what is told last of every object and open episode, as a sender keeps it.
type memory map[string]event.Entry

// take keeps what drafts tell, and returns those that tell something new.
func (m memory) take(t *testing.T, drafts []Draft) []Draft {
	t.Helper()
	var news []Draft
	for _, d := range drafts {
		e, err := event.New("c1", d.Type, d.Object, d.Time, d.Data)
		if err != nil {
			t.Fatal(err)
		}
		e.Team, e.Service, e.Artifact, e.Revision = d.Team, d.Service, d.Artifact, d.Revision
		entry, key := e.Entry(), d.Object.String()+d.Episode()
		before, known := m[key]
		if d.Type == event.EpisodeResolved || d.Type == event.FluxRemoved || d.Type == event.WorkloadRemoved {
			delete(m, key)
		} else if m[key] = entry; known && before.Sum() == entry.Sum() {
			continue
		}
		news = append(news, d)
	}
	return news
}

// kindOrder is that of first lists: owners before what they own.
var kindOrder = []string{"Kustomization", "HelmRelease", "GitRepository", "OCIRepository", "HelmRepository", "HelmChart", "Bucket",
	kindNode, kindDeployment, kindStatefulSet, kindDaemonSet, kindJob, kindPod}

// restart makes an Observer that knows what was told, and shows it the cluster as it is.
func restart(t *testing.T, m memory, cluster map[event.Object]Object, at int) (*Observer, []Draft) {
	t.Helper()
	o := New(Options{Cluster: "c1"})
	o.Restore(slices.Collect(maps.Values(m)))
	var drafts []Draft
	for _, kind := range kindOrder {
		there := map[event.Object]bool{}
		for _, k := range slices.SortedFunc(maps.Keys(cluster), compareObjects) {
			if k.Kind == kind {
				there[k] = true
				drafts = append(drafts, o.Apply(cluster[k], sec(at)).Drafts...)
			}
		}
		drafts = append(drafts, o.Keep(kind, there, sec(at)).Drafts...)
	}
	drafts = append(drafts, o.Restored(sec(at)).Drafts...)
	return o, m.take(t, drafts)
}

// playWithRestart plays a script with a restart after one of its steps: nothing is told for it, and
// all that follows is told as if there had been none. Only what refines an episode may come sooner,
// since it is not known when the last of it was told; and pods that outlive their workload cannot be
// told from new ones.
func playWithRestart(t *testing.T, steps []step, after int) {
	t.Helper()
	o, m, cluster, removed := New(Options{Cluster: "c1"}), memory{}, map[event.Object]Object{}, false
	for i, s := range steps {
		var r Result
		switch {
		case s.apply != nil:
			r, cluster[key(s.apply)] = o.Apply(s.apply, sec(s.at)), s.apply
		case s.remove != nil:
			r = o.Remove(s.remove, sec(s.at))
			delete(cluster, key(s.remove))
			removed = removed || o.removed[key(s.remove)] != (time.Time{})
		default:
			r = o.Recheck(sec(s.at))
		}
		m.take(t, r.Drafts)
		if diff := cmp.Diff(unrefined(s.want), unrefined(lines(r.Drafts))); diff != "" {
			t.Errorf("restarted after step %d: step %d, at %d s (-want +got):\n%s", after+1, i+1, s.at, diff)
			return
		}
		if i != after {
			continue
		}
		if removed {
			return
		}
		var drafts []Draft
		if o, drafts = restart(t, m, cluster, s.at); len(unrefined(lines(drafts))) > 0 {
			t.Errorf("the restart after step %d tells %v, want nothing", after+1, lines(drafts))
			return
		}
	}
}

func unrefined(lines []string) []string {
	var out []string
	for _, line := range lines {
		if !strings.HasPrefix(line, "episode.changed") {
			out = append(out, line)
		}
	}
	return out
}

func TestRestartTellsWhatChangedMeanwhile(t *testing.T) {
	well := func(seconds int) metav1.Condition {
		return condition("Ready", metav1.ConditionTrue, "ReconciliationSucceeded", "Applied revision", seconds)
	}
	node := func(name string, status corev1.ConditionStatus) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}}}
	}
	crashing := pod("aaaaa", app(3, backOff, dead(1, 3, 4)))
	healthy := pod("bbbbb", ready(2), app(0, running(1)))
	failed := job("nightly-1", jobCondition(batchv1.JobFailed, "BackoffLimitExceeded", 6))
	for name, c := range map[string]struct {
		before, now []Object
		at          int
		want        []string
		later       []step
	}{
		"nothing changed": {
			before: []Object{deployment(2, 2, 1), crashing, healthy, kustomization("main@sha1:a", "main@sha1:a", well(1))},
			now:    []Object{deployment(2, 2, 1), crashing, healthy, kustomization("main@sha1:a", "main@sha1:a", well(1))}, at: 30,
		},
		"a rollout, at the time that the object carries": {
			before: []Object{deployment(2, 2, 2, progressing("NewReplicaSetAvailable", 1))},
			now:    []Object{deployment(2, 2, 2, observed(2), progressing("NewReplicaSetAvailable", 20))}, at: 30,
			want: words("20 workload.available Deployment/pay/ledger 2/2"),
		},
		"a degradation stays one": {
			before: []Object{deployment(2, 2, 2)}, now: []Object{deployment(2, 2, 1)}, at: 30,
			want: words("30 workload.degraded Deployment/pay/ledger 1/2"),
		},
		"what is gone, with its episode": {
			before: []Object{deployment(2, 2, 1), crashing, kustomization("main@sha1:a", "main@sha1:a", well(1))}, at: 30,
			want: words("30 flux.removed Kustomization/pay/apps ReconciliationSucceeded main@sha1:a",
				"30 episode.resolved Deployment/pay/ledger CrashLoopBackOff in app exit 1: object removed", "30 workload.removed Deployment/pay/ledger 1/2"),
		},
		"a success of Flux ends its failure": {
			before: []Object{kustomization("main@sha1:b", "main@sha1:a", condition("Ready", metav1.ConditionFalse, "BuildFailed", "b", 1))},
			now:    []Object{kustomization("main@sha1:c", "main@sha1:c", well(20))}, at: 30,
			want: words("20 flux.succeeded Kustomization/pay/apps ReconciliationSucceeded main@sha1:c",
				"20 episode.resolved Kustomization/pay/apps BuildFailed: reconciled main@sha1:c"),
		},
		"an episode that ended: its pod is gone and the rollout available": {
			before: []Object{deployment(2, 2, 1), crashing}, now: []Object{deployment(2, 2, 2), healthy}, at: 30,
			want: words("30 episode.resolved Deployment/pay/ledger CrashLoopBackOff in app exit 1: rollout available", "30 workload.available Deployment/pay/ledger 2/2"),
		},
		"a container that is ready between two crashes ends nothing, be its rollout available": {
			before: []Object{deployment(2, 2, 1), crashing}, now: []Object{deployment(2, 2, 2), pod("aaaaa", ready(29), app(4, running(29), dead(1, 3, 4)))}, at: 30,
			later: []step{{at: 40, apply: pod("aaaaa", app(5, backOff, dead(1, 29, 40)))}},
		},
		"nor does one on another pod, which the episode does not name": {
			before: []Object{deployment(2, 2, 1), crashing}, now: []Object{deployment(2, 2, 2), pod("ccccc", ready(29), app(1, running(29), dead(1, 3, 4)))}, at: 30,
			later: []step{
				{at: 91, want: words("episode.resolved Deployment/pay/ledger CrashLoopBackOff in app exit 1: container ready for 1m1s", "workload.available Deployment/pay/ledger 2/2")}},
		},
		"a new failure": {
			before: []Object{deployment(2, 2, 2)}, now: []Object{deployment(2, 2, 1), crashing}, at: 30,
			want: words("30 workload.degraded Deployment/pay/ledger 1/2", "4 episode.opened Deployment/pay/ledger CrashLoopBackOff in app exit 1"),
		},
		"a run that failed and one that succeeded since are no failure": {
			before: []Object{ofCronJob(job("nightly-1"), 0)},
			now:    []Object{ofCronJob(failed.DeepCopy(), 0), ofCronJob(job("nightly-2", jobCondition(batchv1.JobComplete, "", 20)), 10)}, at: 30,
			want: words("6 workload.failed Job/pay/nightly-1 0/1 BackoffLimitExceeded", "20 workload.succeeded Job/pay/nightly-2 0/1"),
		},
		"a failed run is reported once, be its pod gone": {
			before: []Object{jobPod("nightly-1", phase(corev1.PodFailed), app(0, dead(2, 3, 4))), failed}, now: []Object{failed}, at: 30,
		},
		"nodes": {
			before: []Object{node("a", "True"), node("b", "True")}, now: []Object{node("a", "True"), node("b", "False")}, at: 30,
			want: words("30 cluster.changed  1/2 nodes"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			first, m, cluster := New(Options{Cluster: "c1"}), memory{}, map[event.Object]Object{}
			for _, obj := range c.before {
				m.take(t, first.Apply(obj, sec(10)).Drafts)
			}
			for _, obj := range c.now {
				cluster[key(obj)] = obj
			}
			o, drafts := restart(t, m, cluster, c.at)
			var got []string
			for i, line := range lines(drafts) {
				got = append(got, fmt.Sprintf("%d %s", int(drafts[i].Time.Sub(day).Seconds()), line))
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("told (-want +got):\n%s", diff)
			}
			for _, s := range c.later {
				var r Result
				if s.apply != nil {
					r = o.Apply(s.apply, sec(s.at))
				} else {
					r = o.Recheck(sec(s.at))
				}
				if diff := cmp.Diff(s.want, unrefined(lines(r.Drafts))); diff != "" {
					t.Errorf("told at %d s (-want +got):\n%s", s.at, diff)
				}
			}
		})
	}
}

func TestAnEpisodeIsTheSameAfterARestart(t *testing.T) {
	first, m := New(Options{Cluster: "c1"}), memory{}
	died := pod("aaaaa", app(3, backOff, dead(1, 3, 4)))
	m.take(t, first.Apply(deployment(2, 2, 1), sec(5)).Drafts)
	opened := first.Apply(died, sec(5)).Drafts[0]
	opened = first.WithLogs(opened, []byte("no such table: ledger\n"), "")
	m.take(t, []Draft{opened})
	again := pod("aaaaa", app(9, backOff, dead(1, 300, 301)))
	o, drafts := restart(t, m, map[event.Object]Object{key(died): again, key(deployment(2, 2, 1)): deployment(2, 2, 1)}, 310)
	if len(drafts) > 0 {
		t.Errorf("told %v, want nothing", lines(drafts))
	}
	var resolved Draft
	for _, d := range o.Remove(deployment(2, 2, 1), sec(320)).Drafts {
		if d.Type == event.EpisodeResolved {
			resolved = d
		}
	}
	want, got := opened.Data.(event.Episode), resolved.Data.(event.Episode)
	want.Restarts, want.ResolvedBy = 9, "object removed"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("resolved (-want +got):\n%s", diff)
	}
}
