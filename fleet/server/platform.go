package server

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	onconflict "k8s.io/client-go/util/retry"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// PlatformReleases makes Releases on the platform with the hub's own account, which may create, get
// and patch them and nothing else. Who asks is in the Release; that they may is asked before.
type PlatformReleases struct {
	client dynamic.NamespaceableResourceInterface
}

// NewPlatformReleases makes them by the platform's API server.
func NewPlatformReleases(config *rest.Config) (*PlatformReleases, error) {
	config = rest.CopyConfig(config)
	config.Timeout = askKubernetes
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("make Kubernetes client: %w", err)
	}
	return &PlatformReleases{client.Resource(fleetv1.GroupVersion.WithResource("releases"))}, nil
}

// Create implements Releases.
func (p *PlatformReleases) Create(ctx context.Context, r *fleetv1.Release) error {
	raw, err := runtime.DefaultUnstructuredConverter.ToUnstructured(r)
	if err != nil {
		return fmt.Errorf("write release: %w", err)
	}
	obj := &unstructured.Unstructured{Object: raw}
	obj.SetGroupVersionKind(fleetv1.GroupVersion.WithKind("Release"))
	unstructured.RemoveNestedField(obj.Object, "status")
	made, err := p.client.Namespace(r.Namespace).Create(ctx, obj, metav1.CreateOptions{FieldManager: fieldManager})
	if err != nil {
		return fmt.Errorf("create release: %w", err)
	}
	return read(made, r)
}

const fieldManager = "fairway-hub"

// Approve implements Releases.
func (p *PlatformReleases) Approve(ctx context.Context, namespace, name string, a fleetv1.Approval) (*fleetv1.Release, error) {
	out := &fleetv1.Release{}
	err := onconflict.RetryOnConflict(onconflict.DefaultRetry, func() error {
		obj, err := p.client.Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		*out = fleetv1.Release{}
		if err := read(obj, out); err != nil {
			return err
		}
		given, err := approvable(out, a.By)
		if given || err != nil {
			return err
		}
		patch, err := json.Marshal(map[string]any{
			"metadata": map[string]any{"resourceVersion": out.ResourceVersion},
			"spec":     map[string]any{"approvals": append(slices.Clone(out.Spec.Approvals), a)},
		})
		if err != nil {
			return fmt.Errorf("write approval: %w", err)
		}
		obj, err = p.client.Namespace(namespace).Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
		if err != nil {
			return err
		}
		*out = fleetv1.Release{}
		return read(obj, out)
	})
	if err != nil {
		return out, fmt.Errorf("approve release %s/%s: %w", namespace, name, err)
	}
	return out, nil
}

// approvable says whether somebody's approval has been given already, or why it cannot be.
func approvable(r *fleetv1.Release, by string) (given bool, err error) {
	switch {
	case r.Spec.RequestedBy == by:
		return false, ErrOwnRelease
	case slices.ContainsFunc(r.Spec.Approvals, func(a fleetv1.Approval) bool { return a.By == by }):
		return true, nil
	case r.Status.Phase.Final():
		return false, ErrReleaseOver
	}
	return false, nil
}

func read(obj *unstructured.Unstructured, into *fleetv1.Release) error {
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, into); err != nil {
		return fmt.Errorf("read release %s: %w", obj.GetName(), err)
	}
	return nil
}
