package stories

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

// A kubeconfig that cannot work, a Cluster that never comes up, an id that is taken: each says what
// is wrong and what mends it, and the clusters that were Ready stay Ready.
func TestBadClusters(t *testing.T) {
	settle(t)
	good := bank.AcquiredKubeconfig()
	for name, tc := range map[string]struct {
		namespace, kubeconfig, cluster string
		reason, says                   string
	}{
		"bad-empty":    {kubeconfig: "", reason: fleetv1.ReasonKubeconfigInvalid, says: "kubeconfig"},
		"bad-exec":     {kubeconfig: execKubeconfig, reason: fleetv1.ReasonKubeconfigForbidden, says: "exec"},
		"bad-file":     {kubeconfig: fileKubeconfig, reason: fleetv1.ReasonKubeconfigForbidden, says: "file"},
		"bad-nowhere":  {kubeconfig: nowhereKubeconfig, reason: fleetv1.ReasonUnreachable, says: "refused"},
		"bad-token":    {kubeconfig: strings.Replace(good, "token: ", "token: wrong", 1), reason: fleetv1.ReasonUnauthorized, says: "credentials"},
		"bad-cluster":  {cluster: "no-such-cluster", reason: fleetv1.ReasonClusterNotFound, says: "no-such-cluster"},
		fleet.Acquired: {namespace: "default", kubeconfig: good, reason: fleetv1.ReasonIDTaken, says: fleet.Namespace + "/" + fleet.Acquired},
	} {
		t.Run(name, func(t *testing.T) {
			condition := fleetv1.ConditionReachable
			if tc.reason == fleetv1.ReasonIDTaken {
				condition = "Ready" // no step is taken for somebody else's id
			}
			obj := badCluster(t, name, tc.namespace, tc.kubeconfig, tc.cluster)
			defer remove(t, obj)
			eventually(t, time.Minute, name+" says "+tc.reason, func(ctx context.Context) (bool, string) {
				if err := bank.Platform.Client().Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
					return false, err.Error()
				}
				c := apimeta.FindStatusCondition(obj.Status.Conditions, condition)
				if c == nil {
					return false, "no condition yet"
				}
				return c.Status == metav1.ConditionFalse && c.Reason == tc.reason && strings.Contains(c.Message, tc.says),
					fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
			})
			t.Log(apimeta.FindStatusCondition(obj.Status.Conditions, condition).Message)
		})
	}
	stillReady(t)
}

// A Fleet whose repository cannot be read, or whose Flux does not exist, says so; clusters that run go on.
func TestBadFleet(t *testing.T) {
	for name, tc := range map[string]struct {
		change            func(*fleetv1.FleetSpec)
		condition, reason string
	}{
		"a repository that is not there": {func(s *fleetv1.FleetSpec) { s.ConfigRepository.URL += "-gone" },
			fleetv1.ConditionConfigRepositoryReady, fleetv1.ReasonRepositoryUnreadable},
		"a branch that is not there": {func(s *fleetv1.FleetSpec) { s.ConfigRepository.Branch = "no-such-branch" },
			fleetv1.ConditionConfigRepositoryReady, fleetv1.ReasonRepositoryUnreadable},
		"a Flux version that is not there": {func(s *fleetv1.FleetSpec) { s.Flux.Version = "7.x" },
			fleetv1.ConditionFluxArtifactReady, fleetv1.ReasonVersionNotFound},
		"a Flux artifact that is not there": {func(s *fleetv1.FleetSpec) { s.Flux.Artifact += "-gone" },
			fleetv1.ConditionFluxArtifactReady, fleetv1.ReasonArtifactFailed},
	} {
		t.Run(name, func(t *testing.T) {
			restore := changeFleet(t, tc.change)
			awaitFleet(t, tc.condition, metav1.ConditionFalse, tc.reason)
			stillReachable(t)
			restore()
			awaitFleet(t, "Ready", metav1.ConditionTrue, "")
		})
	}
	eventually(t, 2*time.Minute, "every cluster is Ready again", func(ctx context.Context) (bool, string) {
		return allReady(ctx)
	})
}

const (
	execKubeconfig = `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}], users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, interactiveMode: Never}}}]}`
	fileKubeconfig = `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1", certificate-authority: /etc/passwd}}], users: [{name: u, user: {tokenFile: /var/run/secrets/token}}]}`
	nowhereKubeconfig = `{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}], users: [{name: u, user: {token: abc}}]}`
)

