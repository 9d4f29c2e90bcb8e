package cloud

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/fairway-dev/fairway/e2e/bench/kube"
)

// kind is one of the provider's kinds.
type kind = schema.GroupVersionKind

var clusterKind = kind{Group: "cluster.x-k8s.io", Version: "v1beta2", Kind: "Cluster"}

const (
	clusterNameLabel = "cluster.x-k8s.io/cluster-name"
	kubeconfigType   = corev1.SecretType("cluster.x-k8s.io/secret")
	kubeconfigKey    = "value"
	finalizer        = "bench.fairway.dev/cloud"
	administrators   = "system:masters"
)

// controlPlaneReconciler plays the provider for one kind of control plane.
type controlPlaneReconciler struct {
	cloud  *Cloud
	client client.Client
	reader client.Reader // for objects that are read once: no watch is wanted
}

// Reconcile brings up the cluster behind a control plane, reports it, and turns its token.
func (r *controlPlaneReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	object := empty(r.cloud.provider.controlPlane())
	if err := r.client.Get(ctx, request.NamespacedName, object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	owner := ownerCluster(object)
	switch paused, err := r.paused(ctx, object.GetNamespace(), owner); {
	case err != nil:
		return ctrl.Result{}, err
	case paused:
		return ctrl.Result{RequeueAfter: pausePoll}, nil
	}
	if !object.GetDeletionTimestamp().IsZero() {
		return ctrl.Result{}, r.remove(ctx, object)
	}
	if owner == "" {
		return ctrl.Result{}, nil // Cluster API's own change to the object brings it back here
	}
	if err := r.hold(ctx, object); err != nil {
		return ctrl.Result{}, err
	}
	if r.cloud.fails(owner) {
		return ctrl.Result{}, r.report(ctx, object, r.cloud.provider.failed())
	}
	w, err := r.workload(ctx, object, owner)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.writeEndpoint(ctx, object, owner, w.cluster); err != nil {
		return ctrl.Result{}, err
	}
	return r.turn(ctx, object, owner, w)
}

// ownerCluster names the Cluster API Cluster that has adopted an object, "" when none has.
func ownerCluster(object *unstructured.Unstructured) string {
	for _, owner := range object.GetOwnerReferences() {
		if owner.Kind == clusterKind.Kind {
			return owner.Name
		}
	}
	return ""
}

// pausePoll is how often a Cluster that is paused is looked at: the pause is not the object's that is watched.
const pausePoll = time.Second

// paused says whether Cluster API's pause is on: objects that `clusterctl move` takes away, or brings, are left alone.
func (r *controlPlaneReconciler) paused(ctx context.Context, namespace, owner string) (bool, error) {
	if owner == "" {
		return false, nil
	}
	cluster := empty(clusterKind)
	if err := r.reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: owner}, cluster); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	paused, _, err := unstructured.NestedBool(cluster.Object, "spec", "paused")
	return paused, err
}

// hold keeps the object until its cluster is gone.
func (r *controlPlaneReconciler) hold(ctx context.Context, object *unstructured.Unstructured) error {
	before := object.DeepCopy()
	if !controllerutil.AddFinalizer(object, finalizer) {
		return nil
	}
	if err := r.client.Patch(ctx, object, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("add finalizer: %w", err)
	}
	return nil
}

// remove ends the cluster behind an object that is being deleted, and lets the object go.
func (r *controlPlaneReconciler) remove(ctx context.Context, object *unstructured.Unstructured) error {
	if err := r.cloud.drop(ownerCluster(object)); err != nil {
		return err
	}
	before := object.DeepCopy()
	if !controllerutil.RemoveFinalizer(object, finalizer) {
		return nil
	}
	return client.IgnoreNotFound(r.client.Patch(ctx, object, client.MergeFrom(before)))
}

func (c *Cloud) drop(name string) error {
	c.mu.Lock()
	w := c.clusters[name]
	delete(c.clusters, name)
	c.mu.Unlock()
	if w == nil {
		return nil
	}
	c.log.Info("deleting cluster", "cluster", name)
	return w.cluster.Stop()
}

