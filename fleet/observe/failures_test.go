package observe

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-dev/fairway/api/event"
)

// failing are pods that show each failure of the contract, as the kubelet reports it.
var failing = map[string]struct {
	change    func(*corev1.Pod)
	reason    string
	container string
	says      string
	logs      bool // the lines of a container are asked for
}{
	"CrashLoopBackOff":              {app(3, backOff, dead(1, 3, 4)), event.ReasonCrashLoop, "app", "exited with code 1", true},
	"repeated crashes":              {app(2, running(9), dead(2, 5, 8)), event.ReasonCrashLoop, "app", "exited with code 2", true},
	"ended by a signal":             {app(3, backOff, signalled(11, 3, 4)), event.ReasonCrashLoop, "app", "signal 11", true},
	"a program that is not there":   {app(3, backOff, startError("exec: \"nope\": not found")), event.ReasonCrashLoop, "app", "nope", true},
	"OOMKilled":                     {app(1, running(9), dead(137, 3, 4, "OOMKilled")), event.ReasonOOMKilled, "app", "killed for its memory", true},
	"a missing ConfigMap":           {starting("CreateContainerConfigError", `configmap "ledger-config" not found`), event.ReasonConfigError, "app", `configmap "ledger-config" not found`, false},
	"a missing Secret":              {starting("CreateContainerConfigError", `secret "db-password" not found`), event.ReasonConfigError, "app", `secret "db-password" not found`, false},
	"a missing key of a ConfigMap":  {starting("CreateContainerConfigError", `couldn't find key token in ConfigMap pay/ledger`), event.ReasonConfigError, "app", `key token in ConfigMap pay/ledger`, false},
	"a missing key of a Secret":     {starting("CreateContainerConfigError", `couldn't find key PASSWORD in Secret pay/db`), event.ReasonConfigError, "app", `key PASSWORD in Secret pay/db`, false},
	"CreateContainerError":          {starting("CreateContainerError", "no command specified"), event.ReasonCreateError, "app", "no command", false},
	"a hook that fails":             {starting("PostStartHookError", "exit status 1"), event.ReasonCrashLoop, "app", "exit status 1", true},
	"ErrImagePull":                  {starting("ErrImagePull", "ledger:9: not found"), event.ReasonImagePull, "app", "ledger:9: not found", false},
	"ImagePullBackOff":              {starting("ImagePullBackOff", "Back-off pulling image"), event.ReasonImagePull, "app", "Back-off", false},
	"an image name that is none":    {starting("InvalidImageName", "couldn't parse image name"), event.ReasonImagePull, "app", "image name", false},
	"an image that is never pulled": {starting("ErrImageNeverPull", "image is not present with pull policy of Never"), event.ReasonImagePull, "app", "Never", false},
	"an init container that fails":  {initial("migrate", false, containerState(2, backOff, dead(1, 3, 4))), event.ReasonInitFailed, "migrate", "exited with code 1", true},
	"an init container's image":     {initial("migrate", false, containerState(0, waiting("ErrImagePull", "not found"))), event.ReasonImagePull, "migrate", "not found", false},
	"an init container's config":    {initial("migrate", false, containerState(0, waiting("CreateContainerConfigError", `secret "x" not found`))), event.ReasonConfigError, "migrate", `secret "x"`, false},
	"an init container without end": {initial("migrate", false, containerState(0, running(1))), event.ReasonNotReady, "migrate", "does not come to an end", true},
	"a sidecar that crashes":        {initial("proxy", true, containerState(4, backOff, dead(1, 3, 4))), event.ReasonCrashLoop, "proxy", "exited with code 1", true},
	"a sidecar out of memory":       {initial("proxy", true, containerState(4, backOff, dead(137, 3, 4, "OOMKilled"))), event.ReasonOOMKilled, "proxy", "its limit is 64Mi", true},
	"unschedulable": {func(p *corev1.Pod) {
		p.Status.Phase, p.Spec.NodeName = corev1.PodPending, ""
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable", Message: "0/3 nodes are available", LastTransitionTime: at(0)}}
	}, event.ReasonUnschedulable, "", "0/3 nodes", false},
	"volumes that cannot be mounted": {starting("ContainerCreating", ""), event.ReasonNotStarted, "", "volumes", false},
	"readiness that never comes":     {func(p *corev1.Pod) { unready(0)(p); app(0, running(1))(p) }, event.ReasonNotReady, "app", "", true},
}

