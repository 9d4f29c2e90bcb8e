package stories

import (
	"context"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/adopt"
	"github.com/fairway-dev/fairway/clusters/survey"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

// onboardingBar is what onboarding should take at most; the story prints it beside the figure, since a
// busy machine is no defect.
const onboardingBar = 30 * time.Second

// From `kubectl apply` of the Cluster API objects to AgentConnected, on each cloud.
func TestOnboarding(t *testing.T) {
	for cloud, id := range map[string]string{"AWS": "dev-aws-eu1", "Azure": "dev-azure-eu1"} {
		t.Run(cloud, func(t *testing.T) {
			commit(t, "make room for "+id, fleet.ClusterFiles(id, fleet.Artifact))
			began := time.Now()
			objects, err := bank.Provision(t.Context(), cloud, id, "dev")
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := bank.Deprovision(context.WithoutCancel(t.Context()), id, objects); err != nil {
					t.Error(err)
				}
			}()
			eventually(t, 2*time.Minute, id+" has its agent connected", func(ctx context.Context) (bool, string) {
				return condition(ctx, id, fleetv1.ConditionAgentConnected)
			})
			took := time.Since(began)
			t.Logf("%s: from apply to AgentConnected %s (bar: %s, on a machine that does nothing else)", cloud,
				took.Round(100*time.Millisecond), onboardingBar)
			eventually(t, time.Minute, id+" is Ready", func(ctx context.Context) (bool, string) {
				return condition(ctx, id, "Ready")
			})
			obj := &fleetv1.WorkloadCluster{}
			if err := bank.Platform.Client().Get(t.Context(), fleet.Key(id), obj); err != nil {
				t.Fatal(err)
			}
			if obj.Status.Cloud.Provider != cloud || obj.Status.Cloud.Region == "" || obj.Status.Cloud.Account == "" {
				t.Errorf("cloud = %+v, want provider %s with region and account", obj.Status.Cloud, cloud)
			}
		})
	}
}

// A second reconcile of everything leaves every resourceVersion as it was.
func TestSecondPassWritesNothing(t *testing.T) {
	before := map[string]map[string]string{}
	eventually(t, time.Minute, "the fleet is at rest", func(ctx context.Context) (bool, string) {
		now, err := versions(ctx)
		calm := err == nil && len(before) > 0 && len(diff(before, now)) == 0
		state := fmt.Sprintf("error %v, still changing: %v", err, diff(before, now))
		before = now
		return calm, state
	})
	requested := time.Now().UTC().Format(time.RFC3339Nano)
	for _, id := range members {
		if err := bank.RequestReconcile(t.Context(), id, requested); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, time.Minute, "every cluster was reconciled again", func(ctx context.Context) (bool, string) {
		for _, id := range members {
			obj := &fleetv1.WorkloadCluster{}
			if err := bank.Platform.Client().Get(ctx, fleet.Key(id), obj); err != nil {
				return false, err.Error()
			}
			if obj.Status.LastHandledReconcileAt != requested {
				return false, id + " has not answered"
			}
		}
		return true, ""
	})
	after, err := versions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range members { // asking is itself a write, and so are its answers: the status, and a survey that says its moment
		for _, answer := range []string{"WorkloadCluster/" + fleet.Namespace + "/" + id, "ConfigMap/" + fleet.Namespace + "/" + survey.ReportName(id)} {
			delete(before["platform"], answer)
			delete(after["platform"], answer)
		}
		turning := "Secret/" + fleet.Namespace + "/" + adopt.SecretName(id) // when its time has come
		delete(before["platform"], turning)
		delete(after["platform"], turning)
	}
	if changed := diff(before, after); len(changed) > 0 {
		t.Errorf("a second pass wrote: %v", changed)
	}
	total := 0
	for _, objects := range after {
		total += len(objects)
	}
	t.Logf("%d objects on %d clusters kept their resourceVersion", total, len(after))
}

// written are the kinds that Fairway's operator writes, on the platform and on members.
var written = []schema.GroupVersionKind{
	{Version: "v1", Kind: "Namespace"}, {Version: "v1", Kind: "Secret"}, {Version: "v1", Kind: "ConfigMap"},
	{Version: "v1", Kind: "ServiceAccount"}, {Version: "v1", Kind: "Service"},
	{Group: "apps", Version: "v1", Kind: "Deployment"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRole"},
	{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleBinding"},
	{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"},
	{Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: "GitRepository"},
	{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "Kustomization"},
	{Group: "fleet.fairway.dev", Version: "v1alpha1", Kind: "Fleet"},
	{Group: "fleet.fairway.dev", Version: "v1alpha1", Kind: "WorkloadCluster"},
}

// versions are the resourceVersions of everything of the written kinds, by cluster and object.
// The kubeconfigs that the cloud stand-ins turn are not Fairway's and left out.
func versions(ctx context.Context) (map[string]map[string]string, error) {
	clusters := map[string]client.Client{"platform": bank.Platform.Client()}
	for _, id := range members {
		clusters[id] = bank.Member(id).Client()
	}
	all := map[string]map[string]string{}
	for name, c := range clusters {
		all[name] = map[string]string{}
		for _, kind := range written {
			list := &unstructured.UnstructuredList{}
			list.SetAPIVersion(schema.GroupVersion{Group: kind.Group, Version: kind.Version}.String())
			list.SetKind(kind.Kind + "List")
			if err := c.List(ctx, list); meta.IsNoMatchError(err) {
				continue
			} else if err != nil {
				return nil, fmt.Errorf("list %s on %s: %w", kind.Kind, name, err)
			}
			for _, obj := range list.Items {
				if _, turning := obj.GetLabels()["cluster.x-k8s.io/cluster-name"]; !turning {
					all[name][kind.Kind+"/"+obj.GetNamespace()+"/"+obj.GetName()] = obj.GetResourceVersion()
				}
			}
		}
	}
	return all, nil
}

func diff(before, after map[string]map[string]string) (changed []string) {
	for cluster, objects := range after {
		for name, version := range objects {
			if was := before[cluster][name]; was != version {
				changed = append(changed, fmt.Sprintf("%s: %s (%s -> %s)", cluster, name, was, version))
			}
		}
	}
	return changed
}

func condition(ctx context.Context, id, name string) (bool, string) {
	obj := &fleetv1.WorkloadCluster{}
	if err := bank.Platform.Client().Get(ctx, fleet.Key(id), obj); err != nil {
		return false, err.Error()
	}
	state := ""
	for _, c := range obj.Status.Conditions {
		state += fmt.Sprintf("\n  %s=%s %s: %s", c.Type, c.Status, c.Reason, c.Message)
	}
	return meta.IsStatusConditionTrue(obj.Status.Conditions, name), state
}
