package observe

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairway-dev/fairway/api/event"
)

// waitingReasons maps what the kubelet says of a container that waits to the reason of its
// episode. What is not here is no failure by itself (ContainerCreating, PodInitializing).
var waitingReasons = map[string]string{
	"CreateContainerConfigError": event.ReasonConfigError,
	"CreateContainerError":       event.ReasonCreateError,
	"PreCreateHookError":         event.ReasonCreateError,
	"PreStartHookError":          event.ReasonCreateError,
	"ErrImagePull":               event.ReasonImagePull,
	"ImagePullBackOff":           event.ReasonImagePull,
	"ErrImageNeverPull":          event.ReasonImagePull,
	"InvalidImageName":           event.ReasonImagePull,
	"ImageInspectError":          event.ReasonImagePull,
	"RegistryUnavailable":        event.ReasonImagePull,
	"SignatureValidationFailed":  event.ReasonImagePull,
	"CrashLoopBackOff":           event.ReasonCrashLoop,
	"RunContainerError":          event.ReasonCrashLoop,
	"PostStartHookError":         event.ReasonCrashLoop,
}

// containerFailure is what is wrong with one container.
func containerFailure(pod *corev1.Pod, cs *corev1.ContainerStatus, init bool, t Timing, now time.Time) (f failure, ok bool, again time.Time) {
	var reason string
	if w := cs.State.Waiting; w != nil {
		reason = waitingReasons[w.Reason]
	}
	if reason != "" && reason != event.ReasonCrashLoop {
		// The kubelet says this while its own caches are still empty; it passes by itself.
		if strings.Contains(cs.State.Waiting.Message, "failed to sync") {
			return failure{}, false, time.Time{}
		}
		return failure{
			reason: reason, class: classStart, container: cs.Name, restarts: cs.RestartCount,
			message: cs.State.Waiting.Message, vague: cs.State.Waiting.Reason == "ImagePullBackOff",
			since: waitingSince(pod, cs),
		}, true, time.Time{}
	}
	ok, again = crashing(pod, cs, reason == event.ReasonCrashLoop, t, now)
	if !ok {
		return failure{}, false, again
	}
	return crash(pod, cs, init), true, again
}