func signalled(signal int32, from, to int) corev1.ContainerState {
	s := dead(128+signal, from, to)
	s.Terminated.Signal = signal
	return s
}

func startError(message string) corev1.ContainerState {
	s := dead(128, 3, 4, "StartError")
	s.Terminated.Message = message
	return s
}

func starting(reason, message string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { phase(corev1.PodPending)(p); app(0, waiting(reason, message))(p) }
}

func containerState(restarts int32, now corev1.ContainerState, last ...corev1.ContainerState) corev1.ContainerStatus {
	var p corev1.Pod
	app(restarts, now, last...)(&p)
	return p.Status.ContainerStatuses[0]
}

// initial makes a pod with an init container of this state: a sidecar when it is restarted for ever.
func initial(name string, restarted bool, status corev1.ContainerStatus) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		c := corev1.Container{Name: name, Resources: corev1.ResourceRequirements{Limits: memoryLimits("64Mi")}}
		if restarted {
			c.RestartPolicy = ptr(corev1.ContainerRestartPolicyAlways)
		}
		status.Name = name
		p.Spec.InitContainers, p.Status.InitContainerStatuses = []corev1.Container{c}, []corev1.ContainerStatus{status}
		p.Status.Phase = corev1.PodPending
	}
}

// topKind is a kind of workload, whole and with nothing of it available, and its pods.
type topKind struct {
	whole, broken Object
	pod           func(i int, more func(*corev1.Pod)) *corev1.Pod
}

func controlled(kind, name string) func(p *corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Labels = nil
		p.OwnerReferences = []metav1.OwnerReference{{Kind: kind, Name: name, Controller: ptr(true)}}
	}
}

var topKinds = map[string]topKind{
	"Deployment": {deployment(3, 3, 3), deployment(3, 3, 0), func(i int, more func(*corev1.Pod)) *corev1.Pod {
		return pod(fmt.Sprintf("aaaa%d", i), more)
	}},
	"StatefulSet": {statefulSet(3), statefulSet(0), func(i int, more func(*corev1.Pod)) *corev1.Pod {
		return change(pod("x", controlled("StatefulSet", "ledger"), more), func(p *corev1.Pod) { p.Name, p.UID = fmt.Sprintf("ledger-%d", i), types.UID(fmt.Sprint(i)) })
	}},
	"DaemonSet": {daemonSet(3), daemonSet(0), func(i int, more func(*corev1.Pod)) *corev1.Pod {
		return change(pod("x", controlled("DaemonSet", "ledger"), more), func(p *corev1.Pod) { p.Name = fmt.Sprintf("ledger-%d", i) })
	}},
}

func statefulSet(available int32) *appsv1.StatefulSet {
	s := &appsv1.StatefulSet{ObjectMeta: meta1("ledger")}
	s.Spec.Replicas = ptr(int32(3))
	s.Status = appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: 3, UpdatedReplicas: 3, ReadyReplicas: available, AvailableReplicas: available}
	return s
}

func daemonSet(available int32) *appsv1.DaemonSet {
	d := &appsv1.DaemonSet{ObjectMeta: meta1("ledger")}
	d.Status = appsv1.DaemonSetStatus{ObservedGeneration: 1, DesiredNumberScheduled: 3, UpdatedNumberScheduled: 3, NumberReady: available, NumberAvailable: available}
	return d
}

