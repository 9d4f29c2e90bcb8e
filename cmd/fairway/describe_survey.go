package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/survey"
	"github.com/fairway-dev/fairway/fleet/client"
	"github.com/spf13/cobra"
)

// surveyReader is the platform cluster, as far as surveys are concerned.
type surveyReader interface {
	// WorkloadClusters are all of a namespace; of all namespaces when it is empty.
	WorkloadClusters(ctx context.Context, namespace string) ([]fleetv1.WorkloadCluster, error)
	// Report is the data of a report's ConfigMap.
	Report(ctx context.Context, namespace, name string) (map[string]string, error)
}

// surveyQuery is what was asked for.
type surveyQuery struct {
	namespace string // empty: any
	cluster   string
	format    format
}

func describeSurvey(ctx context.Context, sh *shell, cmd *cobra.Command, connect func() (surveyReader, error), q surveyQuery) error {
	platform, err := connect()
	if err != nil {
		return err
	}
	wc, err := findSurveyed(ctx, sh, platform, q)
	if err != nil {
		return err
	}
	data, err := platform.Report(ctx, wc.Namespace, wc.Status.Survey.Report)
	if err != nil {
		return &client.Error{Op: "read the survey of " + q.cluster, Err: err, Fix: surveyFix(sh, wc, err)}
	}
	if err := printSurvey(cmd.OutOrStdout(), q.format, data); err != nil {
		return &client.Error{Op: "read the survey of " + q.cluster, Err: err, Fix: "have it made again: " + again(wc)}
	}
	if c := apimeta.FindStatusCondition(wc.Status.Conditions, fleetv1.ConditionSurveyed); c != nil && c.Status != metav1.ConditionTrue {
		caution(cmd.ErrOrStderr(), "this is as of %s; a later survey failed: %s", wc.Status.Survey.Time.UTC().Format(time.RFC3339), clean(c.Message))
	}
	return nil
}

// findSurveyed is the cluster, when it has been surveyed.
func findSurveyed(ctx context.Context, sh *shell, platform surveyReader, q surveyQuery) (*fleetv1.WorkloadCluster, error) {
	all, err := platform.WorkloadClusters(ctx, q.namespace)
	if err != nil {
		fix := ""
		if apierrors.IsForbidden(err) {
			fix = "name the cluster's namespace with -n, or ask for the right to list workloadclusters in all of them"
		}
		return nil, &client.Error{Op: "find cluster " + q.cluster, Err: err, Fix: fix}
	}
	var have []string
	for i := range all {
		wc := &all[i]
		if have = append(have, wc.Name); wc.Name != q.cluster {
			continue
		}
		return wc, notSurveyed(wc)
	}
	return nil, sh.missing("cluster", q.cluster, "get clusters", have)
}

// notSurveyed is the error for a cluster of which there is no report.
func notSurveyed(wc *fleetv1.WorkloadCluster) error {
	fail := func(why, fix string) error {
		return &client.Error{Op: "show the survey of " + wc.Name, Err: errors.New(why), Fix: fix}
	}
	c := apimeta.FindStatusCondition(wc.Status.Conditions, fleetv1.ConditionSurveyed)
	switch {
	case wc.Status.Survey != nil:
		return nil
	case wc.Spec.Access.ClusterRef != nil:
		return fail("Cluster API made it, and only clusters from elsewhere are surveyed", "look at what runs there: fairway describe cluster "+wc.Name)
	case c != nil:
		return fail("it could not be surveyed: "+c.Message, "the operator tries again; see: kubectl -n "+wc.Namespace+" describe workloadcluster "+wc.Name)
	}
	return fail("it has not been surveyed yet", "see whether it is reachable: kubectl -n "+wc.Namespace+" describe workloadcluster "+wc.Name)
}

func surveyFix(sh *shell, wc *fleetv1.WorkloadCluster, err error) string {
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Sprintf("ask for the right to get ConfigMap %s in namespace %s", wc.Status.Survey.Report, wc.Namespace)
	case apierrors.IsNotFound(err):
		return "somebody deleted it; have it made again: " + again(wc) + ", then: " + sh.name + " describe cluster " + wc.Name + " --survey"
	}
	return ""
}

// again is the command that asks for a survey now.
func again(wc *fleetv1.WorkloadCluster) string {
	return fmt.Sprintf("kubectl -n %s annotate workloadcluster %s --overwrite reconcile.fluxcd.io/requestedAt=\"$(date +%%s)\"", wc.Namespace, wc.Name)
}

func printSurvey(w io.Writer, f format, data map[string]string) error {
	if f == formatTree || f == formatMarkdown {
		text := data[survey.KeyMarkdown]
		if text == "" {
			return fmt.Errorf("it has no %s", survey.KeyMarkdown)
		}
		_, err := io.WriteString(w, clean(text))
		return err
	}
	var report survey.Report
	if err := json.NewDecoder(strings.NewReader(data[survey.KeyJSON])).Decode(&report); err != nil {
		return fmt.Errorf("decode %s: %w", survey.KeyJSON, err)
	}
	if f == formatYAML {
		return writeYAML(w, report)
	}
	return writeJSON(w, report, "  ")
}

// surveys reads the platform cluster, not the hub.
func (c *connection) surveys() (surveyReader, error) {
	platform, err := c.platform()
	if err != nil {
		return nil, err
	}
	return surveyed{platform}, nil
}

type surveyed struct{ platform kube.Reader }

// WorkloadClusters lists them.
func (s surveyed) WorkloadClusters(ctx context.Context, namespace string) ([]fleetv1.WorkloadCluster, error) {
	var list fleetv1.WorkloadClusterList
	if err := s.platform.List(ctx, &list, kube.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list WorkloadClusters: %w", err)
	}
	return list.Items, nil
}

// Report reads a ConfigMap.
func (s surveyed) Report(ctx context.Context, namespace, name string) (map[string]string, error) {
	var found corev1.ConfigMap
	if err := s.platform.Get(ctx, kube.ObjectKey{Namespace: namespace, Name: name}, &found); err != nil {
		return nil, fmt.Errorf("get ConfigMap: %w", err)
	}
	return found.Data, nil
}
