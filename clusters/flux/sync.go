package flux

import (
	"encoding/base64"
	"maps"
	"slices"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// How the root Kustomization works. A new commit is applied at once whatever the interval, which is
// for what changes on the cluster itself.
const (
	syncInterval    = 10 * time.Minute
	syncRetry       = 30 * time.Second
	syncTimeout     = 5 * time.Minute
	defaultInterval = time.Minute
)

// watchLabel makes Flux act on a change of a ConfigMap or Secret that it reads.
const watchLabel = "reconcile.fluxcd.io/watch"

// Sync is what makes a cluster follow its folder of the config repository.
type Sync struct {
	ClusterID   string
	URL, Branch string
	Interval    time.Duration     // between two looks at the repository; zero: 1 min
	Secret      map[string][]byte // the keys that Flux's GitRepository reads; nil: a public repository
	Values      map[string]string // substitution variables of the cluster's manifests
}

// Objects are the values, the credentials (if any), the GitRepository and the root Kustomization,
// all in Flux's namespace. The same Sync gives the same objects.
func (s Sync) Objects() []*unstructured.Unstructured {
	objs := []*unstructured.Unstructured{s.values()}
	if len(s.Secret) > 0 {
		objs = append(objs, s.secret())
	}
	return append(objs, s.repository(), s.kustomization())
}

func (s Sync) values() *unstructured.Unstructured {
	data := map[string]any{}
	for key, value := range s.Values {
		data[key] = value
	}
	obj := s.object("v1", "ConfigMap", fleetv1.ValuesName, nil)
	obj.Object["data"] = data
	obj.SetLabels(with(obj.GetLabels(), watchLabel, "Enabled"))
	return obj
}

func (s Sync) secret() *unstructured.Unstructured {
	data := map[string]any{}
	for _, key := range slices.Sorted(maps.Keys(s.Secret)) {
		data[key] = base64.StdEncoding.EncodeToString(s.Secret[key])
	}
	obj := s.object("v1", "Secret", fleetv1.RootName, nil)
	obj.Object["type"] = "Opaque"
	obj.Object["data"] = data
	return obj
}

func (s Sync) repository() *unstructured.Unstructured {
	interval := s.Interval
	if interval == 0 {
		interval = defaultInterval
	}
	spec := map[string]any{
		"interval": interval.String(),
		"timeout":  time.Minute.String(),
		"url":      s.URL,
		"ref":      map[string]any{"branch": s.Branch},
		"ignore":   s.others(),
	}
	if len(s.Secret) > 0 {
		spec["secretRef"] = map[string]any{"name": fleetv1.RootName}
	}
	return s.object(sourcev1.GroupVersion.String(), sourcev1.GitRepositoryKind, fleetv1.RootName, spec)
}

// others leaves out, as .gitignore would, the folders of other clusters. It is not sparseCheckout, which fails on a folder that
// a young repository does not have yet, and leaves out what the layers may refer to.
func (s Sync) others() string { return "/clusters/*\n!/clusters/" + s.ClusterID + "\n" }

func (s Sync) kustomization() *unstructured.Unstructured {
	return s.object(kustomizev1.GroupVersion.String(), kustomizev1.KustomizationKind, fleetv1.RootName, map[string]any{
		"interval":      syncInterval.String(),
		"retryInterval": syncRetry.String(),
		"timeout":       syncTimeout.String(),
		"path":          "./clusters/" + s.ClusterID,
		"prune":         true,
		"wait":          false,
		"force":         false,
		"sourceRef":     map[string]any{"kind": sourcev1.GitRepositoryKind, "name": fleetv1.RootName},
		"postBuild": map[string]any{"substituteFrom": []any{
			map[string]any{"kind": "ConfigMap", "name": fleetv1.ValuesName},
		}},
	})
}

func (s Sync) object(apiVersion, kind, name string, spec map[string]any) *unstructured.Unstructured {
	obj := newObject(apiVersion, kind, fleetv1.FluxNamespace, name)
	obj.SetLabels(map[string]string{
		labelPartOf:          "fairway",
		fleetv1.LabelCluster: s.ClusterID,
	})
	if spec != nil {
		obj.Object["spec"] = spec
	}
	return obj
}

func with(labels map[string]string, key, value string) map[string]string {
	out := maps.Clone(labels)
	out[key] = value
	return out
}
