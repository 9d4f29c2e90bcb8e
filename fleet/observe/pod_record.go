package observe

import (
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-dev/fairway/api/event"
)

func (o *Observer) applyPod(pod *corev1.Pod, now time.Time) {
	k := key(pod)
	if prev := o.pods[k]; prev != nil && prev.uid() != pod.UID {
		o.removePod(k, now) // another pod of the same name
	}
	top := o.topOf(pod)
	if prev := o.pods[k]; prev != nil && prev.top != top {
		o.leave(k, prev.top, now)
	}
	rec := &podRecord{pod: pod, top: top}
	o.pods[k] = rec
	index(o.podsOf, top, k)
	fs, again := o.failuresOf(rec, now)
	o.again(k, again)
	for _, f := range fs {
		ep := o.report(o.identityOf(rec), f, pod.Name, pod.Spec.NodeName, now)
		ep.members[k] = true
	}
	for _, ep := range slices.Clone(o.episodes[top]) {
		if ep.restored && mayShow(ep, pod) {
			ep.members[k] = true
		}
		if ep.members[k] && !slices.ContainsFunc(fs, ep.is) {
			o.consider(ep, rec, now)
		}
	}
	o.settle(top, now)
	o.retell(top, now)
}

// failuresOf leaves out of a pod's failures what another episode already tells: the pods of a Job
// that has ended, a workload that is gone, a pod that is not ready because it crashes.
func (o *Observer) failuresOf(rec *podRecord, now time.Time) ([]failure, time.Time) {
	if _, gone := o.removed[rec.top]; gone {
		return nil, time.Time{}
	}
	if name := jobOf(rec.pod); name != "" {
		job := o.work[event.Object{Kind: kindJob, Namespace: rec.pod.Namespace, Name: name}]
		if job != nil && (job.complete || job.failed) {
			return nil, time.Time{}
		}
	}
	fs, again := podFailures(rec.pod, o.opts.Timing, now)
	fs = slices.DeleteFunc(fs, func(f failure) bool {
		return f.class == classReady && slices.ContainsFunc(o.episodes[rec.top], func(ep *episode) bool {
			return ep.class != classReady && (ep.members[key(rec.pod)] || ep.data.Reason == event.ReasonProgressDeadline)
		})
	})
	return fs, again
}

// mayShow says whether a pod may have shown an episode that was restored: then it has to be well for
// as long as any other. A container that never died did not crash.
func mayShow(ep *episode, pod *corev1.Pod) bool {
	if ep.class == classObject {
		return false
	}
	if ep.class != classCrash {
		return true
	}
	cs := containerStatus(pod, ep.data.Container)
	return cs != nil && lastDeath(cs) != nil
}

// consider takes a pod out of an episode that it no longer shows, once it is clear that it is
// over for this pod.
func (o *Observer) consider(ep *episode, rec *podRecord, now time.Time) {
	k := key(rec.pod)
	if rec.pod.DeletionTimestamp != nil || rec.pod.Status.Phase == corev1.PodFailed || rec.pod.Status.Phase == corev1.PodSucceeded {
		delete(ep.members, k)
		return
	}
	how, again := ended(ep, rec.pod, o.opts.Timing, now)
	o.again(k, again)
	if how != "" {
		delete(ep.members, k)
		ep.recovered = how
	}
}

// ended says how the failure is over for a pod that is still there, or "".
func ended(ep *episode, pod *corev1.Pod, t Timing, now time.Time) (how string, again time.Time) {
	switch ep.class {
	case classSchedule:
		return "pod scheduled", time.Time{}
	case classReady:
		if cs := containerStatus(pod, ep.data.Container); cs != nil && cs.State.Terminated != nil && cs.State.Terminated.ExitCode == 0 {
			return "container completed", time.Time{} // an init container
		}
		c := podCondition(pod, corev1.PodReady)
		if c == nil || c.Status != corev1.ConditionTrue {
			return "", time.Time{}
		}
		if end := c.LastTransitionTime.Add(t.Stable); now.Before(end) {
			return "", end
		}
		return "pod ready for " + t.Stable.String(), time.Time{}
	}
	if ep.data.Container == "" { // no container had started
		if started(pod) {
			return "container started", time.Time{}
		}
		return "", time.Time{}
	}
	cs := containerStatus(pod, ep.data.Container)
	switch {
	case cs == nil:
		return "", time.Time{}
	case ep.class == classCrash:
		return recovered(pod, cs, t, now)
	case cs.State.Running != nil || cs.State.Terminated != nil,
		cs.State.Waiting != nil && waitingReasons[cs.State.Waiting.Reason] == event.ReasonCrashLoop:
		return "container started", time.Time{}
	}
	return "", time.Time{}
}

