package pod

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/image"
	"github.com/fairway-dev/fairway/e2e/tools/processnode/sandbox"
)

func TestBackOff(t *testing.T) {
	s := time.Second
	for name, tc := range map[string]struct {
		runs, want []time.Duration
	}{
		"the first restart is at once, then waits double": {[]time.Duration{s, s, s, s}, []time.Duration{0, 10 * s, 20 * s, 40 * s}},
		"a wait is never longer than five minutes": {
			[]time.Duration{s, s, s, s, s, s, s, s}, []time.Duration{0, 10 * s, 20 * s, 40 * s, 80 * s, 160 * s, 300 * s, 300 * s}},
		"a long run starts over": {[]time.Duration{s, s, 11 * time.Minute, s}, []time.Duration{0, 10 * s, 0, 10 * s}},
	} {
		t.Run(name, func(t *testing.T) {
			var b BackOff
			var got []time.Duration
			for _, ran := range tc.runs {
				got = append(got, b.After(ran))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func ended(code int32) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, ContainerID: "process://u/c/1"}}
}

var running = corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}

func TestPhase(t *testing.T) {
	list := func(states ...corev1.ContainerState) (out []corev1.ContainerStatus) {
		for _, s := range states {
			out = append(out, corev1.ContainerStatus{State: s})
		}
		return out
	}
	crashing := corev1.ContainerStatus{State: waiting("CrashLoopBackOff", ""), LastTerminationState: ended(1)}
	always, onFailure, never := corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever
	for name, tc := range map[string]struct {
		policy   corev1.RestartPolicy
		init     []corev1.ContainerStatus
		main     []corev1.ContainerStatus
		stopping bool
		want     corev1.PodPhase
	}{
		"nothing has started":                           {always, nil, list(waiting("ContainerCreating", "")), false, corev1.PodPending},
		"one of two runs":                               {always, nil, list(running, waiting("ContainerCreating", "")), false, corev1.PodRunning},
		"a crash loop is a running pod":                 {always, nil, []corev1.ContainerStatus{crashing}, false, corev1.PodRunning},
		"a clean end is started again by Always":        {always, nil, list(ended(0)), false, corev1.PodRunning},
		"a clean end is the end of a job":               {onFailure, nil, list(ended(0)), false, corev1.PodSucceeded},
		"a failure is started again by OnFailure":       {onFailure, nil, list(ended(1)), false, corev1.PodRunning},
		"a failure is the end with Never":               {never, nil, list(ended(0), ended(1)), false, corev1.PodFailed},
		"a pod runs until its last container has ended": {never, nil, list(ended(1), running), false, corev1.PodRunning},
		"a failed init container is the end with Never": {never, list(ended(5)), list(waiting("PodInitializing", "")), false, corev1.PodFailed},
		"a failed init container is tried again":        {always, list(ended(5)), list(waiting("PodInitializing", "")), false, corev1.PodPending},
		"a stopping pod ends with its containers":       {always, nil, list(ended(0)), true, corev1.PodSucceeded},
	} {
		t.Run(name, func(t *testing.T) {
			st := &corev1.PodStatus{InitContainerStatuses: tc.init, ContainerStatuses: tc.main}
			if got := Phase(tc.policy, st, tc.stopping); got != tc.want {
				t.Errorf("Phase = %s, want %s", got, tc.want)
			}
		})
	}
}

func TestResume(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	lost := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
		ExitCode: 255, Reason: "Unknown", Message: "the node was restarted", FinishedAt: now, ContainerID: "process://u/c/3",
	}}
	no := false
	fresh := waiting("ContainerCreating", "")
	for name, tc := range map[string]struct {
		old    corev1.ContainerStatus
		policy corev1.RestartPolicy
		want   corev1.ContainerStatus
		run    bool
	}{
		"a container that never ran starts for the first time": {
			corev1.ContainerStatus{}, corev1.RestartPolicyAlways, corev1.ContainerStatus{Started: &no, State: fresh}, true},
		"what was running is started again, and counted": {
			corev1.ContainerStatus{State: running, ContainerID: "process://u/c/3", RestartCount: 3}, corev1.RestartPolicyAlways,
			corev1.ContainerStatus{Started: &no, State: fresh, RestartCount: 4, LastTerminationState: lost}, true},
		"a crash loop goes on": {
			corev1.ContainerStatus{State: waiting("CrashLoopBackOff", ""), LastTerminationState: ended(2), RestartCount: 1}, corev1.RestartPolicyAlways,
			corev1.ContainerStatus{Started: &no, State: fresh, RestartCount: 2, LastTerminationState: ended(2)}, true},
		"what was running is lost when it may not run twice": {
			corev1.ContainerStatus{State: running, ContainerID: "process://u/c/3"}, corev1.RestartPolicyNever,
			corev1.ContainerStatus{Started: &no, State: lost, ContainerID: "process://u/c/3"}, false},
		"what had ended well is not run again": {
			corev1.ContainerStatus{State: ended(0)}, corev1.RestartPolicyOnFailure, corev1.ContainerStatus{Started: &no, State: ended(0)}, false},
	} {
		t.Run(name, func(t *testing.T) {
			got, run := Resume(tc.old, tc.policy, now)
			if diff := cmp.Diff(tc.want, got); diff != "" || run != tc.run {
				t.Errorf("run %v, %s", run, diff)
			}
		})
	}
}

