package pod

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Final says whether a container that ended with code is not started again.
func Final(policy corev1.RestartPolicy, code int32, stopping bool) bool {
	switch {
	case stopping, policy == corev1.RestartPolicyNever:
		return true
	case policy == corev1.RestartPolicyOnFailure:
		return code == 0
	}
	return false
}

// Phase is the phase of a pod whose containers are as st says. A pod that is stopping ends for good with its containers.
func Phase(policy corev1.RestartPolicy, st *corev1.PodStatus, stopping bool) corev1.PodPhase {
	for _, c := range st.InitContainerStatuses {
		if t := c.State.Terminated; t != nil && t.ExitCode != 0 && Final(policy, t.ExitCode, stopping) {
			return corev1.PodFailed
		}
	}
	started, ended, failed := 0, 0, 0
	for _, c := range st.ContainerStatuses {
		t := c.State.Terminated
		if t != nil || c.State.Running != nil || c.LastTerminationState.Terminated != nil {
			started++
		}
		if t != nil && Final(policy, t.ExitCode, stopping) {
			ended++
			if t.ExitCode != 0 {
				failed++
			}
		}
	}
	switch n := len(st.ContainerStatuses); {
	case n > 0 && ended == n && failed > 0:
		return corev1.PodFailed
	case n > 0 && ended == n:
		return corev1.PodSucceeded
	case started > 0:
		return corev1.PodRunning
	}
	return corev1.PodPending
}

// SetConditions derives phase and conditions from the containers of st. hasNetwork says that the pod has its address.
func SetConditions(pod *corev1.Pod, st *corev1.PodStatus, hasNetwork, stopping bool) {
	st.ObservedGeneration = pod.Generation
	st.Phase = Phase(pod.Spec.RestartPolicy, st, stopping)
	var incomplete, unready []string
	for _, c := range st.InitContainerStatuses {
		if t := c.State.Terminated; t == nil || t.ExitCode != 0 {
			incomplete = append(incomplete, c.Name)
		}
	}
	for _, c := range st.ContainerStatuses {
		if !c.Ready {
			unready = append(unready, c.Name)
		}
	}
	ready := corev1.PodCondition{Status: corev1.ConditionTrue}
	switch {
	case st.Phase == corev1.PodSucceeded:
		ready = no("PodCompleted", "")
	case st.Phase == corev1.PodFailed:
		ready = no("PodFailed", "")
	case len(unready) > 0:
		ready = no("ContainersNotReady", fmt.Sprintf("containers with unready status: %v", unready))
	}
	initialized := corev1.PodCondition{Status: corev1.ConditionTrue}
	if len(incomplete) > 0 {
		initialized = no("ContainersNotInitialized", fmt.Sprintf("containers with incomplete status: %v", incomplete))
	}
	network := corev1.PodCondition{Status: corev1.ConditionTrue}
	if !hasNetwork {
		network = no("", "")
	}
	setCondition(pod, st, corev1.PodReadyToStartContainers, network)
	setCondition(pod, st, corev1.PodInitialized, initialized)
	setCondition(pod, st, corev1.ContainersReady, ready)
	setCondition(pod, st, corev1.PodReady, ready)
}

func no(reason, message string) corev1.PodCondition {
	return corev1.PodCondition{Status: corev1.ConditionFalse, Reason: reason, Message: message}
}

func setCondition(pod *corev1.Pod, st *corev1.PodStatus, t corev1.PodConditionType, c corev1.PodCondition) {
	c.Type, c.ObservedGeneration = t, pod.Generation
	for i, old := range st.Conditions {
		if old.Type != t {
			continue
		}
		c.LastTransitionTime, c.LastProbeTime = old.LastTransitionTime, old.LastProbeTime
		if old.Status != c.Status {
			c.LastTransitionTime = metav1.Now()
		}
		st.Conditions[i] = c
		return
	}
	c.LastTransitionTime = metav1.Now()
	st.Conditions = append(st.Conditions, c)
}

// Resume is where a container goes on when a node takes over a pod that ran before, as after a reboot; run says whether it is
// started. What was running has ended without anybody seeing how.
func Resume(old corev1.ContainerStatus, policy corev1.RestartPolicy, now metav1.Time) (next corev1.ContainerStatus, run bool) {
	started := false
	next = corev1.ContainerStatus{
		Name: old.Name, Image: old.Image, Started: &started,
		RestartCount: old.RestartCount, LastTerminationState: old.LastTerminationState,
		State: waiting("ContainerCreating", ""),
	}
	last := old.State.Terminated
	if r := old.State.Running; r != nil {
		last = &corev1.ContainerStateTerminated{
			ExitCode: 255, Reason: "Unknown", Message: "the node was restarted",
			StartedAt: r.StartedAt, FinishedAt: now, ContainerID: old.ContainerID,
		}
	}
	if last != nil && Final(policy, last.ExitCode, false) {
		next.State = corev1.ContainerState{Terminated: last}
		next.ContainerID, next.ImageID = old.ContainerID, old.ImageID
		return next, false
	}
	if last != nil {
		next.LastTerminationState = corev1.ContainerState{Terminated: last}
	}
	if next.LastTerminationState.Terminated != nil {
		next.RestartCount++
	}
	return next, true
}

func waiting(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

// eachContainer calls f for every container status, init containers first.
func eachContainer(st *corev1.PodStatus, f func(*corev1.ContainerStatus)) {
	for i := range st.InitContainerStatuses {
		f(&st.InitContainerStatuses[i])
	}
	for i := range st.ContainerStatuses {
		f(&st.ContainerStatuses[i])
	}
}
