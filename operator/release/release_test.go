package release

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/gitrepo/gittest"
	"github.com/fairway-dev/fairway/operator/pointers"
)

func TestReleases(t *testing.T) {
	s := newSuite(t)
	t.Run("a release goes wave by wave, with a commit for each", s.succeeds)
	t.Run("a failure leaves clusters where they are", s.halts)
	t.Run("a failure takes clusters back in one commit that says why", s.rollsBack)
	t.Run("a newer release takes over", s.supersedes)
	t.Run("a rollback needs no registry", s.rollbackWithoutRegistry)
	t.Run("artifacts that nobody runs are removed, but for the newest", s.collects)
	t.Run("it waits for approvals, and for the environment before", s.waits)
	t.Run("what cannot be released is refused", s.refuses)
	t.Run("what is away is waited for", s.outages)
	t.Run("a cluster that is slow holds up nobody", s.slow)
	t.Run("a file that was edited by hand is left alone", s.edited)
	t.Run("events wait for the bus", s.silence)
	t.Run("the API server refuses what contradicts itself", s.contract)
	t.Run("the operator is killed at everything that it does", s.restarts)
}

// release asks for a release of a service's new artifact.
func (s *suite) release(t *testing.T, team, name, version string) (*fleetv1.Release, string) {
	t.Helper()
	id := s.push(t, team, "ledger", manifests("ledger", version))
	return s.ask(t, team, name, fleetv1.ReleaseSpec{Service: "ledger", Artifact: id, Environment: "prod"}), id
}

func (s *suite) succeeds(t *testing.T) {
	s.environments(t, nil)
	obj, id := s.release(t, "payments", "ledger-1", "1")
	s.until(t, obj, func() bool { return obj.Status.Phase == fleetv1.PhaseReleasing })
	if have := s.pointer(t, canary, "payments", "ledger"); have.Artifact != id || have.Release != "payments/ledger-1" {
		t.Errorf("the first wave is told %+v", have)
	}
	if have := s.pointer(t, rest, "payments", "ledger"); have.Artifact != "" {
		t.Errorf("the second wave is told %+v at once", have)
	}
	s.phase(t, obj, fleetv1.PhaseSucceeded)
	want := []string{"release payments/ledger " + id + " to prod (1 cluster)", "release payments/ledger " + id + " to prod (1 cluster)"}
	if diff := cmp.Diff(want, s.commits(t, "payments", "ledger")); diff != "" {
		t.Errorf("commits (-want +have):\n%s", diff)
	}
	if have := condition(obj, "Ready"); have != "True/Succeeded" {
		t.Errorf("Ready is %s\n%s", have, describe(obj))
	}
	if head := "main@sha1:" + gittest.Git(t, s.git, "rev-parse", "main"); obj.Status.Commit != head {
		t.Errorf("commit %s, and the branch is at %s", obj.Status.Commit, head)
	}
	news := []string{"requested", "waveStarted", "committed", "waveHealthy", "waveStarted", "committed", "waveHealthy", "succeeded"}
	if diff := cmp.Diff(news, s.said.of(t, obj)); diff != "" {
		t.Errorf("events (-want +have):\n%s", diff)
	}
}

// crash releases a second artifact, which fails on the second wave's cluster.
func (s *suite) crash(t *testing.T, team string, becomes fleetv1.Phase) (obj *fleetv1.Release, old, id string) {
	t.Helper()
	first, old := s.release(t, team, "first", "1")
	s.phase(t, first, fleetv1.PhaseSucceeded)
	obj, id = s.release(t, team, "second", "2")
	s.until(t, obj, func() bool { return s.pointer(t, rest, team, "ledger").Artifact == id }, rest)
	s.view.failing(rest, team, "ledger", id, s.clock.Now())
	s.phase(t, obj, becomes, rest)
	return obj, old, id
}

func (s *suite) halts(t *testing.T) {
	s.environments(t, nil)
	obj, _, id := s.crash(t, "halting", fleetv1.PhaseFailed)
	for _, cluster := range []string{canary, rest} {
		if have := s.pointer(t, cluster, "halting", "ledger").Artifact; have != id {
			t.Errorf("%s is told %s", cluster, have)
		}
	}
	if have := condition(obj, fleetv1.ConditionAvailable); have != "False/RolloutFailed" || !strings.Contains(words(obj, "Ready"), rest) {
		t.Errorf("Available is %s\n%s", have, describe(obj))
	}
	if diff := cmp.Diff([]string{"panic: no database"}, obj.Status.Targets[1].Lines); diff != "" {
		t.Errorf("last lines (-want +have):\n%s", diff)
	}
}

