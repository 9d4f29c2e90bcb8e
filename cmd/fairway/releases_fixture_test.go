package main

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/policy"
)

// Releases of payments/ledger, in which everything that output has to show is there once.

const (
	artifactNew  = "main-4f1c9d2-a81b"
	artifactOld  = "main-81aa03e-77c0"
	artifactLast = "main-0c0ffee-1234"
	asker        = "dev@example.com"
)

func at(ago time.Duration) *metav1.Time { t := metav1.NewTime(before(ago)); return &t }

// release is a Release that was asked for so long ago.
func release(name, environment, artifact string, phase fleetv1.Phase, ago time.Duration, targets ...fleetv1.Target) fleetv1.Release {
	r := newRelease(serviceID{"payments", "ledger"}, artifact, environment, fleetv1.IntentRelease)
	r.Name, r.UID, r.CreationTimestamp, r.Spec.RequestedBy = name, "uid-"+types.UID(name), *at(ago), asker
	r.Status.Phase, r.Status.Targets = phase, targets
	r.Status.Clusters.Total = int32(len(targets))
	for _, t := range targets {
		if t.State == fleetv1.TargetAvailable {
			r.Status.Clusters.Available++
		}
	}
	r.Status.Source = fleetv1.ArtifactSource{
		Repository: "https://git.example.com/payments/ledger.git", Branch: "main", Commit: "4f1c9d2a81b03e7700aa11bb22cc33dd44ee55ff",
		Author: "Ada <ada@example.com>", CI: "https://ci.example.com/runs/12",
	}
	return r
}

func rollback(r fleetv1.Release) fleetv1.Release {
	r.Spec.Intent = fleetv1.IntentRollback
	return r
}

func promotion(r fleetv1.Release) fleetv1.Release {
	r.Spec.Intent, r.Spec.From = fleetv1.IntentPromote, "staging"
	return r
}

// held gives a Release the condition that holds it.
func held(r fleetv1.Release, kind, reason, message string) fleetv1.Release {
	r.Status.Conditions = []metav1.Condition{{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message}}
	return r
}

func target(cluster string, state fleetv1.TargetState) fleetv1.Target {
	t := fleetv1.Target{Cluster: cluster, Wave: "rest", State: state, Previous: artifactOld}
	if cluster == awsCluster {
		t.Wave = "canary"
	}
	switch state {
	case fleetv1.TargetAvailable:
		t.MovedAt, t.AvailableAt = at(10*time.Minute), at(9*time.Minute)
	case fleetv1.TargetWaiting:
	default:
		t.MovedAt = at(4 * time.Minute)
	}
	return t
}

const (
	awsCluster   = "prod-aws-eu1"
	azureCluster = "prod-azure-eu1"
)

// crashed is a cluster on which the artifact crashes.
func crashed(state fleetv1.TargetState) fleetv1.Target {
	t := target(azureCluster, state)
	t.Reason, t.Message = fleetv1.ReasonRolloutFailed, "CrashLoopBackOff: container app ended with code 1"
	t.Lines = []string{"connecting to db:5432", "fatal: no database \x1b[31mnow\x1b[0m"}
	return t
}

// promoted is a release to prod that waves go through.
func promoted(phase fleetv1.Phase, targets ...fleetv1.Target) fleetv1.Release {
	r := promotion(release("ledger-7k2x9", "prod", artifactNew, phase, 12*time.Minute, targets...))
	r.Spec.Message = "the new rates"
	r.Spec.Approvals = []fleetv1.Approval{{By: "lead@example.com", At: *at(11 * time.Minute)}, {By: "boss@example.com", At: *at(11 * time.Minute)}}
	r.Status.Commit = "main@sha1:77ee55ff4f1c9d2a81b03e7700aa11bb22cc33dd"
	return r
}