// TestEveryFailureIsOneEpisode: three pods show a failure, are looked at again and again, and are replaced
// by others that show it too; then the workload is well. One opened, one resolved.
func TestEveryFailureIsOneEpisode(t *testing.T) {
	for kind, top := range topKinds {
		for name, f := range failing {
			t.Run(kind+": "+name, func(t *testing.T) {
				d := script(top, f.change)
				var opened, resolved []Draft
				for _, draft := range d {
					switch draft.Type {
					case event.EpisodeOpened:
						opened = append(opened, draft)
					case event.EpisodeResolved:
						resolved = append(resolved, draft)
					}
				}
				if len(opened) != 1 || len(resolved) != 1 {
					t.Fatalf("%d opened, %d resolved; want one each:\n%s", len(opened), len(resolved), strings.Join(lines(d), "\n"))
				}
				data := opened[0].Data.(event.Episode)
				if data.Reason != f.reason || data.Container != f.container || !strings.Contains(data.Message, f.says) {
					t.Errorf("%s in %q: %q; want %s in %q: %q", data.Reason, data.Container, data.Message, f.reason, f.container, f.says)
				}
				if logs := opened[0].Logs != nil; logs != f.logs {
					t.Errorf("lines are asked for: %t, want %t", logs, f.logs)
				}
				if want := (event.Object{Kind: kind, Namespace: "pay", Name: "ledger"}); opened[0].Object != want {
					t.Errorf("an episode of %s, want %s", opened[0].Object, want)
				}
				if id := resolved[0].Data.(event.Episode).ID; id != data.ID {
					t.Errorf("%s is resolved, %s was opened", id, data.ID)
				}
			})
		}
	}
}

// script is what is said of a workload whose pods fail, are replaced and get well.
func script(top topKind, fails func(*corev1.Pod)) (all []Draft) {
	o := New(Options{Cluster: "c1"})
	say := func(r Result) { all = append(all, r.Drafts...) }
	say(o.Apply(top.broken, sec(0)))
	for i := range 3 {
		say(o.Apply(top.pod(i, fails), sec(10+i)))
	}
	for n := 30; n < 900; n += 30 {
		say(o.Recheck(sec(n)))
		say(o.Apply(top.pod(n%3, fails), sec(n)))
	}
	for i := range 3 {
		say(o.Remove(top.pod(i, fails), sec(900+i)))
		say(o.Apply(change(top.pod(i, fails), func(p *corev1.Pod) { p.UID += "-again" }), sec(900+i)))
	}
	for i := range 3 {
		say(o.Remove(change(top.pod(i, fails), func(p *corev1.Pod) { p.UID += "-again" }), sec(1000+i)))
		say(o.Apply(change(top.pod(i, func(*corev1.Pod) {}), func(p *corev1.Pod) {
			p.UID += "-well"
			ready(1000)(p)
			app(0, running(1000))(p)
		}), sec(1000+i)))
	}
	say(o.Apply(top.whole, sec(1010)))
	for n := 1100; n < 2000; n += 100 {
		say(o.Recheck(sec(n)))
	}
	return all
}

// TestFluxFailures: each failure of Flux is one episode, through all its retries.
func TestFluxFailures(t *testing.T) {
	const yes, no, unknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	well := condition("Ready", yes, "ReconciliationSucceeded", "ok", 5000)
	k := func(c ...metav1.Condition) Object { return kustomization("main@sha1:a", "main@sha1:a", c...) }
	h := func(c ...metav1.Condition) Object { return helmRelease("1.0.0", c...) }
	g := func(c ...metav1.Condition) Object { return gitRepository("main@sha1:a", c...) }
	for reason, c := range map[string]struct {
		of     func(...metav1.Condition) Object
		more   []metav1.Condition
		reason string // of the episode, where it is another
	}{
		"GitOperationFailed":     {of: g},
		"AuthenticationFailed":   {of: g},
		"StorageOperationFailed": {of: g},
		"VerificationError":      {of: g},
		"BuildFailed":            {of: k},
		"ReconciliationFailed":   {of: k},
		"HealthCheckFailed":      {of: k},
		"PruneFailed":            {of: k},
		"DependencyNotReady":     {of: k},
		"ArtifactFailed":         {of: k},
		"InstallFailed":          {of: h, more: []metav1.Condition{condition("Released", no, "InstallFailed", "m", 1)}},
		"UpgradeFailed":          {of: h, more: []metav1.Condition{condition("Released", no, "UpgradeFailed", "m", 1)}},
		"RollbackSucceeded":      {of: h, more: []metav1.Condition{condition("Released", no, "UpgradeFailed", "m", 1), condition("Remediated", yes, "RollbackSucceeded", "m", 2)}, reason: "UpgradeFailed"},
		"UninstallFailed":        {of: h, more: []metav1.Condition{condition("Released", no, "InstallFailed", "m", 1)}, reason: "InstallFailed"},
		"TestFailed":             {of: h},
		"SourceNotReady":         {of: h},
	} {
		t.Run(reason, func(t *testing.T) {
			o := New(Options{Cluster: "c1"})
			var all []Draft
			for n := 1; n < 2000; n += 60 {
				all = append(all, o.Apply(c.of(append(c.more, condition("Ready", no, reason, fmt.Sprintf("try %d: it failed", n), n))...), sec(n)).Drafts...)
				all = append(all, o.Apply(c.of(condition("Ready", unknown, "Progressing", "trying", n+1)), sec(n+1)).Drafts...)
				all = append(all, o.Recheck(sec(n+30)).Drafts...)
			}
			all = append(all, o.Apply(c.of(well), sec(5000)).Drafts...)
			var got []string
			for _, d := range all {
				if data, ok := d.Data.(event.Episode); ok {
					got = append(got, d.Type.What()+" "+data.Reason)
				}
			}
			want := reason
			if c.reason != "" {
				want = c.reason
			}
			if diff := cmp.Diff(words("opened "+want, "resolved "+want), got); diff != "" {
				t.Errorf("episodes (-want +got):\n%s", diff)
			}
		})
	}
}

