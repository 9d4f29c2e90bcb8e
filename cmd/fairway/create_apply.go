package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/blueprint"
	"github.com/fairway-dev/fairway/fleet/client"
)

// orderOwner is the field manager of what is applied for a user.
const orderOwner = "fairway"

// orderTaker is what ordering a cluster takes of the platform.
type orderTaker interface {
	Fleet(ctx context.Context) (*fleetv1.Fleet, error)
	// Apply applies an object server-side; with try nothing is kept.
	Apply(ctx context.Context, obj *unstructured.Unstructured, try bool) error
}

// order is a cluster on its way to the platform.
type order struct {
	want     blueprint.Cluster
	objects  []*unstructured.Unstructured
	platform orderTaker
}

// place applies the objects, once the platform has taken each of them for a try, and prints their names. A
// cluster that would never join the fleet is not ordered.
func (o order) place(ctx context.Context, stdout, stderr io.Writer) error {
	if err := o.joins(ctx, stderr); err != nil {
		return err
	}
	for _, try := range []bool{true, false} {
		for _, obj := range o.objects {
			if err := o.platform.Apply(ctx, obj.DeepCopy(), try); err != nil {
				return &client.Error{Op: fmt.Sprintf("apply %s %s/%s", obj.GetKind(), obj.GetNamespace(), obj.GetName()), Err: err, Fix: o.fix(err, obj)}
			}
			if !try {
				fmt.Fprintf(stdout, "%s/%s\n", obj.GetKind(), obj.GetName())
			}
		}
	}
	return nil
}

// joins says whether the Fleet registers the Cluster. What cannot be read is said and no error.
func (o order) joins(ctx context.Context, stderr io.Writer) error {
	fleet, err := o.platform.Fleet(ctx)
	if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) || meta.IsNoMatchError(err) {
		caution(stderr, "whether it joins the fleet cannot be told: %s", clean(err.Error()))
		return nil
	}
	if err != nil {
		return &client.Error{Op: "read the Fleet", Err: err, Fix: fixOfPlatform(err)}
	}
	given := fleet.Spec.Registration.ClusterSelector
	if given == nil {
		return nil // by the labels that every order has
	}
	selector, err := metav1.LabelSelectorAsSelector(given)
	if err != nil {
		return &client.Error{Op: "read the Fleet's spec.registration", Err: err, Fix: "mend it: kubectl edit fleet " + fleetv1.FleetName}
	}
	if !selector.Matches(labels.Set(o.want.ClusterLabels())) {
		return &client.Error{Op: "create cluster", Err: fmt.Errorf("it would not join the fleet, which registers Clusters with %s", selector),
			Fix: "add them with --label"}
	}
	return nil
}

// fix is what can be done when the platform does not take an object.
func (o order) fix(err error, obj *unstructured.Unstructured) string {
	namespace := obj.GetNamespace()
	switch {
	case meta.IsNoMatchError(err):
		return fmt.Sprintf("install Cluster API with the provider of the cloud on the platform cluster (clusterctl init --infrastructure %s), or check the context: kubectl config current-context",
			blueprint.Provider(o.want.Cloud))
	case apierrors.IsNotFound(err):
		return fmt.Sprintf("make the namespace, or name another with --namespace: kubectl create namespace %s", namespace)
	case apierrors.IsConflict(err):
		return fmt.Sprintf("it is somebody else's: choose another name; to change what is there: kubectl -n %s edit %s %s", namespace, obj.GetKind(), obj.GetName())
	case apierrors.IsForbidden(err):
		return "ask for the right to create and patch it in namespace " + namespace + ", or use --export and let Git apply it"
	}
	return fixOfPlatform(err)
}

func fixOfPlatform(err error) string {
	switch {
	case apierrors.IsUnauthorized(err):
		return "the platform does not accept the kubeconfig's credentials; log in again, then: kubectl auth whoami"
	case errors.Is(err, context.DeadlineExceeded):
		return "the platform did not answer in time; try again, or give it longer with --timeout"
	}
	return ""
}

// platformOrders is the platform cluster, with the caller's rights.
type platformOrders struct{ kube.Client }

// Fleet reads the Fleet.
func (p platformOrders) Fleet(ctx context.Context) (*fleetv1.Fleet, error) {
	fleet := &fleetv1.Fleet{}
	return fleet, p.Get(ctx, types.NamespacedName{Name: fleetv1.FleetName}, fleet)
}

// Apply applies an object. Fields that its kind does not have are refused, as always by server-side apply.
func (p platformOrders) Apply(ctx context.Context, obj *unstructured.Unstructured, try bool) error {
	options := []kube.ApplyOption{kube.FieldOwner(orderOwner)}
	if try {
		options = append(options, kube.DryRunAll)
	}
	return p.Client.Apply(ctx, kube.ApplyConfigurationFromUnstructured(obj), options...)
}

// orders is the platform cluster, for orders.
func (c *connection) orders() (orderTaker, error) {
	platform, err := c.platform()
	if err != nil {
		return nil, err
	}
	return platformOrders{platform}, nil
}
