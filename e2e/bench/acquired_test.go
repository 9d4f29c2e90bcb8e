package bench_test

import (
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairway-dev/fairway/e2e/bench"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
)

func TestAnAcquiredClusterRunsWhatItCameWith(t *testing.T) {
	run := startRun(t, tools.Kube, tools.ProcessNode, tools.Podinfo)
	acquired, err := run.StartAcquired(t.Context(), "acquired", "dc-north-1")
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(acquired.KubeconfigData)
	if err != nil {
		t.Fatal(err)
	}
	if err := ask(t.Context(), config); err != nil {
		t.Errorf("the kubeconfig that came with it: %v", err)
	}
	out, err := acquired.Kubectl(t.Context(), "logs", "-n", bench.AcquiredNamespace, "deployment/"+bench.AcquiredDeployment)
	if err != nil || !strings.Contains(out, "Starting podinfo") {
		t.Errorf("its log: %q, %v", out, err)
	}
}

func TestTheFluxArtifactInstallsTheControllersThatAreBuilt(t *testing.T) {
	run := startRun(t, tools.FluxManifests)
	artifact, err := run.PushFluxManifests(t.Context(), tools.FluxVersion)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(artifact.Digest, "sha256:") || artifact.Tag != tools.FluxVersion {
		t.Errorf("got %+v", artifact)
	}
}