func TestJobsAndCronJobs(t *testing.T) {
	cronPod := func(job string, more ...func(*corev1.Pod)) *corev1.Pod { return jobPod(job, more...) }
	for name, steps := range map[string][]step{
		"a CronJob whose container crashes has one episode over its runs, until one succeeds": {
			{at: 0, apply: ofCronJob(job("n1"), 0), want: words("workload.rolling Job/pay/n1 0/1")},
			{at: 5, apply: cronPod("n1", app(1, backOff, dead(1, 3, 4))), want: words("episode.opened CronJob/pay/nightly CrashLoopBackOff in app exit 1")},
			{at: 9, apply: ofCronJob(job("n1", jobCondition(batchv1.JobFailed, "BackoffLimitExceeded", 9)), 0), want: words("workload.failed Job/pay/n1 0/1 BackoffLimitExceeded")},
			{at: 20, apply: ofCronJob(job("n2"), 20), want: words("workload.rolling Job/pay/n2 0/1")},
			{at: 25, apply: cronPod("n2", app(1, backOff, dead(1, 23, 24)))},
			{at: 29, apply: ofCronJob(job("n2", jobCondition(batchv1.JobFailed, "BackoffLimitExceeded", 29)), 20), want: words("workload.failed Job/pay/n2 0/1 BackoffLimitExceeded")},
			{at: 40, apply: ofCronJob(job("n3", jobCondition(batchv1.JobComplete, "", 40)), 30), want: words(
				"episode.resolved CronJob/pay/nightly CrashLoopBackOff in app exit 1: next run succeeded", "workload.succeeded Job/pay/n3 0/1")},
		},
		"a Job that ran out of time": {
			{at: 0, apply: job("migrate"), want: words("workload.rolling Job/pay/migrate 0/1")},
			{at: 60, apply: job("migrate", jobCondition(batchv1.JobFailed, "DeadlineExceeded", 60)), want: words("workload.failed Job/pay/migrate 0/1 DeadlineExceeded")},
			{at: 63, want: words("episode.opened Job/pay/migrate JobFailed")},
			{at: 90, remove: job("migrate"), want: words("episode.resolved Job/pay/migrate JobFailed: object removed", "workload.removed Job/pay/migrate 0/1 DeadlineExceeded")},
		},
		"a Job whose init container fails at every attempt": {
			{at: 0, apply: job("migrate"), want: words("workload.rolling Job/pay/migrate 0/1")},
			{at: 5, apply: jobPod("migrate", initial("wait", false, containerState(0, dead(1, 1, 4))), phase(corev1.PodFailed))},
			{at: 9, apply: job("migrate", jobCondition(batchv1.JobFailed, "BackoffLimitExceeded", 9)), want: words(
				"episode.opened Job/pay/migrate JobFailed exit 1", "workload.failed Job/pay/migrate 0/1 BackoffLimitExceeded")},
		},
		"a Job whose image cannot be had": {
			{at: 0, apply: job("migrate"), want: words("workload.rolling Job/pay/migrate 0/1")},
			{at: 5, apply: jobPod("migrate", starting("ErrImagePull", "not found")), want: words("episode.opened Job/pay/migrate ImagePullBackOff in app")},
			{at: 60, remove: job("migrate"), want: words("episode.resolved Job/pay/migrate ImagePullBackOff in app: object removed", "workload.removed Job/pay/migrate 0/1")},
		},
		"a pod of a Job is not expected to be ready": {
			{at: 0, apply: job("migrate"), want: words("workload.rolling Job/pay/migrate 0/1")},
			{at: 5, apply: jobPod("migrate", unready(0), app(0, running(1)))},
			{at: 5000},
		},
	} {
		t.Run(name, func(t *testing.T) { play(t, steps) })
	}
}

