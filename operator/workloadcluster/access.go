package workloadcluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/adopt"
	"github.com/fairway-dev/fairway/clusters/capi"
	"github.com/fairway-dev/fairway/clusters/flux"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/operator/steps"
)

// How soon to look again at what no watch tells of. The operator may not list Secrets in other
// namespaces than its own.
const (
	secretPoll = 15 * time.Second // a kubeconfig that somebody has to mend
	tokenPoll  = 5 * time.Second  // a kubeconfig that Cluster API's provider writes
	watchPoll  = time.Minute      // what a watch tells of, in case it did not
)

// kubeconfigKeys are looked for in a Secret when no key is given.
var kubeconfigKeys = []string{"value", "kubeconfig"}

// access is what the platform has to reach a cluster with.
type access struct {
	err error // it could not be read

	viaClusterAPI bool
	installed     bool // Cluster API is
	state         capi.State

	name       string // of the Cluster, or of the Secret
	secret     bool   // the Secret is there
	key        string // that was looked for in it
	keyFound   bool
	kubeconfig []byte

	version     string            // of the Secret
	annotations map[string]string // of the Secret
}

// gone says whether the cluster itself no longer exists, or is being taken down.
func (a access) gone() bool {
	return a.err == nil && a.viaClusterAPI && (!a.installed || !a.state.Found || a.state.Deleting)
}

// readAccess reads afresh how a cluster is reached.
func (r *Reconciler) readAccess(ctx context.Context, obj *fleetv1.WorkloadCluster) (access, error) {
	if ref := obj.Spec.Access.ClusterRef; ref != nil {
		return r.readCluster(ctx, obj.Namespace, ref.Name)
	}
	if ref := obj.Spec.Access.KubeconfigRef; ref != nil {
		return r.readSecret(ctx, obj.Namespace, ref)
	}
	return access{}, errors.New("spec.access names neither a Cluster nor a kubeconfig")
}

func (r *Reconciler) readCluster(ctx context.Context, namespace, name string) (access, error) {
	a := access{viaClusterAPI: true, name: name}
	var err error
	if a.installed, err = capi.Installed(r.RESTMapper()); err != nil || !a.installed {
		return a, err
	}
	a.state, err = capi.Read(ctx, r.Client, namespace, name)
	a.kubeconfig = a.state.Kubeconfig
	return a, err
}

func (r *Reconciler) readSecret(ctx context.Context, namespace string, ref *fleetv1.KubeconfigReference) (access, error) {
	a := access{name: ref.Name, key: ref.Key}
	var secret corev1.Secret
	err := r.Get(ctx, types.NamespacedName{Namespace: namespace, Name: ref.Name}, &secret)
	if apierrors.IsNotFound(err) {
		return a, nil
	}
	if err != nil {
		return a, fmt.Errorf("get Secret %s/%s: %w", namespace, ref.Name, err)
	}
	a.secret, a.version, a.annotations = true, secret.ResourceVersion, secret.Annotations
	keys := kubeconfigKeys
	if ref.Key != "" {
		keys = []string{ref.Key}
	}
	for _, key := range keys {
		if data, ok := secret.Data[key]; ok {
			a.key, a.keyFound, a.kubeconfig = key, true, data
			break
		}
	}
	return a, nil
}

// reach connects to the cluster and learns what it is. done is called when nothing more is asked of it.
func (r *Reconciler) reach(ctx context.Context, p *pass) (_ steps.Outcome, done func()) {
	done = func() {}
	if outcome, missing := missing(p.access); missing {
		return outcome, done
	}
	cluster, given, err := r.connect(ctx, p.obj.ID(), p.doubted, p.access.kubeconfig)
	if _, wait := putOff(err); wait {
		p.putOff = err
		return steps.Outcome{State: steps.Waiting}, done
	}
	if err != nil {
		return r.backOff(p, notConnected(p.access, p.obj.ID(), err)), done
	}
	p.cluster, p.version, p.applier = cluster, cluster.Version, flux.NewApplier(cluster.Client)
	said, err := r.saidCloud(ctx, p)
	if err != nil {
		return steps.Internal(err), given
	}
	if p.cloud, err = r.locate(ctx, p, said); err != nil {
		return r.backOff(p, notConnected(p.access, p.obj.ID(), remote.Classify(err))), given
	}
	return steps.Succeeded("Kubernetes %s answers", cluster.Version), given
}