func badCluster(t *testing.T, name, namespace, kubeconfig, cluster string) *fleetv1.WorkloadCluster {
	t.Helper()
	if namespace == "" {
		namespace = fleet.Namespace
	}
	obj := &fleetv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}}
	obj.Spec.Environment = "dev"
	obj.Spec.Deletion.Deadline.Duration = 10 * time.Second // what cannot be reached cannot be cleaned up
	if cluster != "" {
		obj.Spec.Access.ClusterRef = &meta.LocalObjectReference{Name: cluster}
	} else {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name + "-bad", Namespace: namespace}, StringData: map[string]string{"value": kubeconfig}}
		create(t, secret)
		t.Cleanup(func() { remove(t, secret) })
		obj.Spec.Access.KubeconfigRef = &fleetv1.KubeconfigReference{Name: secret.Name}
	}
	create(t, obj)
	return obj
}

func create(t *testing.T, obj client.Object) {
	t.Helper()
	if err := bank.Platform.Client().Create(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
}

// remove deletes an object and waits until it is gone: deleting always ends.
func remove(t *testing.T, obj client.Object) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	if err := bank.Platform.Client().Delete(ctx, obj); client.IgnoreNotFound(err) != nil {
		t.Error(err)
	}
	err := fleet.Await(ctx, 30*time.Second, obj.GetName()+" is gone", func(ctx context.Context) (bool, string) {
		err := bank.Platform.Client().Get(ctx, client.ObjectKeyFromObject(obj), obj)
		return apierrors.IsNotFound(err), fmt.Sprintf("error %v, finalizers %v", err, obj.GetFinalizers())
	})
	if err != nil {
		t.Error(err)
	}
}

func changeFleet(t *testing.T, change func(*fleetv1.FleetSpec)) (restore func()) {
	t.Helper()
	set := func(change func(*fleetv1.FleetSpec)) error {
		obj := &fleetv1.Fleet{}
		ctx := context.WithoutCancel(t.Context())
		if err := bank.Platform.Client().Get(ctx, client.ObjectKey{Name: fleetv1.FleetName}, obj); err != nil {
			return err
		}
		before := obj.DeepCopy()
		change(&obj.Spec)
		return bank.Platform.Client().Patch(ctx, obj, client.MergeFrom(before))
	}
	var was fleetv1.FleetSpec
	if err := set(func(s *fleetv1.FleetSpec) { was = *s.DeepCopy(); change(s) }); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := set(func(s *fleetv1.FleetSpec) { *s = was }); err != nil {
			t.Fatal(errors.Join(errors.New("the Fleet was not restored"), err))
		}
	}
}

func awaitFleet(t *testing.T, condition string, status metav1.ConditionStatus, reason string) {
	t.Helper()
	eventually(t, time.Minute, fmt.Sprintf("the Fleet says %s=%s %s", condition, status, reason), func(ctx context.Context) (bool, string) {
		obj := &fleetv1.Fleet{}
		if err := bank.Platform.Client().Get(ctx, client.ObjectKey{Name: fleetv1.FleetName}, obj); err != nil {
			return false, err.Error()
		}
		c := apimeta.FindStatusCondition(obj.Status.Conditions, condition)
		if c == nil {
			return false, "no condition yet"
		}
		return c.Status == status && (reason == "" || c.Reason == reason) && obj.Status.ObservedGeneration == obj.Generation,
			fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
	})
}

func allReady(ctx context.Context) (bool, string) {
	for _, id := range members {
		if ok, state := condition(ctx, id, "Ready"); !ok {
			return false, id + state
		}
	}
	return true, ""
}

func stillReady(t *testing.T) {
	t.Helper()
	if ok, state := allReady(t.Context()); !ok {
		t.Errorf("harmed: %s", state)
	}
}

// stillReachable says that agents of clusters that run are still heard, whatever is wrong with the Fleet.
func stillReachable(t *testing.T) {
	t.Helper()
	for _, id := range members {
		if c, err := bank.Cluster(t.Context(), id); err != nil || !c.Freshness.Known {
			t.Errorf("%s was harmed: known %t, error %v", id, c.Freshness.Known, err)
		}
	}
}
