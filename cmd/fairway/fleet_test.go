package main

import (
	"slices"
	"testing"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

// A small fleet in which everything that output has to show is there once.

const revision = "main@sha1:4f1c9d2a81b03e7700aa11bb22cc33dd44ee55ff"

func page(n int) rest.Page { return rest.Page{AsOf: now, Sequence: 104, Total: n} }

func fresh(ago time.Duration) rest.Freshness {
	return rest.Freshness{Known: true, LastHeartbeat: before(ago), LastEvent: before(20 * time.Minute)}
}

func steps(last rest.Condition) []rest.Condition {
	return []rest.Condition{
		{Type: "Ready", Status: last.Status, Reason: last.Reason, Message: last.Message},
		{Type: "Reachable", Status: "True", Reason: "Succeeded"}, {Type: "FluxReady", Status: "True", Reason: "Succeeded"},
		{Type: "Synced", Status: "True", Reason: "Succeeded"}, last,
	}
}

func clusters() rest.ClusterList {
	acquired := rest.Cluster{
		ID: "acquired-1", Namespace: "acquired", Environment: "staging", Status: rest.Suspended, Freshness: fresh(9 * time.Second),
		KubernetesVersion: "v1.31.0", NodesReady: 1, NodesTotal: 1, Objects: 4, Conditions: []rest.Condition{},
	}
	acquired.Freshness.ClockSkew, acquired.Freshness.Missing = 12.2, 3
	acquired.Freshness.Gaps, acquired.Freshness.GapSince, acquired.Freshness.Diverged = 1, before(6*time.Minute), true
	return rest.ClusterList{Page: page(5), Items: []rest.Cluster{acquired, joining().Cluster, healthy().Cluster, silent().Cluster, degraded().Cluster}}
}

// joining is a cluster whose agent was never heard.
func joining() rest.ClusterDetail {
	c := rest.Cluster{
		ID: "dev-azure", Namespace: "clusters", Environment: "dev", Cloud: "Azure", Region: "westeurope", Status: rest.Progressing,
		Reason: "ControlPlaneNotInitialized", Message: "Cluster API has no control plane yet\nwait for it: kubectl get cluster dev-azure", Conditions: []rest.Condition{},
	}
	c.Conditions = []rest.Condition{
		{Type: "Reachable", Status: "False", Reason: c.Reason, Message: c.Message, Since: before(3 * time.Minute)},
		{Type: "FluxReady", Status: "Unknown", Reason: "WaitingForPreviousStep"},
	}
	return rest.ClusterDetail{Cluster: c, Inventory: []rest.Object{}, Open: []rest.Episode{}}
}

func aws(id, region string) rest.Cluster {
	return rest.Cluster{
		ID: id, Namespace: "clusters", Environment: "prod", Cloud: "AWS", Region: region, Account: "123456789012",
		KubernetesVersion: "v1.36.4", FluxVersion: "v2.9.5", AgentVersion: "v0.1.0", Revision: revision, NodesReady: 3, NodesTotal: 3,
	}
}

func healthy() rest.ClusterDetail {
	c := aws("prod-aws-eu1", "eu-west-1")
	c.Status, c.Freshness, c.Objects = rest.Ready, fresh(4*time.Second), 6
	c.Conditions = steps(rest.Condition{Type: "AgentConnected", Status: "True", Reason: "Succeeded"})
	c.Freshness.Verified = before(4 * time.Second)
	return rest.ClusterDetail{Cluster: c, Inventory: inventory(rest.Ready), Open: []rest.Episode{}, Gaps: []rest.Gap{
		{Reason: rest.GapEpoch, Opened: before(26 * time.Hour), Closed: before(26*time.Hour - time.Minute), ClosedBy: rest.BySnapshot},
		{Reason: rest.GapMissing, Opened: before(50 * time.Hour), Closed: before(49 * time.Hour), ClosedBy: rest.ByEvents, Events: 12},
	}}
}

// silent is a cluster that was last heard a quarter of an hour ago.
func silent() rest.ClusterDetail {
	c := aws("prod-aws-us1", "us-east-1")
	c.Status, c.Reason, c.Objects = rest.Unknown, "HeartbeatsMissed", 6
	c.Freshness = rest.Freshness{LastHeartbeat: before(14 * time.Minute), LastEvent: before(time.Hour)}
	c.Conditions = steps(rest.Condition{Type: "AgentConnected", Status: "False", Reason: "HeartbeatsMissed",
		Message: "no heartbeat for 14m; is the cluster cut off?", Since: before(13 * time.Minute)})
	d := rest.ClusterDetail{Cluster: c, Inventory: inventory(rest.Unknown), Open: []rest.Episode{}}
	d.Inventory[3].State, d.Inventory[3].Reason, d.Inventory[3].Ready = "degraded", "ProgressDeadlineExceeded", 1
	return d
}

func inventory(s rest.Status) []rest.Object {
	root := "Kustomization/flux-system/fairway"
	since := before(26 * time.Hour)
	return []rest.Object{
		{Object: "GitRepository/flux-system/fairway", Status: s, State: "succeeded", Revision: revision, Since: since},
		{Object: root, Status: s, State: "succeeded", Revision: revision, Since: since},
		{Object: "Kustomization/flux-system/apps", Owner: root, Status: s, State: "succeeded", Revision: revision, Since: since},
		{Object: "Deployment/payments/cards", Owner: "Kustomization/flux-system/apps", Status: s, State: "available", Desired: 3, Ready: 3, Since: since},
		{Object: "Deployment/payments/ledger", Owner: "Kustomization/flux-system/apps", Status: s, State: "available", Desired: 5, Ready: 5, Since: since},
		{Object: "DaemonSet/kube-system/node-agent", Status: s, State: "available", Desired: 3, Ready: 3, Since: since},
	}
}

func degraded() rest.ClusterDetail {
	c := rest.Cluster{
		ID: "prod-azure-eu1", Namespace: "clusters", Environment: "prod", Cloud: "Azure", Region: "westeurope", Status: rest.Degraded,
		Reason: "ObjectsFailing", Message: "3 objects are failing, 2 episodes are open", Freshness: fresh(2 * time.Second),
		KubernetesVersion: "v1.36.4", FluxVersion: "v2.9.5", AgentVersion: "v0.1.0", Revision: revision, NodesReady: 2, NodesTotal: 3,
		Objects: 17, Failing: 3, Episodes: 2,
		Conditions: steps(rest.Condition{Type: "AgentConnected", Status: "True", Reason: "Succeeded"}),
	}
	d := rest.ClusterDetail{Cluster: c, Inventory: inventory(rest.Ready), Open: []rest.Episode{openEpisode(), configEpisode()}}
	d.Freshness.Gaps, d.Freshness.GapSince = 1, before(6*time.Minute)
	d.Gaps = []rest.Gap{
		{Reason: rest.GapDropped, Message: "outbox full", Opened: before(6 * time.Minute), Events: 14, Dropped: map[string]uint64{"workload": 12, "flux": 2}},
		{Reason: rest.GapMissing, Opened: before(50 * time.Hour), Closed: before(49 * time.Hour), ClosedBy: rest.BySnapshot, Events: 1},
	}
	apps := &d.Inventory[2]
	apps.Status, apps.State, apps.Reason, apps.Since = rest.Degraded, "failed", "HealthCheckFailed", before(31*time.Minute)
	apps.Message = "health check failed after 5m: timeout waiting for: [Deployment/payments/ledger status: 'InProgress']"
	ledger := &d.Inventory[4]
	ledger.Status, ledger.State, ledger.Reason, ledger.Ready, ledger.Since = rest.Degraded, "degraded", "ProgressDeadlineExceeded", 3, before(30*time.Minute)
	ledger.Message = "ReplicaSet \"ledger-6d4\" has timed out progressing."
	owner := "Kustomization/flux-system/apps"
	for _, name := range []string{"a", "b", "c", "d"} {
		d.Inventory = append(d.Inventory, rest.Object{Object: "Deployment/shop/" + name, Owner: owner, Status: rest.Ready, State: "available", Desired: 1, Ready: 1})
	}
	d.Inventory = append(d.Inventory,
		rest.Object{Object: "Deployment/shop/search", Owner: owner, Status: rest.Progressing, State: "rolling", Reason: "NewReplicaSet", Desired: 4, Ready: 2, Since: before(time.Minute)},
		rest.Object{Object: "Deployment/shop/web", Owner: owner, Status: rest.Ready, State: "available", Desired: 2, Ready: 2},
		rest.Object{Object: "HelmRelease/monitoring/stack", Owner: "Kustomization/flux-system/fairway", Status: rest.Suspended, State: "suspended", Since: before(48 * time.Hour)},
		rest.Object{Object: "Kustomization/a/circle", Owner: "Kustomization/b/circle", Status: rest.Ready, State: "succeeded"},
		rest.Object{Object: "Kustomization/b/circle", Owner: "Kustomization/a/circle", Status: rest.Ready, State: "succeeded"},
	)
	return d
}

func code(n int32) *int32 { return &n }

func openEpisode() rest.Episode {
	return rest.Episode{
		ID: "0193a7c1-0000-7000-8000-000000000001", Cluster: "prod-azure-eu1", Environment: "prod", Cloud: "Azure",
		Object: "Deployment/payments/ledger", Owner: "Kustomization/flux-system/apps", Team: "payments", Service: "ledger",
		Artifact: "main-4f1c9d2", Revision: revision, Reason: "CrashLoopBackOff", Container: "app", Pod: "ledger-6d4-x2x9z",
		Message: "back-off 5m0s restarting failed container", ExitCode: code(1), Restarts: 7, Signature: "b71f02",
		Lines:    []string{"starting ledger", "connecting to db:5432", "retrying", "retrying", "fatal: no database \x1b[31mnow\x1b[0m", "goroutine 1 [running]:"},
		OpenedAt: before(35 * time.Minute), Known: true,
	}
}

func configEpisode() rest.Episode {
	return rest.Episode{
		ID: "0193a7c2-0000-7000-8000-000000000002", Cluster: "prod-azure-eu1", Environment: "prod", Cloud: "Azure",
		Object: "CronJob/shop/report", Team: "shop", Service: "report", Reason: "CreateContainerConfigError", Container: "report",
		Message: "configmap \"report-settings\" not found", OpenedAt: before(2 * time.Hour), Known: true,
	}
}

func episodes() rest.EpisodeList {
	over := configEpisode()
	over.ID, over.Cluster, over.ResolvedAt, over.ResolvedBy = "9193a7c3-0000-7000-8000-000000000003", "dev-azure", before(time.Hour), "rollout available"
	lost := configEpisode()
	lost.ID, lost.Cluster, lost.Known = "9193a7c4-0000-7000-8000-000000000004", "prod-aws-us1", false
	return rest.EpisodeList{Page: page(4), Items: []rest.Episode{openEpisode(), configEpisode(), over, lost}}
}

func services() rest.ServiceList {
	on := func(cluster, cloud string, s rest.Status, ready int32) rest.ServiceCluster {
		return rest.ServiceCluster{Cluster: cluster, Environment: "prod", Cloud: cloud, Status: s, Artifact: "main-4f1c9d2", Revision: revision,
			Desired: 5, Ready: ready, Since: before(26 * time.Hour), AsOf: before(4 * time.Second)}
	}
	broken := on("prod-azure-eu1", "Azure", rest.Degraded, 3)
	broken.Reason, broken.Episodes = "CrashLoopBackOff", 1
	lost := on("prod-aws-us1", "AWS", rest.Unknown, 5)
	lost.AsOf = before(14 * time.Minute)
	return rest.ServiceList{Page: page(2), Items: []rest.Service{
		{Team: "payments", Name: "cards", Status: rest.Ready, Clusters: []rest.ServiceCluster{on("prod-aws-eu1", "AWS", rest.Ready, 5)}, Environments: []rest.ServiceEnvironment{}},
		{Team: "payments", Name: "ledger", Status: rest.Degraded, Clusters: []rest.ServiceCluster{on("prod-aws-eu1", "AWS", rest.Ready, 5), lost, broken}, Environments: []rest.ServiceEnvironment{}},
	}}
}

func audit() rest.AuditList {
	entry := rest.AuditEntry{
		Artifact: "main-4f1c9d2-a81b", Team: "payments", Service: "ledger", Environment: "prod", Cluster: "prod-azure-eu1",
		Source:  rest.ArtifactSource{Branch: "main", Commit: "4f1c9d2a0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e", Author: "Ada <ada@example.com>", CI: "https://ci.example.com/42"},
		Release: "payments/ledger-7k2x9", Phase: "Succeeded", Intent: "Promote", From: "staging", RequestedBy: "dev@example.com", RequestedAt: before(2 * time.Hour),
		Approvals: []rest.Approval{{By: "colleague@example.com", At: before(time.Hour)}}, Commit: "main@sha1:0c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6a7b8c9d",
		State: "Available", Previous: "main-1a2b3c4-d5e6", MovedAt: before(50 * time.Minute), AvailableAt: before(49 * time.Minute),
	}
	failed := entry
	failed.Cluster, failed.State, failed.AvailableAt, failed.Release = "prod-aws-eu1", "RolledBack", time.Time{}, "payments/ledger-2b3c4"
	failed.Approvals, failed.Comment, failed.RollbackCommit = []rest.Approval{}, "hotfix", "main@sha1:9c1d2e3f4a5b6c7d8e9f0a1b2c3d4e5f6a7b8c9d"
	return rest.AuditList{Page: page(2), Items: []rest.AuditEntry{entry, failed}}
}

func unowned() rest.UnownedList {
	return rest.UnownedList{Page: page(3), Items: []rest.Unowned{
		{Cluster: "acquired-1", Environment: "staging", Object: "CronJob/shop/report", Status: rest.Ready, Since: before(time.Hour), AsOf: before(9 * time.Second)},
		{Cluster: "acquired-1", Environment: "staging", Object: "Deployment/shop/legacy", Owner: "Kustomization/flux-system/shop", Status: rest.Degraded,
			Reason: "CrashLoopBackOff", Images: []string{"registry.example.com/old:1"}, Since: before(26 * time.Hour), AsOf: before(9 * time.Second)},
		{Cluster: "prod-aws-us1", Environment: "prod", Cloud: "AWS", Object: "Kustomization/flux-system/monitoring", Status: rest.Unknown,
			Since: before(48 * time.Hour), AsOf: before(14 * time.Minute)},
	}}
}

func events(t *testing.T) rest.EventList {
	t.Helper()
	ledger := event.Object{Kind: "Deployment", Namespace: "payments", Name: "ledger"}
	apps := event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: "apps"}
	facts := event.Cluster{KubernetesVersion: "v1.36.4", FluxVersion: "v2.9.5", NodesReady: 3, NodesTotal: 3}
	crash := event.Episode{ID: "0193a7c1", Reason: "CrashLoopBackOff", Message: "back-off 5m0s restarting failed container", Container: "app",
		ExitCode: code(1), Restarts: 7, Lines: openEpisode().Lines[3:], OpenedAt: before(35 * time.Minute)}
	mended := crash
	mended.ResolvedBy = "rollout available"
	items := []rest.StoredEvent{
		storedEvent(t, 101, event.ClusterRegistered, event.Object{Kind: "WorkloadCluster", Namespace: "clusters", Name: "prod-azure-eu1"}, 23*time.Hour,
			event.Registration{Cluster: "prod-azure-eu1", Environment: "prod", Cloud: "Azure", Region: "westeurope", Conditions: []event.Condition{
				{Type: "Reachable", Status: "True"}, {Type: "FluxReady", Status: "False", Reason: "RollingOut", Message: "2 of 4 controllers are available"}}}),
		storedEvent(t, 102, event.FluxFailed, apps, 40*time.Minute, event.Flux{Reason: "BuildFailed", Message: "kustomize build failed: no such file", AppliedRevision: revision, AttemptedRevision: "main@sha1:81aa03e000aa11bb22cc33dd44ee55ff00112233"}),
		storedEvent(t, 103, event.FluxSucceeded, apps, 39*time.Minute, event.Flux{AppliedRevision: revision, AttemptedRevision: revision, Inventory: 12, DurationMillis: 1240}),
		storedEvent(t, 104, event.WorkloadDegraded, ledger, 36*time.Minute, event.Workload{Desired: 5, Ready: 3, Reason: "ProgressDeadlineExceeded"}),
		storedEvent(t, 105, event.EpisodeOpened, ledger, 35*time.Minute, crash),
		storedEvent(t, 106, event.EpisodeResolved, ledger, 5*time.Minute, mended),
		storedEvent(t, 107, event.AgentStarted, event.Object{}, 4*time.Minute, event.Started{Version: "v0.1.0", Cluster: facts}),
		storedEvent(t, 108, event.AgentSnapshot, event.Object{}, 4*time.Minute, event.Snapshot{ID: "s", Part: 1, Parts: 3, Entries: make([]event.Entry, 2)}),
		storedEvent(t, 109, event.AgentGap, event.Object{}, 3*time.Minute, event.Gap{Reason: "the queue was full", Dropped: map[event.Kind]int{event.KindWorkload: 3, event.KindFlux: 1}, From: before(time.Hour), To: before(30 * time.Minute)}),
		storedEvent(t, 110, event.ClusterChanged, event.Object{}, 2*time.Minute, facts),
		storedEvent(t, 111, "dev.fairway.agent.pondering.v1", ledger, time.Minute, map[string]string{"mood": "good"}),
		storedEvent(t, 112, event.ReleaseFailed, event.Object{Kind: "Release", Namespace: "payments", Name: "ledger-7k2x9"}, 30*time.Second, event.Release{
			Name: "payments/ledger-7k2x9", Team: "payments", Service: "ledger", Artifact: "main-4f1c9d2-a81b", Environment: "prod", Intent: "Promote", From: "staging",
			RequestedBy: "dev@example.com", Phase: "Failed", Reason: "RolloutFailed", Message: "prod-azure-eu1: it crashes", Lines: []string{"fatal: no database"}}),
	}
	return rest.EventList{Page: page(len(items)), Items: items}
}