// missing says what there is to wait for before a connection can be tried.
func missing(a access) (steps.Outcome, bool) {
	switch {
	case a.err != nil:
		return steps.Internal(a.err), true
	case a.viaClusterAPI:
		return missingCluster(a)
	case !a.secret:
		return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonKubeconfigMissing, After: steps.Jitter(secretPoll),
			Message: fmt.Sprintf("Secret %q of spec.access.kubeconfigRef does not exist; create it with a kubeconfig under the key %q", a.name, kubeconfigKeys[0])}, true
	case !a.keyFound && a.key != "":
		return steps.Outcome{State: steps.Blocked, Reason: fleetv1.ReasonKubeconfigInvalid, After: steps.Jitter(secretPoll),
			Message: fmt.Sprintf("Secret %q has no key %q; add it, or name another in spec.access.kubeconfigRef.key", a.name, a.key)}, true
	case !a.keyFound:
		return steps.Outcome{State: steps.Blocked, Reason: fleetv1.ReasonKubeconfigInvalid, After: steps.Jitter(secretPoll),
			Message: fmt.Sprintf("Secret %q has neither the key %q nor %q; name one in spec.access.kubeconfigRef.key", a.name, kubeconfigKeys[0], kubeconfigKeys[1])}, true
	}
	return steps.Outcome{}, false
}

func missingCluster(a access) (steps.Outcome, bool) {
	switch {
	case !a.installed:
		return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonClusterAPIMissing, After: steps.Jitter(watchPoll),
			Message: "spec.access.clusterRef is used, and Cluster API with v1beta2 (1.11 or newer) is not installed; install it, or use kubeconfigRef"}, true
	case !a.state.Found:
		return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonClusterNotFound, After: steps.Jitter(watchPoll),
			Message: fmt.Sprintf("there is no Cluster API Cluster %q in this namespace; create it, or correct spec.access.clusterRef", a.name)}, true
	case a.state.Deleting:
		return steps.Outcome{State: steps.Working, Reason: fleetv1.ReasonClusterDeleting, After: steps.Jitter(watchPoll),
			Message: fmt.Sprintf("Cluster API is taking the cluster %q down", a.name)}, true
	case !a.state.ControlPlaneInitialized:
		message := fmt.Sprintf("Cluster API has not initialised the control plane of %q yet; see: clusterctl describe cluster %s", a.name, a.name)
		if a.state.Message != "" {
			message += " (" + a.state.Message + ")"
		}
		return steps.Outcome{State: steps.Working, Reason: fleetv1.ReasonProvisioning, After: steps.Jitter(watchPoll), Message: message}, true
	case len(a.kubeconfig) == 0:
		return steps.Outcome{State: steps.Working, Reason: fleetv1.ReasonKubeconfigMissing, After: steps.Jitter(tokenPoll),
			Message: fmt.Sprintf("the control plane is initialised, and its provider has not written Secret %s-kubeconfig yet", a.name)}, true
	}
	return steps.Outcome{}, false
}

// notConnected says why there is no connection, and when to try again.
func notConnected(a access, id string, err error) steps.Outcome {
	after := steps.Jitter(secretPoll)
	if a.viaClusterAPI {
		after = steps.Jitter(tokenPoll)
	}
	switch {
	case errors.Is(err, remote.ErrForbidden):
		return steps.Outcome{State: steps.Blocked, Reason: fleetv1.ReasonKubeconfigForbidden, Message: err.Error(), After: after}
	case errors.Is(err, remote.ErrEmpty), errors.Is(err, remote.ErrInvalid):
		return steps.Outcome{State: steps.Blocked, Reason: fleetv1.ReasonKubeconfigInvalid, Message: err.Error(), After: after}
	case errors.Is(err, remote.ErrUnauthorized):
		message := err.Error()
		if _, adopted := a.annotations[adopt.AnnotationTokenLife]; adopted {
			message += "; a token that has ended is replaced by: fairway adopt " + id + ", once more"
		}
		return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonUnauthorized, Message: message, After: after}
	case errors.Is(err, remote.ErrUnreachable):
		return steps.Outcome{State: steps.Failing, Reason: fleetv1.ReasonUnreachable, Message: err.Error()}
	}
	return steps.Internal(err)
}
