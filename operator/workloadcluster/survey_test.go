package workloadcluster

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/agent"
	"github.com/fairway-dev/fairway/clusters/survey"
	"github.com/fairway-dev/fairway/operator/platformtest"
	"github.com/fairway-dev/fairway/operator/steps"
)

func TestSurveyIsDue(t *testing.T) {
	now := time.Date(2026, 11, 22, 8, 17, 0, 0, time.UTC)
	wish := func(change func(*surveyWish)) surveyWish {
		w := surveyWish{adopted: true, generation: 2, now: now, last: &fleetv1.SurveyStatus{Time: metav1.NewTime(now.Add(-time.Minute)), ObservedGeneration: 2}}
		change(&w)
		return w
	}
	for name, c := range map[string]struct {
		wish surveyWish
		want bool
	}{
		"one that was surveyed a minute ago is left alone":          {wish(func(*surveyWish) {}), false},
		"one that never was is surveyed":                            {wish(func(w *surveyWish) { w.last = nil }), true},
		"one that Cluster API made never is":                        {wish(func(w *surveyWish) { w.adopted, w.last = false, nil }), false},
		"an hour later it is surveyed again":                        {wish(func(w *surveyWish) { w.now = now.Add(59 * time.Minute) }), true},
		"a change of the spec changes what it is held against":      {wish(func(w *surveyWish) { w.generation = 3 }), true},
		"whoever asks gets one":                                     {wish(func(w *surveyWish) { w.requested = "now" }), true},
		"whoever asked has had his":                                 {wish(func(w *surveyWish) { w.requested, w.handled = "now", "now" }), false},
		"one that failed is not tried again at once":                {wish(func(w *surveyWish) { w.last, w.tried = nil, attempt{at: now.Add(-time.Minute), generation: 2} }), false},
		"one that failed is tried again later":                      {wish(func(w *surveyWish) { w.tried = attempt{at: now.Add(-surveyRetry), generation: 2} }), true},
		"one that failed is tried at once when the spec changes":    {wish(func(w *surveyWish) { w.generation, w.tried = 3, attempt{at: now, generation: 2} }), true},
		"one that failed is tried at once when somebody asks":       {wish(func(w *surveyWish) { w.requested, w.tried = "now", attempt{at: now, generation: 2} }), true},
		"one that failed for who asked is not tried again at once":  {wish(func(w *surveyWish) { w.requested, w.tried = "now", attempt{at: now, generation: 2, requested: "now"} }), false},
		"one that never was and asks is surveyed once, not because": {wish(func(w *surveyWish) { w.last, w.requested, w.handled = nil, "a", "a" }), true},
	} {
		t.Run(name, func(t *testing.T) {
			if have := c.wish.due(); have != c.want {
				t.Errorf("due: %v", have)
			}
		})
	}
}

func TestSurveyOutcome(t *testing.T) {
	conflict := survey.Conflict{Object: "ClusterRole/fairway-agent", Owner: "terraform", Message: "both would write it"}
	right := survey.Right{For: setFlux, Verb: "create", Group: "apps", Resource: "deployments", Namespace: "flux-system"}
	for name, c := range map[string]struct {
		report survey.Report
		reason string
		says   string
	}{
		"conflicts come first": {survey.Report{Conflicts: []survey.Conflict{conflict}, MissingRights: []survey.Right{right}}, fleetv1.ReasonConflictsFound, "ClusterRole/fairway-agent (terraform): both would write it; see: fairway describe cluster acquired-1 --survey"},
		"then rights":          {survey.Report{MissingRights: []survey.Right{right}}, fleetv1.ReasonRightsMissing, "may not create deployments.apps in flux-system; see"},
		"what only the survey may not see is no gap": {survey.Report{MissingRights: []survey.Right{{For: survey.ForSurvey, Verb: "list", Resource: "secrets"}}}, fleetv1.ReasonSurveyed, "nothing stands in the way"},
		"else it counts": {survey.Report{Objects: survey.Counts{Total: 9, Flux: 4, Helm: 2, Kubectl: 2, Unknown: 1}}, fleetv1.ReasonSurveyed, "of 9 objects 4 are Flux's, 0 Argo CD's, 2 Helm's and 3 nobody's"},
	} {
		t.Run(name, func(t *testing.T) {
			c.report.Cluster = "acquired-1"
			have := surveyOutcome(c.report)
			if have.State != steps.Done || have.Reason != c.reason || !strings.Contains(have.Message, c.says) {
				t.Errorf("%+v, want %s and %q", have, c.reason, c.says)
			}
		})
	}
}

