package survey

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/scheme"
)

// lifecycle is what k8s.io/api says of types that go.
type lifecycle interface {
	APILifecycleRemoved() (major, minor int)
}

// TestRemovalsAreKubernetesOwn holds the table to k8s.io/api, both ways.
func TestRemovalsAreKubernetesOwn(t *testing.T) {
	declared := map[Kind]int{}
	for gvk := range scheme.Scheme.AllKnownTypes() {
		obj, err := scheme.Scheme.New(gvk)
		if err != nil {
			t.Fatal(err)
		}
		if has, ok := obj.(lifecycle); ok && kept(gvk, obj) {
			_, minor := has.APILifecycleRemoved()
			declared[Kind{gvk.GroupVersion().String(), gvk.Kind}] = minor
		}
	}
	for kind, minor := range declared {
		if have := removedByKind[kind]; have.minor != minor {
			t.Errorf("%s %s goes in 1.%d, the table says 1.%d", kind.APIVersion, kind.Kind, minor, have.minor)
		}
	}
	for kind, r := range removedByKind {
		if minor, ok := declared[kind]; ok && minor != r.minor {
			t.Errorf("%s %s goes in 1.%d, the table says 1.%d", kind.APIVersion, kind.Kind, minor, r.minor)
		}
		version, err := schema.ParseGroupVersion(kind.APIVersion)
		if _, known := declared[kind]; err != nil || (!known && scheme.Scheme.IsVersionRegistered(version) && !strings.HasPrefix(kind.Kind, "PodSecurity")) {
			t.Errorf("%s has no %s (%v)", kind.APIVersion, kind.Kind, err)
		}
	}
	if len(declared) < 60 {
		t.Errorf("only %d types of k8s.io/api are known to go", len(declared))
	}
}

// kept says whether a type is one of objects that are stored.
func kept(gvk schema.GroupVersionKind, obj runtime.Object) bool {
	for _, end := range []string{"List", "Review", "Scale", "DeploymentRollback", "Eviction", "APIGroupDiscovery"} {
		if strings.HasSuffix(gvk.Kind, end) {
			return false
		}
	}
	return obj != nil
}
