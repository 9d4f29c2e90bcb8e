package observe

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-dev/fairway/api/event"
)

// class says what ends a failure.
type class string

const (
	classCrash    class = "crash"    // a container dies: until it is ready for long enough
	classStart    class = "start"    // a container cannot be started: until it is
	classSchedule class = "schedule" // no node takes the pod: until one does
	classReady    class = "ready"    // the pod is not ready: until it is, for long enough
	classObject   class = "object"   // of the object itself, not of its pods
)

// failure is something that is wrong now, with one pod or one object.
type failure struct {
	reason    string
	class     class
	container string
	message   string
	vague     bool // the message says less than one that came before
	exit      *int32
	restarts  int32
	since     time.Time
	logs      *LogRef
	death     string // how the last container of a failed Job ended
}

// podFailures is what is wrong with a pod at this moment. again is when to look again, since time
// alone may change the answer; zero: never. A pod that is going away, or that has ended, has no
// failures; except that a failed pod of a Job tells when it ran out of memory.
func podFailures(pod *corev1.Pod, t Timing, now time.Time) (out []failure, again time.Time) {
	switch {
	case pod.DeletionTimestamp != nil || pod.Status.Phase == corev1.PodSucceeded:
		return nil, time.Time{}
	case pod.Status.Phase == corev1.PodFailed && jobOf(pod) == "":
		return nil, time.Time{} // evicted, or ended with its node: what replaces it counts
	}
	if c := podCondition(pod, corev1.PodScheduled); c != nil && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable {
		f := failure{reason: event.ReasonUnschedulable, class: classSchedule, message: c.Message, since: c.LastTransitionTime.Time}
		if from := f.since.Add(t.Unschedulable); now.Before(from) {
			return nil, from
		}
		return []failure{f}, time.Time{}
	}
	for i := range pod.Status.InitContainerStatuses {
		cs := &pod.Status.InitContainerStatuses[i]
		f, ok, at := containerFailure(pod, cs, !sidecar(pod, cs.Name), t, now)
		if ok {
			out = append(out, f)
		}
		again = earlier(again, at)
	}
	for i := range pod.Status.ContainerStatuses {
		f, ok, at := containerFailure(pod, &pod.Status.ContainerStatuses[i], false, t, now)
		if ok {
			out = append(out, f)
		}
		again = earlier(again, at)
	}
	if len(out) == 0 {
		f, ok, at := slowFailure(pod, t, now)
		if ok {
			out = append(out, f)
		}
		again = earlier(again, at)
	}
	return out, again
}

// slowFailure is a pod that shows no error, and does not get anywhere either.
func slowFailure(pod *corev1.Pod, t Timing, now time.Time) (f failure, ok bool, again time.Time) {
	var limit time.Duration
	switch {
	case pod.Status.Phase == corev1.PodPending && started(pod):
		f, limit, ok = notInitialised(pod), t.Init, true
	case pod.Status.Phase == corev1.PodPending:
		f, limit, ok = notStarted(pod), t.NotStarted, true
	case pod.Status.Phase == corev1.PodRunning && jobOf(pod) == "":
		f, limit, ok = notReady(pod), t.NotReady, true
	}
	if !ok || f.reason == "" {
		return f, false, again
	}
	if from := f.since.Add(limit); now.Before(from) {
		return f, false, from
	}
	return f, true, time.Time{}
}

// notStarted is a pod that has a node and no container that ever ran; the zero failure when it is not.
func notStarted(pod *corev1.Pod) failure {
	c := podCondition(pod, corev1.PodScheduled)
	if c == nil || c.Status != corev1.ConditionTrue {
		return failure{}
	}
	return failure{reason: event.ReasonNotStarted, class: classStart, since: c.LastTransitionTime.Time,
		message: "no container has started: volumes that cannot be mounted, or a slow image pull, are the usual causes"}
}

