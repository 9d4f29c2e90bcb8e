package remote

import (
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// learned is a cluster's mapper, which counts what it is asked.
type learned struct {
	meta.RESTMapper
	asked int
	reset int
}

func (l *learned) RESTMapping(kind schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	l.asked++
	return l.RESTMapper.RESTMapping(kind, versions...)
}

func (l *learned) Reset() { l.reset++ }

func TestKindsThatAreKnownAreNotAskedFor(t *testing.T) {
	flux := schema.GroupVersionKind{Group: "helm.toolkit.fluxcd.io", Version: "v2", Kind: "HelmRelease"}
	ofCluster := meta.NewDefaultRESTMapper(nil)
	ofCluster.Add(flux, meta.RESTScopeNamespace)
	cluster := &learned{RESTMapper: ofCluster}
	mapper := withKnown(cluster)
	for resource, kind := range map[string]schema.GroupVersionKind{
		"secrets":                   {Version: "v1", Kind: "Secret"},
		"resourcequotas":            {Version: "v1", Kind: "ResourceQuota"},
		"networkpolicies":           {Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"},
		"deployments":               {Group: "apps", Version: "v1", Kind: "Deployment"},
		"clusterrolebindings":       {Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleBinding"},
		"gitrepositories":           {Group: "source.toolkit.fluxcd.io", Version: "v1", Kind: "GitRepository"},
		"kustomizations":            {Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "Kustomization"},
		"customresourcedefinitions": {Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"},
	} {
		mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err != nil || mapping.Resource.Resource != resource {
			t.Errorf("%s: %+v (%v), want %s", kind, mapping, err, resource)
		}
		if any, err := mapper.RESTMapping(kind.GroupKind()); err != nil || any.GroupVersionKind != kind {
			t.Errorf("%s of any version: %+v (%v)", kind.GroupKind(), any, err)
		}
	}
	if cluster.asked != 0 {
		t.Errorf("the cluster was asked %d times", cluster.asked)
	}
	if mapping, err := mapper.RESTMapping(flux.GroupKind(), flux.Version); err != nil || mapping.Resource.Resource != "helmreleases" || cluster.asked != 1 {
		t.Errorf("a kind of the cluster's own: %+v (%v)", mapping, err)
	}
	if _, err := mapper.RESTMapping(schema.GroupKind{Group: "x", Kind: "Y"}); !meta.IsNoMatchError(err) {
		t.Errorf("a kind that nobody serves: %v", err)
	}
	if meta.MaybeResetRESTMapper(mapper); cluster.reset == 0 {
		t.Error("the cluster is not asked anew when it may have learned of kinds")
	}
}