// surveysAdopted adopts a cluster in Observe that has an object of Fairway's name on it.
func surveysAdopted(t *testing.T, s *suite) {
	s.makeFleet(t, nil)
	foreign := fluxController("source-controller", "v2.9.5")
	foreign.Namespace = "gitops-of-theirs"
	s.workload.Namespace(t, foreign.Namespace)
	platformtest.Create(t, s.workload.Client, foreign)
	defer remove(t, s.workload.Client, foreign)
	theirs := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: agent.Name}}
	remove(t, s.workload.Client, theirs.DeepCopy()) // of a case before
	platformtest.Create(t, s.workload.Client, theirs)
	obj := s.adopt(t, "", "surveyed", s.workload.Kubeconfig)
	defer remove(t, s.platform.Client, obj)
	s.observe(t, obj)
	update := func() {
		t.Helper()
		if err := s.platform.Client.Update(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
		if _, err := s.pass(t, obj); err != nil {
			t.Fatal(err)
		}
	}
	compare(t, obj, map[string]string{fleetv1.ConditionSurveyed: "True/ConflictsFound", "Ready": "True/Succeeded"})
	if text := message(obj, fleetv1.ConditionSurveyed); !strings.Contains(text, "spec.flux.install to Existing") {
		t.Errorf("the message does not say what to do: %s", text)
	}
	report := s.report(t, obj)
	have := obj.Status.Survey
	if have == nil || have.Conflicts != int32(len(report.Conflicts)) || have.Objects != int32(report.Objects.Total) || !have.Time.Time.Equal(report.Time) {
		t.Errorf("status %+v does not fit the report %+v", have, report.Objects)
	}
	if !slices.ContainsFunc(report.Conflicts, func(c survey.Conflict) bool { return c.Object == "ClusterRole/"+agent.Name }) {
		t.Errorf("what the agent took the place of is not told: %+v", report.Conflicts)
	}
	if !slices.ContainsFunc(report.NotTried, func(text string) bool { return strings.Contains(text, "event bus") }) || report.Flux == nil {
		t.Errorf("the report lacks parts: %+v", report)
	}
	t.Run("a second pass writes nothing", func(t *testing.T) {
		before := s.versionsOfEverything(t)
		if _, err := s.pass(t, obj); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, s.versionsOfEverything(t)); diff != "" {
			t.Errorf("(-before +after):\n%s", diff)
		}
	})
	t.Run("to use the cluster's Flux takes the conflict away", func(t *testing.T) {
		obj.Spec.Flux.Install = fleetv1.FluxExisting
		update()
		if slices.ContainsFunc(s.report(t, obj).Conflicts, func(c survey.Conflict) bool { return c.Kind == survey.ConflictFlux }) {
			t.Errorf("still: %s", message(obj, fleetv1.ConditionSurveyed))
		}
	})
	t.Run("whoever asks gets a new one", func(t *testing.T) {
		first := obj.Status.Survey.Time
		s.clock.SetTime(s.clock.Now().Add(2 * time.Second))
		obj.Annotations = map[string]string{fluxmeta.ReconcileRequestAnnotation: "again"}
		update()
		if !obj.Status.Survey.Time.After(first.Time) {
			t.Errorf("the survey is of %s, as before", obj.Status.Survey.Time)
		}
	})
	t.Run("a report that cannot be stored hinders nothing", func(t *testing.T) { storesNot(t, s) })
}

// storesNot finds a ConfigMap of the report's name that is somebody else's.
func storesNot(t *testing.T, s *suite) {
	obj := s.adopt(t, "", "unstored", s.workload.Kubeconfig)
	defer remove(t, s.platform.Client, obj)
	theirs := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: obj.Namespace, Name: survey.ReportName(obj.Name)}, Data: map[string]string{survey.KeyJSON: "mine"}}
	if err := s.platform.Client.Create(t.Context(), theirs, client.FieldOwner("kubectl")); err != nil {
		t.Fatal(err)
	}
	s.observe(t, obj)
	compare(t, obj, map[string]string{fleetv1.ConditionSurveyed: "False/ReportNotStored", "Ready": "True/Succeeded", fleetv1.ConditionAgentConnected: "True/Succeeded"})
	if obj.Status.Survey != nil {
		t.Errorf("status tells of a report: %+v", obj.Status.Survey)
	}
	before := s.versionsOfEverything(t)
	if _, err := s.pass(t, obj); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, s.versionsOfEverything(t)); diff != "" {
		t.Errorf("it is tried again at once (-before +after):\n%s", diff)
	}
}

// observe sets the mode and takes two passes: the cluster may still have the agent of a case before,
// which the first one replaces.
func (s *suite) observe(t *testing.T, obj *fleetv1.WorkloadCluster) {
	t.Helper()
	obj.Spec.Mode = fleetv1.ModeObserve
	if err := s.platform.Client.Update(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	s.agents.connect(obj.Name)
	for range 2 {
		if _, err := s.pass(t, obj); err != nil {
			t.Fatal(err)
		}
	}
}

// report reads a cluster's report from the platform.
func (s *suite) report(t *testing.T, obj *fleetv1.WorkloadCluster) survey.Report {
	t.Helper()
	var stored corev1.ConfigMap
	if err := s.platform.Client.Get(t.Context(), client.ObjectKey{Namespace: obj.Namespace, Name: obj.Status.Survey.Report}, &stored); err != nil {
		t.Fatal(err)
	}
	var report survey.Report
	if err := json.Unmarshal([]byte(stored.Data[survey.KeyJSON]), &report); err != nil {
		t.Fatal(err)
	}
	if owners := stored.OwnerReferences; len(owners) != 1 || owners[0].UID != obj.UID || stored.Data[survey.KeyMarkdown] != report.Markdown() {
		t.Errorf("owners %+v, Markdown:\n%s", owners, stored.Data[survey.KeyMarkdown])
	}
	return report
}
