package observe

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/redact"
)

var (
	rolling   = step{at: 0, apply: deployment(2, 2, 0), want: words("workload.rolling Deployment/pay/ledger 0/2")}
	available = step{at: 0, apply: deployment(2, 2, 2), want: words("workload.available Deployment/pay/ledger 2/2")}
	backOff   = waiting("CrashLoopBackOff", "back-off 10s restarting failed container")
)

func TestEpisodes(t *testing.T) {
	const opened, changed, resolved = "episode.opened Deployment/pay/ledger ", "episode.changed Deployment/pay/ledger ", "episode.resolved Deployment/pay/ledger "
	unscheduled := func(message string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodPending
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: message, LastTransitionTime: at(0)}}
		}
	}
	pending := func(state corev1.ContainerState) func(*corev1.Pod) {
		return func(p *corev1.Pod) { phase(corev1.PodPending)(p); app(0, state)(p) }
	}
	inits := func(restarts int32, state corev1.ContainerState, last ...corev1.ContainerState) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			app(restarts, state, last...)(p)
			p.Status.InitContainerStatuses, p.Status.ContainerStatuses = p.Status.ContainerStatuses, nil
			p.Status.InitContainerStatuses[0].Name = "migrate"
			p.Status.Phase = corev1.PodPending
		}
	}
	for name, steps := range map[string][]step{
		"a crash loop on two pods is one episode; new pods that are available end it": {
			rolling,
			{at: 5, apply: pod("aaaaa", app(1, backOff, dead(1, 3, 4))), want: words(opened + "CrashLoopBackOff in app exit 1")},
			{at: 6, apply: pod("bbbbb", app(1, backOff, dead(1, 3, 5)))},
			{at: 30, apply: pod("aaaaa", app(2, backOff, dead(1, 28, 29)))},
			{at: 40, apply: pod("aaaaa", app(2, backOff, dead(1, 28, 29)), going)},
			{at: 41, remove: pod("aaaaa")},
			{at: 42, remove: pod("bbbbb")},
			{at: 43, apply: pod("ccccc", ready(43), app(0, running(42)))},
			{at: 44, apply: deployment(2, 2, 2), want: words(
				resolved+"CrashLoopBackOff in app exit 1: rollout available", "workload.available Deployment/pay/ledger 2/2")},
		},
		"being ready between two crashes resolves nothing, also when the rollout is available for that moment": {
			rolling,
			{at: 5, apply: pod("aaaaa", app(1, backOff, dead(1, 3, 4))), want: words(opened + "CrashLoopBackOff in app exit 1")},
			{at: 14, apply: pod("aaaaa", ready(14), app(2, running(14), dead(1, 3, 4)))},
			{at: 14, apply: deployment(2, 2, 2)},
			{at: 24, apply: pod("aaaaa", unready(24), app(2, dead(1, 14, 24)))},
			{at: 24, apply: deployment(2, 2, 1)},
			{at: 44, apply: pod("aaaaa", ready(44), app(3, running(44), dead(1, 14, 24)))},
			{at: 44, apply: deployment(2, 2, 2)},
			{at: 104}, // ready for a minute, after a life of ten seconds
			{at: 114, want: words(resolved+"CrashLoopBackOff in app exit 1: container ready for 1m10s", "workload.available Deployment/pay/ledger 2/2")},
		},
		"two crashes in ten minutes are a failure before the kubelet backs off; one is not": {
			available,
			{at: 5, apply: pod("aaaaa", app(0, dead(1, 3, 4)))},
			{at: 6, apply: pod("aaaaa", unready(4), app(1, running(5), dead(1, 3, 4)))},
			{at: 9, apply: pod("aaaaa", unready(4), app(2, running(9), dead(1, 5, 8))), want: words(opened + "CrashLoopBackOff in app exit 1")},
		},
		"crashes that are days apart are none": {
			available,
			{at: 100_000, apply: pod("aaaaa", unready(99_999), app(9, running(99_999), dead(1, 3, 99_998)))},
		},
		"a node that was restarted is no crash of what ran on it": {
			available,
			{at: 5, apply: pod("aaaaa", unready(4), app(2, running(5), dead(255, 1, 4, "Unknown")))},
			{at: 6, apply: pod("aaaaa", unready(4), app(3, running(6), dead(137, 5, 6, "ContainerStatusUnknown")))},
		},
		"a node that was restarted does not make a crash loop last": {
			rolling,
			{at: 5, apply: pod("aaaaa", app(1, backOff, dead(1, 3, 4))), want: words(opened + "CrashLoopBackOff in app exit 1")},
			{at: 300, apply: pod("aaaaa", ready(300), app(2, running(300), dead(255, 6, 299, "Unknown")))},
			{at: 360, want: words(resolved + "CrashLoopBackOff in app exit 1: container ready for 1m0s")},
		},
		"a container that ends well and is started again is no failure until the kubelet backs off": {
			available,
			{at: 9, apply: pod("aaaaa", unready(4), app(3, running(9), dead(0, 5, 8)))},
			{at: 10, apply: pod("aaaaa", unready(4), app(3, backOff, dead(0, 9, 10))), want: words(opened + "CrashLoopBackOff in app exit 0")},
		},
		"out of memory is its own reason from the first time, and stays one episode when the container then dies otherwise": {
			available,
			{at: 5, apply: pod("aaaaa", app(0, dead(137, 3, 4, "OOMKilled"))), want: words(opened + "OOMKilled in app exit 137")},
			{at: 30, apply: pod("aaaaa", app(1, backOff, dead(1, 8, 9)))},
			{at: 64},
			{at: 65, want: words(changed + "OOMKilled in app exit 1")},
			{at: 66, apply: pod("aaaaa", app(2, backOff, dead(1, 58, 59)))},
		},
		"a config error is resolved when the container starts": {
			rolling,
			{at: 5, apply: pod("aaaaa", pending(waiting("CreateContainerConfigError", `configmap "ledger-config" not found`))), want: words(opened + "CreateContainerConfigError in app")},
			{at: 6, apply: pod("bbbbb", pending(waiting("CreateContainerConfigError", `configmap "ledger-config" not found`)))},
			{at: 20, apply: pod("aaaaa", unready(0), app(0, running(20)))},
			{at: 21, apply: pod("bbbbb", unready(0), app(0, running(21))), want: words(resolved + "CreateContainerConfigError in app: container started")},
		},
		"a config error that is only the kubelet's empty cache is none": {
			rolling,
			{at: 5, apply: pod("aaaaa", pending(waiting("CreateContainerConfigError", "failed to sync configmap cache: timed out waiting for the condition")))},
		},
		"a create error": {
			rolling,
			{at: 5, apply: pod("aaaaa", pending(waiting("CreateContainerError", "no command specified"))), want: words(opened + "CreateContainerError in app")},
		},
		"pull errors and the back-off after them are one episode, told once": {
			rolling,
			{at: 5, apply: pod("aaaaa", pending(waiting("ErrImagePull", "ledger:9: not found"))), want: words(opened + "ImagePullBackOff in app")},
			{at: 9, apply: pod("aaaaa", pending(waiting("ImagePullBackOff", "Back-off pulling image")))},
			{at: 99, apply: pod("aaaaa", pending(waiting("ErrImagePull", "ledger:9: not found")))},
			{at: 100, remove: pod("aaaaa")},
			{at: 101, apply: deployment(2, 2, 2), want: words(
				resolved+"ImagePullBackOff in app: rollout available", "workload.available Deployment/pay/ledger 2/2")},
		},
		"an init container that fails": {
			rolling,
			{at: 5, apply: pod("aaaaa", inits(1, backOff, dead(2, 3, 4))), want: words(opened + "InitContainerFailed in migrate exit 2")},
			{at: 20, apply: pod("aaaaa", inits(2, running(20), dead(2, 3, 4)))},
			{at: 25, apply: pod("aaaaa", inits(2, dead(0, 20, 25), dead(2, 3, 4))), want: words(resolved + "InitContainerFailed in migrate exit 2: container completed")},
		},
		"a pod that no node takes counts after half a minute": {
			rolling,
			{at: 1, apply: pod("aaaaa", unscheduled("0/3 nodes are available: 3 Insufficient cpu."))},
			{at: 29},
			{at: 30, want: words(opened + "Unschedulable")},
			{at: 95, apply: pod("aaaaa", unscheduled("0/4 nodes are available: 4 Insufficient cpu."))},
			{at: 96, apply: pod("aaaaa", phase(corev1.PodPending)), want: words(resolved + "Unschedulable: pod scheduled")},
		},
		"readiness that never comes counts after two minutes, and is over when it has come for one": {
			rolling,
			{at: 1, apply: pod("aaaaa", unready(0), app(0, running(1)))},
			{at: 120},
			{at: 121, want: words(opened + "NotReady in app")},
			{at: 130, apply: pod("aaaaa", ready(130), app(0, running(1)))},
			{at: 189},
			{at: 190, want: words(resolved + "NotReady in app: pod ready for 1m0s")},
		},
		"a pod that does not start at all counts after five minutes": {
			rolling,
			{at: 1, apply: pod("aaaaa", pending(waiting("ContainerCreating", "")))},
			{at: 299},
			{at: 300, want: words(opened + "NotStarted")},
			{at: 310, apply: pod("aaaaa", unready(0), app(0, running(310))), want: words(resolved + "NotStarted: container started")},
		},
		"a pod that is not ready because it crashes is one failure": {
			rolling,
			{at: 5, apply: pod("aaaaa", unready(0), app(1, backOff, dead(1, 3, 4))), want: words(opened + "CrashLoopBackOff in app exit 1")},
			{at: 6, apply: pod("aaaaa", unready(0), app(2, running(6), dead(1, 3, 4)))},
			{at: 200},
			{at: 300},
		},
		"a deadline that passes because pods crash is no second failure": {
			rolling,
			{at: 5, apply: pod("aaaaa", app(1, backOff, dead(1, 3, 4))), want: words(opened + "CrashLoopBackOff in app exit 1")},
			{at: 60, apply: deployment(2, 2, 0, progressing("ProgressDeadlineExceeded", 60)), want: words("workload.degraded Deployment/pay/ledger 0/2 ProgressDeadlineExceeded")},
		},
		"another exit code is told, at most once a minute; the same one never": {
			rolling,
			{at: 5, apply: pod("aaaaa", app(1, backOff, dead(1, 3, 4))), want: words(opened + "CrashLoopBackOff in app exit 1")},
			{at: 20, apply: pod("aaaaa", app(2, backOff, dead(2, 18, 19)))},
			{at: 30, apply: pod("aaaaa", app(3, backOff, dead(3, 28, 29)))},
			{at: 65, want: words(changed + "CrashLoopBackOff in app exit 3")},
			{at: 90, apply: pod("aaaaa", app(4, backOff, dead(3, 88, 89)))},
			{at: 200},
		},
		"the workload goes, its pods linger and crash on: one resolved, no new episode": {
			rolling,
			{at: 5, apply: pod("aaaaa", app(1, backOff, dead(1, 3, 4))), want: words(opened + "CrashLoopBackOff in app exit 1")},
			{at: 6, remove: deployment(2, 2, 0), want: words(resolved+"CrashLoopBackOff in app exit 1: object removed", "workload.removed Deployment/pay/ledger 0/2")},
			{at: 7, apply: pod("aaaaa", app(2, backOff, dead(1, 6, 7)))},
			{at: 8, remove: pod("aaaaa")},
		},
		"a bare pod stands for itself": {
			{at: 5, apply: change(pod("aaaaa", app(1, backOff, dead(1, 3, 4))), func(p *corev1.Pod) { p.OwnerReferences = nil }), want: words(
				"episode.opened Pod/pay/ledger-5d9c7b8f64-aaaaa CrashLoopBackOff in app exit 1")},
			{at: 6, remove: pod("aaaaa"), want: words("episode.resolved Pod/pay/ledger-5d9c7b8f64-aaaaa CrashLoopBackOff in app exit 1: object removed")},
		},
		"an evicted pod is no failure of its workload": {
			available,
			{at: 5, apply: pod("aaaaa", phase(corev1.PodFailed), app(0, dead(137, 1, 4)))},
		},
		"a pod of a Job that ran out of memory is the failure; the Job's end is not another": {
			{at: 0, apply: job("migrate"), want: words("workload.rolling Job/pay/migrate 0/1")},
			{at: 5, apply: jobPod("migrate", phase(corev1.PodFailed), app(0, dead(137, 3, 4, "OOMKilled"))), want: words("episode.opened Job/pay/migrate OOMKilled in app exit 137")},
			{at: 6, apply: job("migrate", jobCondition(batchv1.JobFailed, "BackoffLimitExceeded", 6)), want: words("workload.failed Job/pay/migrate 0/1 BackoffLimitExceeded")},
			{at: 9, remove: job("migrate"), want: words("episode.resolved Job/pay/migrate OOMKilled in app exit 137: object removed", "workload.removed Job/pay/migrate 0/1 BackoffLimitExceeded")},
		},
		"a Job that succeeds at the second attempt ends the failure of the first": {
			{at: 0, apply: job("migrate"), want: words("workload.rolling Job/pay/migrate 0/1")},
			{at: 5, apply: jobPod("migrate", phase(corev1.PodFailed), app(0, dead(137, 3, 4, "OOMKilled"))), want: words("episode.opened Job/pay/migrate OOMKilled in app exit 137")},
			{at: 9, apply: job("migrate", jobCondition(batchv1.JobComplete, "", 9)), want: words("episode.resolved Job/pay/migrate OOMKilled in app exit 137: job succeeded", "workload.succeeded Job/pay/migrate 0/1")},
			{at: 10, apply: jobPod("migrate", phase(corev1.PodFailed), app(0, dead(137, 3, 4, "OOMKilled")))},
		},
	} {
		t.Run(name, func(t *testing.T) { play(t, steps) })
	}
}