func TestSidecarsAndInitContainers(t *testing.T) {
	const opened, resolved = "episode.opened Deployment/pay/ledger ", "episode.resolved Deployment/pay/ledger "
	up := func(name string, since int) corev1.ContainerStatus {
		s := containerState(0, running(since))
		s.Name, s.Ready, s.Started = name, true, ptr(true)
		return s
	}
	for name, steps := range map[string][]step{
		"a sidecar that runs holds nothing up": {
			rolling,
			{at: 1, apply: pod("aaaaa", initial("proxy", true, up("proxy", 1)))},
			{at: 1000},
		},
		"a sidecar that crashes once it runs is a crash, and is over when it is ready": {
			available,
			{at: 5, apply: pod("aaaaa", initial("proxy", true, containerState(2, backOff, dead(1, 3, 4))), phase(corev1.PodRunning), unready(4)), want: words(opened + "CrashLoopBackOff in proxy exit 1")},
			{at: 20, apply: pod("aaaaa", initial("proxy", true, up("proxy", 20)), phase(corev1.PodRunning), ready(20))},
			{at: 90, want: words(resolved + "CrashLoopBackOff in proxy exit 1: container ready for 1m0s")},
		},
		"a sidecar that is not ready is named": {
			available,
			{at: 1, apply: pod("aaaaa", initial("proxy", true, containerState(0, running(1))), phase(corev1.PodRunning), unready(1))},
			{at: 130, want: words(opened + "NotReady in proxy")},
		},
		"an init container that runs for long is over when it is done": {
			rolling,
			{at: 1, apply: pod("aaaaa", initial("migrate", false, containerState(0, running(1))))},
			{at: 599},
			{at: 601, want: words(opened + "NotReady in migrate")},
			{at: 700, apply: pod("aaaaa", initial("migrate", false, containerState(0, dead(0, 1, 699)))), want: words(resolved + "NotReady in migrate: container completed")},
		},
	} {
		t.Run(name, func(t *testing.T) { play(t, steps) })
	}
}

// TestAfterTheEndNothingIsWaitedFor: an observer that has nothing left holds nothing, and does not ask to be woken.
func TestAfterTheEndNothingIsWaitedFor(t *testing.T) {
	for name, f := range failing {
		o := New(Options{Cluster: "c1"})
		o.Apply(deployment(1, 1, 0), sec(0))
		p := pod("aaaaa", f.change)
		o.Apply(p, sec(10))
		o.Remove(p, sec(20))
		if r := o.Remove(deployment(1, 1, 0), sec(30)); len(o.episodes) != 0 {
			t.Errorf("%s: %d objects have open episodes after all is removed", name, len(o.episodes))
		} else if r.RecheckAfter > lingering+time.Minute {
			t.Errorf("%s: recheck after %s", name, r.RecheckAfter)
		}
		if r := o.Recheck(sec(30).Add(lingering + 2*time.Second)); r.RecheckAfter != 0 || len(o.due) != 0 || len(o.pods)+len(o.work)+len(o.podsOf)+len(o.owned) != 0 {
			t.Errorf("%s: something is left: recheck %s, due %v", name, r.RecheckAfter, o.due)
		}
	}
}
