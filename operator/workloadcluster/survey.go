package workloadcluster

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/clusters/survey"
	"github.com/fairway-dev/fairway/operator/steps"
)

const (
	surveyLife   = time.Hour       // until a cluster is surveyed again by itself
	surveyRetry  = 5 * time.Minute // after one that failed
	surveyBudget = budget / 2      // of one: the other steps of the pass have the rest
	maxSurveys   = 2               // at the same time: each holds what it saw in memory
	maxReport    = 512 << 10       // bytes of a ConfigMap, which may have 1 MiB
)

// survey looks, when it is time, what a cluster from elsewhere runs. No other step waits for it. One that finds no place is woken
// when its turn comes.
func (r *Reconciler) survey(ctx context.Context, p *pass) steps.Outcome {
	wish := r.surveyWish(p)
	if !wish.due() {
		r.wake(r.surveying.next()) // this one may have been called, and wants it no longer
		return steps.Outcome{}
	}
	if !r.surveying.begin(p.obj.ID()) {
		return steps.Outcome{}
	}
	defer func() { r.wake(r.surveying.end()) }()
	r.surveys.try(p.obj.ID(), wish)
	outcome := r.makeSurvey(ctx, p)
	if outcome.State == steps.Done {
		r.surveys.forget(p.obj.ID())
	}
	p.surveyed = &steps.Step{Condition: fleetv1.ConditionSurveyed, Outcome: outcome}
	return outcome
}

// surveyWish is what decides whether a cluster is surveyed.
type surveyWish struct {
	adopted    bool
	last       *fleetv1.SurveyStatus // nil: there was none
	handled    string                // the last request that a pass was made for
	tried      attempt               // the last one that failed; zero: there is none
	generation int64
	requested  string
	now        time.Time
}

// attempt is a survey that was begun.
type attempt struct {
	at         time.Time
	generation int64
	requested  string
}

func (r *Reconciler) surveyWish(p *pass) surveyWish {
	requested, _ := meta.ReconcileAnnotationValue(p.obj.Annotations)
	return surveyWish{
		adopted: !p.access.viaClusterAPI, last: p.obj.Status.Survey, handled: p.obj.Status.GetLastHandledReconcileRequest(),
		tried: r.surveys.tried(p.obj.ID()), generation: p.obj.Generation, requested: requested, now: r.Clock.Now(),
	}
}

// due says whether a survey is made now: on a cluster from elsewhere that has none, whose spec has
// changed, of which somebody asks, or whose last one failed or is old; and not soon after one that
// failed.
func (w surveyWish) due() bool {
	failed := w.tried.generation == w.generation && w.tried.requested == w.requested && w.now.Before(w.tried.at.Add(surveyRetry))
	switch {
	case !w.adopted, failed:
		return false
	case w.last == nil, w.last.ObservedGeneration != w.generation, w.requested != w.handled, w.tried != attempt{}:
		return true
	}
	return !w.now.Before(w.last.Time.Add(surveyLife))
}

// makeSurvey surveys the cluster and stores the report.
func (r *Reconciler) makeSurvey(ctx context.Context, p *pass) steps.Outcome {
	ctx, cancel := context.WithTimeout(ctx, surveyBudget)
	defer cancel()
	seen, err := survey.Look(ctx, survey.Connection{Config: p.cluster.Config, HTTP: p.cluster.HTTP}, r.plan(ctx, p))
	if err != nil {
		return surveyFailed(err)
	}
	report := survey.Assess(seen, survey.About{Cluster: p.obj.ID(), Provider: p.cloud.Provider, Region: p.cloud.Region}, r.Clock.Now())
	name, err := r.storeReport(ctx, p.obj, report)
	if err != nil {
		return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonReportNotStored, After: steps.Jitter(surveyRetry), Message: err.Error()}
	}
	p.survey = surveyStatus(report, name, p.obj.Generation)
	return surveyOutcome(report)
}

// plan is what Manage would put on the cluster.
func (r *Reconciler) plan(ctx context.Context, p *pass) survey.Plan {
	plan := survey.Plan{TakeOver: p.obj.Spec.Flux.Install == fleetv1.FluxTakeOver,
		Open: []string{"the layers of the config repository: the survey does not look at what they would put here"}}
	if p.fleet == nil {
		plan.Open = append(plan.Open, `whether the agent and Flux clash: there is no Fleet "`+fleetv1.FleetName+`"`)
		return plan
	}
	objs, err := r.agentPlan(ctx, p)
	if err != nil {
		plan.Open = append(plan.Open, "whether the agent clashes: "+err.Error())
	}
	plan.Sets = append(plan.Sets, survey.Set{Name: setAgent, Objects: objs})
	if p.obj.Spec.Flux.Install != fleetv1.FluxExisting {
		if objs, err := r.fluxPlan(ctx, p); err == nil {
			plan.Sets = append(plan.Sets, survey.Set{Name: survey.SetFlux, Objects: objs})
		} else {
			plan.Open = append(plan.Open, "whether Flux clashes: "+err.Error())
		}
	}
	secret, outcome, ok := r.gitSecret(ctx, p.fleet)
	if !ok {
		plan.Open = append(plan.Open, "whether the config repository's Secret clashes: "+outcome.Message)
	}
	plan.Sets = append(plan.Sets, survey.Set{Name: setSync, Objects: syncOf(p, secret).Objects()})
	return plan
}

