package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"path/filepath"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/log"
	"github.com/virtual-kubelet/virtual-kubelet/log/klogv2"
	vk "github.com/virtual-kubelet/virtual-kubelet/node"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/record"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/fabric"
	"github.com/fairway-dev/fairway/e2e/tools/processnode/image"
	"github.com/fairway-dev/fairway/e2e/tools/processnode/inputs"
	"github.com/fairway-dev/fairway/e2e/tools/processnode/kubeletapi"
	"github.com/fairway-dev/fairway/e2e/tools/processnode/pod"
	"github.com/fairway-dev/fairway/e2e/tools/processnode/sandbox"
)

const (
	podWorkers = 8
	// stopGrace is how long pods have to end when the node is told to.
	stopGrace = 2 * time.Second
)

// node is the parts of a running node.
type node struct {
	options     options
	client      kubernetes.Interface
	broadcaster record.EventBroadcaster
	mine        informers.SharedInformerFactory // pods of this node
	cluster     informers.SharedInformerFactory // everything else
	fabric      *fabric.Fabric
	services    *fabric.Services
	pods        *pod.Table
}

// newNode makes a node that does nothing yet.
func newNode(o options, keepUser bool) (*node, error) {
	images, err := image.Load(o.images)
	if err != nil {
		return nil, err
	}
	if o.state, err = filepath.Abs(o.state); err != nil {
		return nil, fmt.Errorf("find state folder: %w", err)
	}
	n := &node{options: o, broadcaster: record.NewBroadcaster()}
	api, err := n.connect()
	if err != nil {
		return nil, err
	}
	if n.fabric, err = fabric.New(o.podCIDR); err != nil {
		return nil, err
	}
	source := fabric.Source{Services: n.listServices, Pods: n.listPods}
	n.services = fabric.NewServices(n.fabric, source, api)
	shared := &pod.Node{
		Client: n.client, Images: images, Fabric: n.fabric, Egress: o.egress, Spawner: sandbox.NewSpawner(),
		Recorder: n.broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: o.node.name}),
		Environment: inputs.Environment{
			Objects: inputs.Objects{Client: n.client}, Services: n.listServices, Allocatable: capacity,
		},
		State: o.state, KeepUser: keepUser, Changed: n.services.Changed,
	}
	n.pods, err = pod.NewTable(shared, n.mine.Core().V1().Pods().Lister())
	return n, err
}

// connect makes client and informers, and returns the host address of the API server.
func (n *node) connect() (string, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", n.options.kubeconfig)
	if err != nil {
		return "", fmt.Errorf("load kubeconfig: %w", err)
	}
	cfg.QPS, cfg.Burst = 200, 400
	u, err := url.Parse(cfg.Host)
	if err != nil || u.Port() == "" {
		return "", fmt.Errorf("kubeconfig names the server %q: want https://host:port", cfg.Host)
	}
	if n.client, err = kubernetes.NewForConfig(cfg); err != nil {
		return "", fmt.Errorf("make client: %w", err)
	}
	onNode := fields.OneTermEqualSelector("spec.nodeName", n.options.node.name).String()
	n.mine = informers.NewSharedInformerFactoryWithOptions(n.client, 0,
		informers.WithTweakListOptions(func(o *metav1.ListOptions) { o.FieldSelector = onNode }))
	n.cluster = informers.NewSharedInformerFactory(n.client, 0)
	return net.JoinHostPort(u.Hostname(), u.Port()), nil
}

func (n *node) listServices() []*corev1.Service {
	list, err := n.cluster.Core().V1().Services().Lister().List(labels.Everything())
	if err != nil { // a cache's list of everything has no reason to fail
		slog.Error("Services not listed", "error", err)
	}
	return list
}

func (n *node) listPods() []*corev1.Pod { return n.pods.Objects() }

