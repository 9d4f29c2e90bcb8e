package blueprint

import (
	"fmt"
	"regexp"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

var azure = cloud{
	name: "Azure", provider: "azure",
	nameLimit: 54, nameReason: "it is the DNS prefix of AKS",
	regionOf: azureRegion,
	machines: "Standard_D2s_v5", machineForm: form{regexp.MustCompile(`^[A-Z][A-Za-z]+_[A-Za-z0-9_-]+$`), "Standard_D2s_v5"},
	nodeLimit: 1000, // of a system pool
	patches:   true,
	objects:   aks,
}

const azureGroup = "infrastructure.cluster.x-k8s.io"

var (
	azureCluster      = schema.GroupVersionKind{Group: azureGroup, Version: "v1beta1", Kind: "AzureASOManagedCluster"}
	azureControlPlane = schema.GroupVersionKind{Group: azureGroup, Version: "v1beta1", Kind: "AzureASOManagedControlPlane"}
	azurePool         = schema.GroupVersionKind{Group: azureGroup, Version: "v1beta1", Kind: "AzureASOManagedMachinePool"}
)

// Versions of the Azure Service Operator's kinds that come with Cluster API's Azure provider 1.17 and later.
const (
	asoResources  = "resources.azure.com/v1api20200601"
	asoContainers = "containerservice.azure.com/v1api20240901"
)

// asoCredential names the Secret with the credentials that a resource is made with.
const asoCredential = "serviceoperator.azure.com/credential-from"

var azureRegionForm = regexp.MustCompile(`^[a-z]+[0-9]?[a-z]*$`)

func azureRegion(region string) *Mistake {
	if azureRegionForm.MatchString(region) {
		return nil
	}
	mistake := &Mistake{Setting: "region", Problem: fmt.Sprintf("%q is no region of Azure", region), Fix: "name one such as westeurope"}
	if short := strings.ToLower(strings.ReplaceAll(region, " ", "")); azureRegionForm.MatchString(short) {
		mistake.Problem, mistake.Fix = fmt.Sprintf("%q is not how Azure's API calls it", region), "use "+short
	}
	return mistake
}

func aks(c Cluster) parts {
	return parts{
		infrastructure: c.object(azureCluster, c.Name, resources(c.resource(asoResources, "ResourceGroup", c.Name, map[string]any{
			"location": c.Region,
		}))),
		controlPlane: c.object(azureControlPlane, c.Name, withVersion(c, resources(c.resource(asoContainers, "ManagedCluster", c.Name, map[string]any{
			"location":  c.Region,
			"owner":     map[string]any{"name": c.Name},
			"dnsPrefix": c.Name,
			// Azure's own name for it may become longer than the 80 characters that it allows.
			"nodeResourceGroup":       c.Name + "-nodes",
			"identity":                map[string]any{"type": "SystemAssigned"},
			"servicePrincipalProfile": map[string]any{"clientId": "msi"},
			"networkProfile":          map[string]any{"networkPlugin": "azure"},
			"oidcIssuerProfile":       map[string]any{"enabled": true},
		})))),
		pool: c.object(azurePool, c.poolName(), resources(c.resource(asoContainers, "ManagedClustersAgentPool", c.poolName(), map[string]any{
			"azureName": pool,
			"owner":     map[string]any{"name": c.Name},
			"mode":      "System",
			"type":      "VirtualMachineScaleSets",
			"vmSize":    c.MachineType,
			// Here and not in the MachinePool, where Cluster API wants a patch version that Azure may not have.
			"orchestratorVersion": c.Kubernetes,
		}))),
	}
}

func withVersion(c Cluster, spec map[string]any) map[string]any {
	spec["version"] = "v" + c.Kubernetes
	return spec
}

func resources(all ...any) map[string]any { return map[string]any{"resources": all} }

// resource is an object of the Azure Service Operator within an object of Cluster API. What the provider fills
// in from the MachinePool (the number of nodes) and from the control plane (its version) is left out.
func (c Cluster) resource(apiVersion, kind, name string, spec map[string]any) map[string]any {
	metadata := map[string]any{"name": name}
	if c.Identity != "" {
		metadata["annotations"] = map[string]any{asoCredential: c.Identity}
	}
	return map[string]any{"apiVersion": apiVersion, "kind": kind, "metadata": metadata, "spec": spec}
}