// workload returns the cluster behind the object, started when there is none yet.
func (r *controlPlaneReconciler) workload(ctx context.Context, object *unstructured.Unstructured, name string) (*workload, error) {
	c := r.cloud
	c.mu.Lock()
	w := c.clusters[name]
	c.mu.Unlock()
	if w != nil {
		return w, nil
	}
	if err := r.report(ctx, object, c.provider.creating()); err != nil {
		return nil, err
	}
	o := c.options.Cluster
	o.Name, o.Dir = name, c.options.Dir(name)
	o.Issuer = &kube.Issuer{URL: c.issuer.url, CA: c.issuer.ca, Audience: name}
	o.Region, o.Zone, o.ProviderIDPrefix = c.provider.place(object)
	c.log.Info("creating cluster", "cluster", name, "region", o.Region)
	cluster, err := kube.Start(ctx, c.options.Supervisor, c.options.Tools, o)
	if err != nil {
		return nil, err
	}
	if err := c.options.Platform.AllowEgress(cluster.Address()); err != nil {
		return nil, errors.Join(err, cluster.Stop())
	}
	w = &workload{cluster: cluster, controlPlane: empty(c.provider.controlPlane())}
	w.controlPlane.SetNamespace(object.GetNamespace())
	w.controlPlane.SetName(object.GetName())
	c.mu.Lock()
	c.clusters[name] = w
	c.mu.Unlock()
	c.log.Info("cluster runs", "cluster", name, "server", cluster.Server)
	return w, nil
}

// writeEndpoint writes where the API server is and that everything is ready, to the infrastructure
// object and to the control plane.
func (r *controlPlaneReconciler) writeEndpoint(ctx context.Context, object *unstructured.Unstructured, owner string, cluster *kube.Cluster) error {
	infrastructure, err := r.infrastructure(ctx, object.GetNamespace(), owner)
	if err != nil {
		return err
	}
	endpoint := map[string]any{"host": "127.0.0.1", "port": int64(cluster.Port())}
	ready := r.cloud.provider.ready(object, endpoint)
	for _, write := range []struct {
		object *unstructured.Unstructured
		state  state
	}{{infrastructure, ready.infrastructure}, {object, ready.controlPlane}} {
		if err := r.report(ctx, write.object, write.state); err != nil {
			return err
		}
	}
	return nil
}

// infrastructure reads the object that the Cluster names as its infrastructure.
func (r *controlPlaneReconciler) infrastructure(ctx context.Context, namespace, owner string) (*unstructured.Unstructured, error) {
	cluster := empty(clusterKind)
	if err := r.reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: owner}, cluster); err != nil {
		return nil, fmt.Errorf("get Cluster: %w", err)
	}
	name, _, err := unstructured.NestedString(cluster.Object, "spec", "infrastructureRef", "name")
	if err != nil {
		return nil, fmt.Errorf("read Cluster %s: %w", owner, err)
	}
	object := empty(r.cloud.provider.infrastructure())
	if err := r.reader.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, object); err != nil {
		return nil, fmt.Errorf("get infrastructure: %w", err)
	}
	return object, nil
}

// report merges a state into an object's spec and status; what is there already is not written again.
func (r *controlPlaneReconciler) report(ctx context.Context, object *unstructured.Unstructured, s state) error {
	return write(ctx, r.client, object, s)
}

// turn writes the kubeconfig Secret with a new token before the old one ends, and asks to be woken for the next turn.
func (r *controlPlaneReconciler) turn(ctx context.Context, object *unstructured.Unstructured, owner string, w *workload) (ctrl.Result, error) {
	c, now := r.cloud, time.Now()
	c.mu.Lock()
	expires, tokens, delay := w.expires, c.tokens, c.delay
	c.mu.Unlock()
	if wait := untilTurn(expires, tokens.Overlap, delay, now); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	token, err := c.issuer.token(c.provider.user(object), w.cluster.Name, []string{administrators}, now, tokens.Life)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.writeKubeconfig(ctx, object, owner, w.cluster, token); err != nil {
		return ctrl.Result{}, err
	}
	next := now.Add(tokens.Life)
	c.mu.Lock()
	if c.tokens == tokens { // else one of the new kind is to be written yet
		w.expires = next
	}
	c.mu.Unlock()
	c.log.Info("wrote token", "cluster", w.cluster.Name, "expires", next)
	return ctrl.Result{RequeueAfter: untilTurn(next, tokens.Overlap, delay, now)}, nil
}

