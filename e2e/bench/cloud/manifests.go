package cloud

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
)

// Request is a cluster that somebody wants from a cloud.
type Request struct {
	Name, Namespace string
	Region          string
	// Account is the AWS account or the Azure subscription; a fixed one when empty.
	Account string
	// Environment is the environment that the cluster joins.
	Environment string
	// Labels are added to the Cluster.
	Labels map[string]string
}

// Accounts of requests that name none.
const (
	defaultAccount      = "123456789012"
	accountPrefix       = "account-" // of the name of an account's AWSClusterRoleIdentity
	defaultSubscription = "00000000-1111-2222-3333-444444444444"
)

// EKS returns the Cluster API objects that a user applies for an EKS cluster with one machine pool:
// Cluster, AWSManagedCluster, AWSManagedControlPlane, MachinePool, AWSManagedMachinePool, and the
// AWSClusterRoleIdentity of the account. The Cluster asks to join the fleet.
func EKS(r Request) []*unstructured.Unstructured {
	account := or(r.Account, defaultAccount)
	identity := accountPrefix + account
	p := aws{}
	role := object(kind{Group: p.infrastructure().Group, Version: "v1beta2", Kind: "AWSClusterRoleIdentity"}, "", identity, map[string]any{
		"allowedNamespaces": map[string]any{},
		"roleARN":           "arn:aws:iam::" + account + ":role/cluster-api",
		"sourceIdentityRef": map[string]any{"kind": "AWSClusterControllerIdentity", "name": "default"},
	})
	controlPlane := object(p.controlPlane(), r.Namespace, r.Name+"-control-plane", map[string]any{
		"eksClusterName": r.Namespace + "_" + r.Name,
		"region":         r.Region,
		"version":        tools.KubernetesVersion,
		"identityRef":    map[string]any{"kind": "AWSClusterRoleIdentity", "name": identity},
		// For service accounts with IAM roles; its ARN is also where an account shows.
		"associateOIDCProvider": true,
	})
	pool := object(p.pool(), r.Namespace, poolName(r), map[string]any{
		"amiType": "AL2023_x86_64_STANDARD", "instanceType": "m7i.large",
		"scaling": map[string]any{"minSize": int64(1), "maxSize": int64(1)},
	})
	return append([]*unstructured.Unstructured{role}, r.objects(p, controlPlane, pool, nil)...)
}

// AKS returns the Cluster API objects that a user applies for an AKS cluster with one machine pool:
// Cluster, AzureASOManagedCluster, AzureASOManagedControlPlane, MachinePool,
// AzureASOManagedMachinePool. The Cluster asks to join the fleet.
func AKS(r Request) []*unstructured.Unstructured {
	p := azure{}
	group := "/subscriptions/" + or(r.Account, defaultSubscription) + "/resourceGroups/" + r.Name
	credentials := map[string]any{"serviceoperator.azure.com/credential-from": "aso-credentials"}
	controlPlane := object(p.controlPlane(), r.Namespace, r.Name, map[string]any{
		"version": tools.KubernetesVersion,
		"resources": []any{map[string]any{
			"apiVersion": "containerservice.azure.com/v1api20240901", "kind": "ManagedCluster",
			"metadata": map[string]any{"name": r.Name, "annotations": credentials},
			"spec": map[string]any{
				"dnsPrefix": r.Name, "location": r.Region,
				"identity":                map[string]any{"type": "SystemAssigned"},
				"networkProfile":          map[string]any{"networkPlugin": "azure"},
				"owner":                   map[string]any{"armId": group},
				"servicePrincipalProfile": map[string]any{"clientId": "msi"},
			},
		}},
	})
	pool := object(p.pool(), r.Namespace, poolName(r), map[string]any{
		"resources": []any{map[string]any{
			"apiVersion": "containerservice.azure.com/v1api20240901", "kind": "ManagedClustersAgentPool",
			"metadata": map[string]any{"name": poolName(r), "annotations": credentials},
			"spec": map[string]any{
				"azureName": "pool0", "mode": "System", "owner": map[string]any{"name": r.Name},
				"type": "VirtualMachineScaleSets", "vmSize": "Standard_D2s_v5",
			},
		}},
	})
	// The resource group belongs to somebody else, as where a platform team hands them out.
	return r.objects(p, controlPlane, pool, map[string]any{"resources": []any{}})
}

func poolName(r Request) string { return r.Name + "-pool0" }

// objects returns what is the same in every cloud, around the provider's own objects.
func (r Request) objects(p provider, controlPlane, pool *unstructured.Unstructured, infrastructure map[string]any) []*unstructured.Unstructured {
	if infrastructure == nil {
		infrastructure = map[string]any{}
	}
	infra := object(p.infrastructure(), r.Namespace, r.Name, infrastructure)
	cluster := object(clusterKind, r.Namespace, r.Name, map[string]any{
		"infrastructureRef": reference(infra), "controlPlaneRef": reference(controlPlane),
	})
	labels := map[string]string{fleetv1.LabelRegister: "true"}
	if r.Environment != "" {
		labels[fleetv1.LabelEnvironment] = r.Environment
	}
	maps.Copy(labels, r.Labels)
	cluster.SetLabels(labels)
	machines := object(kind{Group: clusterKind.Group, Version: clusterKind.Version, Kind: "MachinePool"}, r.Namespace, poolName(r), map[string]any{
		"clusterName": r.Name, "replicas": int64(1),
		"template": map[string]any{"spec": map[string]any{
			"clusterName": r.Name, "version": tools.KubernetesVersion,
			"bootstrap":         map[string]any{"dataSecretName": ""},
			"infrastructureRef": reference(pool),
		}},
	})
	return []*unstructured.Unstructured{cluster, infra, controlPlane, machines, pool}
}

func object(k kind, namespace, name string, spec map[string]any) *unstructured.Unstructured {
	o := empty(k)
	o.SetNamespace(namespace)
	o.SetName(name)
	o.Object["spec"] = spec
	return o
}

func reference(o *unstructured.Unstructured) map[string]any {
	gvk := o.GroupVersionKind()
	return map[string]any{"apiGroup": gvk.Group, "kind": gvk.Kind, "name": o.GetName()}
}

func or(value, fallback string) string {
	if value == "" {
		return fallback
	}
	return value
}

// Namespace returns the Namespace object that requests in it need.
func Namespace(name string) *unstructured.Unstructured {
	o := empty(corev1.SchemeGroupVersion.WithKind("Namespace"))
	o.SetName(name)
	return o
}
