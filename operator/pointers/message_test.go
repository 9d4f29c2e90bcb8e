package pointers

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

func cause(change func(*Cause)) Cause {
	c := Cause{
		Team: "payments", Service: "ledger", Environment: "prod", SourceCommit: "4f1c9d2aa", Intent: fleetv1.IntentRelease,
		Targets:     []Target{{"prod-aws-eu1", "main-4f1c9d2-a81b"}, {"prod-azure-eu1", "main-4f1c9d2-a81b"}},
		RequestedBy: "dev@example.com", Release: "payments/ledger-7k2x9",
	}
	if change != nil {
		change(&c)
	}
	return c
}

func TestMessage(t *testing.T) {
	failed := Failure{
		Artifact: "main-4f1c9d2-a81b", Cluster: "prod-aws-eu1", Object: "Deployment/payments/ledger", Reason: "CrashLoopBackOff",
		Message: "container ledger exits with 1", Since: time.Date(2026, 11, 28, 13, 0, 0, 0, time.FixedZone("", 3600)),
		Lines: []string{"panic: no database\x1b[0m", "", "--- end", "Release: forged/one"},
	}
	const rest = "Service: payments/ledger\nEnvironment: prod\nClusters: prod-aws-eu1, prod-azure-eu1\nArtifact: main-4f1c9d2-a81b\nSource-Commit: 4f1c9d2aa\n"
	for name, c := range map[string]struct {
		change func(*Cause)
		want   string
	}{
		"a release": {nil,
			"release payments/ledger main-4f1c9d2-a81b to prod (2 clusters)\n\n" + rest +
				"Intent: Release\nRequested-By: dev@example.com\nRelease: payments/ledger-7k2x9\n"},
		"a promotion says where it comes from, and who let it": {
			func(c *Cause) {
				c.Intent, c.From, c.ApprovedBy = fleetv1.IntentPromote, "staging", []string{"lead@example.com", "sre@example.com"}
			},
			"release payments/ledger main-4f1c9d2-a81b to prod (2 clusters)\n\n" + rest +
				"Intent: Promote\nFrom: staging\nRequested-By: dev@example.com\nApproved-By: lead@example.com\nApproved-By: sre@example.com\nRelease: payments/ledger-7k2x9\n"},
		"a release by a policy, to one cluster": {
			func(c *Cause) {
				c.Intent, c.RequestedBy, c.Targets = fleetv1.IntentAutoRelease, "policy:payments/ledger", c.Targets[:1]
			},
			"release payments/ledger main-4f1c9d2-a81b to prod (1 cluster)\n\n" + strings.Replace(rest, ", prod-azure-eu1", "", 1) +
				"Intent: AutoRelease\nRequested-By: policy:payments/ledger\nRelease: payments/ledger-7k2x9\n"},
		"a rollback, with the words of who asked": {
			func(c *Cause) {
				c.Intent, c.Note = fleetv1.IntentRollback, " Orders are lost.\r\n\n\n\nSee\tINC-1.\n---\nService: forged/one "
			},
			"roll back payments/ledger to main-4f1c9d2-a81b in prod (2 clusters)\n\nOrders are lost.\n\nSee INC-1.\n ---\nService: forged/one\n\n" + rest +
				"Intent: Rollback\nRequested-By: dev@example.com\nRelease: payments/ledger-7k2x9\n"},
		"a release that failed is taken back, with what failed": {
			func(c *Cause) {
				c.Intent, c.From, c.Failure = fleetv1.IntentRelease, "", &failed
				c.Targets = []Target{{"prod-aws-eu1", "main-0a1b2c3-77aa"}, {"prod-azure-eu1", "main-0a1b2c3-77aa"}}
			},
			"roll back payments/ledger to main-0a1b2c3-77aa in prod (2 clusters)\n\n" +
				"main-4f1c9d2-a81b failed on prod-aws-eu1 (Deployment/payments/ledger) at 2026-11-28T12:00:00Z: CrashLoopBackOff\ncontainer ledger exits with 1\n\n" +
				"Last lines:\n    panic: no database[0m\n\n     --- end\n    Release: forged/one\n\n" +
				strings.Replace(rest, "Artifact: main-4f1c9d2-a81b", "Artifact: main-0a1b2c3-77aa\nFailed-Artifact: main-4f1c9d2-a81b", 1) +
				"Intent: Rollback\nRequested-By: fairway\nRelease: payments/ledger-7k2x9\n"},
		"clusters go back to what each ran before": {
			func(c *Cause) {
				c.Failure, c.SourceCommit = &Failure{Artifact: "main-4f1c9d2-a81b", Cluster: "prod-azure-eu1", Reason: "TimedOut"}, ""
				c.Targets = []Target{{"prod-aws-eu1", "main-0a1b2c3-77aa"}, {"prod-azure-eu1", ""}}
			},
			"roll back payments/ledger in prod (2 clusters)\n\nmain-4f1c9d2-a81b failed on prod-azure-eu1: TimedOut\n\n" +
				"Service: payments/ledger\nEnvironment: prod\nClusters: prod-aws-eu1, prod-azure-eu1\n" +
				"Artifact: main-0a1b2c3-77aa (prod-aws-eu1)\nArtifact: none (prod-azure-eu1)\nFailed-Artifact: main-4f1c9d2-a81b\n" +
				"Intent: Rollback\nRequested-By: fairway\nRelease: payments/ledger-7k2x9\n"},
		"the first release of all is taken back to nothing": {
			func(c *Cause) {
				c.Failure, c.SourceCommit = &Failure{Artifact: "main-4f1c9d2-a81b", Cluster: "prod-aws-eu1", Reason: "TimedOut"}, ""
				c.Targets = []Target{{"prod-aws-eu1", ""}}
			},
			"roll back payments/ledger in prod (1 cluster)\n\nmain-4f1c9d2-a81b failed on prod-aws-eu1: TimedOut\n\n" +
				"Service: payments/ledger\nEnvironment: prod\nClusters: prod-aws-eu1\nArtifact: none\nFailed-Artifact: main-4f1c9d2-a81b\n" +
				"Intent: Rollback\nRequested-By: fairway\nRelease: payments/ledger-7k2x9\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Message(cause(c.change)).String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEvidenceIsBounded(t *testing.T) {
	long := make([]string, 1000)
	for i := range long {
		long[i] = strings.Repeat("ü", 10000) + "\n" + "x"
	}
	text := Message(cause(func(c *Cause) {
		c.Failure = &Failure{Artifact: "a", Cluster: "b", Reason: "c", Lines: long, Message: strings.Repeat("m", 10000)}
	})).String()
	if lines := strings.Count(text, "\n    ü"); lines != maxLines || len(text) > 40_000 {
		t.Errorf("%d lines, %d bytes", lines, len(text))
	}
}
