package observe

import (
	"fmt"
	"strings"
	"testing"
	"time"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairway-dev/fairway/api/event"
)

// day is when every script begins. Times in scripts are seconds after it.
var day = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func sec(n int) time.Time        { return day.Add(time.Duration(n) * time.Second) }
func at(n int) metav1.Time       { return metav1.NewTime(sec(n)) }
func ptr[T any](v T) *T          { return &v }
func words(w ...string) []string { return w }

// step is a moment of a script: what happens then, and what is said.
type step struct {
	at     int
	apply  Object
	remove Object
	want   []string // "type object details"; nil: nothing
}

// play runs a script. A step without an object only lets time pass.
func play(t *testing.T, steps []step) *Observer {
	t.Helper()
	o := New(Options{Cluster: "c1"})
	for i, s := range steps {
		var r Result
		switch {
		case s.apply != nil:
			r = o.Apply(s.apply, sec(s.at))
		case s.remove != nil:
			r = o.Remove(s.remove, sec(s.at))
		default:
			r = o.Recheck(sec(s.at))
		}
		if diff := cmp.Diff(s.want, lines(r.Drafts)); diff != "" {
			t.Errorf("step %d, at %d s (-want +got):\n%s", i+1, s.at, diff)
		}
	}
	for after := range steps {
		playWithRestart(t, steps, after)
	}
	return o
}

// lines writes drafts as "what object details".
func lines(drafts []Draft) []string {
	var out []string
	for _, d := range drafts {
		var detail string
		switch data := d.Data.(type) {
		case event.Flux:
			detail = fmt.Sprintf("%s %s", data.Reason, d.Revision)
		case event.Workload:
			detail = fmt.Sprintf("%d/%d %s", data.Available, data.Desired, data.Reason)
		case event.Episode:
			detail = data.Reason
			if data.Container != "" {
				detail += " in " + data.Container
			}
			if data.ExitCode != nil {
				detail += fmt.Sprintf(" exit %d", *data.ExitCode)
			}
			if data.ResolvedBy != "" {
				detail += ": " + data.ResolvedBy
			}
		case event.Cluster:
			detail = fmt.Sprintf("%d/%d nodes %s %s", data.NodesReady, data.NodesTotal, data.KubernetesVersion, data.FluxVersion)
		}
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s.%s %s %s", d.Type.Kind(), d.Type.What(), d.Object, strings.TrimSpace(detail))))
	}
	return out
}

func meta1(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: "pay", Name: name, Generation: 1, CreationTimestamp: at(0), UID: types.UID(name)}
}

// change copies an object with a change.
func change[T any, P interface {
	*T
	DeepCopy() *T
}](obj P, f func(P)) P {
	out := P(obj.DeepCopy())
	f(out)
	return out
}

func deployment(want, updated, available int32, more ...func(*appsv1.Deployment)) *appsv1.Deployment {
	d := &appsv1.Deployment{ObjectMeta: meta1("ledger")}
	d.Spec.Replicas = &want
	d.Spec.Template.Spec.Containers = []corev1.Container{{Name: "app", Image: "ledger:1"}}
	d.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: want, UpdatedReplicas: updated, ReadyReplicas: available, AvailableReplicas: available}
	for _, f := range more {
		f(d)
	}
	return d
}

func generation(n int64) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Generation = n }
}

func observed(n int64) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) { d.Generation, d.Status.ObservedGeneration = n, n }
}

func progressing(reason string, seconds int) func(*appsv1.Deployment) {
	return func(d *appsv1.Deployment) {
		d.Status.Conditions = append(d.Status.Conditions, appsv1.DeploymentCondition{
			Type: appsv1.DeploymentProgressing, Reason: reason, LastUpdateTime: at(seconds), LastTransitionTime: at(seconds), Message: reason})
	}
}

func pod(name string, more ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: meta1("ledger-5d9c7b8f64-" + name)}
	p.Labels = map[string]string{appsv1.DefaultDeploymentUniqueLabelKey: "5d9c7b8f64"}
	p.OwnerReferences = []metav1.OwnerReference{{Kind: "ReplicaSet", Name: "ledger-5d9c7b8f64", Controller: ptr(true)}}
	p.Spec.NodeName = "n1"
	p.Status.Phase = corev1.PodRunning
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: at(0)}}
	for _, f := range more {
		f(p)
	}
	return p
}

