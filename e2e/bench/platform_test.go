package bench_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/e2e/bench"
	"github.com/fairway-dev/fairway/e2e/bench/cloud"
	"github.com/fairway-dev/fairway/e2e/bench/kube"
	"github.com/fairway-dev/fairway/e2e/bench/process"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
)

const namespace = "clusters"

// tokenLifetime is short, so that a test sees a token turn and expire.
const tokenLifetime = 16 * time.Second

func startRun(t *testing.T, names ...string) *bench.Run {
	t.Helper()
	built, err := tools.Build(t.Context(), tools.Options{Progress: os.Stderr}, names...)
	if err != nil {
		t.Fatal(err)
	}
	run, err := bench.Start(t.Context(), bench.Options{Dir: t.TempDir(), Tools: built})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := run.Stop(); err != nil {
			t.Error(err)
		}
		left, err := process.StopRecorded(run.Dir)
		if len(left) > 0 || err != nil {
			t.Errorf("processes after Stop: %v, %v", left, err)
		}
	})
	return run
}

func TestClustersOfBothCloudsComeUpAndTheirTokensTurn(t *testing.T) {
	run := startRun(t, tools.Kube, tools.ProcessNode, tools.ClusterAPI, tools.ProviderCRDs)
	began := time.Now()
	platform, err := run.StartPlatform(t.Context(), bench.PlatformOptions{TokenLifetime: tokenLifetime})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("platform after %s", time.Since(began).Round(100*time.Millisecond))
	platform.AWS.NeverProvision("stuck")
	began = time.Now()
	apply(t, platform, []*unstructured.Unstructured{cloud.Namespace(namespace)})
	apply(t, platform, cloud.EKS(cloud.Request{Name: "eks", Namespace: namespace, Region: "eu-west-1", Environment: "prod"}))
	apply(t, platform, cloud.AKS(cloud.Request{Name: "aks", Namespace: namespace, Region: "westeurope", Environment: "prod"}))
	apply(t, platform, cloud.EKS(cloud.Request{Name: "stuck", Namespace: namespace, Region: "eu-west-1"}))

	for _, name := range []string{"eks", "aks"} {
		waitConditions(t, platform, name, "InfrastructureReady", "ControlPlaneInitialized", "RemoteConnectionProbe", "WorkersAvailable", "Available")
		t.Logf("%s is Available after %s", name, time.Since(began).Round(100*time.Millisecond))
	}
	for _, name := range []string{"eks", "aks"} {
		old := readKubeconfig(t, platform, name)
		wait(t, "the token of "+name+" to turn", tokenLifetime, func(context.Context) error {
			if readKubeconfig(t, platform, name).BearerToken == old.BearerToken {
				return errors.New("the Secret still holds the old one")
			}
			return nil
		})
		if err := ask(t.Context(), readKubeconfig(t, platform, name)); err != nil {
			t.Errorf("the new token of %s is refused: %v", name, err)
		}
		// API servers cache for 10 s what they accepted.
		wait(t, "the old token of "+name+" to be refused", tokenLifetime+15*time.Second, func(ctx context.Context) error {
			if err := ask(ctx, old); err == nil {
				return errors.New("it is accepted")
			}
			return nil
		})
	}
	if platform.AWS.Cluster("stuck") != nil {
		t.Error("a cluster that the cloud never provisions runs")
	}
	if got := condition(t, platform, "stuck", "ControlPlaneInitialized"); got == "True" {
		t.Errorf("ControlPlaneInitialized of the cluster that never comes up is %s", got)
	}
}

func apply(t *testing.T, platform *bench.Platform, objects []*unstructured.Unstructured) {
	t.Helper()
	if err := platform.Apply(t.Context(), objects...); err != nil {
		t.Fatal(err)
	}
}

func wait(t *testing.T, what string, limit time.Duration, done func(ctx context.Context) error) {
	t.Helper()
	if err := kube.Wait(t.Context(), what, limit, done); err != nil {
		t.Fatal(err)
	}
}

func waitConditions(t *testing.T, platform *bench.Platform, name string, conditions ...string) {
	t.Helper()
	wait(t, "Cluster "+name, time.Minute, func(context.Context) error {
		for _, kind := range conditions {
			if status := condition(t, platform, name, kind); status != "True" {
				return fmt.Errorf("%s is %q", kind, status)
			}
		}
		return nil
	})
}

func condition(t *testing.T, platform *bench.Platform, name, kind string) string {
	t.Helper()
	cluster := &unstructured.Unstructured{}
	cluster.SetAPIVersion("cluster.x-k8s.io/v1beta2")
	cluster.SetKind("Cluster")
	if err := platform.Client().Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, cluster); err != nil {
		t.Fatal(err)
	}
	conditions, _, err := unstructured.NestedSlice(cluster.Object, "status", "conditions")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range conditions {
		if c := c.(map[string]any); c["type"] == kind {
			return fmt.Sprint(c["status"])
		}
	}
	return ""
}

func readKubeconfig(t *testing.T, platform *bench.Platform, name string) *rest.Config {
	t.Helper()
	secret := &corev1.Secret{}
	if err := platform.Client().Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name + "-kubeconfig"}, secret); err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(secret.Data["value"])
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// ask does what only an administrator may.
func ask(ctx context.Context, config *rest.Config) error {
	c, err := client.New(config, client.Options{})
	if err != nil {
		return err
	}
	return c.List(ctx, &corev1.SecretList{})
}
