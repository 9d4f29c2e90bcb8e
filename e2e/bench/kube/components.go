package kube

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/e2e/bench/process"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
)

const (
	serviceRange   = "10.0.0.0/16"
	firstServiceIP = "10.0.0.1" // of the Service default/kubernetes
	frontProxyName = "front-proxy-client"
)

// controllers are those that a workload of the bench can notice; each costs memory and start time.
var controllers = []string{
	"clusterrole-aggregation-controller", "cronjob-controller", "daemonset-controller", "deployment-controller",
	"disruption-controller", "endpointslice-controller", "garbage-collector-controller", "job-controller",
	"namespace-controller", "node-lifecycle-controller", "pod-garbage-collector-controller", "replicaset-controller",
	"resourcequota-controller", "root-ca-certificate-publisher-controller", "serviceaccount-controller",
	"serviceaccount-token-controller", "statefulset-controller", "taint-eviction-controller", "ttl-after-finished-controller",
}

func (c *Cluster) controllers() []string {
	if c.options.Volumes {
		return append(slices.Clone(controllers), "persistentvolume-binder-controller")
	}
	return controllers
}

func (c *Cluster) etcd() process.Spec {
	client, peer := "http://"+loopback(c.ports.etcd), "http://"+loopback(c.ports.etcdPeer)
	return c.component("etcd",
		"--name=default",
		"--data-dir="+filepath.Join(c.Dir, "etcd"),
		"--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer,
		"--unsafe-no-fsync", // a bench may lose its data with the machine
		"--log-level=warn",
	)
}

func (c *Cluster) apiserver() process.Spec {
	args := []string{
		"--etcd-servers=http://" + loopback(c.ports.etcd),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port=" + strconv.Itoa(c.ports.apiserver),
		// Endpoints must not be loopback addresses; the process node leads pods to the server itself.
		"--endpoint-reconciler-type=none",
		"--tls-cert-file=" + c.pki.path("apiserver.crt"), "--tls-private-key-file=" + c.pki.path("apiserver.key"),
		"--client-ca-file=" + c.pki.path("ca.crt"),
		"--token-auth-file=" + c.pki.path("tokens.csv"),
		"--requestheader-client-ca-file=" + c.pki.path("front-proxy-ca.crt"),
		"--requestheader-allowed-names=" + frontProxyName,
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.pki.path("front-proxy-client.crt"),
		"--proxy-client-key-file=" + c.pki.path("front-proxy-client.key"),
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.pki.path("service-account.pub"),
		"--service-account-signing-key-file=" + c.pki.path("service-account.key"),
		"--service-cluster-ip-range=" + serviceRange,
		"--kubelet-preferred-address-types=InternalIP",
		"--kubelet-certificate-authority=" + c.pki.path("ca.crt"),
		"--kubelet-client-certificate=" + c.pki.path("apiserver-kubelet-client.crt"),
		"--kubelet-client-key=" + c.pki.path("apiserver-kubelet-client.key"),
		"--enable-priority-and-fairness=false", "--profiling=false",
		"--shutdown-delay-duration=0s",
		// A node is schedulable as soon as it says Ready, without waiting for its first taint to go.
		"--disable-admission-plugins=TaintNodesByCondition",
	}
	if c.authentication != "" {
		args = append(args, "--authentication-config="+c.authentication)
	}
	spec := c.component("kube-apiserver", args...)
	spec.Ready = c.probe(c.Server + "/readyz")
	spec.Limit = time.Minute
	return spec
}

func (c *Cluster) controllerManager() process.Spec {
	spec := c.component("kube-controller-manager",
		"--kubeconfig="+c.Kubeconfig,
		"--bind-address=127.0.0.1", "--secure-port="+strconv.Itoa(c.ports.controllers),
		"--leader-elect=false", "--profiling=false", "--use-service-account-credentials=false",
		"--service-account-private-key-file="+c.pki.path("service-account.key"),
		"--root-ca-file="+c.pki.path("ca.crt"),
		"--controllers="+strings.Join(c.controllers(), ","),
	)
	spec.Ready = c.probe("https://" + loopback(c.ports.controllers) + "/healthz")
	return spec
}

func (c *Cluster) scheduler() process.Spec {
	spec := c.component("kube-scheduler",
		"--kubeconfig="+c.Kubeconfig,
		"--bind-address=127.0.0.1", "--secure-port="+strconv.Itoa(c.ports.scheduler),
		"--leader-elect=false", "--profiling=false",
	)
	spec.Ready = c.probe("https://" + loopback(c.ports.scheduler) + "/healthz")
	return spec
}

// node is the process node. It needs namespaces: as root it makes them itself, otherwise it is root
// of a user namespace.
func (c *Cluster) node() process.Spec {
	args := []string{
		"--kubeconfig", c.Kubeconfig, "--node", c.NodeName(), "--listen", loopback(c.ports.node),
		"--cert", c.pki.path("node.crt"), "--key", c.pki.path("node.key"), "--client-ca", c.pki.path("ca.crt"),
		"--images", filepath.Join(c.Dir, "images.yaml"), "--state", filepath.Join(c.Dir, "node"),
		"--kubelet-version", tools.KubernetesVersion,
		"--egress", strings.Join(append([]string{"@" + c.egressFile()}, c.options.Egress...), ","),
		"--region", c.options.Region, "--zone", c.options.Zone, "--provider-id", c.options.ProviderIDPrefix,
	}
	for _, published := range c.options.Publish {
		args = append(args, "--publish", c.published[published]+"="+published)
	}
	return process.Spec{
		Name: c.Name + "-node", Path: c.tools.File(tools.ProcessNode, "processnode"), Args: args,
		NewUserNamespace: os.Getuid() != 0,
		Ready:            c.nodeReady,
	}
}

func (c *Cluster) component(part string, args ...string) process.Spec {
	return process.Spec{
		Name: c.Name + "-" + part,
		Path: c.tools.File(tools.Kube, "kube"),
		Args: append([]string{part}, args...),
		// The kubectl and client-go defaults of whoever runs the bench must not reach in.
		Env: []string{"KUBECONFIG=" + c.Kubeconfig},
	}
}

// probe asks a health address of the cluster. The controller manager and the scheduler serve
// certificates that they made themselves, so only the API server's is checked.
func (c *Cluster) probe(url string) func(ctx context.Context) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(c.CA)
	config := &tls.Config{RootCAs: roots, InsecureSkipVerify: !strings.HasPrefix(url, c.Server)}
	return process.Client(&http.Client{Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}, url)
}
