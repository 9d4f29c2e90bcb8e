package blueprint

import (
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Cluster is a cluster that somebody wants.
type Cluster struct {
	Name        string            // the cluster's id in the fleet
	Namespace   string            // of the platform cluster
	Cloud       string            // one of Clouds, in any case
	Region      string            // in the cloud's own words
	Environment string            // that it joins
	Kubernetes  string            // 1.36 or v1.36; on Azure also with a patch version
	Nodes       int               // how many there are; nothing scales them
	MachineType string            // of the nodes; empty: the cloud's default below
	Identity    string            // whose account: an AWSClusterRoleIdentity, a Secret of the Azure Service Operator; empty: the provider's own
	Labels      map[string]string // more labels of the Cluster; they win over those that register it
}

// Groups and kinds of Cluster API's core.
const coreGroup = "cluster.x-k8s.io"

var (
	clusterKind = schema.GroupVersionKind{Group: coreGroup, Version: "v1beta2", Kind: "Cluster"}
	poolKind    = schema.GroupVersionKind{Group: coreGroup, Version: "v1beta2", Kind: "MachinePool"}
)

// pool is the cloud's name of the pool of nodes. Both clouds want it unique within the cluster only.
const pool = "pool0"

// cloud is what differs between clouds.
type cloud struct {
	name        string // as in a WorkloadCluster's status
	provider    string // as clusterctl calls it
	nameLimit   int    // of a cluster
	nameReason  string
	regionOf    func(region string) *Mistake
	machines    string // default machine type
	machineForm form
	nodeLimit   int
	patches     bool // whether a patch version can be chosen
	objects     func(Cluster) parts
}

// parts are a cloud's own objects. poolVersion is the MachinePool's, "" when the cloud's pool says it.
type parts struct {
	infrastructure, controlPlane, pool *unstructured.Unstructured
	poolVersion                        string
}

var clouds = []cloud{aws, azure}

// Clouds are the names of the clouds that clusters can be ordered from.
func Clouds() []string {
	var names []string
	for _, known := range clouds {
		names = append(names, strings.ToLower(known.name))
	}
	return names
}

// Provider is what clusterctl calls the Cluster API provider of a cloud, "" for a cloud that is unknown.
func Provider(name string) string {
	of, _ := find(name)
	return of.provider
}

func find(name string) (cloud, bool) {
	at := slices.IndexFunc(clouds, func(c cloud) bool { return strings.EqualFold(c.name, name) })
	if at < 0 {
		return cloud{}, false
	}
	return clouds[at], true
}

// Objects are the Cluster, the cloud's infrastructure and control plane, the MachinePool and the cloud's
// pool, in this order. The same Cluster gives the same objects. An error is a *Mistake.
func (c Cluster) Objects() ([]*unstructured.Unstructured, error) {
	of, mistake := c.check()
	if mistake != nil {
		return nil, mistake
	}
	if c.MachineType == "" {
		c.MachineType = of.machines
	}
	c.Kubernetes = strings.TrimPrefix(c.Kubernetes, "v")
	p := of.objects(c)
	cluster := c.object(clusterKind, c.Name, map[string]any{
		"controlPlaneRef":   reference(p.controlPlane),
		"infrastructureRef": reference(p.infrastructure),
	})
	cluster.SetLabels(c.ClusterLabels())
	return []*unstructured.Unstructured{cluster, p.infrastructure, p.controlPlane, c.machinePool(p), p.pool}, nil
}

// ClusterLabels are the labels of the Cluster.
func (c Cluster) ClusterLabels() map[string]string {
	out := map[string]string{fleetv1.LabelRegister: "true", fleetv1.LabelEnvironment: c.Environment}
	maps.Copy(out, c.Labels)
	return out
}

func (c Cluster) poolName() string { return c.Name + "-" + pool }

func (c Cluster) machinePool(p parts) *unstructured.Unstructured {
	machine := map[string]any{
		"clusterName": c.Name,
		// The cloud makes the nodes join. Cluster API wants the field, and takes it empty.
		"bootstrap":         map[string]any{"dataSecretName": ""},
		"infrastructureRef": reference(p.pool),
	}
	if p.poolVersion != "" {
		machine["version"] = p.poolVersion
	}
	return c.object(poolKind, c.poolName(), map[string]any{
		"clusterName": c.Name,
		"replicas":    int64(c.Nodes),
		"template":    map[string]any{"spec": machine},
	})
}

func (c Cluster) object(kind schema.GroupVersionKind, name string, spec map[string]any) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	obj.SetGroupVersionKind(kind)
	obj.SetNamespace(c.Namespace)
	obj.SetName(name)
	return obj
}

func reference(obj *unstructured.Unstructured) map[string]any {
	kind := obj.GroupVersionKind()
	return map[string]any{"apiGroup": kind.Group, "kind": kind.Kind, "name": obj.GetName()}
}
