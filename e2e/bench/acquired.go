package bench

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/e2e/bench/gitserver"
	"github.com/fairway-dev/fairway/e2e/bench/kube"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
)

// Acquired is a cluster that came with an acquisition: no Cluster API knows it, and it runs something
// already.
type Acquired struct {
	*kube.Cluster
	// KubeconfigData is what the other company handed over: a token that does not expire.
	KubeconfigData []byte
	// Repository is what its own Flux follows; nil when it has none.
	Repository *gitserver.Repository
}

// What an acquired cluster runs when it comes.
const (
	AcquiredNamespace  = "ledger"
	AcquiredDeployment = "ledger"
)

const availableLimit = time.Minute

// StartAcquired starts a cluster that is nobody's Cluster API's, with one Deployment running in it.
func (r *Run) StartAcquired(ctx context.Context, name, region string) (*Acquired, error) {
	if !r.Tools.Has(tools.ProcessNode) {
		return nil, fmt.Errorf("start acquired cluster %s: %w", name, errNoNode)
	}
	cluster, err := r.StartCluster(ctx, kube.Options{Name: name, Region: region})
	if err != nil {
		return nil, err
	}
	if err := cluster.ApplyYAML(ctx, []byte(acquiredManifest())); err != nil {
		return nil, err
	}
	if err := waitAvailable(ctx, cluster, AcquiredNamespace, AcquiredDeployment); err != nil {
		return nil, err
	}
	data, err := cluster.TokenKubeconfig(cluster.AdminToken())
	if err != nil {
		return nil, err
	}
	return &Acquired{Cluster: cluster, KubeconfigData: data}, nil
}

func waitAvailable(ctx context.Context, cluster *kube.Cluster, namespace, name string) error {
	what := fmt.Sprintf("Deployment %s/%s on %s", namespace, name, cluster.Name)
	return kube.Wait(ctx, what, availableLimit, func(ctx context.Context) error {
		deployment := &appsv1.Deployment{}
		if err := cluster.Client().Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, deployment); err != nil {
			return fmt.Errorf("get Deployment: %w", err)
		}
		if deployment.Status.AvailableReplicas == 0 {
			return fmt.Errorf("0 of %d replicas are available: %+v", deployment.Status.Replicas, deployment.Status.Conditions)
		}
		return nil
	})
}

func acquiredManifest() string {
	return strings.NewReplacer("NAMESPACE", AcquiredNamespace, "NAME", AcquiredDeployment).Replace(`
apiVersion: v1
kind: Namespace
metadata:
  name: NAMESPACE
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: NAME
  namespace: NAMESPACE
  labels: {app: NAME, squad: payments}
spec:
  replicas: 1
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME, squad: payments}}
    spec:
      containers:
      - name: NAME
        image: ghcr.io/stefanprodan/podinfo:6.9.0
        args: [--port=9898, --level=info]
        ports: [{name: http, containerPort: 9898}]
        readinessProbe: {httpGet: {path: /readyz, port: http}}
`)
}
