package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	kube "sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/clusters/adopt"
	"github.com/fairway-dev/fairway/clusters/remote"
	"github.com/fairway-dev/fairway/fleet/client"
)

// memberOwner is the field manager on the adopted cluster. The operator's own is another one: neither
// takes back what the other has set.
const memberOwner = "fairway-adopt"

// adoption is a cluster on its way into the fleet.
type adoption struct {
	name, namespace, environment string
	operator                     string     // namespace of the operator, on the platform
	want                         adopt.Want // what is empty is left as it is, until it is settled
	life                         time.Duration

	member   member
	platform kube.Client
}

// member is the cluster to adopt, with its administrator's rights.
type member struct {
	kube.Client
	config *rest.Config
}

// openMember reads the administrator's kubeconfig. It sends nothing.
func openMember(kubeconfig, context string) (member, error) {
	rules := &clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: context}).ClientConfig()
	if err != nil {
		return member{}, &client.Error{Op: "read --kubeconfig", Err: err, Fix: "check the file and its contexts: kubectl config get-contexts --kubeconfig " + kubeconfig}
	}
	config.WarningHandler = rest.NoWarnings{}
	c, err := kube.New(config, kube.Options{Scheme: scheme.Scheme})
	if err != nil {
		return member{}, &client.Error{Op: "connect to the cluster to adopt", Err: err, Fix: fixOfMember(err)}
	}
	return member{c, config}, nil
}

// prepare settles what is wanted, and refuses what the platform would refuse, before anything is made on
// the cluster: a name that is registered by another way, another environment, a namespace that is not there.
func (a *adoption) prepare(ctx context.Context) error {
	if err := a.tellApart(ctx); err != nil {
		return err
	}
	have := &fleetv1.WorkloadCluster{}
	err := a.platform.Get(ctx, kube.ObjectKey{Namespace: a.namespace, Name: a.name}, have)
	switch {
	case apierrors.IsNotFound(err):
	case meta.IsNoMatchError(err):
		return &client.Error{Op: "look at the platform", Err: errors.New("it does not know WorkloadClusters"), Fix: "install Fairway there: fairway install --export, or check the context: kubectl config current-context"}
	case err != nil:
		return &client.Error{Op: "look at the platform", Err: err, Fix: fixOfPlatform(err)}
	case have.Spec.Access.KubeconfigRef == nil:
		return &client.Error{Op: "adopt", Err: fmt.Errorf("%s is registered through Cluster API", a.name), Fix: "choose another name"}
	}
	a.settle(have.Spec)
	return a.apply(ctx, a.workloadCluster(), kube.DryRunAll)
}

// settle fills in what was not said: as it is, or as a cluster begins.
func (a *adoption) settle(have fleetv1.WorkloadClusterSpec) {
	a.want.Mode = cmp.Or(a.want.Mode, have.Mode, fleetv1.ModeObserve)
	a.want.Flux = cmp.Or(a.want.Flux, have.Flux.Install, fleetv1.FluxManaged)
}

// carryOut makes the account on the cluster, and registers the cluster with the platform. Everything can
// be done once more.
func (a *adoption) carryOut(ctx context.Context, stderr io.Writer) error {
	if err := a.makeAccount(ctx); err != nil {
		return err
	}
	done(stderr, "the account is on the cluster")
	token, err := adopt.Token(ctx, a.member, a.life)
	if err != nil {
		return &client.Error{Op: "adopt", Err: err, Fix: fixOfMember(err)}
	}
	kubeconfig, err := adopt.Kubeconfig(a.member.config, token)
	if err != nil {
		return &client.Error{Op: "write the account's kubeconfig", Err: err, Fix: "check certificate-authority of --kubeconfig"}
	}
	config, err := remote.Config(kubeconfig)
	if err != nil {
		return &client.Error{Op: "write the account's kubeconfig", Err: err}
	}
	if _, until := remote.Lifetime(config); !until.IsZero() && time.Until(until) < a.life/2 {
		caution(stderr, "the cluster gives tokens until %s only", until.Format(time.RFC3339))
	}
	return a.register(ctx, kubeconfig)
}

// tellApart refuses to adopt the platform itself: its account would be the operator's way to itself.
func (a *adoption) tellApart(ctx context.Context) error {
	var there, here corev1.Namespace
	key := kube.ObjectKey{Name: "kube-system"}
	if err := a.member.Get(ctx, key, &there); err != nil {
		return &client.Error{Op: "look at the cluster to adopt", Err: err, Fix: fixOfMember(err)}
	}
	switch err := a.platform.Get(ctx, key, &here); {
	case apierrors.IsForbidden(err): // then it cannot be told
		return nil
	case err != nil:
		return &client.Error{Op: "look at the platform", Err: err, Fix: fixOfPlatform(err)}
	case here.UID == there.UID:
		return &client.Error{Op: "adopt", Err: errors.New("--kubeconfig names the platform cluster itself"),
			Fix: "give --kubeconfig the cluster to adopt; the platform's is KUBECONFIG or --platform-kubeconfig"}
	}
	return nil
}

// makeAccount makes the account what it is to be, and takes what it had beyond that.
func (a *adoption) makeAccount(ctx context.Context) error {
	for _, obj := range a.want.Objects() {
		if err := a.member.Apply(ctx, kube.ApplyConfigurationFromUnstructured(obj), kube.FieldOwner(memberOwner)); err != nil {
			return &client.Error{Op: fmt.Sprintf("apply %s %s on the cluster", obj.GetKind(), obj.GetName()), Err: err, Fix: a.fixOfAccount(err, obj)}
		}
	}
	for _, obj := range a.want.Surplus() {
		if err := a.member.Delete(ctx, obj); kube.IgnoreNotFound(err) != nil {
			return &client.Error{Op: fmt.Sprintf("take back %s %s on the cluster", obj.GetKind(), obj.GetName()), Err: err, Fix: fixOfMember(err)}
		}
	}
	return nil
}

