package releasepolicy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/oci/ocitest"
	"github.com/fairway-dev/fairway/operator/artifact"
	"github.com/fairway-dev/fairway/operator/platformtest"
	"github.com/fairway-dev/fairway/operator/registry"
)

type suite struct {
	*Reconciler
	platform *platformtest.Cluster
	registry *ocitest.Registry
	fleet    *fleetv1.Fleet
	bus      *bus
	clock    *clocktesting.FakePassiveClock
	pushed   int
}

// bus is the event bus.
type bus struct {
	gone bool
	said []event.Event
}

// Announce implements Announcer.
func (b *bus) Announce(_ context.Context, e event.Event) error {
	if b.gone {
		return errors.New("the bus is gone")
	}
	b.said = append(b.said, e)
	return nil
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{platform: platformtest.Platform(t), registry: ocitest.Start(t), bus: &bus{}, clock: clocktesting.NewFakePassiveClock(time.Now().Truncate(time.Second))}
	s.fleet = &fleetv1.Fleet{ObjectMeta: metav1.ObjectMeta{Name: fleetv1.FleetName}, Spec: fleetv1.FleetSpec{
		ConfigRepository: fleetv1.ConfigRepository{URL: "https://git.example.com/config.git"}, Artifacts: &fleetv1.ArtifactStore{URL: s.registry.URL("artifacts")},
	}}
	platformtest.Create(t, s.platform.Client, s.fleet,
		&fleetv1.Environment{ObjectMeta: metav1.ObjectMeta{Name: "staging"}, Spec: fleetv1.EnvironmentSpec{OnFailure: fleetv1.OnFailureHalt}},
		&fleetv1.Environment{ObjectMeta: metav1.ObjectMeta{Name: "prod"}, Spec: fleetv1.EnvironmentSpec{Branches: "main", PromotesFrom: &fleetv1.PromotionPath{Environment: "staging"}}})
	s.Reconciler = &Reconciler{
		Client: s.platform.Client, Recorder: events.NewFakeRecorder(1000), Artifacts: registry.New(s.platform.Client, fleetv1.SystemNamespace),
		Announcer: s.bus, Clock: s.clock, FieldOwner: "fairway-operator",
	}
	return s
}

// push pushes an artifact, each newer than the one before.
func (s *suite) push(t *testing.T, team, branch string) string {
	t.Helper()
	store, err := artifact.New(s.registry.URL("artifacts"), artifact.Auth{})
	if err != nil {
		t.Fatal(err)
	}
	s.pushed++
	files := fstest.MapFS{"a.yaml": {Data: fmt.Appendf(nil, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {n: \"%d\"}\n", s.pushed), Mode: 0o600}}
	pushed, err := store.Push(t.Context(), team, "ledger", files, artifact.Metadata{
		Branch: branch, Commit: fmt.Sprintf("%040x", s.pushed), Author: "ada@example.com", Created: &metav1.Time{Time: s.clock.Now().Add(time.Duration(s.pushed) * time.Second)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return pushed.ID
}

func (s *suite) make(t *testing.T, team string, spec fleetv1.ReleasePolicySpec) *fleetv1.ReleasePolicy {
	t.Helper()
	s.platform.Namespace(t, team)
	spec.Service = "ledger"
	obj := &fleetv1.ReleasePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: team, Name: "ledger"}, Spec: spec}
	platformtest.Create(t, s.platform.Client, obj)
	return obj
}

// pass takes one pass and returns Ready in short.
func (s *suite) pass(t *testing.T, obj *fleetv1.ReleasePolicy) string {
	t.Helper()
	if _, err := s.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(obj)}); err != nil {
		t.Fatal(err)
	}
	if err := s.platform.Client.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		t.Fatal(err)
	}
	c := apimeta.FindStatusCondition(obj.Status.Conditions, "Ready")
	return string(c.Status) + "/" + c.Reason + ": " + c.Message
}

// asked are the releases of a team, "<environment> <artifact>", sorted.
func (s *suite) asked(t *testing.T, team string) (out []string) {
	t.Helper()
	var list fleetv1.ReleaseList
	if err := s.platform.Client.List(t.Context(), &list, client.InNamespace(team)); err != nil {
		t.Fatal(err)
	}
	for _, release := range list.Items {
		if release.Spec.Intent != fleetv1.IntentAutoRelease || release.Spec.RequestedBy != "policy:"+team+"/ledger" {
			t.Errorf("%s is asked for by %s, as %s", release.Name, release.Spec.RequestedBy, release.Spec.Intent)
		}
		out = append(out, release.Spec.Environment+" "+release.Spec.Artifact)
	}
	slices.Sort(out)
	return out
}

func auto(branch, environment string) fleetv1.AutoRelease {
	return fleetv1.AutoRelease{Branch: branch, Environment: environment}
}

func TestReleasePolicies(t *testing.T) {
	s := newSuite(t)
	t.Run("new artifacts of the branch are released by themselves, once", s.releases)
	t.Run("artifacts are told to the fleet once, when the bus is there", s.tells)
	t.Run("what contradicts is told", s.contradicts)
	t.Run("what is away is told", s.away)
	t.Run("what cannot be is refused", s.refused)
}

