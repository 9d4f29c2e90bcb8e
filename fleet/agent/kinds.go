package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// kind is one kind of object to watch.
type kind struct {
	name      string
	gvr       schema.GroupVersionResource
	prototype runtime.Object
	optional  bool // may not be installed
}

// kinds is what the agent watches, in the order in which the first lists are observed: owners
// before what they own.
var kinds = []*kind{
	{"Kustomization", kustomizev1.GroupVersion.WithResource("kustomizations"), &kustomizev1.Kustomization{}, true},
	{"HelmRelease", helmv2.GroupVersion.WithResource("helmreleases"), &helmv2.HelmRelease{}, true},
	{"GitRepository", sourcev1.GroupVersion.WithResource("gitrepositories"), &sourcev1.GitRepository{}, true},
	{"OCIRepository", sourcev1.GroupVersion.WithResource("ocirepositories"), &sourcev1.OCIRepository{}, true},
	{"HelmRepository", sourcev1.GroupVersion.WithResource("helmrepositories"), &sourcev1.HelmRepository{}, true},
	{"HelmChart", sourcev1.GroupVersion.WithResource("helmcharts"), &sourcev1.HelmChart{}, true},
	{"Bucket", sourcev1.GroupVersion.WithResource("buckets"), &sourcev1.Bucket{}, true},
	{"Node", corev1.SchemeGroupVersion.WithResource("nodes"), &corev1.Node{}, false},
	{"Deployment", appsv1.SchemeGroupVersion.WithResource("deployments"), &appsv1.Deployment{}, false},
	{"StatefulSet", appsv1.SchemeGroupVersion.WithResource("statefulsets"), &appsv1.StatefulSet{}, false},
	{"DaemonSet", appsv1.SchemeGroupVersion.WithResource("daemonsets"), &appsv1.DaemonSet{}, false},
	{"Job", batchv1.SchemeGroupVersion.WithResource("jobs"), &batchv1.Job{}, false},
	{"Pod", corev1.SchemeGroupVersion.WithResource("pods"), &corev1.Pod{}, false},
}

// clusterClient reads one cluster, with nothing registered but the kinds above: the whole of
// Kubernetes' clientset would cost more memory than all that the agent keeps.
type clusterClient struct {
	groups map[schema.GroupVersion]rest.Interface
	core   rest.Interface
	params runtime.ParameterCodec
}

const (
	clientQPS   = 20
	clientBurst = 40
	protobuf    = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
)

func newClusterClient(cfg *rest.Config) (*clusterClient, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, appsv1.AddToScheme, batchv1.AddToScheme, kustomizev1.AddToScheme, helmv2.AddToScheme, sourcev1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register kinds: %w", err)
		}
	}
	metav1.AddToGroupVersion(scheme, corev1.SchemeGroupVersion)
	cfg = rest.CopyConfig(cfg)
	cfg.Timeout, cfg.QPS, cfg.Burst = 0, clientQPS, clientBurst // a timeout would end watches
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("read cluster configuration: %w", err)
	}
	c := &clusterClient{groups: map[schema.GroupVersion]rest.Interface{}, params: runtime.NewParameterCodec(scheme)}
	codecs := serializer.NewCodecFactory(scheme).WithoutConversion()
	for _, k := range kinds {
		gv := k.gvr.GroupVersion()
		if c.groups[gv] != nil {
			continue
		}
		if c.groups[gv], err = groupClient(cfg, gv, codecs, client, !k.optional); err != nil {
			return nil, fmt.Errorf("make client for %s: %w", gv, err)
		}
	}
	c.core = c.groups[corev1.SchemeGroupVersion]
	return c, nil
}

func groupClient(cfg *rest.Config, gv schema.GroupVersion, codecs runtime.NegotiatedSerializer, client *http.Client, builtin bool) (rest.Interface, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.GroupVersion, cfg.NegotiatedSerializer, cfg.APIPath = &gv, codecs, "/apis"
	if gv.Group == "" {
		cfg.APIPath = "/api"
	}
	if builtin { // custom resources have no protobuf
		cfg.AcceptContentTypes, cfg.ContentType = protobuf, runtime.ContentTypeProtobuf
	}
	return rest.RESTClientForConfigAndClient(cfg, client)
}

// listWatch lists and watches a kind in all namespaces.
func (c *clusterClient) listWatch(k *kind) cache.ListerWatcher {
	client := c.groups[k.gvr.GroupVersion()]
	get := func(opts metav1.ListOptions) *rest.Request {
		return client.Get().Resource(k.gvr.Resource).VersionedParams(&opts, c.params)
	}
	return cache.ToListWatcherWithWatchListSemantics(&cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, opts metav1.ListOptions) (runtime.Object, error) {
			return get(opts).Do(ctx).Get()
		},
		WatchFuncWithContext: func(ctx context.Context, opts metav1.ListOptions) (watchInterface, error) {
			opts.Watch = true
			return get(opts).Watch(ctx)
		},
	}, client)
}

// installed says which of the optional kinds the cluster serves.
func (c *clusterClient) installed(ctx context.Context) (map[*kind]bool, error) {
	found, served := map[*kind]bool{}, map[schema.GroupVersion]metav1.APIResourceList{}
	for _, k := range kinds {
		gv := k.gvr.GroupVersion()
		if _, asked := served[gv]; k.optional && !asked {
			var list metav1.APIResourceList
			if err := c.ask(ctx, "/apis/"+gv.String(), &list); err != nil && !apierrors.IsNotFound(err) {
				return nil, fmt.Errorf("discover %s: %w", gv, err)
			}
			served[gv] = list
		}
		found[k] = slices.ContainsFunc(served[gv].APIResources, func(r metav1.APIResource) bool { return r.Name == k.gvr.Resource })
	}
	return found, nil
}

// askTimeout bounds a question to the API server that is no watch.
const askTimeout = 10 * time.Second

// ask reads JSON from a path of the API server.
func (c *clusterClient) ask(ctx context.Context, path string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	raw, err := c.core.Get().AbsPath(path).SetHeader("Accept", runtime.ContentTypeJSON).DoRaw(ctx)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("decode %s: %w", path, err)
	}
	return nil
}

// version is the version of the API server.
func (c *clusterClient) version(ctx context.Context) (string, error) {
	var info version.Info
	if err := c.ask(ctx, "/version", &info); err != nil {
		return "", fmt.Errorf("read server version: %w", err)
	}
	if info.GitVersion == "" {
		return "", errors.New("read server version: it says none")
	}
	return info.GitVersion, nil
}
