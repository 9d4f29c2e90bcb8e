package capi

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	capiv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// PausedAnnotation on an object stops Cluster API's controllers, and Fairway's, from working on it.
const PausedAnnotation = capiv1.PausedAnnotation

// DeleteForMoveAnnotation is set by "clusterctl move" on what it deletes because it now lives on
// another platform cluster.
const DeleteForMoveAnnotation = "clusterctl.cluster.x-k8s.io/delete-for-move"

// Names of the Secret that Cluster API's contract keeps for every cluster.
const (
	kubeconfigSuffix = "-kubeconfig"
	kubeconfigKey    = "value"
)

// State is what Cluster API knows of one cluster.
type State struct {
	Found                   bool // the Cluster exists
	Deleting                bool // it is going away
	Paused                  bool
	ControlPlaneInitialized bool   // its API server takes requests
	Message                 string // why it is not initialised, in Cluster API's words
	Kubeconfig              []byte // as stored now; empty while there is none
	KubernetesVersion       string // that is asked for, by a cluster with a topology; else ""
}

// Cluster is a Cluster API Cluster, shortened to what registration needs.
type Cluster struct {
	types.NamespacedName
	Labels   map[string]string
	Deleting bool
	Owner    metav1.OwnerReference // refers to it, without blocking its deletion
	object   *capiv1.Cluster
}

// Object is the Cluster itself, to record events about.
func (c Cluster) Object() runtime.Object { return c.object }

// AddToScheme adds Cluster API's kinds to a scheme.
func AddToScheme(scheme *runtime.Scheme) error { return capiv1.AddToScheme(scheme) }

// Installed says whether Cluster API serves Clusters in v1beta2 (since Cluster API 1.11).
func Installed(mapper meta.RESTMapper) (bool, error) {
	kind := schema.GroupKind{Group: capiv1.GroupVersion.Group, Kind: "Cluster"}
	_, err := mapper.RESTMapping(kind, capiv1.GroupVersion.Version)
	switch {
	case err == nil:
		return true, nil
	case meta.IsNoMatchError(err):
		return false, nil
	}
	return false, fmt.Errorf("discover Cluster API: %w", err)
}

// Read reads a Cluster, and its kubeconfig as it is now. A Cluster that does not exist is a State that is not Found. Secrets must not
// be cached by c: a token turns every few minutes.
func Read(ctx context.Context, c client.Client, namespace, name string) (State, error) {
	cluster := &capiv1.Cluster{}
	if err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, cluster); err != nil {
		if apierrors.IsNotFound(err) {
			return State{}, nil
		}
		return State{}, fmt.Errorf("get Cluster %s/%s: %w", namespace, name, err)
	}
	state := describe(cluster)
	config, err := secretText(ctx, c, types.NamespacedName{Namespace: namespace, Name: name + kubeconfigSuffix}, kubeconfigKey)
	if err != nil {
		return State{}, err
	}
	state.Kubeconfig = []byte(config)
	return state, nil
}

// Locate reads where a Cluster runs, from the objects that it refers to. One that does not exist runs nowhere.
func Locate(ctx context.Context, c client.Client, namespace, name string) (fleetv1.Cloud, error) {
	cluster := &capiv1.Cluster{}
	if err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, cluster); err != nil {
		if apierrors.IsNotFound(err) {
			return fleetv1.Cloud{}, nil
		}
		return fleetv1.Cloud{}, fmt.Errorf("get Cluster %s/%s: %w", namespace, name, err)
	}
	return cloud(ctx, c, cluster)
}

// List lists the Clusters that a selector selects, in every namespace.
func List(ctx context.Context, c client.Reader, selector labels.Selector) ([]Cluster, error) {
	var list capiv1.ClusterList
	if err := c.List(ctx, &list, client.MatchingLabelsSelector{Selector: selector}); err != nil {
		return nil, fmt.Errorf("list Clusters: %w", err)
	}
	out := make([]Cluster, 0, len(list.Items))
	for i := range list.Items {
		item := &list.Items[i]
		out = append(out, Cluster{
			NamespacedName: client.ObjectKeyFromObject(item),
			Labels:         item.Labels,
			Deleting:       !item.DeletionTimestamp.IsZero(),
			Owner: metav1.OwnerReference{
				APIVersion: capiv1.GroupVersion.String(), Kind: "Cluster", Name: item.Name, UID: item.UID,
			},
			object: item,
		})
	}
	return out, nil
}