func (s *suite) releases(t *testing.T) {
	obj := s.make(t, "auto", fleetv1.ReleasePolicySpec{AutoRelease: []fleetv1.AutoRelease{auto("main", "staging"), auto("main", "prod")}})
	if have := s.pass(t, obj); have != "True/Succeeded: released by themselves: main to staging, main to prod" {
		t.Errorf("before anything was pushed: %s", have)
	}
	s.push(t, "auto", "main")
	first := s.push(t, "auto", "main")
	s.push(t, "auto", "feature")
	for range 2 {
		s.pass(t, obj)
		if diff := cmp.Diff([]string{"staging " + first}, s.asked(t, "auto")); diff != "" {
			t.Errorf("releases (-want +have):\n%s", diff)
		}
	}
	if diff := cmp.Diff([]string{"main " + first}, []string{obj.Status.Newest[0].Branch + " " + obj.Status.Newest[0].Artifact}); diff != "" || len(obj.Status.Newest) != 1 {
		t.Errorf("newest (-want +have):\n%s", diff)
	}
	var list fleetv1.ReleaseList
	if err := s.platform.Client.List(t.Context(), &list, client.InNamespace("auto")); err != nil {
		t.Fatal(err)
	}
	done := &list.Items[0]
	done.Status.Phase = fleetv1.PhaseSucceeded
	if err := s.platform.Client.Status().Update(t.Context(), done); err != nil {
		t.Fatal(err)
	}
	s.pass(t, obj)
	if diff := cmp.Diff([]string{"prod " + first, "staging " + first}, s.asked(t, "auto")); diff != "" {
		t.Errorf("after it has succeeded in staging (-want +have):\n%s", diff)
	}
}

func (s *suite) tells(t *testing.T) {
	obj := s.make(t, "telling", fleetv1.ReleasePolicySpec{AutoRelease: []fleetv1.AutoRelease{auto("main", "staging")}})
	s.bus.gone, s.bus.said = true, nil
	ids := []string{s.push(t, "telling", "main"), s.push(t, "telling", "feature")}
	s.pass(t, obj)
	s.bus.gone = false
	for range 2 {
		s.pass(t, obj)
	}
	var have []string
	for _, e := range s.bus.said {
		if e.Type != event.ArtifactCreated || e.Team != "telling" || e.Service != "ledger" {
			t.Errorf("event %+v", e)
		}
		if _, err := e.Encode(); err != nil {
			t.Error(err)
		}
		have = append(have, e.Artifact)
	}
	if diff := cmp.Diff(ids, have); diff != "" {
		t.Errorf("told (-want +have):\n%s", diff)
	}
}

func (s *suite) contradicts(t *testing.T) {
	obj := s.make(t, "contradicting", fleetv1.ReleasePolicySpec{AutoRelease: []fleetv1.AutoRelease{auto("feature", "prod"), auto("main", "staging")}})
	id := s.push(t, "contradicting", "main")
	s.push(t, "contradicting", "feature")
	have := s.pass(t, obj)
	for _, part := range []string{"False/PolicyContradicts", "ReleasePolicy contradicting/ledger, spec.autoRelease", "Environment prod, spec.branches"} {
		if !strings.Contains(have, part) {
			t.Errorf("it does not say %q: %s", part, have)
		}
	}
	if diff := cmp.Diff([]string{"staging " + id}, s.asked(t, "contradicting")); diff != "" {
		t.Errorf("what contradicts nothing (-want +have):\n%s", diff)
	}
}

func (s *suite) away(t *testing.T) {
	obj := s.make(t, "away", fleetv1.ReleasePolicySpec{AutoRelease: []fleetv1.AutoRelease{auto("main", "staging")}})
	s.registry.Refuse(503)
	defer s.registry.Refuse(0)
	if have := s.pass(t, obj); !strings.HasPrefix(have, "False/ArtifactsUnreadable") {
		t.Errorf("the registry: %s", have)
	}
	s.fleet.Spec.Artifacts = nil
	if err := s.platform.Client.Update(t.Context(), s.fleet); err != nil {
		t.Fatal(err)
	}
	if have := s.pass(t, obj); !strings.HasPrefix(have, "False/NoArtifactStore") {
		t.Errorf("no registry: %s", have)
	}
	if err := s.platform.Client.Delete(t.Context(), s.fleet); err != nil {
		t.Fatal(err)
	}
	if have := s.pass(t, obj); !strings.HasPrefix(have, "False/FleetNotReady") {
		t.Errorf("no Fleet: %s", have)
	}
}

func (s *suite) refused(t *testing.T) {
	s.platform.Namespace(t, "refused")
	for name, c := range map[string]struct {
		spec fleetv1.ReleasePolicySpec
		says string
	}{
		"a pattern that is none": {fleetv1.ReleasePolicySpec{Service: "ledger", Branches: map[string]fleetv1.BranchPattern{"prod": "("}}, "branches"},
		"two branches to one environment": {fleetv1.ReleasePolicySpec{Service: "ledger", AutoRelease: []fleetv1.AutoRelease{auto("main", "prod"), auto("other", "prod")}},
			"Duplicate value"},
		"a service that is no name": {fleetv1.ReleasePolicySpec{Service: "Ledger"}, "spec.service"},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.platform.Client.Create(t.Context(), &fleetv1.ReleasePolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "refused", Name: "refused"}, Spec: c.spec})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
}