func TestEpisodePayload(t *testing.T) {
	o := New(Options{Cluster: "c1"})
	o.Apply(deployment(1, 1, 0, func(d *appsv1.Deployment) {
		d.Annotations = map[string]string{annotationRunbook: "https://runbooks/ledger"}
		d.Labels = map[string]string{"squad": "payments"}
	}), sec(0))
	p := pod("aaaaa", app(0, dead(137, 3, 4, "OOMKilled")), func(p *corev1.Pod) {
		p.Spec.Containers = []corev1.Container{{Name: "app", Resources: corev1.ResourceRequirements{
			Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi"), corev1.ResourceCPU: resource.MustParse("1")}}}}
	})
	got := o.Apply(p, sec(5)).Drafts[0]
	want := Draft{
		Type: event.EpisodeOpened, Object: event.Object{Kind: "Deployment", Namespace: "pay", Name: "ledger"}, Time: sec(4),
		Ownership: Ownership{Team: "payments", Service: "ledger"},
		Logs:      &LogRef{Namespace: "pay", Pod: "ledger-5d9c7b8f64-aaaaa", Container: "app"},
		Data: event.Episode{
			ID: "x", Reason: "OOMKilled", Message: "container app was killed for its memory: its limit is 64Mi", Container: "app",
			Pod: "ledger-5d9c7b8f64-aaaaa", Node: "n1", ExitCode: ptr(int32(137)), Signature: "x", Runbook: "https://runbooks/ledger", OpenedAt: sec(4),
		},
	}
	data := got.Data.(event.Episode)
	id, signature := data.ID, data.Signature
	data.ID, data.Signature = "x", "x"
	got.Data = data
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("draft (-want +got):\n%s", diff)
	}
	if len(id) != 32 || len(signature) != 16 {
		t.Errorf("id %q, signature %q", id, signature)
	}
	again := New(Options{Cluster: "c1"})
	again.Apply(deployment(1, 1, 0), sec(100))
	if second := again.Apply(p, sec(100)).Drafts[0].Data.(event.Episode); second.ID != id {
		t.Errorf("id after a restart = %q, want the same, %q", second.ID, id)
	}
}

func TestLogsGoIntoTheEpisode(t *testing.T) {
	o := New(Options{Cluster: "c1"})
	o.Apply(deployment(1, 1, 0), sec(0))
	d := o.Apply(pod("aaaaa", app(2, backOff, dead(1, 3, 4))), sec(5)).Drafts[0]
	if d.Logs == nil || !d.Logs.Previous {
		t.Fatalf("logs = %+v, want those of the previous instance", d.Logs)
	}
	d = o.WithLogs(d, []byte("starting\nfatal: token=abc123\n"), "")
	for name, data := range map[string]any{"draft": d.Data, "snapshot": o.Snapshot()[2].Data} {
		if diff := cmp.Diff([]string{"starting", "fatal: token=***"}, data.(event.Episode).Lines); diff != "" {
			t.Errorf("lines in the %s (-want +got):\n%s", name, diff)
		}
	}
	if got, want := d.Data.(event.Episode).Signature, redact.Signature("CrashLoopBackOff", "app", []string{"starting", "fatal: token=***"}); got != want {
		t.Errorf("signature = %s, want %s", got, want)
	}
	lost := o.WithLogs(d, nil, "pod not found").Data.(event.Episode)
	if want := "container app exited with code 1 (its last lines could not be read: pod not found)"; lost.Message != want {
		t.Errorf("message = %q, want %q", lost.Message, want)
	}
}

func TestStartAgainInTheMiddleOfACrashLoop(t *testing.T) {
	o := New(Options{})
	o.Apply(deployment(1, 1, 1), sec(1000))
	r := o.Apply(pod("aaaaa", ready(1000), app(7, running(999), dead(1, 700, 701))), sec(1000))
	if got := lines(r.Drafts); len(got) != 1 || got[0] != "episode.opened Deployment/pay/ledger CrashLoopBackOff in app exit 1" {
		t.Errorf("drafts = %q, want the episode although the container runs at this moment", got)
	}
	if r.RecheckAfter <= 0 || r.RecheckAfter > 2*time.Minute {
		t.Errorf("recheck after %s", r.RecheckAfter)
	}
}