func similar() []rest.SimilarEpisode {
	return []rest.SimilarEpisode{
		{ID: "0193a6aa", Cluster: "prod-aws-us1", Object: "Deployment/payments/ledger", OpenedAt: before(49 * time.Hour), ResolvedAt: before(48 * time.Hour),
			ResolvedBy: "rollout available", Artifact: "main-4f1c9d2", Revision: revision, ResolvedArtifact: "main-81aa03e"},
		{ID: "0193a5bb", Cluster: "dev-azure", Object: "Deployment/payments/ledger", OpenedAt: before(72 * time.Hour), Artifact: "main-4f1c9d2"},
	}
}

func transitions() []rest.Transition {
	on := func(ago time.Duration, kind, what, object string) rest.Transition {
		return rest.Transition{Sequence: 104, Time: before(ago), Cluster: "prod-azure-eu1", Environment: "prod", Kind: kind, What: what, Object: object,
			Team: "payments", Service: "ledger", Artifact: "main-4f1c9d2", Revision: revision}
	}
	opened := on(35*time.Minute, "episode", "opened", "Deployment/payments/ledger")
	opened.Episode, opened.Reason, opened.Message, opened.Container = openEpisode().ID, "CrashLoopBackOff", "back-off restarting\nfailed container", "app"
	silent := rest.Transition{Time: before(36 * time.Minute), Cluster: "prod-aws-us1", Environment: "prod", Kind: "cluster", What: "silent"}
	return []rest.Transition{opened, silent, on(40*time.Minute, "workload", "rolling", "Deployment/payments/ledger")}
}

func changes() rest.Since {
	return rest.Since{Page: page(3), From: before(24 * time.Hour), Until: now, Items: transitions(),
		Summary: rest.Summary{Rollouts: 12, Failures: 1, EpisodesOpened: 3, EpisodesResolved: 1, Gaps: 1, ClustersJoined: 1, ClustersSilent: 2,
			ByType: map[string]int{"episode.opened": 3}}}
}

func timeline() rest.Timeline {
	e := openEpisode()
	items := transitions()
	slices.Reverse(items)
	return rest.Timeline{Page: page(3), From: before(time.Hour), Until: now, Around: e.OpenedAt, Episode: &e, Items: items}
}
