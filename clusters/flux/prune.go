package flux

import (
	"context"
	"errors"
	"fmt"

	"github.com/fluxcd/pkg/ssa"
	ssautil "github.com/fluxcd/pkg/ssa/utils"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// prune deletes what left a set and returns the entries that are kept on purpose. It goes on after an
// error; the inventory then stays as it was, so that the next apply tries again.
func (a *Applier) prune(ctx context.Context, name string, stale []entry, result *Result) (kept []entry, err error) {
	var errs []error
	for _, e := range stale {
		obj, err := e.target()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		keep, err := a.mustKeep(ctx, obj)
		switch {
		case err != nil:
			errs = append(errs, err)
		case keep:
			kept = append(kept, e)
			result.Kept = append(result.Kept, ssautil.FmtUnstructured(obj))
		default:
			deleted, err := a.delete(ctx, name, obj, metav1.DeletePropagationBackground)
			if err != nil {
				errs = append(errs, err)
			}
			if deleted {
				result.Pruned++
			}
		}
	}
	return kept, errors.Join(errs...)
}

// mustKeep says whether deleting an object would delete what others put there.
func (a *Applier) mustKeep(ctx context.Context, obj *unstructured.Unstructured) (bool, error) {
	switch {
	case ssautil.IsNamespace(obj):
		return true, nil
	case ssautil.IsCRD(obj):
		instances, err := a.instances(ctx, obj, 1)
		return len(instances) > 0, err
	default:
		return false, nil
	}
}

// delete deletes an object of a set and says whether it was there. An object that another set, or
// somebody else, has taken over is left alone.
func (a *Applier) delete(ctx context.Context, name string, obj *unstructured.Unstructured, how metav1.DeletionPropagation) (bool, error) {
	live, err := a.get(ctx, obj)
	if live == nil || err != nil {
		return false, err
	}
	if live.GetDeletionTimestamp() != nil {
		return true, nil
	}
	change, err := a.manager.Delete(ctx, obj, ssa.DeleteOptions{PropagationPolicy: how, Inclusions: ownLabels(name)})
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("delete %s: %w", ssautil.FmtUnstructured(obj), err)
	}
	return change.Action == ssa.DeletedAction, nil
}

// get reads an object; nil when it, or its kind, is not there.
func (a *Applier) get(ctx context.Context, obj *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	live := newObject(obj.GetAPIVersion(), obj.GetKind(), "", "")
	err := a.client.Get(ctx, client.ObjectKeyFromObject(obj), live)
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", ssautil.FmtUnstructured(obj), err)
	}
	return live, nil
}

// instances are the objects of a definition's kind, at most limit of them (0: all). A definition
// that is gone has none.
func (a *Applier) instances(ctx context.Context, definition *unstructured.Unstructured, limit int64) ([]metav1.PartialObjectMetadata, error) {
	live, err := a.get(ctx, definition)
	if live == nil || err != nil {
		return nil, err
	}
	kind, ok := servedKind(live)
	if !ok {
		return nil, nil
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
	err = a.client.List(ctx, list, client.Limit(limit))
	if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", kind.Kind, err)
	}
	return list.Items, nil
}

// servedKind is the kind that a live definition defines, in a version that is served.
func servedKind(definition *unstructured.Unstructured) (schema.GroupVersionKind, bool) {
	group, _, _ := unstructured.NestedString(definition.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(definition.Object, "spec", "names", "kind")
	versions, _, _ := unstructured.NestedSlice(definition.Object, "spec", "versions")
	for _, v := range versions {
		version, ok := v.(map[string]any)
		if served, _ := version["served"].(bool); ok && served {
			name, _ := version["name"].(string)
			return schema.GroupVersionKind{Group: group, Version: name, Kind: kind}, group != "" && name != "" && kind != ""
		}
	}
	return schema.GroupVersionKind{}, false
}
