package workloadcluster

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

func execOf(command string) *clientcmdapi.ExecConfig {
	return &clientcmdapi.ExecConfig{
		APIVersion: "client.authentication.k8s.io/v1", Command: command, InteractiveMode: clientcmdapi.NeverExecInteractiveMode,
	}
}

// eksCluster is a Cluster API Cluster on EKS, and its control plane with the ARN of an account.
func eksCluster(namespace, name string) (cluster, controlPlane *unstructured.Unstructured) {
	metadata := func() map[string]any { return map[string]any{"namespace": namespace, "name": name} }
	cluster = &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster", "metadata": metadata(),
		"spec": map[string]any{
			"infrastructureRef": map[string]any{"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "AWSManagedCluster", "name": name},
			"controlPlaneRef":   map[string]any{"apiGroup": "controlplane.cluster.x-k8s.io", "kind": "AWSManagedControlPlane", "name": name},
		},
	}}
	controlPlane = &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "controlplane.cluster.x-k8s.io/v1beta2", "kind": "AWSManagedControlPlane", "metadata": metadata(),
		"spec": map[string]any{"region": "eu-west-1", "roleArn": "arn:aws:iam::123456789012:role/eks"},
	}}
	return cluster, controlPlane
}
