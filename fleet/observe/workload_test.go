package observe

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-dev/fairway/api/event"
)

func TestWorkloadTransitions(t *testing.T) {
	stateful := func(want, updated, available int32) *appsv1.StatefulSet {
		s := &appsv1.StatefulSet{ObjectMeta: meta1("db")}
		s.Spec.Replicas = &want
		s.Status = appsv1.StatefulSetStatus{ObservedGeneration: 1, Replicas: want, UpdatedReplicas: updated, ReadyReplicas: available,
			AvailableReplicas: available, CurrentRevision: "a", UpdateRevision: "b"}
		return s
	}
	daemon := func(want, available int32) *appsv1.DaemonSet {
		d := &appsv1.DaemonSet{ObjectMeta: meta1("proxy")}
		d.Status = appsv1.DaemonSetStatus{ObservedGeneration: 1, DesiredNumberScheduled: want, UpdatedNumberScheduled: want, NumberReady: available, NumberAvailable: available}
		return d
	}
	for name, steps := range map[string][]step{
		"a new Deployment rolls and is available": {
			{at: 0, apply: deployment(2, 0, 0), want: words("workload.rolling Deployment/pay/ledger 0/2")},
			{at: 1, apply: deployment(2, 2, 1)},
			{at: 2, apply: deployment(2, 2, 2), want: words("workload.available Deployment/pay/ledger 2/2")},
		},
		"a resource version alone says nothing": {
			{at: 0, apply: deployment(2, 2, 2), want: words("workload.available Deployment/pay/ledger 2/2")},
			{at: 1, apply: change(deployment(2, 2, 2), func(d *appsv1.Deployment) { d.ResourceVersion = "2" })},
		},
		"a finished rollout that loses a replica is degraded, and available when it is back": {
			{at: 0, apply: deployment(5, 5, 5), want: words("workload.available Deployment/pay/ledger 5/5")},
			{at: 1, apply: deployment(5, 5, 4), want: words("workload.degraded Deployment/pay/ledger 4/5")},
			{at: 2, apply: deployment(5, 5, 5), want: words("workload.available Deployment/pay/ledger 5/5")},
		},
		"counts of a degraded workload are told at most once a minute": {
			{at: 0, apply: deployment(5, 5, 5), want: words("workload.available Deployment/pay/ledger 5/5")},
			{at: 1, apply: deployment(5, 5, 4), want: words("workload.degraded Deployment/pay/ledger 4/5")},
			{at: 2, apply: deployment(5, 5, 3)},
			{at: 3, apply: deployment(5, 5, 2)},
			{at: 60},
			{at: 61, want: words("workload.degraded Deployment/pay/ledger 2/5")},
			{at: 200},
		},
		"another generation rolls, also before it was observed": {
			{at: 0, apply: deployment(2, 2, 2), want: words("workload.available Deployment/pay/ledger 2/2")},
			{at: 1, apply: deployment(2, 2, 2, generation(2)), want: words("workload.rolling Deployment/pay/ledger 2/2")},
			{at: 2, apply: deployment(2, 1, 2, observed(2))},
			{at: 3, apply: deployment(2, 2, 2, observed(2)), want: words("workload.available Deployment/pay/ledger 2/2")},
		},
		"scaling up is no degradation": {
			{at: 0, apply: deployment(2, 2, 2), want: words("workload.available Deployment/pay/ledger 2/2")},
			{at: 1, apply: deployment(5, 5, 2, observed(2), progressing("NewReplicaSetAvailable", 0)), want: words("workload.rolling Deployment/pay/ledger 2/5")},
			{at: 2, apply: deployment(5, 5, 5, observed(2)), want: words("workload.available Deployment/pay/ledger 5/5")},
		},
		"scaled to nothing is available": {
			{at: 0, apply: deployment(0, 0, 0), want: words("workload.available Deployment/pay/ledger 0/0")},
		},
		"a rollout that is first seen short of replicas, long after it was finished, is degraded": {
			{at: 5, apply: deployment(2, 2, 1, progressing("NewReplicaSetAvailable", 1)), want: words("workload.degraded Deployment/pay/ledger 1/2")},
		},
		"a rollout past its deadline is degraded and has an episode": {
			{at: 0, apply: deployment(1, 1, 0), want: words("workload.rolling Deployment/pay/ledger 0/1")},
			{at: 9, apply: deployment(1, 1, 0, progressing("ProgressDeadlineExceeded", 9)), want: words(
				"episode.opened Deployment/pay/ledger ProgressDeadlineExceeded", "workload.degraded Deployment/pay/ledger 0/1 ProgressDeadlineExceeded")},
			{at: 10, apply: deployment(1, 1, 0, progressing("ProgressDeadlineExceeded", 9))},
			{at: 20, apply: deployment(1, 1, 1, progressing("NewReplicaSetAvailable", 20)), want: words(
				"episode.resolved Deployment/pay/ledger ProgressDeadlineExceeded: rollout available", "workload.available Deployment/pay/ledger 1/1")},
		},
		"a removed workload takes its episode with it": {
			{at: 9, apply: deployment(1, 1, 0, progressing("ProgressDeadlineExceeded", 9)), want: words(
				"episode.opened Deployment/pay/ledger ProgressDeadlineExceeded", "workload.degraded Deployment/pay/ledger 0/1 ProgressDeadlineExceeded")},
			{at: 10, remove: deployment(1, 1, 0), want: words(
				"episode.resolved Deployment/pay/ledger ProgressDeadlineExceeded: object removed", "workload.removed Deployment/pay/ledger 0/1 ProgressDeadlineExceeded")},
		},
		"a StatefulSet rolls, is available, is degraded": {
			{at: 0, apply: stateful(3, 1, 2), want: words("workload.rolling StatefulSet/pay/db 2/3")},
			{at: 1, apply: stateful(3, 3, 3), want: words("workload.available StatefulSet/pay/db 3/3")},
			{at: 2, apply: stateful(3, 3, 2), want: words("workload.degraded StatefulSet/pay/db 2/3")},
			{at: 3, remove: stateful(3, 3, 2), want: words("workload.removed StatefulSet/pay/db 2/3")},
		},
		"a StatefulSet with a partition is available when the rest is updated": {
			{at: 0, apply: change(stateful(3, 1, 3), func(s *appsv1.StatefulSet) {
				s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: ptr(int32(2))}
			}), want: words("workload.available StatefulSet/pay/db 3/3")},
		},
		"a DaemonSet on a new node rolls; one that loses a pod is degraded": {
			{at: 0, apply: daemon(2, 2), want: words("workload.available DaemonSet/pay/proxy 2/2")},
			{at: 1, apply: daemon(3, 2), want: words("workload.rolling DaemonSet/pay/proxy 2/3")},
			{at: 2, apply: daemon(3, 3), want: words("workload.available DaemonSet/pay/proxy 3/3")},
			{at: 3, apply: daemon(3, 2), want: words("workload.degraded DaemonSet/pay/proxy 2/3")},
		},
		"a Job runs and succeeds": {
			{at: 0, apply: job("migrate"), want: words("workload.rolling Job/pay/migrate 0/1")},
			{at: 1, apply: job("migrate", jobCondition(batchv1.JobComplete, "CompletionsReached", 1)), want: words("workload.succeeded Job/pay/migrate 0/1")},
		},
		"a Job that fails has one episode with the container's end, until it is removed": {
			{at: 0, apply: job("migrate"), want: words("workload.rolling Job/pay/migrate 0/1")},
			{at: 1, apply: jobPod("migrate", phase(corev1.PodFailed), app(0, dead(3, 0, 1)))},
			{at: 2, apply: job("migrate", jobCondition(batchv1.JobFailed, "BackoffLimitExceeded", 2)), want: words(
				"episode.opened Job/pay/migrate JobFailed exit 3", "workload.failed Job/pay/migrate 0/1 BackoffLimitExceeded")},
			{at: 3, apply: jobPod("migrate", phase(corev1.PodFailed), app(0, dead(3, 0, 1)))},
			{at: 9, remove: job("migrate"), want: words(
				"episode.resolved Job/pay/migrate JobFailed exit 3: object removed", "workload.removed Job/pay/migrate 0/1 BackoffLimitExceeded")},
		},
		"a failed Job waits a moment for the news of its pod": {
			{at: 2, apply: job("migrate", jobCondition(batchv1.JobFailed, "DeadlineExceeded", 2)), want: words("workload.failed Job/pay/migrate 0/1 DeadlineExceeded")},
			{at: 4, want: words("episode.opened Job/pay/migrate JobFailed")},
		},
		"runs of a CronJob share an episode, until one succeeds": {
			{at: 2, apply: ofCronJob(job("n1", jobCondition(batchv1.JobFailed, "BackoffLimitExceeded", 0)), 1), want: words(
				"episode.opened CronJob/pay/nightly JobFailed", "workload.failed Job/pay/n1 0/1 BackoffLimitExceeded")},
			{at: 12, apply: ofCronJob(job("n2", jobCondition(batchv1.JobFailed, "BackoffLimitExceeded", 10)), 11), want: words("workload.failed Job/pay/n2 0/1 BackoffLimitExceeded")},
			{at: 22, apply: ofCronJob(job("n3"), 21), want: words("workload.rolling Job/pay/n3 0/1")},
			{at: 23, apply: ofCronJob(job("n3", jobCondition(batchv1.JobComplete, "", 23)), 21), want: words(
				"episode.resolved CronJob/pay/nightly JobFailed: next run succeeded", "workload.succeeded Job/pay/n3 0/1")},
			{at: 24, apply: ofCronJob(job("n2", jobCondition(batchv1.JobFailed, "BackoffLimitExceeded", 10)), 11)},
		},
	} {
		t.Run(name, func(t *testing.T) { play(t, steps) })
	}
}

