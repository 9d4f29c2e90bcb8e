package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/blueprint"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
)

// acquired says whether a cluster is known by a kubeconfig, and surveyed: one in ten is. The others are Cluster API's.
func acquired(id string) bool { return strings.HasSuffix(id, "0") }

// ordered are the first objects of a blueprint: Cluster, infrastructure, control plane. Nodes are not what the operator reads.
const ordered = 3

// defineClusters makes the platform serve the kinds of Cluster API and its providers. No controller of theirs runs.
func (f *wholeFleet) defineClusters(ctx context.Context) error {
	built, err := tools.Build(ctx, tools.Options{Progress: f.bench.progress}, tools.ProviderCRDs)
	if err != nil {
		return err
	}
	definitions, err := os.ReadFile(built.File(tools.ProviderCRDs, tools.ClusterAPICRDs))
	if err != nil {
		return fmt.Errorf("read CRDs of Cluster API: %w", err)
	}
	return f.platform.Kube.ApplyYAML(ctx, definitions)
}

// register makes what the operator finds of a cluster, and registers it.
func (f *wholeFleet) register(ctx context.Context, id string) error {
	kubeconfig, err := f.members.Kubeconfig(id)
	if err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: clustersNamespace, Name: id + "-kubeconfig"}, Data: map[string][]byte{"value": kubeconfig}}
	cluster := &fleetv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Namespace: clustersNamespace, Name: id}, Spec: fleetv1.WorkloadClusterSpec{Environment: "prod"}}
	if acquired(id) {
		cluster.Spec.Cloud = fleetv1.Cloud{Provider: "AWS", Region: "eu-west-1"}
		cluster.Spec.Access.KubeconfigRef = &fleetv1.KubeconfigReference{Name: secret.Name}
	} else {
		cluster.Spec.Access.ClusterRef = &meta.LocalObjectReference{Name: id}
		if err := f.order(ctx, id); err != nil {
			return err
		}
	}
	for _, obj := range []client.Object{secret, cluster} {
		if err := f.client.Create(ctx, obj); err != nil {
			return fmt.Errorf("register %s: %w", id, err)
		}
	}
	return nil
}

// order makes the Cluster API objects of a cluster whose control plane takes requests.
func (f *wholeFleet) order(ctx context.Context, id string) error {
	objects, err := blueprint.Cluster{Name: id, Namespace: clustersNamespace, Cloud: "aws", Region: "eu-west-1", Environment: "prod", Kubernetes: "1.36", Nodes: 3}.Objects()
	if err != nil {
		return fmt.Errorf("order %s: %w", id, err)
	}
	for _, obj := range objects[:ordered] {
		obj.SetLabels(nil) // registered by hand, so that it is clear when
		if err := f.client.Create(ctx, obj); err != nil {
			return fmt.Errorf("order %s: %w", id, err)
		}
	}
	cluster := objects[0]
	if err := unstructured.SetNestedField(cluster.Object, true, "status", "initialization", "controlPlaneInitialized"); err != nil {
		return fmt.Errorf("order %s: %w", id, err)
	}
	if err := f.client.Status().Update(ctx, cluster); err != nil {
		return fmt.Errorf("order %s: %w", id, err)
	}
	return nil
}
