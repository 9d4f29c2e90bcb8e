package workloadcluster

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/eventbus"
	"github.com/fairway-dev/fairway/operator/steps"
)

func TestAgentOutcome(t *testing.T) {
	heard := Agent{LastHeartbeat: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	away := errors.New("the bus is away")
	for name, c := range map[string]struct {
		seen    agentSeen
		want    short
		message string
	}{
		"heartbeats and a snapshot make it connected":           {agentSeen{heard: true, agent: Agent{Connected: true, Snapshot: true}}, short{State: steps.Done, Reason: fleetv1.ReasonSucceeded}, "snapshot"},
		"without a snapshot it is on its way":                   {agentSeen{heard: true, agent: Agent{Connected: true}}, short{State: steps.Working, Reason: fleetv1.ReasonAgentRollingOut}, "snapshot has not arrived"},
		"one that was never heard is on its way":                {agentSeen{}, short{State: steps.Working, Reason: fleetv1.ReasonAgentRollingOut}, "not been heard"},
		"what is not ready of it is named":                      {agentSeen{pending: []string{"Deployment/x"}}, short{State: steps.Working, Reason: fleetv1.ReasonAgentRollingOut}, "Deployment/x"},
		"one that stopped is told of with its last heartbeat":   {agentSeen{heard: true, agent: heard}, short{State: steps.Failing, Reason: fleetv1.ReasonAgentSilent}, "2026-01-02T03:04:05Z"},
		"why its pod does not run comes before its silence":     {agentSeen{heard: true, agent: heard, trouble: "no image"}, short{State: steps.Failing, Reason: fleetv1.ReasonAgentFailing}, "no image"},
		"foreign credentials come before everything":            {agentSeen{foreign: "cluster x", blind: away, agent: Agent{Connected: true, Snapshot: true}}, short{State: steps.Failing, Reason: fleetv1.ReasonAgentRefused}, "cluster x"},
		"a blind operator believes what it knew for a while":    {agentSeen{blind: away, blindFor: time.Second, patience: time.Minute, connected: true}, short{State: steps.Done, Reason: fleetv1.ReasonSucceeded}, ""},
		"and no longer, even if it remembers a heartbeat":       {agentSeen{blind: away, blindFor: time.Hour, patience: time.Minute, connected: true, heard: true, agent: Agent{Connected: true, Snapshot: true}}, short{State: steps.Waiting, Reason: fleetv1.ReasonEventsUnreachable}, "the bus is away"},
		"a blind operator does not guess at what it never knew": {agentSeen{blind: away, blindFor: time.Second, patience: time.Minute}, short{State: steps.Waiting, Reason: fleetv1.ReasonEventsUnreachable}, "cannot be told"},
	} {
		t.Run(name, func(t *testing.T) {
			got := agentOutcome(c.seen)
			if diff := cmp.Diff(c.want, shorten(got)); diff != "" || !strings.Contains(got.Message, c.message) {
				t.Errorf("the message lacks %q: %s (-want +have):\n%s", c.message, got.Message, diff)
			}
		})
	}
}

func TestAgentNotConfigured(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want short
	}{
		"keys that are not made yet are waited for": {eventbus.ErrNoKeys, short{steps.Waiting, fleetv1.ReasonNoFleet, "poll"}},
		"an address that is missing is told of":     {eventbus.ErrNoAddress, short{steps.Working, fleetv1.ReasonEventsAddress, "poll"}},
		"credentials that cannot be made are":       {errors.New("boom"), short{steps.Failing, fleetv1.ReasonCredentials, "backoff"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, shorten(agentNotConfigured(c.err))); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestTrouble(t *testing.T) {
	pod := func(age time.Duration, status corev1.PodStatus) corev1.Pod {
		return corev1.Pod{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(time.Unix(1e9, 0).Add(-age))}, Status: status}
	}
	waiting := func(reason, message string) corev1.PodStatus {
		return corev1.PodStatus{ContainerStatuses: []corev1.ContainerStatus{{State: corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}}}}
	}
	died := func(message string) corev1.PodStatus {
		status := waiting("CrashLoopBackOff", "back-off")
		status.ContainerStatuses[0].LastTerminationState.Terminated = &corev1.ContainerStateTerminated{ExitCode: 1, Message: message}
		return status
	}
	for name, c := range map[string]struct {
		pods []corev1.Pod
		want string
	}{
		"no pod says nothing":                        {nil, ""},
		"a pod that starts says nothing":             {[]corev1.Pod{pod(0, waiting("ContainerCreating", ""))}, ""},
		"an image that cannot be pulled is named":    {[]corev1.Pod{pod(0, waiting("ImagePullBackOff", "no such image"))}, "the agent's container waits: ImagePullBackOff: no such image"},
		"an agent that dies is quoted":               {[]corev1.Pod{pod(0, died("the event bus refuses it"))}, "the agent ended with code 1: the event bus refuses it"},
		"one that says nothing has its logs named":   {[]corev1.Pod{pod(0, died(""))}, "the agent ended with code 1; see: kubectl logs --previous -n fairway-system deploy/fairway-agent"},
		"only the newest pod counts":                 {[]corev1.Pod{pod(time.Hour, died("old")), pod(0, waiting("PodInitializing", ""))}, ""},
		"a pod that finds no node says why it waits": {[]corev1.Pod{pod(0, corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Message: "0/3 nodes are available"}}})}, "the agent's pod cannot be scheduled: 0/3 nodes are available"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, trouble(c.pods)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}
