package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/event"
)

func TestReleaseEventsAreTold(t *testing.T) {
	base := event.Release{Name: "payments/ledger-7k2x9", Team: "payments", Service: "ledger", Artifact: "main-4f1c9d2-a81b", Environment: "prod", Intent: "Promote",
		From: "staging", RequestedBy: "dev@example.com", Total: 2, Wave: "canary", Commit: "main@sha1:4f1c9d2a81b03e7700aa11bb22cc33dd44ee55ff",
		RollbackCommit: "main@sha1:0f1c9d2a81b03e7700aa11bb22cc33dd44ee55ff",
		Clusters:       []event.ReleaseTarget{{Cluster: "prod-aws-eu1"}, {Cluster: "prod-azure-eu1"}}}
	waits, approved, failed := base, base, base
	waits.Reason, waits.Message = "ApprovalMissing", "1 of 1 approvals is missing"
	approved.Approvals = []event.Approval{{By: "lead@example.com", At: now}}
	failed.Reason, failed.Message, failed.Lines = "RolloutFailed", "prod-azure-eu1: it crashes", []string{"fatal: no database"}
	const what = "payments/ledger main-4f1c9d2-a81b to prod, promoted from staging by dev@example.com"
	for name, test := range map[string]struct {
		typ     event.Type
		release event.Release
		want    headline
		details []string
	}{
		"one that was asked for, and what it waits for": {event.ReleaseRequested, waits,
			headline{what: "release requested", text: what + "; ApprovalMissing: 1 of 1 approvals is missing"}, nil},
		"who approved": {event.ReleaseRequested, approved, headline{what: "release requested", text: what + "; approved by lead@example.com"}, nil},
		"a commit, and the clusters that it moves": {event.ReleaseCommitted, base,
			headline{what: "release committed", look: warn, text: what + "; main@sha1:4f1c9d2 on prod-aws-eu1, prod-azure-eu1"}, nil},
		"a wave":             {event.ReleaseWaveHealthy, base, headline{what: "release waveHealthy", look: good, text: what + "; wave canary: prod-aws-eu1, prod-azure-eu1"}, nil},
		"one that went well": {event.ReleaseSucceeded, base, headline{what: "release succeeded", look: good, text: what + "; healthy on 2 clusters"}, nil},
		"one that failed, with the last lines": {event.ReleaseFailed, failed,
			headline{what: "release failed", look: bad, text: what + "; RolloutFailed: prod-azure-eu1: it crashes"}, []string{"fatal: no database"}},
		"one that was taken back": {event.ReleaseRolledBack, base,
			headline{what: "release rolledBack", look: bad, text: what + "; main@sha1:0f1c9d2 on prod-aws-eu1, prod-azure-eu1"}, nil},
		"one that a newer one took over": {event.ReleaseSuperseded, base, headline{what: "release superseded", text: what}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := event.NewRelease(test.typ, test.release, now)
			if err != nil {
				t.Fatal(err)
			}
			test.want.object = "Release/payments/ledger-7k2x9"
			got, details := describeEvent(e)
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(headline{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.details, details); diff != "" {
				t.Errorf("details (-want +got):\n%s", diff)
			}
		})
	}
}

func TestArtifactEventsAreTold(t *testing.T) {
	e, err := event.NewArtifact(event.Artifact{Team: "payments", Service: "ledger", ID: "main-4f1c9d2-a81b",
		Source: event.ArtifactSource{Branch: "main", Commit: "4f1c9d2a81b03e77", Author: "dev@example.com"}}, now)
	if err != nil {
		t.Fatal(err)
	}
	want := headline{what: "artifact created", object: "Artifact/payments/main-4f1c9d2-a81b", text: "payments/ledger main-4f1c9d2-a81b main@4f1c9d2 dev@example.com"}
	if got, _ := describeEvent(e); cmp.Diff(want, got, cmp.AllowUnexported(headline{})) != "" {
		t.Errorf("(-want +got):\n%s", cmp.Diff(want, got, cmp.AllowUnexported(headline{})))
	}
}
