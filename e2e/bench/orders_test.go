package bench_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/fairway-dev/fairway/clusters/blueprint"
	"github.com/fairway-dev/fairway/e2e/bench/cloud"
	"github.com/fairway-dev/fairway/e2e/bench/kube"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
)

// orders are what `fairway create cluster` can be asked for, with every setting.
var orders = map[string]blueprint.Cluster{
	"EKS": {Name: "eks", Cloud: "aws", Region: "eu-west-1", Kubernetes: "1.36", Nodes: 3},
	"EKS with every setting": {Name: "eks-all", Cloud: "aws", Region: "us-gov-west-1", Kubernetes: "v1.35", Nodes: 1,
		MachineType: "m7g.large", Identity: "account-123456789012", Labels: map[string]string{"example.com/tier": "gold"}},
	"EKS with the longest name": {Name: strings.Repeat("n", 63), Cloud: "aws", Region: "eu-west-1", Kubernetes: "1.36", Nodes: 450},
	"AKS":                       {Name: "aks", Cloud: "azure", Region: "westeurope", Kubernetes: "1.36", Nodes: 3},
	"AKS with every setting": {Name: "aks-all", Cloud: "azure", Region: "eastus2", Kubernetes: "v1.35.2", Nodes: 1,
		MachineType: "Standard_D4ps_v6", Identity: "aso-credentials", Labels: map[string]string{"example.com/tier": "gold"}},
	"AKS with the longest name": {Name: strings.Repeat("n", 54), Cloud: "azure", Region: "westeurope", Kubernetes: "1.36", Nodes: 1000},
}

// Server-side apply refuses fields that a kind's schema lacks. So it does with the objects of the Azure Service
// Operator, of which Cluster API's Azure provider takes any: they are applied by themselves.
func TestOrdersFitTheProvidersOwnKinds(t *testing.T) {
	run := startRun(t, tools.Kube, tools.ProviderCRDs)
	cluster, err := run.StartCluster(t.Context(), kube.Options{Name: "orders", NoControllers: true})
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := os.ReadFile(run.Tools.File(tools.ProviderCRDs, tools.ClusterAPICRDs))
	if err != nil {
		t.Fatal(err)
	}
	definitions, err := kube.Decode(manifest)
	if err != nil {
		t.Fatal(err)
	}
	all := slices.Concat(definitions, serviceOperator(t), []*unstructured.Unstructured{cloud.Namespace(namespace)})
	if err := cluster.Apply(t.Context(), all...); err != nil {
		t.Fatal(err)
	}
	for name, want := range orders {
		t.Run(name, func(t *testing.T) {
			want.Namespace, want.Environment = namespace, "prod"
			fits(t, cluster, want)
		})
	}
}

// fits applies everything that an order renders to, and sees each object refused with a field more.
func fits(t *testing.T, cluster *kube.Cluster, want blueprint.Cluster) {
	objs, err := want.Objects()
	if err != nil {
		t.Fatal(err)
	}
	for _, obj := range objs {
		objs = append(objs, inner(t, obj)...)
	}
	if expected := map[string]int{"aws": 5, "azure": 8}[want.Cloud]; len(objs) != expected {
		t.Errorf("%d objects, want %d", len(objs), expected)
	}
	for _, obj := range objs {
		// Definitions that were applied a moment ago are not served at once.
		wait(t, obj.GetKind()+" to be taken", time.Minute, func(ctx context.Context) error { return cluster.Apply(ctx, obj) })
		wrong := obj.DeepCopy()
		if err := unstructured.SetNestedField(wrong.Object, "x", "spec", "notThere"); err != nil {
			t.Fatal(err)
		}
		if err := cluster.Apply(t.Context(), wrong); err == nil || !strings.Contains(err.Error(), "notThere") {
			t.Errorf("%s with a field that it lacks: %v", obj.GetKind(), err)
		}
	}
}

// inner are the objects of the Azure Service Operator in an object of Cluster API's Azure provider, as that makes them.
func inner(t *testing.T, obj *unstructured.Unstructured) []*unstructured.Unstructured {
	t.Helper()
	all, _, err := unstructured.NestedSlice(obj.Object, "spec", "resources")
	if err != nil {
		t.Fatal(err)
	}
	var out []*unstructured.Unstructured
	for _, each := range all {
		resource := &unstructured.Unstructured{Object: each.(map[string]any)}
		resource.SetNamespace(obj.GetNamespace())
		out = append(out, resource)
	}
	return out
}

// serviceOperator is the definitions of the Azure Service Operator's kinds that come with Cluster API's Azure
// provider, each with the one version that orders use: all of them are millions of characters.
func serviceOperator(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/cluster-api-provider-azure")
	command.Dir = filepath.Join("..", "tools", "providercrds")
	dir, err := command.Output()
	if err != nil {
		t.Fatalf("find the Azure provider: %v", err)
	}
	manifest, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "config", "aso", "crds.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	definitions, err := kube.Decode(manifest)
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{
		"resourcegroups.resources.azure.com":                   "v1api20200601",
		"managedclusters.containerservice.azure.com":           "v1api20240901",
		"managedclustersagentpools.containerservice.azure.com": "v1api20240901",
	}
	var out []*unstructured.Unstructured
	for _, definition := range definitions {
		if version := versions[definition.GetName()]; version != "" {
			if err := keepVersion(definition, version); err != nil {
				t.Fatalf("%s: %v", definition.GetName(), err)
			}
			out = append(out, definition)
		}
	}
	if len(out) != len(versions) {
		t.Fatalf("found %d definitions, want %d", len(out), len(versions))
	}
	return out
}

// keepVersion leaves a definition one version, which is stored.
func keepVersion(definition *unstructured.Unstructured, name string) error {
	unstructured.RemoveNestedField(definition.Object, "spec", "conversion")
	unstructured.RemoveNestedField(definition.Object, "status")
	versions, _, err := unstructured.NestedSlice(definition.Object, "spec", "versions")
	if err != nil {
		return err
	}
	versions = slices.DeleteFunc(versions, func(v any) bool { return v.(map[string]any)["name"] != name })
	if len(versions) != 1 {
		return errors.New("it has no version " + name)
	}
	versions[0].(map[string]any)["storage"] = true
	if err := unstructured.SetNestedSlice(definition.Object, versions, "spec", "versions"); err != nil {
		return fmt.Errorf("keep version %s: %w", name, err)
	}
	return nil
}