// untilTurn is how long the token that expires then still serves: until there is no more than the overlap left, and the
// delay beyond. Without a token, and past that time, it is zero.
func untilTurn(expires time.Time, overlap, delay time.Duration, now time.Time) time.Duration {
	if expires.IsZero() {
		return 0
	}
	return max(0, expires.Add(delay-overlap).Sub(now))
}

// writeKubeconfig writes the Secret <cluster>-kubeconfig as Cluster API's contract asks.
func (r *controlPlaneReconciler) writeKubeconfig(ctx context.Context, object *unstructured.Unstructured, owner string, cluster *kube.Cluster, token string) error {
	data, err := cluster.TokenKubeconfig(token)
	if err != nil {
		return err
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: object.GetNamespace(), Name: owner + "-kubeconfig",
			Labels:          map[string]string{clusterNameLabel: owner},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(object, object.GroupVersionKind())},
		},
		Type: kubeconfigType, Data: map[string][]byte{kubeconfigKey: data},
	}
	existing := &corev1.Secret{}
	err = r.reader.Get(ctx, client.ObjectKeyFromObject(secret), existing)
	switch {
	case apierrors.IsNotFound(err):
		err = r.client.Create(ctx, secret)
	case err == nil:
		before := existing.DeepCopy()
		existing.Data = secret.Data
		err = r.client.Patch(ctx, existing, client.MergeFrom(before))
	}
	if err != nil {
		return fmt.Errorf("write kubeconfig of %s: %w", owner, err)
	}
	return nil
}

// poolReconciler plays the provider for one kind of machine pool: its one machine is the cluster's
// node.
type poolReconciler struct {
	cloud  *Cloud
	client client.Client
}

// Reconcile reports a pool as ready once its cluster runs.
func (r *poolReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	object := empty(r.cloud.provider.pool())
	if err := r.client.Get(ctx, request.NamespacedName, object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !object.GetDeletionTimestamp().IsZero() {
		return ctrl.Result{}, nil
	}
	ids, err := r.machines(ctx, object.GetLabels()[clusterNameLabel])
	if err != nil {
		return ctrl.Result{}, err
	}
	if len(ids) == 0 {
		// The cluster and its nodes are other objects, so nothing wakes this one.
		return ctrl.Result{RequeueAfter: time.Second}, nil
	}
	return ctrl.Result{}, write(ctx, r.client, object, state{
		spec:   map[string]any{"providerIDList": ids},
		status: map[string]any{"ready": true, "replicas": int64(len(ids))},
	})
}

// machines lists the provider ids of the nodes of a cluster, none while it does not run.
func (r *poolReconciler) machines(ctx context.Context, name string) ([]any, error) {
	cluster := r.cloud.Cluster(name)
	if cluster == nil {
		return nil, nil
	}
	nodes := &corev1.NodeList{}
	if err := cluster.Client().List(ctx, nodes); err != nil {
		return nil, fmt.Errorf("list nodes of %s: %w", name, err)
	}
	var ids []any
	for _, node := range nodes.Items {
		if node.Spec.ProviderID != "" {
			ids = append(ids, node.Spec.ProviderID)
		}
	}
	return ids, nil
}

// state is what the provider writes into an object.
type state struct{ spec, status map[string]any }

// write merges a state into an object, spec and then status, where it differs.
func write(ctx context.Context, c client.Client, object *unstructured.Unstructured, s state) error {
	if err := merge(object, "spec", s.spec, func(patch client.Patch) error { return c.Patch(ctx, object, patch) }); err != nil {
		return err
	}
	return merge(object, "status", s.status, func(patch client.Patch) error { return c.Status().Patch(ctx, object, patch) })
}

func merge(object *unstructured.Unstructured, field string, values map[string]any, patch func(client.Patch) error) error {
	before := object.DeepCopy()
	current, _, err := unstructured.NestedMap(object.Object, field)
	if err != nil {
		return fmt.Errorf("read %s %s: %w", object.GetKind(), object.GetName(), err)
	}
	if current == nil {
		current = map[string]any{}
	}
	maps.Copy(current, values)
	object.Object[field] = current
	if len(values) == 0 || equal(before.Object[field], current) {
		return nil
	}
	if err := patch(client.MergeFrom(before)); err != nil {
		return fmt.Errorf("write %s of %s %s: %w", field, object.GetKind(), object.GetName(), err)
	}
	return nil
}
