package environment

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

type suite struct {
	*Reconciler
	platform *platformtest.Cluster
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	s := &suite{platform: platformtest.Platform(t)}
	s.platform.Namespace(t, "clusters")
	s.Reconciler = &Reconciler{Client: s.platform.Client, Recorder: events.NewFakeRecorder(1000), FieldOwner: "fairway-operator"}
	return s
}

// make makes an Environment, until the test ends.
func (s *suite) make(t *testing.T, name string, spec fleetv1.EnvironmentSpec) *fleetv1.Environment {
	t.Helper()
	spec.OnFailure = fleetv1.OnFailureHalt // a spec is never empty
	obj := &fleetv1.Environment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
	platformtest.Create(t, s.platform.Client, obj)
	t.Cleanup(func() { s.remove(t, obj) })
	return obj
}

func (s *suite) remove(t *testing.T, obj client.Object) {
	t.Helper()
	if err := client.IgnoreNotFound(s.platform.Client.Delete(t.Context(), obj)); err != nil && t.Context().Err() == nil {
		t.Error(err)
	}
}

// cluster registers a cluster; one that follows has applied a commit.
func (s *suite) cluster(t *testing.T, name, environment string, mode fleetv1.Mode, follows bool, labels map[string]string) {
	t.Helper()
	obj := &fleetv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "clusters", Name: name, Labels: labels}, Spec: fleetv1.WorkloadClusterSpec{
		Environment: environment, Mode: mode, Access: fleetv1.Access{KubeconfigRef: &fleetv1.KubeconfigReference{Name: name}},
	}}
	platformtest.Create(t, s.platform.Client, obj)
	if follows {
		obj.Status.Flux.Revision = "main@sha1:0000000000000000000000000000000000000000"
		if err := s.platform.Client.Status().Update(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}
}

// ready takes a pass and returns Ready in short, with its message.
func (s *suite) ready(t *testing.T, obj *fleetv1.Environment) (short, message string) {
	t.Helper()
	if _, err := s.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKeyFromObject(obj)}); err != nil {
		t.Fatal(err)
	}
	if err := s.platform.Client.Get(t.Context(), client.ObjectKeyFromObject(obj), obj); err != nil {
		t.Fatal(err)
	}
	c := apimeta.FindStatusCondition(obj.Status.Conditions, "Ready")
	return string(c.Status) + "/" + c.Reason, c.Message
}

func wave(name string, labels map[string]string) fleetv1.Wave {
	out := fleetv1.Wave{Name: name}
	if labels != nil {
		out.ClusterSelector = &metav1.LabelSelector{MatchLabels: labels}
	}
	return out
}

func from(name string) *fleetv1.PromotionPath { return &fleetv1.PromotionPath{Environment: name} }

func TestEnvironments(t *testing.T) {
	s := newSuite(t)
	s.cluster(t, "prod-aws", "prod", fleetv1.ModeManage, true, map[string]string{"wave": "canary"})
	s.cluster(t, "prod-azure", "prod", fleetv1.ModeManage, true, nil)
	s.cluster(t, "prod-new", "prod", fleetv1.ModeManage, false, nil)
	s.cluster(t, "prod-seen", "prod", fleetv1.ModeObserve, true, nil)
	s.cluster(t, "dev-new", "dev", fleetv1.ModeManage, false, nil)
	t.Run("clusters are in the order of the waves, those that follow the repository", func(t *testing.T) {
		obj := s.make(t, "prod", fleetv1.EnvironmentSpec{Waves: []fleetv1.Wave{wave("canary", map[string]string{"wave": "canary"})}})
		short, message := s.ready(t, obj)
		if short != "True/Succeeded" || message != "releases go to 2 clusters in 2 waves: canary, others" {
			t.Errorf("%s: %s", short, message)
		}
		want := []fleetv1.EnvironmentCluster{{ID: "prod-aws", Wave: "canary"}, {ID: "prod-azure", Wave: "others"}}
		defer s.remove(t, obj)
		if diff := cmp.Diff(want, obj.Status.Clusters); diff != "" {
			t.Errorf("clusters (-want +have):\n%s", diff)
		}
		version := obj.ResourceVersion
		if s.ready(t, obj); obj.ResourceVersion != version {
			t.Error("a second pass writes")
		}
	})
	t.Run("what is wrong is told", func(t *testing.T) { s.wrong(t) })
	t.Run("what contradicts itself is refused", func(t *testing.T) { s.refused(t) })
}

