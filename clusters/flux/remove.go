package flux

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/fluxcd/pkg/ssa"
	ssautil "github.com/fluxcd/pkg/ssa/utils"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// fluxFinalizer is held by Flux on its objects. Without its controllers nobody takes it off.
const fluxFinalizer = "finalizers.fluxcd.io"

// fluxGroups is what the API groups of all Flux kinds end with.
const fluxGroups = ".toolkit.fluxcd.io"

// Remove deletes what was applied under a name. It takes several calls: each returns what is still
// there ("Kind/namespace/name"), nil when all is gone or nothing was ever applied. Workloads go
// first, with their pods; then the rest; then definitions, after Flux's finalizers are taken off
// their objects, so that deleting Flux never deletes what Flux has deployed. Namespaces go last: they
// wait for Fairway's other sets in them, and stay when anybody else has something there.
func (a *Applier) Remove(ctx context.Context, name string) (left []string, err error) {
	inv, err := a.readInventory(ctx, name, fleetv1.FluxNamespace, fleetv1.SystemNamespace)
	if err != nil || len(inv.entries) == 0 {
		return nil, err
	}
	objs := make([]*unstructured.Unstructured, 0, len(inv.entries))
	for _, e := range inv.entries {
		obj, err := e.target()
		if err != nil {
			return nil, err
		}
		objs = append(objs, obj)
	}
	sort.Sort(sort.Reverse(ssa.SortableUnstructureds(objs)))
	for _, step := range removalSteps(objs) {
		if left, err = a.removeAll(ctx, name, step); err != nil || len(left) > 0 {
			return left, err
		}
	}
	if left, err = a.removeNamespaces(ctx, name, objs); err != nil || len(left) > 0 {
		return left, err
	}
	if err := client.IgnoreNotFound(a.client.Delete(ctx, inv.object())); err != nil {
		return nil, fmt.Errorf("delete inventory of %s: %w", name, err)
	}
	return nil, nil
}

// removalSteps divides objects, in their order, into what must be gone before the next may go.
func removalSteps(objs []*unstructured.Unstructured) [][]*unstructured.Unstructured {
	var running, rest, definitions []*unstructured.Unstructured
	for _, obj := range objs {
		switch {
		case ssautil.IsNamespace(obj):
		case ssautil.IsCRD(obj):
			definitions = append(definitions, obj)
		case isRunning(obj):
			running = append(running, obj)
		default:
			rest = append(rest, obj)
		}
	}
	return [][]*unstructured.Unstructured{running, rest, definitions}
}

// isRunning says whether an object has pods, or is worked on by Flux: those go while the rights and
// the controllers that their going needs are still there.
func isRunning(obj *unstructured.Unstructured) bool {
	return hasPods(obj) || strings.HasSuffix(obj.GroupVersionKind().Group, fluxGroups)
}

func hasPods(obj *unstructured.Unstructured) bool {
	group := obj.GroupVersionKind().Group
	return group == "apps" || group == "batch"
}

// removeAll deletes objects and returns those that are still there.
func (a *Applier) removeAll(ctx context.Context, name string, objs []*unstructured.Unstructured) (left []string, err error) {
	for _, obj := range objs {
		how := metav1.DeletePropagationBackground
		if hasPods(obj) {
			how = metav1.DeletePropagationForeground // gone means: its pods are gone
		}
		if ssautil.IsCRD(obj) {
			if err := a.releaseInstances(ctx, obj); err != nil {
				return nil, err
			}
		}
		if _, err := a.delete(ctx, name, obj, how); err != nil {
			return nil, err
		}
	}
	for _, obj := range objs {
		live, err := a.get(ctx, obj)
		if err != nil {
			return nil, err
		}
		if live != nil && ours(live, name) {
			left = append(left, ssautil.FmtUnstructured(obj))
		}
	}
	return left, nil
}

func ours(obj *unstructured.Unstructured, name string) bool {
	labels := obj.GetLabels()
	return labels[LabelManagedBy] == owner && labels[LabelSet] == name
}