// fluxPlan is what Flux will be.
func (r *Reconciler) fluxPlan(ctx context.Context, p *pass) ([]*unstructured.Unstructured, error) {
	wanted, _, _ := r.wantedFlux(p, flux.Installed{})
	version, err := r.resolve(ctx, p, wanted)
	if err != nil {
		return nil, err
	}
	return r.manifests(ctx, p, version)
}

// agentPlan is what the agent will be.
func (r *Reconciler) agentPlan(ctx context.Context, p *pass) ([]*unstructured.Unstructured, error) {
	config, err := r.agentConfig(ctx, p)
	if err != nil {
		return nil, err
	}
	return config.Objects()
}

// surveyFailed is the outcome of a survey that broke off. It asks for no retry with backoff: the
// cluster is well all the same.
func surveyFailed(err error) steps.Outcome {
	outcome := clusterFailed(err)
	outcome.Err, outcome.After = nil, steps.Jitter(surveyRetry)
	if outcome.Reason == fleetv1.ReasonInternal {
		outcome.Reason = fleetv1.ReasonSurveyFailed
	}
	return outcome
}

// surveyOutcome says the most important thing of a report.
func surveyOutcome(report survey.Report) steps.Outcome {
	outcome := steps.Outcome{State: steps.Done}
	more := "; see: fairway describe cluster " + report.Cluster + " --survey"
	rights := neededRights(report)
	switch {
	case len(report.Conflicts) > 0:
		outcome.Reason, outcome.Message = fleetv1.ReasonConflictsFound, few(conflictTexts(report.Conflicts))+more
	case len(rights) > 0:
		outcome.Reason, outcome.Message = fleetv1.ReasonRightsMissing, "the kubeconfig's user may not "+few(rights)+more
	default:
		c := report.Objects
		outcome.Reason = fleetv1.ReasonSurveyed
		outcome.Message = fmt.Sprintf("nothing stands in the way of Manage; of %d objects %d are Flux's, %d Argo CD's, %d Helm's and %d nobody's%s",
			c.Total, c.Flux, c.ArgoCD, c.Helm, c.Kubectl+c.Unknown, more)
	}
	return outcome
}

func conflictTexts(conflicts []survey.Conflict) []string {
	var out []string
	for _, c := range conflicts {
		out = append(out, strings.TrimSpace(c.Object+" "+parenthesised(c.Owner))+": "+c.Message)
	}
	return out
}

func parenthesised(text string) string {
	if text == "" {
		return ""
	}
	return "(" + text + ")"
}

// neededRights are those that are missing for more than the survey itself.
func neededRights(report survey.Report) []string {
	var out []string
	for _, right := range report.MissingRights {
		if right.For == survey.ForSurvey {
			continue
		}
		text := right.Verb + " " + strings.TrimSuffix(right.Resource+"."+right.Group, ".")
		if right.Namespace != "" {
			text += " in " + right.Namespace
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return out
}

func surveyStatus(report survey.Report, name string, generation int64) *fleetv1.SurveyStatus {
	used := 0
	for _, api := range report.RemovedAPIs {
		if api.Objects > 0 {
			used++
		}
	}
	c := report.Objects
	return &fleetv1.SurveyStatus{
		Time: metav1.NewTime(report.Time), ObservedGeneration: generation, Report: name,
		Objects: int32(c.Total), Flux: int32(c.Flux), ArgoCD: int32(c.ArgoCD), Helm: int32(c.Helm), Unowned: int32(c.Kubectl + c.Unknown),
		Conflicts: int32(len(report.Conflicts)), RemovedAPIs: int32(used), MissingRights: int32(len(report.MissingRights)),
	}
}

// storeReport writes the report beside its WorkloadCluster, which takes it along when it goes.
func (r *Reconciler) storeReport(ctx context.Context, obj *fleetv1.WorkloadCluster, report survey.Report) (name string, err error) {
	_, asJSON, asMarkdown, err := report.Bounded(maxReport)
	if err != nil {
		return "", err
	}
	name = survey.ReportName(obj.Name)
	stored := corev1ac.ConfigMap(name, obj.Namespace).
		WithLabels(map[string]string{"app.kubernetes.io/part-of": "fairway", fleetv1.LabelCluster: obj.ID()}).
		WithOwnerReferences(metav1ac.OwnerReference().WithAPIVersion(fleetv1.GroupVersion.String()).WithKind("WorkloadCluster").
			WithName(obj.Name).WithUID(obj.UID)).
		WithData(map[string]string{survey.KeyJSON: string(asJSON), survey.KeyMarkdown: asMarkdown})
	if err := r.Apply(ctx, stored, client.FieldOwner(r.FieldOwner)); err != nil {
		return "", fmt.Errorf("write ConfigMap %s: %w", name, err)
	}
	return name, nil
}

// surveys are those that failed lately. The zero value is empty. It is safe for concurrent use.
type surveys struct {
	mu       sync.Mutex
	attempts map[string]attempt
}

func (s *surveys) tried(id string) attempt {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.attempts[id]
}

func (s *surveys) try(id string, w surveyWish) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.attempts == nil {
		s.attempts = map[string]attempt{}
	}
	s.attempts[id] = attempt{at: w.now, generation: w.generation, requested: w.requested}
}

func (s *surveys) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.attempts, id)
}