func (s *suite) wrong(t *testing.T) {
	s.make(t, "staging", fleetv1.EnvironmentSpec{})
	s.make(t, "circle-a", fleetv1.EnvironmentSpec{PromotesFrom: from("circle-b")})
	s.make(t, "circle-b", fleetv1.EnvironmentSpec{PromotesFrom: from("circle-a")})
	s.make(t, "broken", fleetv1.EnvironmentSpec{PromotesFrom: from("gone")})
	unreadable := wave("a", nil)
	unreadable.ClusterSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "wave", Operator: "Like"}}}
	for name, c := range map[string]struct {
		spec        fleetv1.EnvironmentSpec
		short, says string
		stalled     bool
		environment string
		reconciling bool
	}{
		"nobody is in it":          {fleetv1.EnvironmentSpec{}, "False/NoClusters", "no WorkloadCluster of mode Manage has spec.environment empty", false, "empty", true},
		"nobody follows yet":       {fleetv1.EnvironmentSpec{}, "False/NoClusters", "none of its 1 clusters follows", false, "dev", true},
		"a selector":               {fleetv1.EnvironmentSpec{Waves: []fleetv1.Wave{unreadable}}, "False/WavesInvalid", "wave a", true, "prod", false},
		"the environment before":   {fleetv1.EnvironmentSpec{PromotesFrom: from("nowhere")}, "False/PromotesFromMissing", "spec.promotesFrom of prod names the Environment nowhere", true, "prod", false},
		"one further back":         {fleetv1.EnvironmentSpec{PromotesFrom: from("broken")}, "False/PromotesFromMissing", "spec.promotesFrom of broken names the Environment gone", true, "prod", false},
		"a path into a circle":     {fleetv1.EnvironmentSpec{PromotesFrom: from("circle-a")}, "False/PromotesFromMissing", "prod <- circle-a <- circle-b <- circle-a", true, "prod", false},
		"a path that is all right": {fleetv1.EnvironmentSpec{PromotesFrom: from("staging")}, "True/Succeeded", "", false, "prod", false},
	} {
		t.Run(name, func(t *testing.T) {
			obj := s.make(t, c.environment, c.spec)
			defer s.remove(t, obj)
			short, message := s.ready(t, obj)
			if short != c.short || !strings.Contains(message, c.says) {
				t.Errorf("Ready is %s: %s", short, message)
			}
			for condition, want := range map[string]bool{"Stalled": c.stalled, "Reconciling": c.reconciling} {
				if have := apimeta.IsStatusConditionTrue(obj.Status.Conditions, condition); have != want {
					t.Errorf("%s: %t", condition, have)
				}
			}
		})
	}
}

func (s *suite) refused(t *testing.T) {
	day := func(n int) metav1.Time {
		return metav1.Time{Time: time.Date(2026, 12, n, 0, 0, 0, 0, time.UTC)}
	}
	duration := func(d time.Duration) metav1.Duration { return metav1.Duration{Duration: d} }
	concurrent := func(v intstr.IntOrString) fleetv1.Wave {
		return fleetv1.Wave{Name: "a", MaxConcurrent: &v}
	}
	for name, c := range map[string]struct {
		spec fleetv1.EnvironmentSpec
		says string
	}{
		"a pattern that is none":               {fleetv1.EnvironmentSpec{Branches: "("}, "branches"},
		"a wave that leaves nothing to others": {fleetv1.EnvironmentSpec{Waves: []fleetv1.Wave{wave("a", nil), wave("b", map[string]string{"a": "b"})}}, "it must be the last"},
		"a wave with the name of the rest":     {fleetv1.EnvironmentSpec{Waves: []fleetv1.Wave{wave("others", nil)}}, "the name others"},
		"nobody at a time":                     {fleetv1.EnvironmentSpec{Waves: []fleetv1.Wave{concurrent(intstr.FromInt32(0))}}, "maxConcurrent must be at least 1"},
		"more than all at a time":              {fleetv1.EnvironmentSpec{Waves: []fleetv1.Wave{concurrent(intstr.FromString("200%"))}}, "maxConcurrent"},
		"a soak of weeks":                      {fleetv1.EnvironmentSpec{Waves: []fleetv1.Wave{{Name: "a", Soak: duration(200 * time.Hour)}}}, "soak must be between 0s and 168h"},
		"a quick verdict":                      {fleetv1.EnvironmentSpec{Timeout: duration(time.Second)}, "timeout must be between 10s and 24h"},
		"a health of months":                   {fleetv1.EnvironmentSpec{PromotesFrom: &fleetv1.PromotionPath{Environment: "a", HealthyFor: duration(800 * time.Hour)}}, "healthyFor must be between 0s and 720h"},
		"a freeze that ends before it begins":  {fleetv1.EnvironmentSpec{Freezes: []fleetv1.Freeze{{Name: "a", From: day(2), To: day(1)}}}, "from must be before to"},
		"a crowd of approvers":                 {fleetv1.EnvironmentSpec{Approvals: fleetv1.Approvals{Required: 9}}, "spec.approvals.required"},
	} {
		t.Run(name, func(t *testing.T) {
			err := s.platform.Client.Create(t.Context(), &fleetv1.Environment{ObjectMeta: metav1.ObjectMeta{Name: "refused"}, Spec: c.spec})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("error %v, want one that says %q", err, c.says)
			}
		})
	}
	long := &fleetv1.Environment{ObjectMeta: metav1.ObjectMeta{Name: strings.Repeat("a", 64)}, Spec: fleetv1.EnvironmentSpec{Branches: "main"}}
	if err := s.platform.Client.Create(t.Context(), long); err == nil || !strings.Contains(err.Error(), "at most 63 letters") {
		t.Errorf("a long name: %v", err)
	}
}
