package fleet

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/platformtest"
	"github.com/fairway-dev/fairway/operator/rings"
	"github.com/fairway-dev/fairway/operator/steps"
)

// view is the fleet view of a test: clusters are well but for what it says.
type view struct {
	health map[string]Health
	since  time.Time
	blind  error
}

func (v *view) Flux(cluster string, _ time.Time) Health {
	if h, ok := v.health[cluster]; ok {
		return h
	}
	return Health{Connected: true}
}

func (v *view) Blind() (time.Time, error) { return v.since, v.blind }

// member makes a cluster that runs a version and is well.
func (s *suite) member(t *testing.T, id, environment, version string) *fleetv1.WorkloadCluster {
	t.Helper()
	obj := &fleetv1.WorkloadCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: id},
		Spec: fleetv1.WorkloadClusterSpec{Environment: environment,
			Access: fleetv1.Access{KubeconfigRef: &fleetv1.KubeconfigReference{Name: id}}},
	}
	platformtest.Create(t, s.c, obj)
	t.Cleanup(func() {
		if err := s.c.Delete(context.WithoutCancel(t.Context()), obj); err != nil {
			t.Error(err)
		}
	})
	s.runs(t, obj, version, metav1.ConditionTrue)
	return obj
}

// runs is what a WorkloadCluster's reconciler reports of a version that it put on the cluster.
func (s *suite) runs(t *testing.T, obj *fleetv1.WorkloadCluster, version string, ready metav1.ConditionStatus) {
	t.Helper()
	if err := s.c.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		t.Fatal(err)
	}
	now := metav1.NewTime(s.clock.Now())
	obj.Status.Flux = fleetv1.FluxStatus{Version: version, AttemptedVersion: version, AttemptedAt: &now, PreviousVersion: "v2.9.3"}
	obj.Status.Conditions = []metav1.Condition{
		{Type: fleetv1.ConditionReachable, Status: metav1.ConditionTrue, Reason: fleetv1.ReasonSucceeded, LastTransitionTime: now},
		{Type: fleetv1.ConditionFluxReady, Status: ready, Reason: fleetv1.ReasonRollingOut, Message: "as the test wants", LastTransitionTime: now},
	}
	if err := s.c.Status().Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
}

// words are the versions that clusters may have.
func (s *suite) words(ids ...string) map[string]string {
	out := map[string]string{}
	for _, id := range ids {
		word, _ := s.Upgrades.Word(id)
		out[id] = word.Version
	}
	return out
}

