package bench

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/e2e/bench/cloud"
	"github.com/fairway-dev/fairway/e2e/bench/kube"
	"github.com/fairway-dev/fairway/e2e/bench/process"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
)

// PlatformName is the platform cluster's name.
const PlatformName = "platform"

const establishLimit = 30 * time.Second

// PlatformOptions say what the platform and its clouds are like.
type PlatformOptions struct {
	// Cluster of the platform; its name is PlatformName when empty.
	Cluster kube.Options
	// Workload completes every cluster that the clouds start: see cloud.Options.Cluster.
	Workload kube.Options
	// TokenLifetime of the clouds' kubeconfigs; cloud.TokenLifetime when zero.
	TokenLifetime time.Duration
}

// Platform is the platform cluster with Cluster API's core, and the two clouds that it knows.
type Platform struct {
	*kube.Cluster
	AWS   *cloud.Cloud
	Azure *cloud.Cloud
	// ClusterAPI is the process of Cluster API's reconcilers.
	ClusterAPI *process.Process
}

// StartPlatform starts the platform: its cluster, the CRDs of Cluster API, CAPA and CAPZ, Cluster
// API's reconcilers, and the stand-ins for AWS and Azure.
func (r *Run) StartPlatform(ctx context.Context, o PlatformOptions) (*Platform, error) {
	if o.Cluster.Name == "" {
		o.Cluster.Name = PlatformName
	}
	cluster, err := r.StartCluster(ctx, o.Cluster)
	if err != nil {
		return nil, err
	}
	p := &Platform{Cluster: cluster}
	if err := r.installCRDs(ctx, cluster); err != nil {
		return nil, err
	}
	if p.ClusterAPI, err = r.startClusterAPI(ctx, cluster); err != nil {
		return nil, err
	}
	if p.AWS, err = r.startCloud(ctx, "cloud-aws", cloud.StartAWS, cluster, o); err != nil {
		return nil, err
	}
	if p.Azure, err = r.startCloud(ctx, "cloud-azure", cloud.StartAzure, cluster, o); err != nil {
		return nil, err
	}
	return p, nil
}

// StartNextPlatform starts a platform that takes the place of another: its cluster, the same CRDs and Cluster API's
// reconcilers. The clouds go on following the other one until MoveClouds.
func (r *Run) StartNextPlatform(ctx context.Context, of *Platform, o kube.Options) (*Platform, error) {
	cluster, err := r.StartCluster(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := r.installCRDs(ctx, cluster); err != nil {
		return nil, err
	}
	next := &Platform{Cluster: cluster, AWS: of.AWS, Azure: of.Azure}
	next.ClusterAPI, err = r.startClusterAPI(ctx, cluster)
	return next, err
}

// MoveClouds makes both clouds follow this platform.
func (p *Platform) MoveClouds(ctx context.Context) error {
	return errors.Join(p.AWS.MoveTo(ctx, p.Cluster), p.Azure.MoveTo(ctx, p.Cluster))
}

// installCRDs creates the CRDs and waits until each is served.
func (r *Run) installCRDs(ctx context.Context, cluster *kube.Cluster) error {
	manifest, err := os.ReadFile(r.Tools.File(tools.ProviderCRDs, tools.ClusterAPICRDs))
	if err != nil {
		return fmt.Errorf("read CRDs: %w", err)
	}
	crds, err := kube.Decode(manifest)
	if err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for _, crd := range crds {
		crd.SetLabels(withLabel(crd.GetLabels(), clusterctlLabel))
		group.Go(func() error {
			if err := cluster.Client().Create(groupCtx, crd); err != nil {
				return fmt.Errorf("create %s: %w", crd.GetName(), err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return kube.Wait(ctx, "the CRDs of Cluster API", establishLimit, func(ctx context.Context) error {
		for _, crd := range crds {
			if err := established(ctx, cluster, crd); err != nil {
				return err
			}
		}
		return nil
	})
}

// clusterctlLabel is on everything that `clusterctl init` installs; `clusterctl move` takes along what is of such kinds.
const clusterctlLabel = "clusterctl.cluster.x-k8s.io"

func withLabel(labels map[string]string, name string) map[string]string {
	out := map[string]string{name: ""}
	maps.Copy(out, labels)
	return out
}

func established(ctx context.Context, cluster *kube.Cluster, crd *unstructured.Unstructured) error {
	current := &unstructured.Unstructured{}
	current.SetGroupVersionKind(crd.GroupVersionKind())
	if err := cluster.Client().Get(ctx, client.ObjectKeyFromObject(crd), current); err != nil {
		return fmt.Errorf("get %s: %w", crd.GetName(), err)
	}
	conditions, _, err := unstructured.NestedSlice(current.Object, "status", "conditions")
	if err != nil {
		return fmt.Errorf("read %s: %w", crd.GetName(), err)
	}
	for _, condition := range conditions {
		c, ok := condition.(map[string]any)
		if ok && c["type"] == string(apiextensionsv1.Established) && c["status"] == "True" {
			return nil
		}
	}
	return fmt.Errorf("%s is not established", crd.GetName())
}

func (r *Run) startClusterAPI(ctx context.Context, cluster *kube.Cluster) (*process.Process, error) {
	port, err := kube.FreePort()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	return r.Supervisor.Start(ctx, process.Spec{
		Name: cluster.Name + "-cluster-api", Path: r.Tools.File(tools.ClusterAPI, "capi"),
		Args:  []string{"--kubeconfig", cluster.Kubeconfig, "--health-addr", address},
		Ready: process.HTTP("http://" + address + "/healthz"),
	})
}

type startCloud func(ctx context.Context, o cloud.Options) (*cloud.Cloud, error)

func (r *Run) startCloud(ctx context.Context, name string, start startCloud, platform *kube.Cluster, o PlatformOptions) (*cloud.Cloud, error) {
	log, err := r.Log(name)
	if err != nil {
		return nil, err
	}
	started, err := start(ctx, cloud.Options{
		Platform: platform, Supervisor: r.Supervisor, Tools: r.Tools, Dir: r.ClusterDir,
		Cluster: r.clusterOptions(o.Workload), TokenLifetime: o.TokenLifetime, Log: log,
	})
	if err != nil {
		return nil, err
	}
	r.onStop(closer(started.Stop))
	return started, nil
}

// errNoNode: an acquired cluster without a node could not run what it came with.
var errNoNode = errors.New("the process node was not built")