// notInitialised is a pod one of whose init containers runs, and holds up the rest.
func notInitialised(pod *corev1.Pod) failure {
	for i := range pod.Status.InitContainerStatuses {
		cs := &pod.Status.InitContainerStatuses[i]
		if cs.State.Running == nil || cs.Ready || sidecar(pod, cs.Name) && cs.Started != nil && *cs.Started {
			continue
		}
		f := failure{reason: event.ReasonNotReady, class: classReady, since: cs.State.Running.StartedAt.Time,
			message: "init container " + cs.Name + " runs and does not come to an end"}
		f.of(pod, cs)
		return f
	}
	return failure{}
}

// notReady is a pod that runs and is not ready.
func notReady(pod *corev1.Pod) failure {
	c := podCondition(pod, corev1.PodReady)
	if c == nil || c.Status != corev1.ConditionFalse || c.Reason == "PodCompleted" {
		return failure{}
	}
	f := failure{reason: event.ReasonNotReady, class: classReady, message: c.Message, since: c.LastTransitionTime.Time}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for i := range list {
			if cs := &list[i]; !cs.Ready && cs.State.Running != nil {
				f.of(pod, cs)
				f.since = later(f.since, cs.State.Running.StartedAt)
				return f
			}
		}
	}
	return f
}

// of names the running container that a failure is about.
func (f *failure) of(pod *corev1.Pod, cs *corev1.ContainerStatus) {
	f.container, f.restarts = cs.Name, cs.RestartCount
	f.logs = &LogRef{Namespace: pod.Namespace, Pod: pod.Name, Container: cs.Name}
}

// sidecar says whether an init container is one that runs as long as the pod does.
func sidecar(pod *corev1.Pod, name string) bool {
	return slices.ContainsFunc(pod.Spec.InitContainers, func(c corev1.Container) bool {
		return c.Name == name && c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
	})
}

// started says whether any container of the pod has run.
func started(pod *corev1.Pod) bool {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for _, cs := range list {
			if cs.State.Running != nil || lastDeath(&cs) != nil {
				return true
			}
		}
	}
	return false
}

func podCondition(pod *corev1.Pod, typ corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == typ {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// jobOf is the name of the Job that made the pod, or "".
func jobOf(pod *corev1.Pod) string {
	if by := metav1.GetControllerOf(pod); by != nil && by.Kind == kindJob {
		return by.Name
	}
	return ""
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// trimPod copies the part of a pod that is ever looked at, so that the rest can be freed.
func trimPod(pod *corev1.Pod) *corev1.Pod {
	out := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, Labels: pod.Labels,
			CreationTimestamp: pod.CreationTimestamp, DeletionTimestamp: pod.DeletionTimestamp,
			OwnerReferences: pod.OwnerReferences,
		},
		Spec: corev1.PodSpec{NodeName: pod.Spec.NodeName, RestartPolicy: pod.Spec.RestartPolicy},
		Status: corev1.PodStatus{
			Phase: pod.Status.Phase, StartTime: pod.Status.StartTime, Conditions: pod.Status.Conditions,
			InitContainerStatuses: pod.Status.InitContainerStatuses, ContainerStatuses: pod.Status.ContainerStatuses,
		},
	}
	if v := pod.Annotations[annotationRunbook]; v != "" {
		out.Annotations = map[string]string{annotationRunbook: v}
	}
	out.Spec.Containers, out.Spec.InitContainers = trimContainers(pod.Spec.Containers), trimContainers(pod.Spec.InitContainers)
	return out
}

func trimContainers(containers []corev1.Container) []corev1.Container {
	var out []corev1.Container
	for _, c := range containers {
		out = append(out, corev1.Container{
			Name: c.Name, RestartPolicy: c.RestartPolicy, Resources: corev1.ResourceRequirements{Limits: memoryLimit(c)},
		})
	}
	return out
}

func memoryLimit(c corev1.Container) corev1.ResourceList {
	limit, ok := c.Resources.Limits[corev1.ResourceMemory]
	if !ok {
		return nil
	}
	return corev1.ResourceList{corev1.ResourceMemory: limit}
}

// podRecord is a pod and the workload at its top.
type podRecord struct {
	pod *corev1.Pod
	top event.Object
}

func (r *podRecord) uid() types.UID { return r.pod.UID }