// describe is what a Cluster says of itself.
func describe(cluster *capiv1.Cluster) State {
	_, annotated := cluster.Annotations[PausedAnnotation]
	state := State{
		Found:                   true,
		Deleting:                !cluster.DeletionTimestamp.IsZero(),
		Paused:                  annotated || (cluster.Spec.Paused != nil && *cluster.Spec.Paused),
		ControlPlaneInitialized: initialized(cluster),
	}
	if cluster.Spec.Topology.IsDefined() {
		state.KubernetesVersion = cluster.Spec.Topology.Version
	}
	if !state.ControlPlaneInitialized {
		state.Message = waitingFor(cluster)
	}
	return state
}

func initialized(cluster *capiv1.Cluster) bool {
	if done := cluster.Status.Initialization.ControlPlaneInitialized; done != nil && *done {
		return true
	}
	return meta.IsStatusConditionTrue(cluster.Status.Conditions, capiv1.ClusterControlPlaneInitializedCondition)
}

// waitingFor is the first condition on the way to a control plane that is not true.
func waitingFor(cluster *capiv1.Cluster) string {
	for _, name := range []string{capiv1.ClusterInfrastructureReadyCondition, capiv1.ClusterControlPlaneInitializedCondition} {
		condition := meta.FindStatusCondition(cluster.Status.Conditions, name)
		if condition != nil && condition.Status != metav1.ConditionTrue && condition.Message != "" {
			return name + ": " + condition.Message
		}
	}
	return ""
}

// secretText is the value of a key of a Secret, "" when either is missing.
func secretText(ctx context.Context, c client.Reader, name types.NamespacedName, key string) (string, error) {
	var secret corev1.Secret
	if err := c.Get(ctx, name, &secret); client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("get Secret %s: %w", name, err)
	}
	return string(secret.Data[key]), nil
}

// cloud reads the objects that a Cluster refers to. One that is missing, of a kind that is not
// installed, or that may not be read, leaves blanks.
func cloud(ctx context.Context, c client.Client, cluster *capiv1.Cluster) (fleetv1.Cloud, error) {
	var found fleetv1.Cloud
	for _, ref := range []capiv1.ContractVersionedObjectReference{cluster.Spec.InfrastructureRef, cluster.Spec.ControlPlaneRef} {
		if !ref.IsDefined() {
			continue
		}
		obj, err := provider(ctx, c, cluster.Namespace, ref)
		if err != nil {
			return fleetv1.Cloud{}, err
		}
		here := Cloud(obj)
		if name := asoCredential(obj); name != "" && here.Account == "" {
			if here.Account, err = secretText(ctx, c, types.NamespacedName{Namespace: cluster.Namespace, Name: name}, asoSubscriptionKey); err != nil {
				return fleetv1.Cloud{}, err
			}
		}
		found = fill(found, here)
	}
	return found, nil
}

// provider reads an object of a provider in the version that the API server prefers; an object
// that cannot be read comes back with its kind and nothing in it.
func provider(ctx context.Context, c client.Client, namespace string, ref capiv1.ContractVersionedObjectReference) (*unstructured.Unstructured, error) {
	obj := &unstructured.Unstructured{}
	obj.SetGroupVersionKind(schema.GroupVersionKind{Group: ref.APIGroup, Version: "unknown", Kind: ref.Kind})
	mapping, err := c.RESTMapper().RESTMapping(schema.GroupKind{Group: ref.APIGroup, Kind: ref.Kind})
	switch {
	case meta.IsNoMatchError(err):
		return obj, nil
	case err != nil:
		return nil, fmt.Errorf("discover %s: %w", ref.Kind, err)
	}
	obj.SetGroupVersionKind(mapping.GroupVersionKind)
	err = c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, obj)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
		return nil, fmt.Errorf("get %s %s/%s: %w", ref.Kind, namespace, ref.Name, err)
	}
	return obj, nil
}