// run runs the node until ctx ends, then ends its pods.
func (n *node) run(ctx context.Context) error {
	listener, err := kubeletapi.Listen(ctx, n.options.listen.String(), n.options.tls)
	if err != nil {
		return err
	}
	// What pods need goes on while they end.
	until, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	n.broadcaster.StartRecordingToSink(&corev1client.EventSinkImpl{Interface: n.client.CoreV1().Events(corev1.NamespaceAll)})
	defer n.broadcaster.Shutdown()
	if err := n.startNetwork(ctx, until); err != nil {
		return err
	}
	failed := make(chan error, 3)
	go func() { failed <- kubeletapi.Serve(until, listener, n.pods) }()
	if err := n.startControllers(ctx, failed); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		slog.Info("Stopping pods")
	case err = <-failed:
	}
	n.pods.StopAll(stopGrace)
	if ctx.Err() != nil { // the controllers end with it
		return nil
	}
	return err
}

// startNetwork waits for the cluster's Services, then makes them reachable.
func (n *node) startNetwork(ctx, until context.Context) error {
	services := n.cluster.Core().V1().Services().Informer()
	changed := func(obj any) {
		n.services.Changed()
		if svc, ok := obj.(*corev1.Service); ok {
			fabric.Announce(until, n.client.CoreV1(), svc, n.options.published)
		}
	}
	_, err := services.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: changed, UpdateFunc: func(_, obj any) { changed(obj) }, DeleteFunc: func(any) { n.services.Changed() },
	})
	if err != nil {
		return fmt.Errorf("follow services: %w", err)
	}
	n.mine.Core().V1().Pods().Informer() // asks for it
	n.mine.Start(until.Done())
	n.cluster.Start(until.Done())
	if !cache.WaitForCacheSync(ctx.Done(), services.HasSynced, n.mine.Core().V1().Pods().Informer().HasSynced) {
		return fmt.Errorf("read services and pods: %w", context.Cause(ctx))
	}
	if err := n.pods.Sweep(); err != nil {
		return err
	}
	if err := n.fabric.ServeDNS(until, fabric.Source{Services: n.listServices, Pods: n.listPods}); err != nil {
		return err
	}
	for _, p := range n.options.published {
		if err := n.services.Publish(until, p); err != nil {
			return err
		}
	}
	go n.services.Run(until)
	go n.options.egress.Run(until)
	n.services.Changed()
	return nil
}

// startControllers starts virtual-kubelet's controllers; what ends one of them goes to failed.
func (n *node) startControllers(ctx context.Context, failed chan<- error) error {
	log.L = klogv2.New(nil)
	core := n.cluster.Core().V1()
	pods, err := vk.NewPodController(vk.PodControllerConfig{
		PodClient: n.client.CoreV1(), PodInformer: n.mine.Core().V1().Pods(), Provider: n.pods,
		EventRecorder:     &record.FakeRecorder{}, // drops virtual-kubelet's own events, which no kubelet emits
		ConfigMapInformer: core.ConfigMaps(), SecretInformer: core.Secrets(), ServiceInformer: core.Services(),
		// Otherwise a missing ConfigMap never reaches the pod, and every sync sees another environment.
		SkipDownwardAPIResolution: true,
	})
	if err != nil {
		return fmt.Errorf("make pod controller: %w", err)
	}
	leases := n.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	self, err := vk.NewNodeController(vk.NewNaiveNodeProvider(), nodeObject(n.options.node, n.options.listen),
		n.client.CoreV1().Nodes(), vk.WithNodeEnableLeaseV1(leases, vk.DefaultLeaseDuration))
	if err != nil {
		return fmt.Errorf("make node controller: %w", err)
	}
	go func() { failed <- ended("pod controller", pods.Run(ctx, podWorkers)) }()
	select {
	case <-pods.Ready():
	case <-pods.Done():
		return ended("pod controller", pods.Err())
	}
	go func() { failed <- ended("node controller", self.Run(ctx)) }()
	return nil
}

func ended(what string, err error) error {
	if err == nil {
		err = errors.New("ended")
	}
	return fmt.Errorf("run %s: %w", what, err)
}