func containerStatus(pod *corev1.Pod, name string) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for i := range list {
			if list[i].Name == name {
				return &list[i]
			}
		}
	}
	return nil
}

func (o *Observer) removePod(k event.Object, now time.Time) {
	rec := o.pods[k]
	if rec == nil {
		return
	}
	delete(o.pods, k)
	delete(o.due, k)
	o.leave(k, rec.top, now)
}

// leave takes a pod from under its top owner: it is gone, which says nothing about the failure.
func (o *Observer) leave(k, top event.Object, now time.Time) {
	unindex(o.podsOf, top, k)
	for _, ep := range o.episodes[top] {
		delete(ep.members, k)
	}
	o.settle(top, now)
	o.retell(top, now)
}

// topOf is the object at the top of a pod's owners: a Deployment rather than its ReplicaSet, a
// CronJob rather than its Job. ReplicaSets are not watched: the name of one that a Deployment made
// is the Deployment's and the pod's template hash.
func (o *Observer) topOf(pod *corev1.Pod) event.Object {
	by := metav1.GetControllerOf(pod)
	if by == nil || by.Kind == kindNode {
		return key(pod)
	}
	top := event.Object{Kind: by.Kind, Namespace: pod.Namespace, Name: by.Name}
	switch by.Kind {
	case kindReplicaSet:
		name, ok := strings.CutSuffix(by.Name, "-"+pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey])
		deployment := event.Object{Kind: kindDeployment, Namespace: pod.Namespace, Name: name}
		_, gone := o.removed[deployment]
		if ok && name != "" && (gone || o.work[deployment] != nil) {
			return deployment
		}
	case kindJob:
		if job := o.work[top]; job != nil {
			return topOfWorkload(job)
		}
	}
	return top
}

// identityOf is the identity of the pod's top owner; the pod's own labels where that one is not
// known.
func (o *Observer) identityOf(rec *podRecord) identity {
	id := identify(rec.pod, &o.opts)
	if w := o.work[rec.top]; w != nil {
		id = w.identity
	} else if w := o.work[event.Object{Kind: kindJob, Namespace: rec.pod.Namespace, Name: jobOf(rec.pod)}]; w != nil {
		id = w.identity
	}
	id.object = rec.top
	return id
}

// lastFailedPod fills in how the Job's container that failed last ended, and names its pod.
func (o *Observer) lastFailedPod(job event.Object, f *failure) (pod, node string) {
	var last time.Time
	for _, k := range slices.SortedFunc(maps.Keys(o.pods), compareObjects) {
		rec := o.pods[k]
		if k.Namespace != job.Namespace || jobOf(rec.pod) != job.Name {
			continue
		}
		for _, list := range [][]corev1.ContainerStatus{rec.pod.Status.InitContainerStatuses, rec.pod.Status.ContainerStatuses} {
			for i := range list {
				died := lastDeath(&list[i])
				if died == nil || died.ExitCode == 0 || died.FinishedAt.Time.Before(last) {
					continue
				}
				last, pod, node = died.FinishedAt.Time, rec.pod.Name, rec.pod.Spec.NodeName
				c := crash(rec.pod, &list[i], false)
				f.exit, f.restarts, f.container, f.logs = c.exit, c.restarts, "", c.logs
				f.death = c.message
			}
		}
	}
	if f.death != "" {
		f.message += "; " + f.death
	}
	return pod, node
}