// releaseInstances takes Flux's finalizer off every object of a definition that is about to go.
func (a *Applier) releaseInstances(ctx context.Context, definition *unstructured.Unstructured) error {
	live, err := a.get(ctx, definition)
	if live == nil || err != nil || !strings.HasSuffix(definition.GetName(), fluxGroups) {
		return err
	}
	instances, err := a.instances(ctx, definition, 0)
	if err != nil {
		return err
	}
	for i := range instances {
		obj := &instances[i]
		rest := slices.DeleteFunc(slices.Clone(obj.GetFinalizers()), func(f string) bool { return f == fluxFinalizer })
		if len(rest) == len(obj.GetFinalizers()) {
			continue
		}
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
			"finalizers": rest, "resourceVersion": obj.GetResourceVersion(),
		}})
		if err != nil {
			return fmt.Errorf("encode patch: %w", err)
		}
		err = a.client.Patch(ctx, obj, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(owner))
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("take finalizer off %s %s/%s: %w", obj.Kind, obj.GetNamespace(), obj.GetName(), err)
		}
	}
	return nil
}

func (a *Applier) removeNamespaces(ctx context.Context, name string, objs []*unstructured.Unstructured) (left []string, err error) {
	for _, obj := range objs {
		if !ssautil.IsNamespace(obj) || strings.HasPrefix(obj.GetName(), "kube-") || obj.GetName() == "default" {
			continue
		}
		use, err := a.useOf(ctx, name, obj.GetName())
		switch {
		case err != nil:
			return nil, err
		case use == usedByOthers:
		case use == usedByFairway:
			left = append(left, ssautil.FmtUnstructured(obj))
		default:
			if _, err := a.delete(ctx, name, obj, metav1.DeletePropagationBackground); err != nil {
				return nil, err
			}
		}
	}
	return left, nil
}

// use is who has something in a namespace beside a set and Kubernetes itself.
type use int

const (
	unused        use = iota
	usedByFairway     // another set, which is to be removed on its own
	usedByOthers
)

// lastingKinds are what people keep in a namespace. What a controller made has an owner and goes
// with it; leases and events are no reason to keep a namespace.
var lastingKinds = []schema.GroupVersionKind{
	{Version: "v1", Kind: "Pod"},
	{Version: "v1", Kind: "Service"},
	{Version: "v1", Kind: "ConfigMap"},
	{Version: "v1", Kind: "Secret"},
	{Version: "v1", Kind: "ServiceAccount"},
	{Version: "v1", Kind: "PersistentVolumeClaim"},
	{Group: "apps", Version: "v1", Kind: "Deployment"},
	{Group: "apps", Version: "v1", Kind: "StatefulSet"},
	{Group: "apps", Version: "v1", Kind: "DaemonSet"},
	{Group: "batch", Version: "v1", Kind: "Job"},
	{Group: "batch", Version: "v1", Kind: "CronJob"},
}

// useOf says who has something in a namespace beside a set.
func (a *Applier) useOf(ctx context.Context, name, namespace string) (use, error) {
	most := unused
	for _, kind := range lastingKinds {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if err := a.client.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return unused, fmt.Errorf("list %ss of namespace %s: %w", kind.Kind, namespace, err)
		}
		for i := range list.Items {
			most = max(most, useBy(kind.Kind, name, &list.Items[i]))
		}
	}
	return most, nil
}

// useBy says whose an object is, seen from a set.
func useBy(kind, set string, obj *metav1.PartialObjectMetadata) use {
	labels := obj.GetLabels()
	switch {
	case obj.GetDeletionTimestamp() != nil, len(obj.GetOwnerReferences()) > 0, labels[LabelSet] == set:
		return unused
	case kind == "ConfigMap" && obj.GetName() == "kube-root-ca.crt",
		kind == "ServiceAccount" && obj.GetName() == "default",
		kind == "Secret" && obj.GetAnnotations()["kubernetes.io/service-account.name"] != "":
		return unused
	case labels[LabelManagedBy] == owner && labels[LabelSet] != "":
		return usedByFairway
	default:
		return usedByOthers
	}
}
