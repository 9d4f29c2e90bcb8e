package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

const (
	createEKS = "create cluster prod-aws-eu2 --cloud aws --region eu-west-1 --environment prod --kubernetes 1.36"
	createAKS = "create cluster dev-azure-1 --cloud azure --region westeurope -e dev --kubernetes 1.36 --nodes 1"
)

// offline runs the program where there is no kubeconfig and no hub.
func offline(t *testing.T, args string) result {
	t.Helper()
	t.Setenv("KUBECONFIG", t.TempDir()+"/none")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	var out, errOut bytes.Buffer
	sh := &shell{name: "fairway", version: "v0.1.0", now: time.Now, zone: time.UTC}
	return result{run(t.Context(), sh, strings.Fields(args), &out, &errOut), out.String(), errOut.String()}
}

func TestAnOrderIsExportedForGit(t *testing.T) {
	for name, args := range map[string]string{"create-eks.yaml": createEKS + " -n fleet", "create-aks.yaml": createAKS + " --identity aso-credentials"} {
		got := offline(t, args+" --export")
		id := strings.Fields(args)[2]
		if got.code != 0 || !strings.HasPrefix(got.errOut, "► commit it") || !strings.Contains(got.errOut, "clusters/"+id) {
			t.Errorf("%s: %+v", args, got)
		}
		golden(t, name, got.out)
	}
}

func TestWhatCannotBeOrderedIsRefusedBeforeAnythingIsAsked(t *testing.T) {
	for args, want := range map[string]string{
		"create":                               "✗ create: say what: cluster\n► see: fairway create --help\n",
		"create clutser x":                     `✗ create: there is no "clutser x"; did you mean cluster?`,
		"create cluster":                       "✗ create cluster: give the cluster one name, not 0\n",
		createEKS + " --nodes many":            `✗ create cluster: invalid argument "many" for "--nodes" flag`,
		createEKS + " --cloud gcp":             "✗ create cluster: cloud: \"gcp\" is none that clusters can be ordered from\n► use aws or azure; a Cluster of any other",
		createEKS + " --region eu-west-1a":     "✗ create cluster: region: \"eu-west-1a\" is one zone of a region\n► use eu-west-1; nodes are spread over its zones\n",
		createEKS + " --kubernetes 1.36.1":     "✗ create cluster: kubernetes: AWS chooses the patch version by itself\n► use 1.36\n",
		createAKS + " --namespace Clusters":    "✗ create cluster: namespace: \"Clusters\" is not of lower-case letters, digits and dashes within\n► name one such as clusters\n",
		createAKS + " --label example.com/a=!": "✗ create cluster: label: example.com/a=!: ",
		createAKS:                              "✗ find the platform: there is no kubeconfig\n► set KUBECONFIG or --kubeconfig to the platform cluster's",
		createAKS + " --server https://h:1":    "✗ find the platform: there is no kubeconfig\n► set KUBECONFIG or --kubeconfig to the platform cluster's",
	} {
		if got := offline(t, args); got.code != 1 || got.out != "" || !strings.HasPrefix(got.errOut, want) {
			t.Errorf("%s: %+v, want %q", args, got, want)
		}
	}
}

// TestOrders runs on a real API server. Its cases follow each other.
func TestOrders(t *testing.T) {
	p := startPlatform(t)
	refused := func(args string, want ...string) func(*testing.T) {
		return func(t *testing.T) {
			got := p.fairway(t, args)
			if got.code != 1 || got.out != "" {
				t.Errorf("%+v", got)
			}
			for _, text := range want {
				if !strings.Contains(got.errOut, text) {
					t.Errorf("stderr lacks %q:\n%s", text, got.errOut)
				}
			}
		}
	}
	t.Run("without Cluster API the error says how to install it", refused(createEKS,
		"⚠ whether it joins the fleet cannot be told", "✗ apply Cluster clusters/prod-aws-eu2: ", "► install Cluster API", "--infrastructure aws"))
	installProvider(t, p)
	t.Run("without the namespace it says how to make it", refused(createEKS, "► make the namespace", "kubectl create namespace clusters"))
	p.Namespace(t, clustersNamespace)
	t.Run("who has no right is told which", refused(createEKS+" --as dev",
		`"dev" cannot patch resource "clusters"`, "► ask for the right to create and patch it in namespace clusters, or use --export"))
	t.Run("an order is applied, and once more changes nothing", func(t *testing.T) { ordersTwice(t, p) })
	t.Run("a name that is somebody else's is not taken over, in no part", func(t *testing.T) { leavesOthersAlone(t, p) })
	platformtest.Create(t, p.Client, &fleetv1.Fleet{
		ObjectMeta: metav1.ObjectMeta{Name: fleetv1.FleetName},
		Spec: fleetv1.FleetSpec{
			ConfigRepository: fleetv1.ConfigRepository{URL: "http://127.0.0.1:1/config.git"},
			Registration:     fleetv1.Registration{ClusterSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "gold"}}},
		},
	})
	t.Run("a cluster that would never join is not ordered", refused(createEKS,
		"✗ create cluster: it would not join the fleet, which registers Clusters with tier=gold", "► add them with --label"))
	t.Run("with the Fleet's label it is", func(t *testing.T) {
		if got := p.fairway(t, createEKS+" --label tier=gold"); got.code != 0 || strings.Contains(got.errOut, "⚠") {
			t.Errorf("%+v", got)
		}
		if labels := p.ordered(t, "Cluster", "prod-aws-eu2").GetLabels(); labels["tier"] != "gold" || labels[fleetv1.LabelRegister] != "true" {
			t.Errorf("labels %v", labels)
		}
	})
}

