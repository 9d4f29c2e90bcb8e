package remote

import (
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// known are kinds that are asked for at every pass, and need not be learned: every supported Kubernetes serves them, and those of Flux are
// there once Flux is. Where they are not, the API server says that there is nothing at such a path (apierrors.IsNotFound).
var known = func() meta.RESTMapper {
	served := map[schema.GroupVersion]map[string]meta.RESTScope{
		{Version: "v1"}: {
			"ConfigMap": meta.RESTScopeNamespace, "Namespace": meta.RESTScopeRoot, "Node": meta.RESTScopeRoot, "Pod": meta.RESTScopeNamespace,
			"ResourceQuota": meta.RESTScopeNamespace, "Secret": meta.RESTScopeNamespace, "Service": meta.RESTScopeNamespace,
			"ServiceAccount": meta.RESTScopeNamespace,
		},
		{Group: "apps", Version: "v1"}:              {"Deployment": meta.RESTScopeNamespace},
		{Group: "networking.k8s.io", Version: "v1"}: {"NetworkPolicy": meta.RESTScopeNamespace},
		{Group: "rbac.authorization.k8s.io", Version: "v1"}: {
			"ClusterRole": meta.RESTScopeRoot, "ClusterRoleBinding": meta.RESTScopeRoot, "Role": meta.RESTScopeNamespace, "RoleBinding": meta.RESTScopeNamespace,
		},
		{Group: "apiextensions.k8s.io", Version: "v1"}:        {"CustomResourceDefinition": meta.RESTScopeRoot},
		{Group: "source.toolkit.fluxcd.io", Version: "v1"}:    {"GitRepository": meta.RESTScopeNamespace},
		{Group: "kustomize.toolkit.fluxcd.io", Version: "v1"}: {"Kustomization": meta.RESTScopeNamespace},
	}
	mapper := meta.NewDefaultRESTMapper(slices.Collect(maps.Keys(served))) // who names no version means these
	for version, kinds := range served {
		for kind, scope := range kinds {
			mapper.Add(version.WithKind(kind), scope)
		}
	}
	return mapper
}()

// withKnown looks for a kind among those that are known, and asks the cluster for others: what a mapper learns from a cluster is most of
// what a connection holds, and of what it costs to make one.
func withKnown(ofCluster meta.RESTMapper) meta.RESTMapper {
	return meta.FirstHitRESTMapper{MultiRESTMapper: meta.MultiRESTMapper{known, ofCluster}}
}
