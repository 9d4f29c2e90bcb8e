package flux

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/fluxcd/pkg/ssa"
	ssautil "github.com/fluxcd/pkg/ssa/utils"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// kustomizationLabels say which Kustomization applied an object, and may prune it.
var kustomizationLabels = []string{"kustomize.toolkit.fluxcd.io/name", "kustomize.toolkit.fluxcd.io/namespace"}

// Refusals asks the API server whether Apply of a set would succeed, writes nothing, and says what it
// refuses: "Deployment/flux-system/source-controller: … field is immutable". An error says that the
// cluster could not be asked.
func (a *Applier) Refusals(ctx context.Context, name string, objs []*unstructured.Unstructured) ([]string, error) {
	var out []string
	for _, obj := range label(name, objs) {
		_, _, _, err := a.manager.Diff(ctx, obj, ssa.DefaultDiffOptions())
		switch {
		case err == nil:
		case refused(err):
			out = append(out, ssautil.FmtUnstructured(obj)+": "+errors.Unwrap(err).Error())
		default:
			return nil, fmt.Errorf("try %s: %w", ssautil.FmtUnstructured(obj), err)
		}
	}
	return out, nil
}

// refused says whether an error is the API server's answer to the object itself.
func refused(err error) bool {
	var answer apierrors.APIStatus
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.Status().Code {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusConflict, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// TakeOver applies a set that others may have applied before, and makes Fairway the only field manager of
// it: of a field that others had set as well, a later version without it could not take it away. What only
// others have set stays theirs, such as a role in the annotations of a service account. The labels by which
// a Kustomization knows what it may prune go.
func (a *Applier) TakeOver(ctx context.Context, name string, objs []*unstructured.Unstructured) (Result, error) {
	result, err := a.Apply(ctx, name, objs)
	if err != nil {
		return result, err
	}
	for _, obj := range objs {
		if err := a.own(ctx, obj); err != nil {
			return result, fmt.Errorf("take ownership of %s: %w", ssautil.FmtUnstructured(obj), err)
		}
	}
	return result, nil
}

func (a *Applier) own(ctx context.Context, obj *unstructured.Unstructured) error {
	live := &metav1.PartialObjectMetadata{}
	live.SetGroupVersionKind(obj.GroupVersionKind())
	if err := a.client.Get(ctx, client.ObjectKeyFromObject(obj), live); err != nil {
		return err
	}
	patch, err := ownership(live)
	if patch == nil || err != nil {
		return err
	}
	text, err := json.Marshal(map[string]any{"metadata": patch})
	if err != nil {
		return err
	}
	return a.client.Patch(ctx, live, client.RawPatch(types.MergePatchType, text), client.FieldOwner(owner))
}

// ownership is the merge patch of the metadata of an object that Fairway has applied; nil when nobody
// else claims what is Fairway's.
func ownership(live *metav1.PartialObjectMetadata) (map[string]any, error) {
	entries, moved, err := disowned(live.GetManagedFields())
	if err != nil {
		return nil, fmt.Errorf("read managedFields: %w", err)
	}
	patch := map[string]any{}
	if moved {
		patch["managedFields"] = entries
	}
	labels := map[string]any{}
	for _, name := range kustomizationLabels {
		if _, ok := live.GetLabels()[name]; ok {
			labels[name] = nil
		}
	}
	if len(labels) > 0 {
		patch["labels"] = labels
	}
	if len(patch) == 0 {
		return nil, nil
	}
	patch["resourceVersion"] = live.GetResourceVersion()
	return patch, nil
}

// disowned are managedFields where nobody but Fairway has what Fairway applied, and whether that is a
// change. Those of subresources stay: Fairway applies none.
func disowned(entries []metav1.ManagedFieldsEntry) (out []metav1.ManagedFieldsEntry, changed bool, _ error) {
	own := slices.IndexFunc(entries, appliedByFairway)
	if own < 0 {
		return entries, false, nil
	}
	applied, err := ssa.FieldsToSet(*entries[own].FieldsV1)
	if err != nil {
		return nil, false, err
	}
	for i, e := range entries {
		if i == own || e.Subresource != "" || e.FieldsV1 == nil {
			out = append(out, e)
			continue
		}
		had, err := ssa.FieldsToSet(*e.FieldsV1)
		if err != nil {
			return nil, false, err
		}
		left := had.Difference(&applied)
		if changed = changed || !left.Equals(&had); left.Empty() {
			continue
		}
		fields, err := ssa.SetToFields(*left)
		if err != nil {
			return nil, false, err
		}
		e.FieldsV1 = &fields
		out = append(out, e)
	}
	return out, changed, nil
}

func appliedByFairway(e metav1.ManagedFieldsEntry) bool {
	return e.Manager == owner && e.Operation == metav1.ManagedFieldsOperationApply && e.Subresource == "" && e.FieldsV1 != nil
}