func (a *adoption) fixOfAccount(err error, obj *unstructured.Unstructured) string {
	switch {
	case apierrors.IsNotFound(err) && obj.GetNamespace() == fleetv1.FluxNamespace:
		return "there is no Flux in " + fleetv1.FluxNamespace + "; use --flux Managed"
	case apierrors.IsConflict(err):
		return "somebody else has set it: look at its managedFields, and delete it if it is left over"
	}
	return fixOfMember(err)
}

// register gives the platform the account's kubeconfig and the WorkloadCluster. The kubeconfig comes first
// and goes with the WorkloadCluster.
func (a *adoption) register(ctx context.Context, kubeconfig []byte) error {
	access, cluster := a.access(kubeconfig), a.workloadCluster()
	for _, obj := range append(access, cluster) {
		if err := a.apply(ctx, obj); err != nil {
			return err
		}
	}
	have := &fleetv1.WorkloadCluster{}
	if err := a.platform.Get(ctx, kube.ObjectKeyFromObject(cluster), have); err != nil {
		return &client.Error{Op: "read the WorkloadCluster", Err: err, Fix: fixOfPlatform(err)}
	}
	for _, obj := range a.access(kubeconfig) {
		obj.Object["metadata"].(map[string]any)["ownerReferences"] = []any{map[string]any{
			"apiVersion": fleetv1.GroupVersion.String(), "kind": "WorkloadCluster", "name": have.Name, "uid": string(have.UID),
		}}
		if err := a.apply(ctx, obj); err != nil {
			return err
		}
	}
	return nil
}

// apply applies an object on the platform. What holds the access is Fairway's own, also where the operator
// has written it since.
func (a *adoption) apply(ctx context.Context, obj *unstructured.Unstructured, options ...kube.ApplyOption) error {
	options = append(options, kube.FieldOwner(orderOwner))
	if obj.GetKind() == "Secret" {
		options = append(options, kube.ForceOwnership)
	}
	if err := a.platform.Apply(ctx, kube.ApplyConfigurationFromUnstructured(obj.DeepCopy()), options...); err != nil {
		return &client.Error{Op: fmt.Sprintf("apply %s %s/%s", obj.GetKind(), obj.GetNamespace(), obj.GetName()), Err: err, Fix: a.fix(err)}
	}
	return nil
}

func (a *adoption) fix(err error) string {
	switch {
	case apierrors.IsNotFound(err):
		return fmt.Sprintf("make the namespace, or name another with --namespace: kubectl create namespace %s", a.namespace)
	case apierrors.IsConflict(err):
		return fmt.Sprintf("somebody else keeps it: change it there, or in place: kubectl -n %s edit workloadcluster %s", a.namespace, a.name)
	case apierrors.IsForbidden(err):
		return "ask for the right to write it in namespace " + a.namespace
	}
	return fixOfPlatform(err)
}

// access is the account's kubeconfig, and the operator's right to renew it: nothing else of the namespace
// becomes writable for it.
func (a *adoption) access(kubeconfig []byte) []*unstructured.Unstructured {
	name := adopt.SecretName(a.name)
	secret := a.object("v1", "Secret", name, map[string]any{"type": "Opaque", "data": map[string]any{adopt.KeyKubeconfig: base64.StdEncoding.EncodeToString(kubeconfig)}})
	secret.SetAnnotations(map[string]string{adopt.AnnotationTokenLife: a.life.String()})
	role := a.object("rbac.authorization.k8s.io/v1", "Role", name, map[string]any{"rules": []any{map[string]any{
		"apiGroups": []any{""}, "resources": []any{"secrets"}, "resourceNames": []any{name}, "verbs": []any{"patch"},
	}}})
	binding := a.object("rbac.authorization.k8s.io/v1", "RoleBinding", name, map[string]any{
		"roleRef":  map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
		"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": "fairway-operator", "namespace": a.operator}},
	})
	return []*unstructured.Unstructured{secret, role, binding}
}

func (a *adoption) workloadCluster() *unstructured.Unstructured {
	return a.object(fleetv1.GroupVersion.String(), "WorkloadCluster", a.name, map[string]any{"spec": map[string]any{
		"environment": a.environment,
		"access":      map[string]any{"kubeconfigRef": map[string]any{"name": adopt.SecretName(a.name)}},
		"mode":        string(a.want.Mode),
		"flux":        map[string]any{"install": string(a.want.Flux)},
	}})
}

func (a *adoption) object(apiVersion, kind, name string, body map[string]any) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: body}
	obj.SetAPIVersion(apiVersion)
	obj.SetKind(kind)
	obj.SetNamespace(a.namespace)
	obj.SetName(name)
	obj.SetLabels(map[string]string{"app.kubernetes.io/part-of": "fairway", fleetv1.LabelCluster: a.name})
	return obj
}

func fixOfMember(err error) string {
	switch {
	case apierrors.IsUnauthorized(err):
		return "the cluster does not accept the credentials of --kubeconfig; log in there again"
	case apierrors.IsForbidden(err):
		return "use a kubeconfig of an administrator of that cluster: nobody can give rights that he has not"
	case errors.Is(err, context.DeadlineExceeded):
		return "the cluster did not answer in time; try again, or give it longer with --timeout"
	}
	return "check the cluster's address and certificate in --kubeconfig"
}