func (s *suite) rollsBack(t *testing.T) {
	s.environments(t, func(prod *fleetv1.EnvironmentSpec) { prod.OnFailure = fleetv1.OnFailureRollBack })
	obj, old, id := s.crash(t, "going-back", fleetv1.PhaseRolledBack)
	for _, cluster := range []string{canary, rest} {
		if have := s.pointer(t, cluster, "going-back", "ledger"); have.Artifact != old || have.Release != "going-back/second" {
			t.Errorf("%s is told %+v", cluster, have)
		}
	}
	commits := s.commits(t, "going-back", "ledger")
	if len(commits) != 5 || !strings.HasPrefix(commits[4], "roll back") {
		t.Errorf("commits %q", commits)
	}
	why := gittest.Git(t, s.git, "log", "-1", "--format=%B", "main")
	for _, part := range []string{rest, "CrashLoopBackOff", "panic: no database", "Failed-Artifact: " + id, "Release: going-back/second"} {
		if !strings.Contains(why, part) {
			t.Errorf("the commit does not say %q:\n%s", part, why)
		}
	}
	if head := "main@sha1:" + gittest.Git(t, s.git, "rev-parse", "main"); obj.Status.RollbackCommit != head {
		t.Errorf("it was taken back by %s, and the branch is at %s", obj.Status.RollbackCommit, head)
	}
	for range 3 { // and never again, however it is then
		s.view.failing(canary, "going-back", "ledger", old, s.clock.Now())
		if _, err := s.pass(t, obj); err != nil {
			t.Fatal(err)
		}
	}
	if have := s.commits(t, "going-back", "ledger"); len(have) != 5 {
		t.Errorf("more commits: %q", have)
	}
}

func (s *suite) supersedes(t *testing.T) {
	s.environments(t, nil)
	older, _ := s.release(t, "superseding", "older", "1")
	s.until(t, older, func() bool { return s.pointer(t, canary, "superseding", "ledger").Artifact != "" }, canary)
	s.later(t)
	newer, id := s.release(t, "superseding", "newer", "2")
	s.phase(t, newer, fleetv1.PhaseSucceeded)
	s.phase(t, older, fleetv1.PhaseSuperseded)
	if have := s.pointer(t, rest, "superseding", "ledger"); have.Artifact != id || have.Release != "superseding/newer" {
		t.Errorf("it is told %+v", have)
	}
	if have := s.said.of(t, older); have[len(have)-1] != "superseded" {
		t.Errorf("events %q", have)
	}
}