func haltsUpgrade(t *testing.T, s *suite) {
	dev := s.member(t, "dev-1", "dev", "v2.9.4")
	prod := s.member(t, "prod-1", "prod", "v2.9.4")
	fleet := newFleet(func(spec *fleetv1.FleetSpec) {
		spec.Flux.Artifact = registry(t, "v2.9.4", "v2.9.5")
		spec.Flux.Upgrade.Rings = []fleetv1.UpgradeRing{{Name: "canary", Environments: []string{"dev"}, Soak: metav1.Duration{Duration: time.Minute}}}
	})
	expect := func(condition string, words map[string]string) {
		t.Helper()
		if err := s.pass(t, fleet); err == nil {
			t.Error("the repository is not tried again")
		}
		compare(t, fleet, map[string]string{fleetv1.ConditionFluxUpgraded: condition})
		if diff := cmp.Diff(words, s.words("dev-1", "prod-1")); diff != "" {
			t.Errorf("versions (-want +have):\n%s", diff)
		}
	}
	onlyDev, both := map[string]string{"dev-1": "v2.9.5", "prod-1": "v2.9.4"}, map[string]string{"dev-1": "v2.9.5", "prod-1": "v2.9.5"}
	expect("False/Upgrading", onlyDev)

	s.runs(t, dev, "v2.9.5", metav1.ConditionFalse)
	expect("False/Upgrading", onlyDev)

	s.view.health = map[string]Health{"dev-1": {Connected: true, Failure: &rings.Trouble{
		Reason: "CrashLoopBackOff", Message: "Deployment/flux-system/kustomize-controller: exit 2", Since: s.clock.Now()}}}
	expect("False/Halted", onlyDev)
	want := fleetv1.FluxUpgradeStatus{Target: "v2.9.5", Ring: "canary", Clusters: fleetv1.UpgradeCounts{Failed: 1, Waiting: 1},
		Halted: &fleetv1.UpgradeHalt{Cluster: "dev-1", Reason: "CrashLoopBackOff", Message: "Deployment/flux-system/kustomize-controller: exit 2"}}
	if diff := cmp.Diff(want, fleet.Status.FluxUpgrade, cmpopts.IgnoreTypes(metav1.Time{})); diff != "" {
		t.Errorf("status (-want +have):\n%s", diff)
	}

	// The status is lost, as clusterctl move does, and the cluster was rolled back: it halts all the same.
	s.view.health = nil
	dev.Spec.Flux.Version = "v2.9.4"
	if err := s.c.Get(t.Context(), client.ObjectKeyFromObject(dev), dev); err != nil {
		t.Fatal(err)
	}
	dev.Spec.Flux.Version = "v2.9.4"
	if err := s.c.Update(t.Context(), dev); err != nil {
		t.Fatal(err)
	}
	s.runs(t, dev, "v2.9.4", metav1.ConditionTrue)
	fleet.Status = fleetv1.FleetStatus{}
	if err := s.c.Status().Update(t.Context(), fleet); err != nil {
		t.Fatal(err)
	}
	expect("False/Halted", map[string]string{"dev-1": "v2.9.4", "prod-1": "v2.9.4"})
	if text := message(fleet, fleetv1.ConditionFluxUpgraded); !strings.Contains(text, "failed on dev-1: CrashLoopBackOff: Deployment/flux-system/kustomize-controller: exit 2") {
		t.Errorf("the message does not say what failed: %s", text)
	}

	// A person lets it try again, and now it works.
	dev.Spec.Flux.Version = ""
	delete(dev.Annotations, fleetv1.AnnotationFluxFailed)
	if err := s.c.Update(t.Context(), dev); err != nil {
		t.Fatal(err)
	}
	expect("False/Upgrading", onlyDev)
	s.runs(t, dev, "v2.9.5", metav1.ConditionTrue)
	expect("False/Soaking", onlyDev)
	s.clock.SetTime(s.clock.Now().Add(time.Minute))
	expect("False/Upgrading", both)
	s.runs(t, prod, "v2.9.5", metav1.ConditionTrue)
	expect("True/UpToDate", both)
}

func holdsWithoutRings(t *testing.T, s *suite) {
	s.member(t, "dev-1", "dev", "v2.9.4")
	fleet := newFleet(func(spec *fleetv1.FleetSpec) {
		spec.Flux.Artifact = registry(t, "v2.9.5")
		spec.Flux.Upgrade.Rings = []fleetv1.UpgradeRing{{Name: "canary", ClusterSelector: &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "ring", Operator: "Like", Values: []string{"x"}}}}}}
	})
	if err := s.pass(t, fleet); err == nil {
		t.Error("the repository is not tried again")
	}
	compare(t, fleet, map[string]string{fleetv1.ConditionFluxUpgraded: "False/RingsInvalid"})
	if text := message(fleet, fleetv1.ConditionFluxUpgraded); !strings.Contains(text, "rings[0] (canary)") {
		t.Errorf("the message does not name the ring: %s", text)
	}
	if diff := cmp.Diff(map[string]string{"dev-1": "v2.9.4"}, s.words("dev-1")); diff != "" {
		t.Errorf("versions (-want +have):\n%s", diff)
	}
}

