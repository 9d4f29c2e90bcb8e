package flux

import (
	"context"
	"crypto/sha256"
	"fmt"

	ssautil "github.com/fluxcd/pkg/ssa/utils"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Fingerprint reads the metadata of a set's objects and of its inventory. It is another one when anybody has changed, deleted or
// replaced one of them since; whole is false when one is missing. It takes one small request for each object, where Apply takes two
// large ones.
func (a *Applier) Fingerprint(ctx context.Context, name string, objs []*unstructured.Unstructured) (print [sha256.Size]byte, whole bool, err error) {
	all := append([]*unstructured.Unstructured{configMap(homeOf(objs), inventoryPrefix+name)}, objs...)
	versions := make([]string, len(all))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrency)
	for i, obj := range all {
		group.Go(func() (err error) {
			versions[i], err = a.version(ctx, obj)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return print, false, err
	}
	sum := sha256.New()
	for _, version := range versions {
		if version == "" {
			return print, false, nil
		}
		fmt.Fprintln(sum, version)
	}
	return [sha256.Size]byte(sum.Sum(nil)), true, nil
}

// version is what an object is at the moment; empty when it is not there.
func (a *Applier) version(ctx context.Context, obj *unstructured.Unstructured) (string, error) {
	live := &metav1.PartialObjectMetadata{}
	live.SetGroupVersionKind(obj.GroupVersionKind())
	err := a.client.Get(ctx, client.ObjectKeyFromObject(obj), live)
	switch {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("read %s: %w", ssautil.FmtUnstructured(obj), err)
	}
	return string(live.UID) + " " + live.ResourceVersion, nil
}