// installProvider defines what an EKS cluster is made of.
func installProvider(t *testing.T, p *platform) {
	t.Helper()
	p.InstallClusterAPI(t)
	_, err := envtest.InstallCRDs(p.Config, envtest.CRDInstallOptions{CRDs: []*apiextensionsv1.CustomResourceDefinition{
		platformtest.Kind("cluster.x-k8s.io", "v1beta2", "MachinePool"),
		platformtest.Kind("infrastructure.cluster.x-k8s.io", "v1beta2", "AWSManagedMachinePool"),
	}})
	if err != nil {
		t.Fatal(err)
	}
}

// orderedKinds are what an EKS cluster is made of, in their order.
var orderedKinds = []schema.GroupVersionKind{
	{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: "Cluster"},
	{Group: "infrastructure.cluster.x-k8s.io", Version: "v1beta2", Kind: "AWSManagedCluster"},
	{Group: "controlplane.cluster.x-k8s.io", Version: "v1beta2", Kind: "AWSManagedControlPlane"},
	{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: "MachinePool"},
	{Group: "infrastructure.cluster.x-k8s.io", Version: "v1beta2", Kind: "AWSManagedMachinePool"},
}

// ordered reads an object, nil when there is none.
func (p *platform) ordered(t *testing.T, kind, name string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	for _, gvk := range orderedKinds {
		if gvk.Kind == kind {
			obj.SetGroupVersionKind(gvk)
		}
	}
	err := p.Client.Get(t.Context(), client.ObjectKey{Namespace: clustersNamespace, Name: name}, obj)
	if client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	if err != nil {
		return nil
	}
	return obj
}

func ordersTwice(t *testing.T, p *platform) {
	versions := func() map[string]string {
		out := map[string]string{}
		for _, gvk := range orderedKinds {
			name := "prod-aws-eu2"
			if strings.HasSuffix(gvk.Kind, "Pool") {
				name += "-pool0"
			}
			obj := p.ordered(t, gvk.Kind, name)
			if obj == nil {
				t.Fatalf("there is no %s %s", gvk.Kind, name)
			}
			out[gvk.Kind] = obj.GetResourceVersion()
		}
		return out
	}
	got := p.fairway(t, createEKS)
	want := "Cluster/prod-aws-eu2\nAWSManagedCluster/prod-aws-eu2\nAWSManagedControlPlane/prod-aws-eu2\n" +
		"MachinePool/prod-aws-eu2-pool0\nAWSManagedMachinePool/prod-aws-eu2-pool0\n"
	if got.code != 0 || got.out != want || !strings.Contains(got.errOut, "✔ prod-aws-eu2 is ordered") {
		t.Fatalf("%+v", got)
	}
	first := versions()
	if got := p.fairway(t, createEKS); got.code != 0 {
		t.Fatalf("%+v", got)
	}
	if diff := cmp.Diff(first, versions()); diff != "" {
		t.Errorf("resource versions moved (-first +second):\n%s", diff)
	}
}

func leavesOthersAlone(t *testing.T, p *platform) {
	theirs := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
		"infrastructureRef": map[string]any{"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "VSphereCluster", "name": "old"},
	}}}
	theirs.SetGroupVersionKind(orderedKinds[0])
	theirs.SetNamespace(clustersNamespace)
	theirs.SetName("old")
	platformtest.Create(t, p.Client, theirs)
	got := p.fairway(t, strings.Replace(createEKS, "prod-aws-eu2", "old", 1))
	if got.code != 1 || got.out != "" || !strings.Contains(got.errOut, "► it is somebody else's: choose another name") {
		t.Errorf("%+v", got)
	}
	if now := p.ordered(t, "Cluster", "old"); now.GetResourceVersion() != theirs.GetResourceVersion() {
		t.Errorf("their Cluster is another: %v", now)
	}
	if p.ordered(t, "AWSManagedCluster", "old") != nil || p.ordered(t, "MachinePool", "old-pool0") != nil {
		t.Error("parts of it were applied all the same")
	}
}
