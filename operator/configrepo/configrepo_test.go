package configrepo

import (
	"errors"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/gitrepo"
	"github.com/fairway-dev/fairway/operator/gitrepo/gittest"
)

// The repository is asked once for the whole fleet, until there is a reason to ask again.
func TestSnapshot(t *testing.T) {
	url, dir := gittest.Server(t)
	clock := clocktesting.NewFakePassiveClock(time.Now())
	r := New(nil, fleetv1.SystemNamespace, clock) // without a Secret no client is asked
	fleet := &fleetv1.Fleet{}
	fleet.Spec.ConfigRepository = fleetv1.ConfigRepository{URL: url, Branch: "main", Interval: metav1.Duration{Duration: time.Minute}}
	revision := func() string {
		t.Helper()
		got, err := r.Snapshot(t.Context(), fleet)
		if err != nil {
			t.Fatal(err)
		}
		return got.Revision()
	}
	head := func() string { return "main@sha1:" + gittest.Git(t, dir, "rev-parse", "main") }

	first := revision()
	if first != head() {
		t.Errorf("it is %s", first)
	}
	gittest.Commit(t, dir, map[string]string{"a.yaml": "a: ${A}\n"})
	if got := revision(); got != first {
		t.Errorf("within the interval it is looked again: %s", got)
	}
	fleet.Status.ConfigRevision = head()
	if got := revision(); got != head() {
		t.Errorf("a commit that the Fleet knows of is not looked at: %s", got)
	}
	gittest.Commit(t, dir, map[string]string{"a.yaml": "a: ${B}\n"})
	clock.SetTime(clock.Now().Add(time.Minute))
	if got := revision(); got != head() {
		t.Errorf("after the interval it is not looked again: %s", got)
	}
	gittest.Commit(t, dir, map[string]string{"a.yaml": "a: ${C}\n"})
	fleet.Annotations = map[string]string{"reconcile.fluxcd.io/requestedAt": "now"}
	if got := revision(); got != head() {
		t.Errorf("asked for, it is not looked again: %s", got)
	}
	snapshot, err := r.Snapshot(t.Context(), fleet)
	if err != nil {
		t.Fatal(err)
	}
	if uses, err := r.Uses(t.Context(), snapshot, "."); err != nil || len(uses) != 1 || uses[0].Variable != "C" {
		t.Errorf("uses %v, %v", uses, err)
	}
	if _, err := r.Submit(t.Context(), fleet, gitrepo.Change{}); !errors.Is(err, ErrNotWritable) {
		t.Errorf("without credentials: %v", err)
	}
}