// waitingSince is since when a container waits: since it died, else since the pod is not ready.
func waitingSince(pod *corev1.Pod, cs *corev1.ContainerStatus) time.Time {
	if died := cs.LastTerminationState.Terminated; died != nil {
		return died.FinishedAt.Time
	}
	if c := podCondition(pod, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionTrue {
		return c.LastTransitionTime.Time
	}
	if pod.Status.StartTime != nil {
		return pod.Status.StartTime.Time
	}
	return pod.CreationTimestamp.Time
}

// lastDeath is how the container ended last, or nil when it never has.
func lastDeath(cs *corev1.ContainerStatus) *corev1.ContainerStateTerminated {
	if cs.State.Terminated != nil {
		return cs.State.Terminated
	}
	return cs.LastTerminationState.Terminated
}

// endedWithNode says whether a container ended because its node did, so that nobody saw how: no
// failure of its own. Containerd says so after a reboot with exit code 255 and "Unknown", the
// kubelet of a container that it no longer finds with "ContainerStatusUnknown".
func endedWithNode(t *corev1.ContainerStateTerminated) bool {
	return t.Reason == "ContainerStatusUnknown" || t.Reason == "Unknown" && t.ExitCode == 255
}

// crashing says whether the container counts as failing by dying: the kubelet backs off, it was
// killed for its memory, or it died twice within the window. From one object alone two deaths
// can be told so: it has been restarted twice, so its last life began with a death, and that life
// was short.
func crashing(pod *corev1.Pod, cs *corev1.ContainerStatus, backsOff bool, t Timing, now time.Time) (bool, time.Time) {
	died := lastDeath(cs)
	if backsOff {
		return true, time.Time{}
	}
	if died == nil {
		return false, time.Time{}
	}
	oom := died.Reason == event.ReasonOOMKilled
	repeated := cs.RestartCount >= 2 && died.ExitCode != 0 && !endedWithNode(died) && died.FinishedAt.Sub(died.StartedAt.Time) <= t.CrashWindow
	if !oom && !repeated {
		return false, time.Time{}
	}
	if cs.State.Terminated != nil {
		return true, time.Time{}
	}
	how, at := recovered(pod, cs, t, now)
	end := died.FinishedAt.Add(t.CrashWindow)
	if how != "" || !now.Before(end) {
		return false, time.Time{}
	}
	return true, earlier(at, end)
}

// crash describes a container that dies.
func crash(pod *corev1.Pod, cs *corev1.ContainerStatus, init bool) failure {
	f := failure{
		reason: event.ReasonCrashLoop, class: classCrash, container: cs.Name, restarts: cs.RestartCount,
		since: waitingSince(pod, cs), logs: logsOfDead(pod, cs),
	}
	died := lastDeath(cs)
	switch {
	case died == nil && cs.State.Waiting != nil:
		f.message = cs.State.Waiting.Message
	case died == nil:
	case died.Reason == event.ReasonOOMKilled:
		f.reason = event.ReasonOOMKilled
		f.message = "container " + cs.Name + " was killed for its memory" + limitText(pod, cs.Name)
	default:
		f.message = fmt.Sprintf("container %s exited with code %d", cs.Name, died.ExitCode)
		if died.Signal != 0 {
			f.message = fmt.Sprintf("container %s was ended by signal %d", cs.Name, died.Signal)
		}
	}
	if died != nil {
		f.exit = &died.ExitCode
		f.since = died.FinishedAt.Time
		if died.Message != "" {
			f.message += ": " + died.Message
		}
	}
	if init && f.reason == event.ReasonCrashLoop {
		f.reason = event.ReasonInitFailed
	}
	return f
}

func limitText(pod *corev1.Pod, container string) string {
	for _, c := range slices.Concat(pod.Spec.Containers, pod.Spec.InitContainers) {
		if limit, ok := c.Resources.Limits[corev1.ResourceMemory]; ok && c.Name == container {
			return ": its limit is " + limit.String()
		}
	}
	return ""
}

// logsOfDead names the instance that died: the previous one, unless the current one is dead.
func logsOfDead(pod *corev1.Pod, cs *corev1.ContainerStatus) *LogRef {
	return &LogRef{
		Namespace: pod.Namespace, Pod: pod.Name, Container: cs.Name,
		Previous: cs.RestartCount > 0 && cs.State.Terminated == nil,
	}
}

// recovered says how a container that died is well again, or "" while it is not; then again is
// when time alone may change that. It has to be ready for Stable beyond the life that its last
// death ended, so that being ready between two crashes is not taken for health.
func recovered(pod *corev1.Pod, cs *corev1.ContainerStatus, t Timing, now time.Time) (how string, again time.Time) {
	if end := cs.State.Terminated; end != nil && end.ExitCode == 0 {
		return "container completed", time.Time{}
	}
	run := cs.State.Running
	if run == nil || !cs.Ready { // an init container is ready when it has completed, or as a sidecar
		return "", time.Time{}
	}
	since := run.StartedAt.Time
	if c := podCondition(pod, corev1.ContainersReady); c != nil && c.Status == corev1.ConditionTrue {
		since = later(since, c.LastTransitionTime)
	}
	need := t.Stable
	if died := cs.LastTerminationState.Terminated; died != nil && !endedWithNode(died) {
		if life := died.FinishedAt.Sub(died.StartedAt.Time); life > 0 && life <= t.CrashWindow {
			need += life
		}
	}
	if end := since.Add(need); now.Before(end) {
		return "", end
	}
	return "container ready for " + need.Round(time.Second).String(), time.Time{}
}
