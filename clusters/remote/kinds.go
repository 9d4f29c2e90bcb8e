package remote

import (
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// builtIn are kinds that every supported Kubernetes serves, and that are asked for at every pass.
var builtIn = func() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	for version, kinds := range map[schema.GroupVersion]map[string]meta.RESTScope{
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
		{Group: "apiextensions.k8s.io", Version: "v1"}: {"CustomResourceDefinition": meta.RESTScopeRoot},
	} {
		for kind, scope := range kinds {
			mapper.Add(version.WithKind(kind), scope)
		}
	}
	return mapper
}()

// withBuiltIn looks for a kind among those that are built in, and asks the cluster for others: what a mapper learns from a cluster is
// most of what a connection holds.
func withBuiltIn(ofCluster meta.RESTMapper) meta.RESTMapper {
	return meta.FirstHitRESTMapper{MultiRESTMapper: meta.MultiRESTMapper{builtIn, ofCluster}}
}
