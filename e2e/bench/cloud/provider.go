package cloud

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/fairway-dev/fairway/e2e/bench/tools"
)

// provider is what differs between the clouds.
type provider interface {
	name() string
	controlPlane() kind
	infrastructure() kind
	pool() kind
	// place says where a control plane's cluster is, and how the provider ids of its machines begin.
	place(controlPlane *unstructured.Unstructured) (region, zone, providerIDPrefix string)
	// user is who the kubeconfig's token is.
	user(controlPlane *unstructured.Unstructured) string
	creating() state
	failed() state
	ready(controlPlane *unstructured.Unstructured, endpoint map[string]any) readyStates
}

type readyStates struct{ infrastructure, controlPlane state }

// since is the fixed time of the conditions' last transition, so that a second pass writes nothing.
const since = "2026-01-01T00:00:00Z"

func condition(kind, status, severity, reason, message string) map[string]any {
	c := map[string]any{"type": kind, "status": status, "lastTransitionTime": since}
	for key, value := range map[string]string{"severity": severity, "reason": reason, "message": message} {
		if value != "" {
			c[key] = value
		}
	}
	return c
}

// aws stands in for CAPA with EKS.
type aws struct{}

func (aws) name() string { return "aws" }

func (aws) controlPlane() kind {
	return kind{Group: "controlplane.cluster.x-k8s.io", Version: "v1beta2", Kind: "AWSManagedControlPlane"}
}

func (aws) infrastructure() kind {
	return kind{Group: "infrastructure.cluster.x-k8s.io", Version: "v1beta2", Kind: "AWSManagedCluster"}
}

func (aws) pool() kind {
	return kind{Group: "infrastructure.cluster.x-k8s.io", Version: "v1beta2", Kind: "AWSManagedMachinePool"}
}

func (aws) place(object *unstructured.Unstructured) (region, zone, providerIDPrefix string) {
	region, _, _ = unstructured.NestedString(object.Object, "spec", "region")
	zone = region + "a"
	return region, zone, "aws:///" + zone + "/i-"
}

func (aws) user(object *unstructured.Unstructured) string {
	role, _, _ := unstructured.NestedString(object.Object, "spec", "identityRef", "name")
	return "aws:" + role + ":" + object.GetName()
}

func (aws) creating() state {
	return aws{}.notReady("Info", "EKSControlPlaneCreating", "the EKS control plane is being created")
}

func (aws) failed() state {
	return aws{}.notReady("Error", "EKSControlPlaneReconciliationFailed",
		"failed to create EKS cluster: ResourceLimitExceededException: the account has reached its limit of EKS clusters in this region")
}

func (aws) notReady(severity, reason, message string) state {
	return state{status: map[string]any{
		"ready": false, "initialized": false,
		"conditions": []any{
			condition("Ready", "False", severity, reason, message),
			condition("EKSControlPlaneReady", "False", severity, reason, message),
		},
	}}
}

func (aws) ready(object *unstructured.Unstructured, endpoint map[string]any) readyStates {
	identity, _, _ := unstructured.NestedString(object.Object, "spec", "identityRef", "name")
	region, _, _ := unstructured.NestedString(object.Object, "spec", "region")
	provider := fmt.Sprintf("arn:aws:iam::%s:oidc-provider/oidc.eks.%s.amazonaws.com/id/%X",
		strings.TrimPrefix(identity, accountPrefix), region, object.GetUID())
	return readyStates{
		infrastructure: state{
			spec:   map[string]any{"controlPlaneEndpoint": endpoint},
			status: map[string]any{"ready": true},
		},
		controlPlane: state{
			spec: map[string]any{"controlPlaneEndpoint": endpoint},
			status: map[string]any{
				"ready": true, "initialized": true, "externalManagedControlPlane": true, "version": tools.KubernetesVersion,
				"oidcProvider": map[string]any{"arn": provider},
				"conditions": []any{
					condition("Ready", "True", "", "", ""), condition("EKSControlPlaneReady", "True", "", "", ""),
				},
			},
		},
	}
}

// azure stands in for CAPZ with AKS.
type azure struct{}

const azureGroup = "infrastructure.cluster.x-k8s.io"

func (azure) name() string { return "azure" }

func (azure) controlPlane() kind {
	return kind{Group: azureGroup, Version: "v1beta1", Kind: "AzureASOManagedControlPlane"}
}

func (azure) infrastructure() kind {
	return kind{Group: azureGroup, Version: "v1beta1", Kind: "AzureASOManagedCluster"}
}

func (azure) pool() kind {
	return kind{Group: azureGroup, Version: "v1beta1", Kind: "AzureASOManagedMachinePool"}
}

func (azure) place(object *unstructured.Unstructured) (region, zone, providerIDPrefix string) {
	cluster := managedCluster(object)
	region, _, _ = unstructured.NestedString(cluster, "spec", "location")
	group, _, _ := unstructured.NestedString(cluster, "spec", "owner", "armId")
	return region, region + "-1", "azure://" + group + "/providers/Microsoft.Compute/virtualMachineScaleSets/aks-pool0-vmss/virtualMachines/"
}

// managedCluster is the Azure Service Operator's object in a control plane's spec.
func managedCluster(object *unstructured.Unstructured) map[string]any {
	resources, _, _ := unstructured.NestedSlice(object.Object, "spec", "resources")
	for _, resource := range resources {
		if m, ok := resource.(map[string]any); ok && m["kind"] == "ManagedCluster" {
			return m
		}
	}
	return nil
}

func (azure) user(object *unstructured.Unstructured) string { return "azure:capz:" + object.GetName() }

func (azure) creating() state {
	return state{status: map[string]any{"ready": false, "initialized": false}}
}

func (azure) failed() state { return azure{}.creating() }

func (azure) ready(object *unstructured.Unstructured, endpoint map[string]any) readyStates {
	return readyStates{
		infrastructure: state{
			spec:   map[string]any{"controlPlaneEndpoint": endpoint},
			status: map[string]any{"ready": true},
		},
		controlPlane: state{status: map[string]any{
			"ready": true, "initialized": true, "version": tools.KubernetesVersion, "controlPlaneEndpoint": endpoint,
			"resources": []any{map[string]any{
				"ready": true,
				"resource": map[string]any{
					"group": "containerservice.azure.com", "version": "v1api20240901", "kind": "ManagedCluster", "name": object.GetName(),
				},
			}},
		}},
	}
}

func equal(a, b any) bool { return equality.Semantic.DeepEqual(a, b) }
