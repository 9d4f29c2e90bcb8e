package inventory

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

var made = metav1.NewTime(time.Date(2026, 11, 28, 8, 0, 0, 0, time.UTC))

func clusterWith(conditions ...metav1.Condition) *fleetv1.WorkloadCluster {
	obj := &fleetv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "clusters", Name: "c1", UID: "u1", CreationTimestamp: made}}
	obj.Spec.Environment = "prod"
	obj.Status.Conditions = conditions
	return obj
}

func is(typ string, status metav1.ConditionStatus, reason string) metav1.Condition {
	return metav1.Condition{Type: typ, Status: status, Reason: reason, Message: "m", LastTransitionTime: metav1.NewTime(made.Add(time.Hour))}
}

func TestConditions(t *testing.T) {
	const yes, no, unknown = metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown
	reachable := is(fleetv1.ConditionReachable, yes, fleetv1.ReasonSucceeded)
	for name, c := range map[string]struct {
		have            []metav1.Condition
		healthy, joined string // status and reason
	}{
		"of a cluster that was never looked at nothing is known": {
			nil, "Unknown/WaitingForPreviousStep", "Unknown/WaitingForPreviousStep"},
		"a cluster that is well is healthy and joined": {
			[]metav1.Condition{reachable, is(fleetv1.ConditionAgentConnected, yes, fleetv1.ReasonSucceeded)}, "True/Succeeded", "True/Succeeded"},
		"one that does not answer is not healthy, and of its agent nothing is known": {
			[]metav1.Condition{is(fleetv1.ConditionReachable, no, fleetv1.ReasonUnreachable), is(fleetv1.ConditionAgentConnected, unknown, fleetv1.ReasonWaiting)},
			"False/Unreachable", "Unknown/WaitingForPreviousStep"},
		"credentials that are refused say nothing of the control plane": {
			[]metav1.Condition{is(fleetv1.ConditionReachable, no, fleetv1.ReasonUnauthorized)}, "Unknown/Unauthorized", "Unknown/WaitingForPreviousStep"},
		"a silent agent is not joined": {
			[]metav1.Condition{reachable, is(fleetv1.ConditionAgentConnected, no, fleetv1.ReasonAgentSilent)}, "True/Succeeded", "False/HeartbeatsMissed"},
		"an error of the operator's own says nothing of the agent": {
			[]metav1.Condition{reachable, is(fleetv1.ConditionAgentConnected, no, fleetv1.ReasonInternal)}, "True/Succeeded", "Unknown/InternalError"},
		"of a suspended cluster nothing is known, whatever its conditions were": {
			[]metav1.Condition{reachable, is(fleetv1.ConditionAgentConnected, yes, fleetv1.ReasonSucceeded), is("Ready", unknown, fleetv1.ReasonSuspended)},
			"Unknown/Suspended", "Unknown/Suspended"},
	} {
		t.Run(name, func(t *testing.T) {
			got := map[any]string{}
			for _, condition := range conditionsOf(clusterWith(c.have...)) {
				m := condition.(map[string]any)
				got[m["type"]] = m["status"].(string) + "/" + m["reason"].(string)
			}
			if diff := cmp.Diff(map[any]string{ControlPlaneHealthy: c.healthy, Joined: c.joined}, got); diff != "" {
				t.Errorf("conditions (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAProfileSaysWhatIsKnownAndNothingElse(t *testing.T) {
	obj := clusterWith(is(fleetv1.ConditionReachable, metav1.ConditionTrue, fleetv1.ReasonSucceeded))
	obj.Status.KubernetesVersion = "v1.36.4"
	obj.Status.Cloud = fleetv1.Cloud{Provider: "AWS", Region: strings.Repeat("x", maxProperty+1)}
	want := map[string]any{
		"apiVersion": "multicluster.x-k8s.io/v1alpha1", "kind": "ClusterProfile",
		"metadata": map[string]any{
			"namespace": "clusters", "name": "c1",
			"labels": map[string]any{
				"x-k8s.io/cluster-manager": "fairway", "fleet.fairway.dev/cluster": "c1", "fleet.fairway.dev/environment": "prod",
			},
			"ownerReferences": []any{map[string]any{
				"apiVersion": "fleet.fairway.dev/v1alpha1", "kind": "WorkloadCluster", "name": "c1", "uid": "u1", "controller": true,
			}},
		},
		"spec": map[string]any{"displayName": "c1", "clusterManager": map[string]any{"name": "fairway"}},
		"status": map[string]any{
			"version": map[string]any{"kubernetes": "v1.36.4"},
			"properties": []any{
				map[string]any{"name": PropertyEnvironment, "value": "prod"}, map[string]any{"name": PropertyCloud, "value": "AWS"},
			},
			"conditions": []any{
				map[string]any{"type": ControlPlaneHealthy, "status": "True", "reason": "Succeeded", "message": "m", "lastTransitionTime": "2026-11-28T09:00:00Z"},
				map[string]any{"type": Joined, "status": "Unknown", "reason": "WaitingForPreviousStep", "message": "nothing is known yet", "lastTransitionTime": "2026-11-28T08:00:00Z"},
			},
		},
	}
	if diff := cmp.Diff(want, Profile(obj).Object); diff != "" {
		t.Errorf("profile (-want +got):\n%s", diff)
	}
}
