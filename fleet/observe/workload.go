package observe

import (
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-dev/fairway/api/event"
)

// workload is what matters of a Deployment, StatefulSet, DaemonSet or Job, in the same form.
type workload struct {
	identity
	data event.Workload
	// complete: every replica of the newest generation is available, or the Job succeeded.
	complete bool
	// rolledOut: the rollout of this generation has been complete at some time, as far as the
	// object itself tells.
	rolledOut bool
	failed    bool      // a Job that failed, or a rollout past its deadline
	at        time.Time // of the last change that the object dates; zero: none
	scheduler event.Object
	flux      string // version, on Flux's own controllers
}

// readWorkload brings a workload into the common form. ok is false for all other kinds.
func readWorkload(obj Object, o *Options) (w workload, ok bool) {
	switch obj := obj.(type) {
	case *appsv1.Deployment:
		w = readDeployment(obj, o)
	case *appsv1.StatefulSet:
		w = readStatefulSet(obj, o)
	case *appsv1.DaemonSet:
		w = readDaemonSet(obj, o)
	case *batchv1.Job:
		w = readJob(obj, o)
	default:
		return workload{}, false
	}
	w.data.Generation, w.data.Owner = obj.GetGeneration(), w.owner
	w.data.Reason, w.data.Message = o.Redact.Word(w.data.Reason), o.Redact.Clean(w.data.Message)
	return w, true
}

func readDeployment(obj *appsv1.Deployment, o *Options) workload {
	s := obj.Status
	w := workload{
		identity: identify(obj, o, obj.Spec.Template.Labels, obj.Spec.Template.Annotations),
		data: event.Workload{
			Desired: replicas(obj.Spec.Replicas), Updated: s.UpdatedReplicas, Ready: s.ReadyReplicas,
			Available: s.AvailableReplicas, Images: images(obj.Spec.Template.Spec),
		},
		flux: fluxVersion(obj),
	}
	want := w.data.Desired
	observed := s.ObservedGeneration >= obj.Generation
	w.complete = observed && s.UpdatedReplicas == want && s.Replicas == want && s.AvailableReplicas >= want
	for _, c := range s.Conditions {
		switch c.Type {
		case appsv1.DeploymentProgressing:
			w.rolledOut = c.Reason == "NewReplicaSetAvailable"
			w.failed = observed && c.Reason == event.ReasonProgressDeadline && !w.complete
			w.at = later(w.at, c.LastUpdateTime)
			if !w.rolledOut && !w.complete {
				w.data.Reason, w.data.Message = c.Reason, c.Message
			}
		case appsv1.DeploymentAvailable:
			w.at = later(w.at, c.LastTransitionTime)
			if c.Status == corev1.ConditionFalse && w.data.Reason == "" {
				w.data.Reason, w.data.Message = c.Reason, c.Message
			}
		}
	}
	for _, c := range s.Conditions { // why pods cannot be made explains the rest: quota, admission
		if c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue {
			w.data.Reason, w.data.Message = c.Reason, c.Message
		}
	}
	if w.failed {
		w.data.Reason = event.ReasonProgressDeadline
	}
	return w
}

func readStatefulSet(obj *appsv1.StatefulSet, o *Options) workload {
	s := obj.Status
	w := workload{
		identity: identify(obj, o, obj.Spec.Template.Labels, obj.Spec.Template.Annotations),
		data: event.Workload{
			Desired: replicas(obj.Spec.Replicas), Updated: s.UpdatedReplicas, Ready: s.ReadyReplicas,
			Available: s.AvailableReplicas, Images: images(obj.Spec.Template.Spec),
		},
	}
	rolled := true
	if u := obj.Spec.UpdateStrategy; u.Type != appsv1.OnDeleteStatefulSetStrategyType {
		want := w.data.Desired
		if u.RollingUpdate != nil && u.RollingUpdate.Partition != nil {
			want = max(0, want-*u.RollingUpdate.Partition)
		}
		rolled = s.UpdatedReplicas >= want || s.CurrentRevision == s.UpdateRevision
	}
	observed := s.ObservedGeneration >= obj.Generation
	w.complete = observed && rolled && s.Replicas == w.data.Desired && s.AvailableReplicas >= w.data.Desired
	w.rolledOut = observed && rolled && s.Replicas == w.data.Desired && s.AvailableReplicas > 0
	return w
}

func readDaemonSet(obj *appsv1.DaemonSet, o *Options) workload {
	s := obj.Status
	w := workload{
		identity: identify(obj, o, obj.Spec.Template.Labels, obj.Spec.Template.Annotations),
		data: event.Workload{
			Desired: s.DesiredNumberScheduled, Updated: s.UpdatedNumberScheduled, Ready: s.NumberReady,
			Available: s.NumberAvailable, Images: images(obj.Spec.Template.Spec),
		},
	}
	rolled := obj.Spec.UpdateStrategy.Type == appsv1.OnDeleteDaemonSetStrategyType ||
		s.UpdatedNumberScheduled >= s.DesiredNumberScheduled
	observed := s.ObservedGeneration >= obj.Generation
	w.complete = observed && rolled && s.NumberAvailable >= s.DesiredNumberScheduled
	w.rolledOut = observed && rolled && s.NumberAvailable > 0
	return w
}

func readJob(obj *batchv1.Job, o *Options) workload {
	w := workload{
		identity: identify(obj, o, obj.Spec.Template.Labels, obj.Spec.Template.Annotations),
		data: event.Workload{
			Desired: replicas(obj.Spec.Completions), Updated: obj.Status.Active, Ready: obj.Status.Active,
			Available: obj.Status.Succeeded, Images: images(obj.Spec.Template.Spec),
		},
	}
	if by := metav1.GetControllerOf(obj); by != nil && by.Kind == kindCronJob {
		w.scheduler = event.Object{Kind: kindCronJob, Namespace: obj.Namespace, Name: by.Name}
	}
	if obj.Status.StartTime != nil {
		w.at = obj.Status.StartTime.Time
	}
	for _, c := range obj.Status.Conditions {
		if c.Status != corev1.ConditionTrue {
			continue
		}
		switch c.Type {
		case batchv1.JobComplete:
			w.complete = true
			w.at = later(w.at, c.LastTransitionTime)
		case batchv1.JobFailed:
			w.failed = true
			w.data.Reason, w.data.Message = c.Reason, c.Message
			w.at = later(w.at, c.LastTransitionTime)
		case batchv1.JobSuspended:
			w.data.Reason, w.data.Message = c.Reason, c.Message
		}
	}
	return w
}

func replicas(n *int32) int32 {
	if n == nil {
		return 1
	}
	return *n
}

// images lists the images of a pod template, init containers first, each once, the first maxListed.
func images(spec corev1.PodSpec) []string {
	var out []string
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		image := strings.ToValidUTF8(c.Image[:min(len(c.Image), maxImage)], "")
		if len(out) < maxListed && !slices.Contains(out, image) {
			out = append(out, image)
		}
	}
	return out
}

func later(a time.Time, b metav1.Time) time.Time {
	if b.After(a) {
		return b.Time
	}
	return a
}
