package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/e2e/bench/kube"
	"github.com/fairway-dev/fairway/e2e/bench/process"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
	"github.com/fairway-dev/fairway/e2e/load/platform"
	"github.com/fairway-dev/fairway/e2e/load/sim"
)

const (
	watchedObjects = 500
	agentCluster   = "watched"
)

// agentMemory is what the agent's process has resident while it watches 500 objects on a real API server: a third each of
// Kustomizations, Deployments and their pods.
func agentMemory(ctx context.Context, b *bench) (_ []Result, err error) {
	p, err := b.usePlatform(ctx)
	if err != nil {
		return nil, err
	}
	objects := sim.NewWorld(agentCluster, watchedObjects*2/3+1, 1, nil).List()
	b.say("creating %d objects", len(objects))
	if err := create(ctx, p.Kube, objects); err != nil {
		return nil, err
	}
	hub, err := p.NewHub("hub-of-one")
	if err != nil {
		return nil, err
	}
	if err := hub.Start(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, hub.Stop()) }()
	agent, err := startAgent(ctx, p, hub)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, agent.Stop()) }()
	b.say("waiting for the agent's memory to settle")
	m, err := platform.Settled(ctx, agent.PID(), settleLimit)
	if err != nil {
		return nil, err
	}
	b.say("resident %d MiB, of which anonymous %d MiB; at most %d MiB so far", m.Resident/mebibyte, m.Anonymous/mebibyte, m.Peak/mebibyte)
	name := fmt.Sprintf("agent memory, %d objects watched", len(objects))
	return []Result{atMost(name, float64(m.Resident)/mebibyte, "MiB", agentMemoryBar)}, nil
}

// startAgent starts the real agent and waits until it reports.
func startAgent(ctx context.Context, p *platform.Platform, hub *platform.Hub) (*process.Process, error) {
	user, err := hub.Keys.Agent(agentCluster, time.Now().Add(time.Hour))
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(p.Dir, "agent")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create folder: %w", err)
	}
	creds, ca := filepath.Join(dir, "agent.creds"), filepath.Join(dir, "ca.crt")
	if err := errors.Join(os.WriteFile(creds, user.Creds, 0o600), os.WriteFile(ca, hub.CA, 0o600)); err != nil {
		return nil, fmt.Errorf("write credentials: %w", err)
	}
	port, err := kube.FreePort()
	if err != nil {
		return nil, err
	}
	health := fmt.Sprintf("127.0.0.1:%d", port)
	return p.Supervisor.Start(ctx, process.Spec{
		Name: "agent", Path: p.Tools.File(tools.Fairway, "agent"), Ready: process.HTTP("http://" + health + "/readyz"), Limit: time.Minute,
		Args: []string{"--cluster", agentCluster, "--events-url", hub.Bus, "--credentials", creds, "--ca", ca,
			"--kubeconfig", p.Kube.Kubeconfig, "--health", health, "--outbox-dir", dir},
	})
}

// create puts the objects of a world onto an API server, with their status.
func create[T client.Object](ctx context.Context, on *kube.Cluster, objects []T) error {
	c, err := newClient(on)
	if err != nil {
		return err
	}
	if err := prepare(ctx, c); err != nil {
		return err
	}
	made := map[string]bool{}
	for _, obj := range objects {
		if ns := obj.GetNamespace(); ns != "" && !made[ns] {
			if err := createNamespace(ctx, c, ns); err != nil {
				return err
			}
			made[ns] = true
		}
		if err := createWhole(ctx, c, obj); err != nil {
			return err
		}
	}
	return nil
}

func newClient(on *kube.Cluster) (client.Client, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, kustomizev1.AddToScheme, sourcev1.AddToScheme, apiextensionsv1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register kinds: %w", err)
		}
	}
	c, err := client.New(on.Config(), client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", on.Name, err)
	}
	return c, nil
}

// prepare installs the kinds of Flux and waits until they are served.
func prepare(ctx context.Context, c client.Client) error {
	for _, crd := range []*apiextensionsv1.CustomResourceDefinition{
		crd("kustomize.toolkit.fluxcd.io", "Kustomization", "kustomizations"), crd("source.toolkit.fluxcd.io", "GitRepository", "gitrepositories"),
	} {
		if err := c.Create(ctx, crd); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create CRD: %w", err)
		}
	}
	return wait(ctx, "the kinds of Flux", time.Minute, func(ctx context.Context) error {
		return errors.Join(c.List(ctx, &kustomizev1.KustomizationList{}), c.List(ctx, &sourcev1.GitRepositoryList{}))
	})
}

// createNamespace makes a namespace as the controllers would: pods want its service account.
func createNamespace(ctx context.Context, c client.Client, name string) error {
	for _, obj := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: "default"}},
	} {
		if err := c.Create(ctx, obj); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create namespace %s: %w", name, err)
		}
	}
	return nil
}

func createWhole(ctx context.Context, c client.Client, obj client.Object) error {
	status := obj.DeepCopyObject().(client.Object)
	if err := c.Create(ctx, obj); err != nil {
		return fmt.Errorf("create %s/%s: %w", obj.GetNamespace(), obj.GetName(), err)
	}
	status.SetResourceVersion(obj.GetResourceVersion())
	status.SetUID(obj.GetUID())
	if err := c.Status().Update(ctx, status); err != nil {
		return fmt.Errorf("set status of %s/%s: %w", obj.GetNamespace(), obj.GetName(), err)
	}
	return nil
}

// crd is a kind of Flux with any content: Flux's own CRDs come with its controllers, which are not needed here.
func crd(group, kind, plural string) *apiextensionsv1.CustomResourceDefinition {
	keep := true
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural + "." + group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: plural, Singular: strings.ToLower(kind), Kind: kind, ListKind: kind + "List"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: &keep}},
			}},
		},
	}
}
