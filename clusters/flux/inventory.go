package flux

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/fluxcd/cli-utils/pkg/object"
	"github.com/fluxcd/pkg/ssa"
	ssautil "github.com/fluxcd/pkg/ssa/utils"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

const (
	inventoryPrefix = "fairway-inventory-"
	inventoryKey    = "objects.json"
)

// inventory is the set of objects that were applied under one name. It is kept on the cluster
// itself, so that it is there for whoever reaches the cluster next.
type inventory struct {
	name, namespace string
	entries         []entry
}

// entry is an object as cli-utils writes it ("namespace_name_group_kind"), with its API version.
type entry struct {
	ID      string `json:"id"`
	Version string `json:"v"`
}

// homeOf is the namespace of a set's inventory: one that the set brings along, so that the
// inventory can be written before the rest, or Flux's.
func homeOf(objs []*unstructured.Unstructured) string {
	for _, obj := range objs {
		if ssautil.IsNamespace(obj) && obj.GetName() == fleetv1.SystemNamespace {
			return fleetv1.SystemNamespace
		}
	}
	return fleetv1.FluxNamespace
}

// readInventory reads a set's inventory from the first of the namespaces that has it; with none it
// is empty and at home in the first.
func (a *Applier) readInventory(ctx context.Context, name string, namespaces ...string) (inventory, error) {
	for _, namespace := range namespaces {
		stored := configMap(namespace, inventoryPrefix+name)
		err := a.client.Get(ctx, client.ObjectKeyFromObject(stored), stored)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return inventory{}, fmt.Errorf("read inventory of %s: %w", name, err)
		}
		inv := inventory{name: name, namespace: namespace}
		text, _, err := unstructured.NestedString(stored.Object, "data", inventoryKey)
		if err == nil && text != "" {
			err = json.Unmarshal([]byte(text), &inv.entries)
		}
		if err != nil {
			return inventory{}, fmt.Errorf("parse inventory %s/%s: %w", namespace, stored.GetName(), err)
		}
		return inv, nil
	}
	return inventory{name: name, namespace: namespaces[0]}, nil
}

// writeInventory writes an inventory unless it is stored as it is.
func (a *Applier) writeInventory(ctx context.Context, inv inventory) error {
	text, err := json.Marshal(inv.entries)
	if err != nil {
		return fmt.Errorf("encode inventory of %s: %w", inv.name, err)
	}
	stored := inv.object()
	stored.SetLabels(ownLabels(inv.name))
	if err := unstructured.SetNestedField(stored.Object, string(text), "data", inventoryKey); err != nil {
		return fmt.Errorf("encode inventory of %s: %w", inv.name, err)
	}
	if _, err := a.manager.Apply(ctx, stored, ssa.DefaultApplyOptions()); err != nil {
		return fmt.Errorf("write inventory of %s: %w", inv.name, err)
	}
	return nil
}

// object is the ConfigMap that an inventory is stored in, without its content.
func (i inventory) object() *unstructured.Unstructured {
	return configMap(i.namespace, inventoryPrefix+i.name)
}

// with is an inventory of what is there and what is to come.
func (i inventory) with(objs []*unstructured.Unstructured) inventory {
	return i.exactly(objs, i.entries)
}

// exactly is an inventory of a set's objects and of others, each once and in a fixed order. An
// object's own version wins over an entry's.
func (i inventory) exactly(objs []*unstructured.Unstructured, others []entry) inventory {
	all := make([]entry, 0, len(objs)+len(others))
	for _, obj := range objs {
		all = append(all, entryOf(obj))
	}
	all = append(all, others...)
	slices.SortStableFunc(all, func(a, b entry) int { return cmp.Compare(a.ID, b.ID) })
	i.entries = slices.CompactFunc(all, func(a, b entry) bool { return a.ID == b.ID })
	return i
}

// without is what an inventory has beyond a set's objects.
func (i inventory) without(objs []*unstructured.Unstructured) []entry {
	wanted := make(map[string]bool, len(objs))
	for _, obj := range objs {
		wanted[entryOf(obj).ID] = true
	}
	var out []entry
	for _, e := range i.entries {
		if !wanted[e.ID] {
			out = append(out, e)
		}
	}
	return out
}

func entryOf(obj *unstructured.Unstructured) entry {
	return entry{
		ID:      object.UnstructuredToObjMetadata(obj).String(),
		Version: obj.GroupVersionKind().Version,
	}
}

// target is the object that an entry stands for: its kind and name, nothing else.
func (e entry) target() (*unstructured.Unstructured, error) {
	id, err := object.ParseObjMetadata(e.ID)
	if err != nil {
		return nil, fmt.Errorf("parse inventory entry %q: %w", e.ID, err)
	}
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(schema.GroupVersionKind{Group: id.GroupKind.Group, Version: e.Version, Kind: id.GroupKind.Kind})
	obj.SetNamespace(id.Namespace)
	obj.SetName(id.Name)
	return obj, nil
}

func configMap(namespace, name string) *unstructured.Unstructured {
	return newObject("v1", "ConfigMap", namespace, name)
}

func newObject(apiVersion, kind, namespace, name string) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	obj.SetAPIVersion(apiVersion)
	obj.SetKind(kind)
	obj.SetNamespace(namespace)
	obj.SetName(name)
	return obj
}
