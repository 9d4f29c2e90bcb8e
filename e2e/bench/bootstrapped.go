package bench

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/e2e/bench/gitserver"
	"github.com/fairway-dev/fairway/e2e/bench/kube"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
)

// bootstrapLimit bounds the wait for a Flux to apply what a bootstrapped cluster runs.
const bootstrapLimit = 2 * time.Minute

// BootstrappedKustomizations are those of a bootstrapped cluster: Flux itself, and what the cluster runs.
var BootstrappedKustomizations = []string{"flux-system", "apps"}

// StartBootstrapped starts a cluster that is nobody's Cluster API's and runs a Flux of its own, as
// `flux bootstrap` leaves it: the command applies Flux's manifests; a Git repository of the cluster's own,
// named like it, has them, too, and a folder apps with the given files; and a Kustomization applies both, Flux
// included. It returns when all of it is applied and ready.
func (r *Run) StartBootstrapped(ctx context.Context, name, region string, apps map[string]string) (*Acquired, error) {
	cluster, err := r.StartCluster(ctx, kube.Options{Name: name, Region: region})
	if err != nil {
		return nil, err
	}
	repository, err := r.Git.CreateRepository(ctx, name, gitserver.Credentials{})
	if err != nil {
		return nil, err
	}
	components, err := os.ReadFile(r.Tools.File(tools.FluxManifests, tools.FluxComponents))
	if err != nil {
		return nil, fmt.Errorf("read Flux manifests: %w", err)
	}
	sync := strings.ReplaceAll(bootstrapSync, "URL", repository.URL)
	if _, err := repository.Commit(ctx, "main", bootstrapFiles(string(components), sync, apps), "flux bootstrap"); err != nil {
		return nil, err
	}
	for _, manifest := range []string{string(components), sync} {
		if err := applyAsFlux(ctx, cluster, manifest); err != nil {
			return nil, err
		}
	}
	for _, kustomization := range BootstrappedKustomizations {
		if err := waitKustomization(ctx, cluster, kustomization); err != nil {
			return nil, err
		}
	}
	data, err := cluster.TokenKubeconfig(cluster.AdminToken())
	if err != nil {
		return nil, err
	}
	return &Acquired{Cluster: cluster, KubeconfigData: data, Repository: repository}, nil
}

func bootstrapFiles(components, sync string, apps map[string]string) map[string]string {
	files := map[string]string{
		"cluster/flux-system/gotk-components.yaml": components,
		"cluster/flux-system/gotk-sync.yaml":       sync,
		"cluster/flux-system/kustomization.yaml":   "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [gotk-components.yaml, gotk-sync.yaml]\n",
		"cluster/apps.yaml":                        bootstrapApps,
	}
	for path, content := range apps {
		files["apps/"+path] = content
	}
	return files
}

// applyAsFlux applies a manifest as the flux command does. Kinds that were defined a moment before are waited
// for.
func applyAsFlux(ctx context.Context, cluster *kube.Cluster, manifest string) error {
	objects, err := kube.Decode([]byte(manifest))
	if err != nil {
		return err
	}
	for _, obj := range objects {
		what := fmt.Sprintf("%s %s to be applied to %s", obj.GetKind(), obj.GetName(), cluster.Name)
		err := kube.Wait(ctx, what, 30*time.Second, func(ctx context.Context) error {
			err := cluster.Client().Apply(ctx, client.ApplyConfigurationFromUnstructured(obj.DeepCopy()), client.FieldOwner("flux"), client.ForceOwnership)
			if meta.IsNoMatchError(err) {
				meta.MaybeResetRESTMapper(cluster.Client().RESTMapper())
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func waitKustomization(ctx context.Context, cluster *kube.Cluster, name string) error {
	what := fmt.Sprintf("Kustomization %s on %s", name, cluster.Name)
	return kube.Wait(ctx, what, bootstrapLimit, func(ctx context.Context) error {
		obj := &unstructured.Unstructured{}
		obj.SetGroupVersionKind(schema.GroupVersionKind{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "Kustomization"})
		if err := cluster.Client().Get(ctx, client.ObjectKey{Namespace: "flux-system", Name: name}, obj); err != nil {
			return fmt.Errorf("get Kustomization: %w", err)
		}
		conditions, _, err := unstructured.NestedSlice(obj.Object, "status", "conditions")
		if err != nil {
			return fmt.Errorf("read Kustomization: %w", err)
		}
		for _, c := range conditions {
			if condition, ok := c.(map[string]any); ok && condition["type"] == "Ready" && condition["status"] == "True" {
				return nil
			}
		}
		return fmt.Errorf("not ready: %+v", conditions)
	})
}

const bootstrapSync = `apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: flux-system, namespace: flux-system}
spec:
  interval: 1m0s
  ref: {branch: main}
  url: URL
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: flux-system, namespace: flux-system}
spec:
  interval: 10m0s
  retryInterval: 2s
  path: ./cluster
  prune: true
  sourceRef: {kind: GitRepository, name: flux-system}
`

const bootstrapApps = `apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: apps, namespace: flux-system}
spec:
  interval: 10m0s
  retryInterval: 2s
  path: ./apps
  prune: true
  wait: true
  timeout: 2m
  sourceRef: {kind: GitRepository, name: flux-system}
`