// later waits until an object that is made is younger than those before, by the API server's clock.
func (s *suite) later(t *testing.T) {
	t.Helper()
	now := time.Now().Truncate(time.Second)
	for time.Now().Truncate(time.Second).Equal(now) {
		select {
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *suite) rollbackWithoutRegistry(t *testing.T) {
	s.environments(t, nil)
	first, old := s.release(t, "no-registry", "first", "1")
	s.phase(t, first, fleetv1.PhaseSucceeded)
	s.later(t)
	second, _ := s.release(t, "no-registry", "second", "2")
	s.phase(t, second, fleetv1.PhaseSucceeded)
	s.registry.Refuse(503)
	defer s.registry.Refuse(0)
	s.restart(t)
	s.later(t)
	back := s.ask(t, "no-registry", "back", fleetv1.ReleaseSpec{Service: "ledger", Artifact: old, Environment: "prod", Intent: fleetv1.IntentRollback})
	s.phase(t, back, fleetv1.PhaseSucceeded)
	if have := s.pointer(t, rest, "no-registry", "ledger").Artifact; have != old {
		t.Errorf("it is told %s", have)
	}
	if back.Status.Source.Author != "ada@example.com" || back.Status.Digest != first.Status.Digest {
		t.Errorf("it says of the artifact: %+v, %s", back.Status.Source, back.Status.Digest)
	}
}

func (s *suite) collects(t *testing.T) {
	s.environments(t, nil)
	var ids []string
	for i := range 4 {
		obj, id := s.release(t, "collecting", fmt.Sprintf("r%d", i), fmt.Sprint(i))
		s.phase(t, obj, fleetv1.PhaseSucceeded)
		ids = append(ids, id)
		s.later(t)
	}
	have := strings.Fields(gittest.Git(t, s.git, "ls-tree", "--name-only", "main:releases/collecting/ledger"))
	want := []string{ids[2], ids[3]}
	slices.Sort(want)
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("artifacts in the repository (-want +have):\n%s", diff)
	}
}

func (s *suite) waits(t *testing.T) {
	s.environments(t, func(prod *fleetv1.EnvironmentSpec) {
		prod.Approvals.Required = 1
		prod.PromotesFrom = &fleetv1.PromotionPath{Environment: "staging", HealthyFor: metav1.Duration{Duration: time.Minute}}
	})
	id := s.push(t, "waiting", "ledger", manifests("ledger", "1"))
	early := s.ask(t, "waiting", "early", fleetv1.ReleaseSpec{Service: "ledger", Artifact: id, Environment: "prod", Intent: fleetv1.IntentPromote, From: "staging"})
	s.phase(t, early, fleetv1.PhaseRefused)
	if have := condition(early, fleetv1.ConditionAdmitted); have != "False/NotPromotable" {
		t.Errorf("before it was in staging: %s", have)
	}
	before := s.ask(t, "waiting", "before", fleetv1.ReleaseSpec{Service: "ledger", Artifact: id, Environment: "staging"})
	s.phase(t, before, fleetv1.PhaseSucceeded)
	obj := s.ask(t, "waiting", "promotion", fleetv1.ReleaseSpec{Service: "ledger", Artifact: id, Environment: "prod", Intent: fleetv1.IntentPromote, From: "staging"})
	s.until(t, obj, func() bool { return condition(obj, fleetv1.ConditionAdmitted) == "False/PromotionSoaking" })
	s.until(t, obj, func() bool { return condition(obj, fleetv1.ConditionAdmitted) == "False/ApprovalMissing" })
	if obj.Status.Phase != fleetv1.PhasePending {
		t.Errorf("it is %s", obj.Status.Phase)
	}
	obj.Spec.Approvals = []fleetv1.Approval{{By: "dev@example.com", At: metav1.Time{Time: s.clock.Now()}}}
	s.update(t, obj)
	s.until(t, obj, func() bool { return obj.Status.ObservedGeneration == obj.Generation })
	if have := condition(obj, fleetv1.ConditionAdmitted); have != "False/ApprovalMissing" {
		t.Errorf("approved by who asked, it is %s", have)
	}
	obj.Spec.Approvals = append(obj.Spec.Approvals, fleetv1.Approval{By: "boss@example.com", At: metav1.Time{Time: s.clock.Now()}})
	s.update(t, obj)
	s.phase(t, obj, fleetv1.PhaseSucceeded)
	if why := gittest.Git(t, s.git, "log", "-1", "--format=%B", "main"); !strings.Contains(why, "Approved-By: boss@example.com") || strings.Contains(why, "Approved-By: dev@") {
		t.Errorf("the commit says:\n%s", why)
	}
}

func (s *suite) update(t *testing.T, obj *fleetv1.Release) {
	t.Helper()
	if err := s.platform.Client.Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
}

func (s *suite) refuses(t *testing.T) {
	s.environments(t, func(prod *fleetv1.EnvironmentSpec) { prod.Branches = "main" })
	good := s.push(t, "refusing", "ledger", manifests("ledger", "1"))
	other := s.push(t, "refusing", "other", manifests("other", "1"))
	for name, c := range map[string]struct {
		spec      fleetv1.ReleaseSpec
		condition string
		want      string
		says      string
	}{
		"an unknown environment": {fleetv1.ReleaseSpec{Service: "ledger", Artifact: good, Environment: "nowhere"}, "Admitted", "False/EnvironmentNotFound", "nowhere"},
		"an unknown service":     {fleetv1.ReleaseSpec{Service: "unknown", Artifact: good, Environment: "prod"}, "Admitted", "False/ArtifactNotFound", "unknown"},
		"an unknown artifact": {fleetv1.ReleaseSpec{Service: "ledger", Artifact: "main-0000000-0000", Environment: "prod"},
			"Admitted", "False/ArtifactNotFound", "main-0000000-0000"},
		"another service's artifact": {fleetv1.ReleaseSpec{Service: "ledger", Artifact: other, Environment: "prod"}, "Admitted", "False/ArtifactNotFound", other},
		"a branch that may not": {fleetv1.ReleaseSpec{Service: "ledger", Environment: "prod",
			Artifact: s.pushFrom(t, "refusing", "ledger", "feature", manifests("ledger", "3"))}, "Admitted", "False/BranchNotAllowed", "feature"},
		"a rollback to what never ran": {fleetv1.ReleaseSpec{Service: "ledger", Artifact: good, Environment: "prod", Intent: fleetv1.IntentRollback},
			"Admitted", "False/NothingBefore", good},
		"an object of the whole cluster": {fleetv1.ReleaseSpec{Service: "ledger", Environment: "prod", Artifact: s.push(t, "refusing", "ledger",
			map[string]string{"a.yaml": "apiVersion: v1\nkind: Namespace\nmetadata: {name: mine}\n"})}, "Checked", "False/OutsideTeam", "Namespace"},
		"a variable that clusters lack": {fleetv1.ReleaseSpec{Service: "ledger", Environment: "prod", Artifact: s.push(t, "refusing", "ledger",
			map[string]string{"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {a: \"${NOBODY}\"}\n"})}, "Checked", "False/VariableMissing", "NOBODY"},
		"an artifact of 100 MB": {fleetv1.ReleaseSpec{Service: "ledger", Environment: "prod",
			Artifact: s.replace(t, "refusing", "ledger", s.push(t, "refusing", "ledger", manifests("ledger", "4")), make([]byte, 100_000_000))},
			"Admitted", "False/ArtifactInvalid", "100000000 bytes"},
		"a path that climbs out": {fleetv1.ReleaseSpec{Service: "ledger", Environment: "prod",
			Artifact: s.replace(t, "refusing", "ledger", s.push(t, "refusing", "ledger", manifests("ledger", "5")), archive(t, "../../clusters/prod-aws/evil.yaml", ""))},
			"Admitted", "False/ArtifactInvalid", "../../clusters/prod-aws/evil.yaml"},
		"a kind that no cluster knows": {fleetv1.ReleaseSpec{Service: "ledger", Environment: "prod", Artifact: s.push(t, "refusing", "ledger",
			map[string]string{"a.yaml": "apiVersion: example.com/v1\nkind: Queue\nmetadata: {name: a}\n"})}, "Checked", "False/CheckFailed", "Queue"},
	} {
		t.Run(name, func(t *testing.T) {
			obj := s.ask(t, "refusing", "bad-"+strings.NewReplacer(" ", "-", "'", "").Replace(strings.ToLower(name)), c.spec)
			s.phase(t, obj, fleetv1.PhaseRefused)
			if have := condition(obj, c.condition); have != c.want || !strings.Contains(words(obj, c.condition), c.says) {
				t.Errorf("%s is %s: %s", c.condition, have, words(obj, c.condition))
			}
			if have := condition(obj, "Stalled"); !strings.HasPrefix(have, "True/") {
				t.Errorf("Stalled is %s", have)
			}
			if have := s.said.of(t, obj); have[len(have)-1] != "refused" {
				t.Errorf("events %q", have)
			}
		})
	}
	if have := s.commits(t, "refusing", "ledger"); have != nil {
		t.Errorf("commits %q", have)
	}
}

func (s *suite) outages(t *testing.T) {
	s.environments(t, nil)
	obj, _ := s.release(t, "outages", "ledger-1", "1")
	pending := func(condition_, want string) {
		t.Helper()
		var last error
		for range 3 {
			_, last = s.pass(t, obj)
		}
		if have := condition(obj, condition_); have != want || obj.Status.Phase.Final() {
			t.Fatalf("%s is %s, want %s (%v)\n%s", condition_, have, want, last, describe(obj))
		}
	}
	s.registry.Refuse(503)
	pending(fleetv1.ConditionAdmitted, "False/ArtifactsUnreadable")
	s.registry.Refuse(0)
	s.clusters.lose(rest, errors.New("connection refused"))
	pending(fleetv1.ConditionChecked, "False/ClusterUnavailable")
	s.clusters.lose(rest, nil)
	s.clock.SetTime(s.clock.Now().Add(time.Minute))
	hook := filepath.Join(s.git, "hooks", "pre-receive")
	if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hook, []byte("#!/bin/sh\necho 'no releases on Fridays' >&2\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	pending(fleetv1.ConditionCommitted, "False/RepositoryRefuses")
	if !strings.Contains(words(obj, "Ready"), "no releases on Fridays") {
		t.Errorf("it does not say why: %s", words(obj, "Ready"))
	}
	if err := os.Remove(hook); err != nil {
		t.Fatal(err)
	}
	s.phase(t, obj, fleetv1.PhaseSucceeded)
	if have := s.commits(t, "outages", "ledger"); len(have) != 2 {
		t.Errorf("commits %q", have)
	}

	obj, _ = s.release(t, "outages", "ledger-2", "2")
	s.clusters.lose(rest, errors.New("connection refused"))
	defer s.clusters.lose(rest, nil)
	pending(fleetv1.ConditionChecked, "False/ClusterUnavailable")
	for range 30 { // of half a minute, beyond the environment's timeout
		s.clock.SetTime(s.clock.Now().Add(30 * time.Second))
		if _, err := s.pass(t, obj); err != nil {
			t.Fatal(err)
		}
	}
	if have := condition(obj, fleetv1.ConditionChecked); have != "False/ClusterUnavailable" || obj.Status.Phase != fleetv1.PhaseRefused {
		t.Errorf("after the timeout it is %s, %s", obj.Status.Phase, have)
	}
}

func (s *suite) slow(t *testing.T) {
	s.environments(t, nil)
	answer := make(chan struct{})
	s.clusters.slow = map[string]chan struct{}{rest: answer}
	defer func() { s.clusters.slow = nil }()
	obj, _ := s.release(t, "slow", "ledger-1", "1")
	began := time.Now()
	if _, err := s.pass(t, obj); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > checkTimeout/2 || condition(obj, fleetv1.ConditionChecked) != "False/Checking" {
		t.Errorf("after %s it is %s", took, condition(obj, fleetv1.ConditionChecked))
	}
	if !s.busy.enter(laneOf(obj)) {
		t.Error("its worker waits")
	}
	s.busy.leave(laneOf(obj))
	close(answer)
	select {
	case key := <-s.woken:
		if key != client.ObjectKeyFromObject(obj) {
			t.Errorf("it woke %s", key)
		}
	case <-time.After(checkTimeout):
		t.Fatal("nobody wakes the release")
	}
	s.phase(t, obj, fleetv1.PhaseSucceeded)
}

func (s *suite) edited(t *testing.T) {
	s.environments(t, nil)
	first, _ := s.release(t, "edited", "first", "1")
	s.phase(t, first, fleetv1.PhaseSucceeded)
	path := pointers.PointerPath(rest, "edited", "ledger")
	content := gittest.Git(t, s.git, "show", "main:"+path)
	gittest.Commit(t, s.git, map[string]string{path: strings.Replace(content, "prune: true", "prune: false", 1) + "\n"})
	s.clock.SetTime(s.clock.Now().Add(time.Minute)) // it is looked for at the Fleet's interval
	s.later(t)
	obj, _ := s.release(t, "edited", "second", "2")
	s.until(t, obj, func() bool { return obj.Status.Phase.Final() })
	if have := condition(obj, fleetv1.ConditionChecked); have != "False/EditedByHand" || !strings.Contains(words(obj, "Ready"), rest) {
		t.Errorf("%s\n%s", have, describe(obj))
	}
	if after := gittest.Git(t, s.git, "show", "main:"+path); !strings.Contains(after, "prune: false") {
		t.Errorf("it was written over:\n%s", after)
	}
}

func (s *suite) silence(t *testing.T) {
	s.environments(t, nil)
	s.said.gone = true
	obj, _ := s.release(t, "silence", "ledger-1", "1")
	s.phase(t, obj, fleetv1.PhaseSucceeded)
	if have := s.said.of(t, obj); have != nil {
		t.Errorf("it was told %q", have)
	}
	result, err := s.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(obj)})
	if err != nil || result.RequeueAfter == 0 || result.RequeueAfter > time.Minute {
		t.Errorf("it is told again after %s, %v", result.RequeueAfter, err)
	}
	s.said.gone = false
	for range 2 {
		if _, err := s.pass(t, obj); err != nil {
			t.Fatal(err)
		}
	}
	news := []string{"requested", "waveStarted", "committed", "waveHealthy", "waveStarted", "committed", "waveHealthy", "succeeded"}
	if diff := cmp.Diff(news, s.said.of(t, obj)); diff != "" {
		t.Errorf("events (-want +have):\n%s", diff)
	}
}