func holdsWhileBlind(t *testing.T, s *suite) {
	dev := s.member(t, "dev-1", "dev", "v2.9.5")
	fleet := newFleet(func(spec *fleetv1.FleetSpec) { spec.Flux.Artifact = registry(t, "v2.9.5") })
	expect := func(condition string) {
		t.Helper()
		if err := s.pass(t, fleet); err == nil {
			t.Error("the repository is not tried again")
		}
		compare(t, fleet, map[string]string{fleetv1.ConditionFluxUpgraded: condition})
	}
	expect("True/UpToDate")
	s.view.since, s.view.blind = s.clock.Now(), errors.New("the bus does not answer")
	defer func() { s.view.blind = nil }()
	expect("True/UpToDate")
	s.runs(t, dev, "v2.9.4", metav1.ConditionTrue)
	expect("True/UpToDate")
	if diff := cmp.Diff(map[string]string{"dev-1": "v2.9.4"}, s.words("dev-1")); diff != "" {
		t.Errorf("versions (-want +have):\n%s", diff)
	}
	s.clock.SetTime(s.clock.Now().Add(blindPatience))
	expect("Unknown/EventsUnreachable")
}

func TestLook(t *testing.T) {
	at := func(minute int) metav1.Time {
		return metav1.NewTime(time.Date(2026, 11, 28, 20, minute, 0, 0, time.UTC))
	}
	tried := at(10)
	base := func(change func(*fleetv1.WorkloadCluster)) *fleetv1.WorkloadCluster {
		wc := &fleetv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Name: "a"}, Spec: fleetv1.WorkloadClusterSpec{Environment: "dev"}}
		wc.Status.Flux = fleetv1.FluxStatus{Version: "v2.9.5", AttemptedVersion: "v2.9.5", AttemptedAt: &tried, PreviousVersion: "v2.9.4"}
		wc.Status.Conditions = []metav1.Condition{{Type: fleetv1.ConditionFluxReady, Status: metav1.ConditionTrue, LastTransitionTime: at(11),
			Reason: "RollingOut", Message: "not all is ready"}}
		if change != nil {
			change(wc)
		}
		return wc
	}
	want := func(change func(*rings.Cluster)) rings.Cluster {
		c := rings.Cluster{ID: "a", Environment: "dev", Installed: "v2.9.5", Tried: "v2.9.5", TriedAt: tried.Time, Since: at(11).Time,
			Lacks: rings.Trouble{Reason: fleetv1.ReasonUpgrading, Message: "nothing is known of it yet"}}
		change(&c)
		return c
	}
	failure := &rings.Trouble{Reason: "BuildFailed", Message: "m", Since: at(12).Time}
	silent := &rings.Trouble{Reason: fleetv1.ReasonAgentSilent, Message: "no heartbeat since 2026-11-28T20:13:00Z", Since: at(13).Time}
	connected := Health{Connected: true}
	for name, c := range map[string]struct {
		wc     *fleetv1.WorkloadCluster
		health Health
		want   rings.Cluster
	}{
		"a cluster that is well is so since its condition says so": {base(nil), connected, want(func(c *rings.Cluster) { c.Healthy = true })},
		"one that calmed down later is so since then": {base(nil), Health{Connected: true, Calm: at(20).Time},
			want(func(c *rings.Cluster) { c.Healthy, c.Since = true, at(20).Time })},
		"a failure of Flux is trouble": {base(nil), Health{Connected: true, Failure: failure}, want(func(c *rings.Cluster) { c.Trouble = failure })},
		"a silent cluster is away, and in trouble": {base(nil), Health{Silent: at(13).Time}, want(func(c *rings.Cluster) {
			c.Trouble, c.Away = silent, silent.Message
		})},
		"a condition that is of another version says nothing": {base(func(wc *fleetv1.WorkloadCluster) { wc.Status.Flux.Version = "v2.9.4" }), connected,
			want(func(c *rings.Cluster) {
				c.Installed, c.Lacks = "v2.9.4", rings.Trouble{Reason: "RollingOut", Message: "FluxReady: not all is ready"}
			})},
		"a first version is known as such": {base(func(wc *fleetv1.WorkloadCluster) { wc.Status.Flux.PreviousVersion = "" }), connected,
			want(func(c *rings.Cluster) { c.Healthy, c.Joined = true, true })},
		"a cluster that cannot be reached is away": {base(func(wc *fleetv1.WorkloadCluster) {
			wc.Status.Conditions = append(wc.Status.Conditions, metav1.Condition{Type: fleetv1.ConditionReachable, Status: metav1.ConditionFalse, Message: "no route"})
		}), connected, want(func(c *rings.Cluster) { c.Healthy, c.Away = true, "Reachable: no route" })},
		"so is one that needs a person": {base(func(wc *fleetv1.WorkloadCluster) {
			wc.Status.Conditions = append(wc.Status.Conditions, metav1.Condition{Type: "Stalled", Status: metav1.ConditionTrue, Message: "not Fairway's Flux"})
		}), connected, want(func(c *rings.Cluster) { c.Healthy, c.Away = true, "Stalled: not Fairway's Flux" })},
		"and one whose agent was never heard": {base(nil), Health{}, want(func(c *rings.Cluster) { c.Away = "the fleet view does not have all of it" })},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Reconciler{View: &view{health: map[string]Health{"a": c.health}}}
			if diff := cmp.Diff(c.want, r.look(c.wc, true)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestLeftOut(t *testing.T) {
	for want, change := range map[string]func(*fleetv1.WorkloadCluster){
		"":                       func(*fleetv1.WorkloadCluster) {},
		"observed only":          func(wc *fleetv1.WorkloadCluster) { wc.Spec.Mode = fleetv1.ModeObserve },
		"with a Flux of its own": func(wc *fleetv1.WorkloadCluster) { wc.Spec.Flux.Install = fleetv1.FluxExisting },
		"pinned to 2.8.x":        func(wc *fleetv1.WorkloadCluster) { wc.Spec.Flux.Version = "2.8.x" },
		"suspended":              func(wc *fleetv1.WorkloadCluster) { wc.Spec.Suspend = true },
	} {
		wc := &fleetv1.WorkloadCluster{}
		change(wc)
		if have := leftOut(wc); have != want {
			t.Errorf("have %q, want %q", have, want)
		}
	}
}

func TestAFailureIsRememberedAsItWas(t *testing.T) {
	since := time.Date(2026, 11, 28, 20, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		text string
		want *rings.Failure
	}{
		"as it was written": {
			failureText(rings.Failure{Version: "v2.9.6", Trouble: rings.Trouble{Reason: "BuildFailed", Message: "no such: file", Since: since}}),
			&rings.Failure{Version: "v2.9.6", Trouble: rings.Trouble{Reason: "BuildFailed", Message: "no such: file", Since: since}}},
		"a version by itself, as a person might write it": {"v2.9.6",
			&rings.Failure{Version: "v2.9.6", Trouble: rings.Trouble{Reason: fleetv1.ReasonHalted, Message: "nothing says why"}}},
		"with words of a person": {"v2.9.6 today it broke billing",
			&rings.Failure{Version: "v2.9.6", Trouble: rings.Trouble{Reason: fleetv1.ReasonHalted, Message: "it broke billing"}}},
	} {
		t.Run(name, func(t *testing.T) {
			wc := &fleetv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{fleetv1.AnnotationFluxFailed: c.text}}}
			if diff := cmp.Diff(c.want, failureOf(wc)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
	if have := failureOf(&fleetv1.WorkloadCluster{}); have != nil {
		t.Errorf("of nothing: %+v", have)
	}
	long := failureText(rings.Failure{Version: "v2.9.6", Trouble: rings.Trouble{Reason: "X", Message: strings.Repeat("ü", maxRemembered)}})
	if len(long) > maxRemembered {
		t.Errorf("it is %d bytes long", len(long))
	}
}

func TestRingsOf(t *testing.T) {
	names := func(spec fleetv1.FluxUpgrade) (out []string) {
		all, err := ringsOf(spec)
		if err != nil {
			t.Fatal(err)
		}
		for _, ring := range all {
			out = append(out, ring.Name)
		}
		return out
	}
	if diff := cmp.Diff([]string{"all"}, names(fleetv1.FluxUpgrade{})); diff != "" {
		t.Errorf("without rings (-want +have):\n%s", diff)
	}
	spec := fleetv1.FluxUpgrade{Rings: []fleetv1.UpgradeRing{{Name: "canary", ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"ring": "canary"}}}}}
	if diff := cmp.Diff([]string{"canary", "others"}, names(spec)); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	all, err := ringsOf(spec)
	if err != nil || all[0].Selector.Matches(labels.Set{}) || !all[0].Selector.Matches(labels.Set{"ring": "canary"}) {
		t.Errorf("the selector is not read: %+v, %v", all, err)
	}
}

func TestUpgradesTellOnlyOfChanges(t *testing.T) {
	var told []string
	u := &Upgrades{Changed: func(cluster string) { told = append(told, cluster) }}
	if _, ok := u.Word("a"); ok {
		t.Error("there is a word before any was said")
	}
	u.say(map[string]rings.Word{"a": {Version: "v1"}})
	u.say(map[string]rings.Word{"a": {Version: "v1"}, "b": {Version: "v1"}})
	u.say(map[string]rings.Word{"a": {Version: "v1"}, "b": {Version: "v2"}})
	if diff := cmp.Diff([]string{"a", "b", "b"}, told); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

func TestUpgradeOutcomeSaysWhatThereIsToKnow(t *testing.T) {
	in := rings.Input{Target: "v2.9.6", Blind: ""}
	soak := time.Date(2026, 11, 28, 20, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		decision rings.Decision
		want     steps.Outcome
	}{
		"nothing is left": {
			rings.Decision{State: rings.UpToDate, Counts: rings.Counts{Upgraded: 3, LeftOut: 1, Skipped: 1}, Skipped: []string{"eu1 (no heartbeat)"}},
			steps.Outcome{State: steps.Done, Reason: fleetv1.ReasonUpToDate, Message: "nobody waits for Flux v2.9.6: 3 have it; 1 left out; 1 skipped: eu1 (no heartbeat)"}},
		"a ring gets it": {
			rings.Decision{State: rings.Upgrading, Ring: "canary", Counts: rings.Counts{Upgraded: 1, Upgrading: 2, Waiting: 3}, After: time.Second},
			steps.Outcome{State: steps.Working, Reason: fleetv1.ReasonUpgrading, After: time.Second, Message: "ring canary gets Flux v2.9.6: 1 have it, 2 are on the way, 3 wait"}},
		"a ring soaks": {
			rings.Decision{State: rings.Soaking, Ring: "canary", Counts: rings.Counts{Upgraded: 1, Waiting: 3}, SoakUntil: soak},
			steps.Outcome{State: steps.Working, Reason: fleetv1.ReasonSoaking, Message: "ring canary has Flux v2.9.6, and the next one waits until 2026-11-28T20:00:00Z: 1 have it, 3 wait"}},
		"many are skipped": {
			rings.Decision{State: rings.Silent, Ring: "canary", Skipped: []string{"a", "b", "c", "d", "e", "f"}},
			steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonRingSilent, Message: "no cluster of ring canary can be upgraded, so nothing shows that Flux v2.9.6 works there; " +
				"bring one back, or pin them by spec.flux.version, which leaves them out; 6 skipped: a, b, c, d and 2 more"}},
		"a cluster failed": {
			rings.Decision{State: rings.Halted, Ring: "canary", Counts: rings.Counts{Failed: 1, Waiting: 3}, Halt: &rings.Halt{Cluster: "eu1", Trouble: rings.Trouble{Reason: "BuildFailed", Message: "no such file"}}},
			steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonHalted, Message: "Flux v2.9.6 failed on eu1: BuildFailed: no such file; no other cluster gets it (0 have it, 1 failed, 3 wait); " +
				"mend the cluster or pin it to another version, and set spec.flux.version to one that works"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, upgradeOutcome(in, c.decision)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
	if have := upgradeOutcome(rings.Input{}, rings.Decision{}); have.State != steps.Waiting || have.Reason != fleetv1.ReasonWaiting {
		t.Errorf("without a target: %+v", have)
	}
}