// record is a history of the service.
func record() []fleetv1.Release {
	waiting := promotion(release("ledger-9zzzz", "prod", artifactLast, fleetv1.PhasePending, time.Minute))
	waiting.Status.Source = fleetv1.ArtifactSource{}
	return []fleetv1.Release{
		held(waiting, fleetv1.ConditionAdmitted, fleetv1.ReasonApprovalMissing, "1 of 1 approvals are missing (Environment prod, spec.approvals)"),
		held(release("ledger-8xxxx", "prod", "feature-rates-0c0ffee-9abc", fleetv1.PhaseRefused, 5*time.Minute),
			fleetv1.ConditionAdmitted, fleetv1.ReasonBranchNotAllowed, "branch feature/rates does not match ^main$ (Environment prod, spec.branches)"),
		promoted(fleetv1.PhaseSucceeded, target(awsCluster, fleetv1.TargetAvailable), target(azureCluster, fleetv1.TargetAvailable)),
		release("ledger-6bbbb", "staging", artifactLast, fleetv1.PhaseSucceeded, time.Hour, target("staging-aws", fleetv1.TargetAvailable)),
		held(release("ledger-5aaaa", "prod", "main-bad0bad-0bad", fleetv1.PhaseRolledBack, 25*time.Hour, target(awsCluster, fleetv1.TargetRolledBack), crashed(fleetv1.TargetRolledBack)),
			fleetv1.ConditionAvailable, fleetv1.ReasonRolledBack, "a cluster failed"),
		release("ledger-4cccc", "prod", artifactOld, fleetv1.PhaseSucceeded, 48*time.Hour, target(awsCluster, fleetv1.TargetAvailable), target(azureCluster, fleetv1.TargetAvailable)),
	}
}

// promotionPath is dev, staging and prod, one after the other.
func promotionPath() []fleetv1.Environment {
	named := func(name string, clusters ...string) fleetv1.Environment {
		e := fleetv1.Environment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: fleetv1.EnvironmentSpec{OnFailure: fleetv1.OnFailureHalt}}
		for _, id := range clusters {
			e.Status.Clusters = append(e.Status.Clusters, fleetv1.EnvironmentCluster{ID: id})
		}
		return e
	}
	prod, staging := named("prod", awsCluster, azureCluster), named("staging", "staging-aws")
	prod.Spec = fleetv1.EnvironmentSpec{
		PromotesFrom: &fleetv1.PromotionPath{Environment: "staging", HealthyFor: metav1.Duration{Duration: 10 * time.Minute}},
		Branches:     "^main$", Approvals: fleetv1.Approvals{Required: 1},
		Freezes: []fleetv1.Freeze{{Name: "christmas", From: metav1.Date(2026, 12, 23, 12, 0, 0, 0, time.UTC), To: metav1.Date(2027, 1, 2, 8, 0, 0, 0, time.UTC)}},
	}
	staging.Spec.PromotesFrom = &fleetv1.PromotionPath{Environment: "dev"}
	return []fleetv1.Environment{prod, named("dev"), staging}
}

func policyOfLedger() fleetv1.ReleasePolicy {
	return fleetv1.ReleasePolicy{
		ObjectMeta: metav1.ObjectMeta{Namespace: "payments", Name: "ledger"},
		Spec: fleetv1.ReleasePolicySpec{
			Service:     "ledger",
			AutoRelease: []fleetv1.AutoRelease{{Branch: "main", Environment: "staging"}, {Branch: "develop", Environment: "dev"}},
			Branches:    map[string]fleetv1.BranchPattern{"staging": "main|release/.*"},
		},
		Status: fleetv1.ReleasePolicyStatus{Conditions: []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse,
			Reason: fleetv1.ReasonPolicyContradicts, Message: "develop may not go to dev"}}},
	}
}

func simulated() []policy.Simulated {
	return []policy.Simulated{
		{Environment: "dev", Outcome: policy.Refused, Reason: fleetv1.ReasonBranchNotAllowed, Messages: []string{"branch main does not match ^dev$ (Environment dev, spec.branches)"}},
		{Environment: "staging", Outcome: policy.Auto, Waves: []policy.Wave{{Name: fleetv1.WaveOthers, Clusters: []string{"staging-aws"}}}},
		{Environment: "prod", Outcome: policy.ByHand, Messages: []string{"waits for 1 approval (Environment prod, spec.approvals)"},
			Waves: []policy.Wave{{Name: "canary", Clusters: []string{awsCluster}, Soak: 5 * time.Minute}, {Name: "rest", Clusters: []string{azureCluster, "prod-gcp-eu1"}}}},
	}
}
