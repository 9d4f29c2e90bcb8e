package capi

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	capiv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/yaml"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

func object(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
		t.Fatal(err)
	}
	return obj
}

func TestCloud(t *testing.T) {
	for name, c := range map[string]struct {
		object string
		want   fleetv1.Cloud
	}{
		"EKS says its region, and its account in the ARN of its identity provider": {`
kind: AWSManagedControlPlane
spec: {region: eu-west-1}
status: {identityProviderStatus: {arn: "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/X"}}`,
			fleetv1.Cloud{Provider: "AWS", Region: "eu-west-1", Account: "123456789012"}},
		"EKS in China, with the account in the ARN of an addon": {`
kind: AWSManagedControlPlane
spec: {region: cn-north-1}
status: {addons: [{name: x}, {name: coredns, arn: "arn:aws-cn:eks:cn-north-1:210987654321:addon/x/coredns/1"}]}`,
			fleetv1.Cloud{Provider: "AWS", Region: "cn-north-1", Account: "210987654321"}},
		"an ARN without an account says none": {`
kind: AWSManagedControlPlane
spec: {region: eu-west-1, roleArn: "arn:aws:iam::aws:policy/X"}`,
			fleetv1.Cloud{Provider: "AWS", Region: "eu-west-1"}},
		"a self-managed cluster on AWS": {`
kind: AWSCluster
spec: {region: us-east-1}
status: {networkStatus: {apiServerElb: {arn: "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/net/x"}}}`,
			fleetv1.Cloud{Provider: "AWS", Region: "us-east-1", Account: "123456789012"}},
		"an empty EKS cluster": {`kind: AWSManagedCluster`, fleetv1.Cloud{Provider: "AWS"}},
		"AKS through ASO says its location, and its subscription in the id of its owner": {`
kind: AzureASOManagedControlPlane
spec:
  resources:
  - kind: ManagedCluster
    spec: {location: westeurope, owner: {armId: /subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/x}}`,
			fleetv1.Cloud{Provider: "Azure", Region: "westeurope", Account: "11111111-2222-3333-4444-555555555555"}},
		"a resource group through ASO": {`
kind: AzureASOManagedCluster
spec: {resources: [{kind: ResourceGroup, spec: {location: northeurope}}]}`,
			fleetv1.Cloud{Provider: "Azure", Region: "northeurope"}},
		"AKS in the older kinds": {`
kind: AzureManagedControlPlane
spec: {location: westeurope, subscriptionID: 11111111-2222-3333-4444-555555555555}`,
			fleetv1.Cloud{Provider: "Azure", Region: "westeurope", Account: "11111111-2222-3333-4444-555555555555"}},
		"Google": {`
kind: GCPManagedControlPlane
spec: {location: europe-west1, project: p}`, fleetv1.Cloud{Provider: "GCP", Region: "europe-west1", Account: "p"}},
		"a provider that Fairway does not know has its name": {`kind: VSphereCluster`, fleetv1.Cloud{Provider: "VSphere"}},
		"a control plane that runs anywhere says nothing":    {`kind: KubeadmControlPlane`, fleetv1.Cloud{}},
		"a kind of no known form is its own name":            {`kind: Something`, fleetv1.Cloud{Provider: "Something"}},
		"fields of other types say nothing": {`
kind: AzureASOManagedControlPlane
spec: {resources: {a: b}}`, fleetv1.Cloud{Provider: "Azure"}},
		"resources that are no objects say nothing": {`
kind: AzureASOManagedControlPlane
spec: {resources: [1, x, {spec: {location: [1]}}]}`, fleetv1.Cloud{Provider: "Azure"}},
		"a region of another type says nothing": {`
kind: AWSCluster
spec: {region: {a: b}}
status: {addons: x}`, fleetv1.Cloud{Provider: "AWS"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, Cloud(object(t, c.object))); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestASOCredential(t *testing.T) {
	for name, c := range map[string]struct{ object, want string }{
		"the annotation names it": {`
kind: AzureASOManagedControlPlane
spec: {resources: [{metadata: {annotations: {serviceoperator.azure.com/credential-from: mine}}}]}`, "mine"},
		"without one it is the namespace's": {`kind: AzureASOManagedCluster`, "aso-credential"},
		"other kinds have none":             {`kind: AzureCluster`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := asoCredential(object(t, c.object)); got != c.want {
				t.Errorf("%q, not %q", got, c.want)
			}
		})
	}
}

func TestFill(t *testing.T) {
	for name, c := range map[string]struct{ found, other, want fleetv1.Cloud }{
		"what is missing is filled":             {fleetv1.Cloud{Provider: "AWS"}, fleetv1.Cloud{Provider: "AWS", Region: "r", Account: "a"}, fleetv1.Cloud{Provider: "AWS", Region: "r", Account: "a"}},
		"what is there stays":                   {fleetv1.Cloud{Provider: "AWS", Region: "r"}, fleetv1.Cloud{Provider: "AWS", Region: "s"}, fleetv1.Cloud{Provider: "AWS", Region: "r"}},
		"another provider adds nothing":         {fleetv1.Cloud{Provider: "AWS"}, fleetv1.Cloud{Provider: "Rancher", Region: "s"}, fleetv1.Cloud{Provider: "AWS"}},
		"the control plane speaks when alone":   {fleetv1.Cloud{}, fleetv1.Cloud{Provider: "AWS", Region: "s"}, fleetv1.Cloud{Provider: "AWS", Region: "s"}},
		"one that says nothing changes nothing": {fleetv1.Cloud{Provider: "AWS"}, fleetv1.Cloud{}, fleetv1.Cloud{Provider: "AWS"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fill(c.found, c.other); got != c.want {
				t.Errorf("%+v, not %+v", got, c.want)
			}
		})
	}
}

func TestDescribe(t *testing.T) {
	yes := true
	now := metav1.Now()
	condition := func(name string, status metav1.ConditionStatus, message string) metav1.Condition {
		return metav1.Condition{Type: name, Status: status, Message: message}
	}
	for name, c := range map[string]struct {
		change func(*capiv1.Cluster)
		want   State
	}{
		"a new Cluster is found and no more": {func(*capiv1.Cluster) {}, State{Found: true}},
		"an initialised one takes requests": {func(c *capiv1.Cluster) {
			c.Status.Initialization.ControlPlaneInitialized = &yes
		}, State{Found: true, ControlPlaneInitialized: true}},
		"the condition counts as well": {func(c *capiv1.Cluster) {
			c.Status.Conditions = []metav1.Condition{condition("ControlPlaneInitialized", metav1.ConditionTrue, "")}
		}, State{Found: true, ControlPlaneInitialized: true}},
		"the first thing on the way that is not there is told": {func(c *capiv1.Cluster) {
			c.Status.Conditions = []metav1.Condition{
				condition("ControlPlaneInitialized", metav1.ConditionFalse, "waiting"), condition("InfrastructureReady", metav1.ConditionFalse, "no quota"),
			}
		}, State{Found: true, Message: "InfrastructureReady: no quota"}},
		"a paused one is": {func(c *capiv1.Cluster) { c.Spec.Paused = &yes }, State{Found: true, Paused: true}},
		"so is one with the annotation": {func(c *capiv1.Cluster) {
			c.Annotations = map[string]string{PausedAnnotation: ""}
		}, State{Found: true, Paused: true}},
		"one that goes away is": {func(c *capiv1.Cluster) { c.DeletionTimestamp = &now }, State{Found: true, Deleting: true}},
	} {
		t.Run(name, func(t *testing.T) {
			var cluster capiv1.Cluster
			c.change(&cluster)
			if diff := cmp.Diff(c.want, describe(&cluster)); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}