func TestLogOf(t *testing.T) {
	const id1, id2 = "process://u/c/1", "process://u/c/2"
	up := corev1.ContainerStatus{State: running, ContainerID: id2}
	upAgain := corev1.ContainerStatus{State: running, ContainerID: id2, LastTerminationState: ended(1)}
	for name, tc := range map[string]struct {
		status   corev1.ContainerStatus
		previous bool
		want     string
		err      string
	}{
		"a running container shows its own log":          {up, false, id2, ""},
		"the previous log is that of the last run":       {upAgain, true, id1, ""},
		"the first run has no previous one":              {up, true, "", `previous terminated container "c" in pod "p" not found`},
		"a container that has just ended shows that run": {corev1.ContainerStatus{State: ended(1)}, false, id1, ""},
		"in back-off both are the run that crashed": {
			corev1.ContainerStatus{State: waiting("CrashLoopBackOff", ""), LastTerminationState: ended(1)}, false, id1, ""},
		"an image that cannot be pulled is said in plain words": {
			corev1.ContainerStatus{State: waiting("ErrImagePull", "")}, false, "", `container "c" in pod "p" is waiting to start: image can't be pulled`},
		"a container that waits says for what": {
			corev1.ContainerStatus{State: waiting("CreateContainerConfigError", "")}, false, "",
			`container "c" in pod "p" is waiting to start: CreateContainerConfigError`},
	} {
		t.Run(name, func(t *testing.T) {
			tc.status.Name = "c"
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Status: corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{tc.status}}}
			got, err := LogOf(pod, "c", tc.previous)
			message := ""
			if err != nil {
				message = err.Error()
			}
			if diff := cmp.Diff([]string{tc.want, tc.err}, []string{got, message}); diff != "" {
				t.Error(diff)
			}
		})
	}
	if n, err := runNumber(containerID("uid", "c", 12)); n != 12 || err != nil {
		t.Errorf("runNumber = %d, %v", n, err)
	}
	if _, err := runNumber("containerd://0123"); err == nil {
		t.Error("an ID of another runtime names no run")
	}
}

func TestStatusPatchLeavesTheConditionsOfOthers(t *testing.T) {
	base := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: "u"}, Status: corev1.PodStatus{
		Phase:      corev1.PodPending,
		Conditions: []corev1.PodCondition{{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}},
	}}
	patch, err := statusPatch(base, &corev1.PodStatus{
		Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
	})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(patch, &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"metadata": map[string]any{"uid": "u"},
		"status": map[string]any{
			"phase":                       "Running",
			"$setElementOrder/conditions": []any{map[string]any{"type": "Ready"}, map[string]any{"type": "DisruptionTarget"}},
			"conditions": []any{map[string]any{
				"type": "Ready", "status": "True", "lastProbeTime": nil, "lastTransitionTime": nil,
			}},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if patch, err := statusPatch(base, base.Status.DeepCopy()); patch != nil || err != nil {
		t.Errorf("an unchanged status needs no patch, got %s, %v", patch, err)
	}
}

func TestRunAs(t *testing.T) {
	for name, tc := range map[string]struct {
		pod  corev1.PodSecurityContext
		main corev1.SecurityContext
		want sandbox.User
		fail bool
	}{
		"the image's user by default":      {want: sandbox.User{UID: 65534, GID: 65534}},
		"the pod's user and groups":        {pod: corev1.PodSecurityContext{RunAsUser: new(int64(7)), RunAsGroup: new(int64(8)), FSGroup: new(int64(9))}, want: sandbox.User{UID: 7, GID: 8, Groups: []int{9}}},
		"the container's own user wins":    {pod: corev1.PodSecurityContext{RunAsUser: new(int64(7))}, main: corev1.SecurityContext{RunAsUser: new(int64(5))}, want: sandbox.User{UID: 5, GID: 5}},
		"root is refused when it must not": {pod: corev1.PodSecurityContext{RunAsNonRoot: new(true)}, main: corev1.SecurityContext{RunAsUser: new(int64(0))}, fail: true},
	} {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{Spec: corev1.PodSpec{SecurityContext: &tc.pod}}
			got, err := runAs(pod, &corev1.Container{SecurityContext: &tc.main}, image.Image{})
			if (err != nil) != tc.fail {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" && !tc.fail {
				t.Error(diff)
			}
		})
	}
}

func TestSubPathStaysInTheVolume(t *testing.T) {
	if got, err := subPath(t.TempDir(), "../other"); err == nil {
		t.Errorf("subPath led to %s", got)
	}
}
