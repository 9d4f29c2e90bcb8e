package main

import (
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/survey"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

// surveyedReport is a report of an acquired cluster.
func surveyedReport() survey.Report {
	seen := survey.Observed{
		Version: "v1.34.2-eks-a1b2c3d",
		Objects: []survey.Object{{APIVersion: "apps/v1", Kind: "Deployment", Namespace: "shop", Name: "cart",
			Writers: []survey.Writer{{Name: "kubectl-create\x1b[2J", APIVersion: "apps/v1"}}}},
	}
	return survey.Assess(seen, survey.About{Cluster: "acquired-1", Region: "eu-west-1"}, now)
}

// register makes a WorkloadCluster with what the operator knows of it.
func (p *platform) register(t *testing.T, name string, access fleetv1.Access, status fleetv1.WorkloadClusterStatus) {
	t.Helper()
	wc := &fleetv1.WorkloadCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: "clusters", Name: name},
		Spec:       fleetv1.WorkloadClusterSpec{Environment: "prod", Access: access},
	}
	platformtest.Create(t, p.Client, wc)
	wc.Status = status
	if err := p.Client.Status().Update(t.Context(), wc); err != nil {
		t.Fatal(err)
	}
}

func surveyedCondition(status metav1.ConditionStatus, reason, message string) []metav1.Condition {
	return []metav1.Condition{{Type: fleetv1.ConditionSurveyed, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(now)}}
}

// TestSurvey runs on a real API server with what the operator leaves there.
func TestSurvey(t *testing.T) {
	p := startPlatform(t)
	p.Namespace(t, "clusters")
	kubeconfig := fleetv1.Access{KubeconfigRef: &fleetv1.KubeconfigReference{Name: "k"}}
	report := surveyedReport()
	asJSON, err := report.JSON()
	if err != nil {
		t.Fatal(err)
	}
	platformtest.Create(t, p.Client, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "clusters", Name: "acquired-1-survey"},
		Data:       map[string]string{survey.KeyJSON: string(asJSON), survey.KeyMarkdown: report.Markdown()},
	}, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "clusters", Name: "empty-survey"}})
	known := func(name string) *fleetv1.SurveyStatus {
		return &fleetv1.SurveyStatus{Time: metav1.NewTime(now), Report: name + "-survey"}
	}
	p.register(t, "acquired-1", kubeconfig, fleetv1.WorkloadClusterStatus{Survey: known("acquired-1"),
		Conditions: surveyedCondition(metav1.ConditionFalse, fleetv1.ReasonSurveyFailed, "no answer")})
	p.register(t, "lost", kubeconfig, fleetv1.WorkloadClusterStatus{Survey: known("lost")})
	p.register(t, "empty", kubeconfig, fleetv1.WorkloadClusterStatus{Survey: known("empty")})
	p.register(t, "fresh", kubeconfig, fleetv1.WorkloadClusterStatus{})
	p.register(t, "refused", kubeconfig, fleetv1.WorkloadClusterStatus{Conditions: surveyedCondition(metav1.ConditionFalse, fleetv1.ReasonReportNotStored, "write ConfigMap: conflict")})
	p.register(t, "eks", fleetv1.Access{ClusterRef: &meta.LocalObjectReference{Name: "eks"}}, fleetv1.WorkloadClusterStatus{})

	for name, args := range map[string]string{
		"survey.md":   "describe cluster acquired-1 --survey",
		"survey.json": "describe cluster acquired-1 --survey -o json",
		"survey.yaml": "describe cluster acquired-1 --survey -o yaml -n clusters",
	} {
		got := p.fairway(t, args)
		if got.code != 0 || !strings.Contains(got.errOut, "⚠ this is as of "+now.Format(time.RFC3339)+"; a later survey failed: no answer") {
			t.Errorf("%s: exit code %d, stderr %s", args, got.code, got.errOut)
		}
		golden(t, name, got.out)
	}
	for args, want := range map[string][2]string{
		"describe cluster lost --survey":                   {"✗ read the survey of lost: get ConfigMap: configmaps \"lost-survey\" not found", "► somebody deleted it; have it made again: kubectl -n clusters annotate workloadcluster lost --overwrite reconcile.fluxcd.io/requestedAt="},
		"describe cluster empty --survey":                  {"✗ read the survey of empty: it has no report.md", "► have it made again"},
		"describe cluster fresh --survey":                  {"✗ show the survey of fresh: it has not been surveyed yet", "► see whether it is reachable: kubectl -n clusters describe workloadcluster fresh"},
		"describe cluster refused --survey":                {"✗ show the survey of refused: it could not be surveyed: write ConfigMap: conflict", "► the operator tries again"},
		"describe cluster eks --survey":                    {"✗ show the survey of eks: Cluster API made it", "► look at what runs there: fairway describe cluster eks"},
		"describe cluster acquired --survey":               {"✗ find cluster \"acquired\": there is none of that name", "► did you mean acquired-1?"},
		"describe cluster acquired-1 --survey -n other":    {"✗ find cluster \"acquired-1\": there is none of that name", "► list them"},
		"describe cluster acquired-1 --survey --as nobody": {"✗ find cluster acquired-1: list WorkloadClusters: ", "► name the cluster's namespace with -n"},
		"describe cluster acquired-1 -o markdown":          {"✗ describe cluster: -o markdown is for --survey", "► see: fairway describe cluster --help"},
		"describe cluster acquired-1 --survey -o table":    {"✗ describe cluster: invalid argument \"table\"", "► see"},
	} {
		got := p.fairway(t, args)
		if got.code != 1 || got.out != "" || !strings.HasPrefix(got.errOut, want[0]) || !strings.Contains(got.errOut, want[1]) {
			t.Errorf("%s: exit code %d, stdout %q, stderr:\n%s", args, got.code, got.out, got.errOut)
		}
	}
}