func TestWorkloadPayload(t *testing.T) {
	d := deployment(3, 3, 1, func(d *appsv1.Deployment) {
		d.Labels = map[string]string{"helm.toolkit.fluxcd.io/name": "redis", "helm.toolkit.fluxcd.io/namespace": "pay"}
		d.Spec.Template.Spec.InitContainers = []corev1.Container{{Name: "init", Image: "migrate:1"}}
		d.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Reason: "FailedCreate", Message: "exceeded quota"}}
	})
	want := event.Workload{
		Desired: 3, Updated: 3, Ready: 1, Available: 1, Images: []string{"migrate:1", "ledger:1"}, Generation: 1,
		Reason: "FailedCreate", Message: "exceeded quota", Owner: event.Object{Kind: "HelmRelease", Namespace: "pay", Name: "redis"},
	}
	if diff := cmp.Diff(want, New(Options{}).Apply(d, sec(1)).Drafts[0].Data); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
}

func TestRevisionIsTheOneBeingRolledOut(t *testing.T) {
	o := New(Options{})
	o.Apply(kustomization("main@sha1:b", "main@sha1:a", condition("Ready", metav1.ConditionUnknown, "Progressing", "", 1)), sec(1))
	d := deployment(1, 1, 0, func(d *appsv1.Deployment) {
		d.Labels = map[string]string{"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "pay"}
	})
	if got := o.Apply(d, sec(2)).Drafts[0].Revision; got != "main@sha1:b" {
		t.Errorf("revision while b is applied = %q", got)
	}
	o.Apply(kustomization("main@sha1:c", "main@sha1:b", condition("Ready", metav1.ConditionFalse, "BuildFailed", "", 3)), sec(3))
	if got := o.Remove(d, sec(4)).Drafts[0].Revision; got != "main@sha1:b" {
		t.Errorf("revision when c could not be built = %q, want b", got)
	}
}

func TestCluster(t *testing.T) {
	node := func(name string, status corev1.ConditionStatus) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}}}
	}
	flux := deployment(1, 1, 1, func(d *appsv1.Deployment) {
		d.Labels = map[string]string{"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/version": "v2.9.5"}
	})
	o := play(t, []step{
		{at: 0, apply: node("a", "True"), want: words("cluster.changed  1/1 nodes")},
		{at: 1, apply: node("b", "False"), want: words("cluster.changed  1/2 nodes")},
		{at: 2, apply: node("b", "False")},
		{at: 3, apply: node("b", "True"), want: words("cluster.changed  2/2 nodes")},
		{at: 4, apply: flux, want: words("workload.available Deployment/pay/ledger 1/1", "cluster.changed  2/2 nodes  v2.9.5")},
		{at: 5, remove: node("b", "True"), want: words("cluster.changed  1/1 nodes  v2.9.5")},
	})
	if got := lines(o.SetVersion("v1.36.4", sec(6)).Drafts); len(got) != 1 || got[0] != "cluster.changed  1/1 nodes v1.36.4 v2.9.5" {
		t.Errorf("SetVersion: %q", got)
	}
	want := words("cluster.connected  1/1 nodes v1.36.4 v2.9.5", "workload.available Deployment/pay/ledger 1/1")
	if diff := cmp.Diff(want, lines(o.Snapshot())); diff != "" {
		t.Errorf("snapshot (-want +got):\n%s", diff)
	}
	if r := o.Keep("Deployment", nil, sec(7)); lines(r.Drafts)[0] != "workload.removed Deployment/pay/ledger 1/1" {
		t.Errorf("Keep: %q", lines(r.Drafts))
	}
}
