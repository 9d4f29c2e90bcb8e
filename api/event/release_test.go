package event

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var asked = time.Date(2026, 11, 22, 7, 42, 0, 0, time.UTC)

func TestAReleasesEventSaysWhatItIsAbout(t *testing.T) {
	r := Release{Name: "payments/ledger-7k2x9", Team: "payments", Service: "ledger", Artifact: "main-4f1c9d2-a81b", Environment: "prod",
		Intent: "Promote", From: "staging", RequestedBy: "dev@example.com", Phase: "Releasing", Commit: "main@sha1:1"}
	got, err := NewRelease(ReleaseCommitted, r, asked)
	if err != nil {
		t.Fatal(err)
	}
	want := Event{SpecVersion: specVersion, Source: "/clusters/_platform", Type: ReleaseCommitted, Subject: "Release/payments/ledger-7k2x9",
		Time: asked, DataContentType: jsonData, Environment: "prod", Team: "payments", Service: "ledger", Artifact: "main-4f1c9d2-a81b",
		Revision: "main@sha1:1", Data: got.Data}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var read Release
	if err := got.Payload(&read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, read); diff != "" {
		t.Errorf("payload (-want +got):\n%s", diff)
	}
}

func TestAReleaseSaysWhoReleasedWhatWhere(t *testing.T) {
	r := Release{Team: "payments", Service: "ledger", Artifact: "main-1", Environment: "prod", From: "staging", RequestedBy: "dev"}
	for intent, want := range map[string]string{
		"Release": "released by dev", "AutoRelease": "released by dev", "Promote": "promoted from staging by dev", "Rollback": "rolled back by dev",
	} {
		r.Intent = intent
		if got := r.String(); got != "payments/ledger main-1 to prod, "+want {
			t.Errorf("%s: %q, want it %s", intent, got, want)
		}
	}
}

func TestAnArtifactsEventSaysWhatItIsAbout(t *testing.T) {
	a := Artifact{Team: "payments", Service: "ledger", ID: "main-4f1c9d2-a81b", Digest: "sha256:1", Source: ArtifactSource{Branch: "main", Created: asked}}
	got, err := NewArtifact(a, asked)
	if err != nil {
		t.Fatal(err)
	}
	want := Event{SpecVersion: specVersion, Source: "/clusters/_platform", Type: ArtifactCreated, Subject: "Artifact/payments/main-4f1c9d2-a81b",
		Time: asked, DataContentType: jsonData, Team: "payments", Service: "ledger", Artifact: "main-4f1c9d2-a81b", Data: got.Data}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAReleasesEventIsNeverTooLargeToSend(t *testing.T) {
	name := strings.Repeat("n", 63)
	r := Release{Name: name + "/" + name, Comment: strings.Repeat("ü", MaxMessage), Message: strings.Repeat("ü", MaxMessage),
		Lines:     slices.Repeat([]string{strings.Repeat("l", MaxLog/8)}, 2*MaxLogLines),
		Approvals: slices.Repeat([]Approval{{By: strings.Repeat("a", 256), At: asked}}, 2*MaxApprovals),
		Clusters: slices.Repeat([]ReleaseTarget{{Cluster: name, Wave: name, State: "RollingOut", Previous: name, MovedAt: asked.Add(1), AvailableAt: asked.Add(1),
			Reason: name}}, 2*MaxTargets)}
	e, err := NewRelease(ReleaseFailed, r, asked)
	if err != nil {
		t.Fatal(err)
	}
	e.ID = "0193a7c1-0000-7000-8000-000000000001"
	if _, err := e.Encode(); err != nil {
		t.Error(err)
	}
	var got Release
	if err := e.Payload(&got); err != nil {
		t.Fatal(err)
	}
	size := 0
	for _, line := range got.Lines {
		size += len(line)
	}
	if len(got.Clusters) != MaxTargets || len(got.Approvals) != MaxApprovals || len(got.Message) != MaxMessage || len(got.Comment) != MaxMessage || size != MaxLog {
		t.Errorf("%d clusters, %d approvals, a message of %d, a comment of %d and lines of %d bytes",
			len(got.Clusters), len(got.Approvals), len(got.Message), len(got.Comment), size)
	}
}
