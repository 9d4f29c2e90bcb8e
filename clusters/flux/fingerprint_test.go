package flux

import (
	"testing"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestAFingerprintTellsThatSomethingWasTouched(t *testing.T) {
	x := newTarget(t)
	objs := append(set(t, "touched"), fluxNamespace())
	read := func() ([32]byte, bool) {
		t.Helper()
		print, whole, err := x.applier.Fingerprint(t.Context(), "touched", objs)
		if err != nil {
			t.Fatal(err)
		}
		return print, whole
	}
	if _, whole := read(); whole {
		t.Error("nothing of the set is there, and it is whole")
	}
	x.apply("touched", objs)
	before, whole := read()
	if again, _ := read(); !whole || again != before {
		t.Errorf("nobody has touched anything: whole %t, the same %t", whole, again == before)
	}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"theirs":"new"}}}`))
	for _, id := range []string{"ConfigMap/touched/settings", "ConfigMap/flux-system/" + inventoryPrefix + "touched"} {
		if err := x.client.Patch(t.Context(), x.find("v1", id), patch); err != nil {
			t.Fatal(err)
		}
		after, whole := read()
		if !whole || after == before {
			t.Errorf("%s was touched: whole %t, the same %t", id, whole, after == before)
		}
		before = after
	}
	if err := x.client.Delete(t.Context(), x.find("v1", "ConfigMap/touched/settings")); err != nil {
		t.Fatal(err)
	}
	if _, whole := read(); whole {
		t.Error("an object is gone, and the set is whole")
	}
	x.apply("touched", objs)
	if after, whole := read(); !whole || after == before {
		t.Errorf("an object was made anew: whole %t, the same %t", whole, after == before)
	}
}