func jobPod(job string, more ...func(*corev1.Pod)) *corev1.Pod {
	return pod(job, append([]func(*corev1.Pod){func(p *corev1.Pod) {
		p.Name, p.Labels = job+"-x", nil
		p.OwnerReferences = []metav1.OwnerReference{{Kind: "Job", Name: job, Controller: ptr(true)}}
	}}, more...)...)
}

func ready(seconds int) func(*corev1.Pod) { return readiness(corev1.ConditionTrue, seconds) }

func unready(seconds int) func(*corev1.Pod) { return readiness(corev1.ConditionFalse, seconds) }

func readiness(status corev1.ConditionStatus, seconds int) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		for _, typ := range []corev1.PodConditionType{corev1.PodReady, corev1.ContainersReady} {
			p.Status.Conditions = append(p.Status.Conditions, corev1.PodCondition{Type: typ, Status: status, LastTransitionTime: at(seconds)})
		}
	}
}

// waiting is a container that the kubelet does not start.
func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

func running(since int) corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: at(since)}}
}

func dead(code int32, from, to int, reason ...string) corev1.ContainerState {
	s := &corev1.ContainerStateTerminated{ExitCode: code, StartedAt: at(from), FinishedAt: at(to), Reason: "Error"}
	if reason != nil {
		s.Reason = reason[0]
	}
	return corev1.ContainerState{Terminated: s}
}

// app sets the state of container app: now, and of its last life.
func app(restarts int32, now corev1.ContainerState, last ...corev1.ContainerState) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		cs := corev1.ContainerStatus{Name: "app", RestartCount: restarts, State: now}
		if last != nil {
			cs.LastTerminationState = last[0]
		}
		if c := podCondition(p, corev1.PodReady); c != nil && c.Status == corev1.ConditionTrue {
			cs.Ready = true
		}
		p.Status.ContainerStatuses = []corev1.ContainerStatus{cs}
	}
}

func going(p *corev1.Pod) { p.DeletionTimestamp = ptr(at(0)) }

func phase(v corev1.PodPhase) func(*corev1.Pod) { return func(p *corev1.Pod) { p.Status.Phase = v } }

func condition(typ string, status metav1.ConditionStatus, reason, message string, seconds int) metav1.Condition {
	return metav1.Condition{Type: typ, Status: status, Reason: reason, Message: message, LastTransitionTime: at(seconds), ObservedGeneration: 1}
}

func kustomization(attempted, applied string, conds ...metav1.Condition) *kustomizev1.Kustomization {
	k := &kustomizev1.Kustomization{ObjectMeta: meta1("apps")}
	k.Spec.SourceRef = kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: "config"}
	k.Status = kustomizev1.KustomizationStatus{ObservedGeneration: 1, Conditions: conds, LastAttemptedRevision: attempted, LastAppliedRevision: applied}
	return k
}

func helmRelease(attempted string, conds ...metav1.Condition) *helmv2.HelmRelease {
	h := &helmv2.HelmRelease{ObjectMeta: meta1("redis")}
	h.Status = helmv2.HelmReleaseStatus{ObservedGeneration: 1, Conditions: conds, LastAttemptedRevision: attempted}
	return h
}

func gitRepository(revision string, conds ...metav1.Condition) *sourcev1.GitRepository {
	g := &sourcev1.GitRepository{ObjectMeta: meta1("config")}
	g.Status = sourcev1.GitRepositoryStatus{ObservedGeneration: 1, Conditions: conds}
	if revision != "" {
		g.Status.Artifact = &meta.Artifact{Revision: revision, LastUpdateTime: at(1)}
	}
	return g
}

func job(name string, conds ...batchv1.JobCondition) *batchv1.Job {
	j := &batchv1.Job{ObjectMeta: meta1(name)}
	j.Status.Conditions = conds
	return j
}

func jobCondition(typ batchv1.JobConditionType, reason string, seconds int) batchv1.JobCondition {
	return batchv1.JobCondition{Type: typ, Status: corev1.ConditionTrue, Reason: reason, Message: "m", LastTransitionTime: at(seconds)}
}

func ofCronJob(j *batchv1.Job, created int) *batchv1.Job {
	j.OwnerReferences = []metav1.OwnerReference{{Kind: "CronJob", Name: "nightly", Controller: ptr(true)}}
	j.CreationTimestamp = at(created)
	return j
}

func memoryLimits(limit string) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)}
}
