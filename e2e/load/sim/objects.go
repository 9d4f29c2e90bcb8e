package sim

import (
	"fmt"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

const (
	fluxNamespace = "flux-system"
	rootName      = "fairway"
	containerName = "app"
	hashLabel     = appsv1.DefaultDeploymentUniqueLabelKey
)

// service is the state of one service on a cluster, from which its objects are made.
type service struct {
	team, name string
	number     uint64 // of the change that it runs, or is going to
	before     uint64 // of the one before
	generation int64
	phase      phase
	restarts   int32
	at         time.Time // of the last step
}

// Artifact is the id of what a change with this number releases.
func Artifact(number uint64) string { return fmt.Sprintf("main-%07x-a81b", number) }

// Revision is the commit that a change with this number is in.
func Revision(number uint64) string { return fmt.Sprintf("main@sha1:%040x", number) }

func (s *service) labels(number uint64) map[string]string {
	return map[string]string{
		"kustomize.toolkit.fluxcd.io/name": s.kustomizationName(), "kustomize.toolkit.fluxcd.io/namespace": fluxNamespace,
		fleetv1.LabelTeam: s.team, fleetv1.LabelService: s.name, fleetv1.LabelArtifact: Artifact(number),
	}
}

func (s *service) kustomizationName() string { return s.team + "-" + s.name }

// kustomization is the service's, in the phase that it is in.
func (s *service) kustomization() *kustomizev1.Kustomization {
	k := newKustomization(s.kustomizationName(), "./releases/"+s.team+"/"+s.name)
	k.Labels = map[string]string{
		"kustomize.toolkit.fluxcd.io/name": rootName, "kustomize.toolkit.fluxcd.io/namespace": fluxNamespace,
		fleetv1.LabelTeam: s.team, fleetv1.LabelService: s.name, fleetv1.LabelArtifact: Artifact(s.number),
	}
	if s.phase.applying() {
		reconciled(k, metav1.ConditionUnknown, "Progressing", "Reconciliation in progress", s.number, s.before, s.at)
	} else {
		reconciled(k, metav1.ConditionTrue, "ReconciliationSucceeded", "Applied revision: "+Revision(s.number), s.number, s.number, s.at)
	}
	return k
}

func newKustomization(name, path string) *kustomizev1.Kustomization {
	return &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Namespace: fluxNamespace, Name: name, UID: types.UID(name), Generation: 1},
		Spec: kustomizev1.KustomizationSpec{
			Interval: metav1.Duration{Duration: 10 * time.Minute}, Path: path, Prune: true,
			SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: rootName},
		},
	}
}

func reconciled(k *kustomizev1.Kustomization, ready metav1.ConditionStatus, reason, message string, attempted, applied uint64, at time.Time) {
	k.Status.ObservedGeneration = k.Generation
	k.Status.LastAttemptedRevision, k.Status.LastAppliedRevision = Revision(attempted), Revision(applied)
	k.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: ready, Reason: reason, Message: message,
		ObservedGeneration: k.Generation, LastTransitionTime: seconds(at)}}
}

// deployment is the service's, in the phase that it is in.
func (s *service) deployment() *appsv1.Deployment {
	one, number := int32(1), s.rolled()
	pod := map[string]string{"app.kubernetes.io/name": s.name}
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.team, Name: s.name, UID: types.UID(s.name), Generation: s.generation,
			Labels: s.labels(number), CreationTimestamp: seconds(epochOfWorld)},
		Spec: appsv1.DeploymentSpec{Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: pod}, Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: pod},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: containerName, Image: s.image(number)}}},
		}},
		Status: appsv1.DeploymentStatus{ObservedGeneration: s.generation, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1},
	}
	reason, message := "NewReplicaSetAvailable", "ReplicaSet has successfully progressed."
	switch s.phase {
	case rolling:
		d.Status.Replicas, reason, message = 2, "ReplicaSetUpdated", "ReplicaSet is progressing."
	case degraded:
		d.Status.ReadyReplicas, d.Status.AvailableReplicas = 0, 0
	}
	d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue,
		Reason: reason, Message: message, LastUpdateTime: seconds(s.at), LastTransitionTime: seconds(s.at)}}
	return d
}

func (s *service) image(number uint64) string {
	return "ghcr.io/example/" + s.name + ":" + Artifact(number)
}

// rolled is the change that the Deployment has: Flux applies the newest a step after it begins.
func (s *service) rolled() uint64 {
	if s.phase == reconciling {
		return s.before
	}
	return s.number
}

// pod is the service's pod of a change, well or in a crash loop.
func (s *service) pod(number uint64) *corev1.Pod {
	yes, hash := true, fmt.Sprintf("%08x", number)
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.team, Name: fmt.Sprintf("%s-%s-%05d", s.name, hash, s.restarts/crashRestarts), CreationTimestamp: seconds(s.at),
			Labels: map[string]string{"app.kubernetes.io/name": s.name, hashLabel: hash},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: s.name + "-" + hash,
				UID: types.UID(hash), Controller: &yes}},
		},
		Spec: corev1.PodSpec{NodeName: nodeName, Containers: []corev1.Container{{Name: containerName, Image: s.image(number)}}},
	}
	p.UID = types.UID(p.Name)
	crashing := s.phase == crashed || s.phase == degraded
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{
		{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: seconds(s.at)},
		{Type: corev1.PodReady, Status: conditionStatus(!crashing), LastTransitionTime: seconds(s.at)},
	}, ContainerStatuses: []corev1.ContainerStatus{{Name: containerName, Ready: !crashing, State: running(s.at)}}}
	if crashing {
		status := &p.Status.ContainerStatuses[0]
		status.RestartCount = crashRestarts
		status.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
		status.LastTerminationState = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 1, Reason: "Error", StartedAt: seconds(s.at.Add(-5 * time.Second)), FinishedAt: seconds(s.at)}}
	}
	return p
}

// crashRestarts is how often a container has died when it counts as crashing.
const crashRestarts = 3

func running(at time.Time) corev1.ContainerState {
	return corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: seconds(at)}}
}

func conditionStatus(ok bool) corev1.ConditionStatus {
	if ok {
		return corev1.ConditionTrue
	}
	return corev1.ConditionFalse
}

const nodeName = "node-0"

func node() *corev1.Node {
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: nodeName}, Status: corev1.NodeStatus{
		Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}
}

func repository(number uint64) *sourcev1.GitRepository {
	g := &sourcev1.GitRepository{ObjectMeta: metav1.ObjectMeta{Namespace: fluxNamespace, Name: rootName, Generation: 1},
		Spec: sourcev1.GitRepositorySpec{URL: "https://git.example.com/fleet.git"}}
	g.Status.ObservedGeneration = 1
	g.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Succeeded",
		Message: "stored artifact for revision '" + Revision(number) + "'", ObservedGeneration: 1, LastTransitionTime: seconds(epochOfWorld)}}
	return g
}

func root(number uint64) *kustomizev1.Kustomization {
	k := newKustomization(rootName, "./clusters")
	reconciled(k, metav1.ConditionTrue, "ReconciliationSucceeded", "Applied revision: "+Revision(number), number, number, epochOfWorld)
	return k
}

// seconds is a time as Kubernetes keeps it.
func seconds(at time.Time) metav1.Time { return metav1.NewTime(at.Truncate(time.Second)) }
