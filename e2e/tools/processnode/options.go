package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/fabric"
	"github.com/fairway-dev/fairway/e2e/tools/processnode/kubeletapi"
)

// options are the command line.
type options struct {
	kubeconfig string
	images     string
	state      string
	podCIDR    netip.Prefix
	egress     *fabric.Egress
	published  []fabric.Publication
	listen     netip.AddrPort
	tls        kubeletapi.Files
	node       nodeOptions
}

// nodeOptions say how the Node object looks.
type nodeOptions struct {
	name, version    string
	zone, region     string
	providerIDPrefix string
	labels           map[string]string
	taints           []corev1.Taint
}

// parse reads the command line.
func parse(args []string) (options, error) {
	o := options{node: nodeOptions{labels: map[string]string{}}}
	f := flag.NewFlagSet("processnode", flag.ContinueOnError)
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "`file` with an administrator's access to the cluster")
	f.StringVar(&o.images, "images", "", "`file` with the image table (YAML)")
	f.StringVar(&o.state, "state", "", "`folder` for logs and volumes")
	f.StringVar(&o.tls.Cert, "cert", "", "serving certificate of the kubelet API, for the host of --listen (`file`)")
	f.StringVar(&o.tls.Key, "key", "", "its key (`file`)")
	f.StringVar(&o.tls.ClientCA, "client-ca", "", "CA of the API server's client certificate (`file`)")
	f.Func("publish", "host address that leads to a Service, `host:port=namespace/service:port`; repeatable", func(s string) error {
		p, err := fabric.ParsePublication(s)
		o.published = append(o.published, p)
		return err
	})
	f.TextVar(&o.listen, "listen", netip.MustParseAddrPort("127.0.0.1:10250"), "`address` of the kubelet API")
	f.TextVar(&o.podCIDR, "pod-cidr", netip.MustParsePrefix("10.244.0.0/16"), "addresses of pods, unseen outside the node")
	o.node.register(f)
	egress := f.String("egress", "", "host `addresses`, by comma, that pods reach at the same address; @file is a followed list")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.egress, err = fabric.ParseEgress(*egress); err != nil {
		return o, err
	}
	return o, o.check(f.Args())
}

// register adds the flags of the Node object.
func (n *nodeOptions) register(f *flag.FlagSet) {
	f.StringVar(&n.name, "node", "process-0", "`name` of the node")
	f.StringVar(&n.version, "kubelet-version", "v1.37.1", "`version` that the node reports")
	f.StringVar(&n.zone, "zone", "", "label topology.kubernetes.io/zone of the node")
	f.StringVar(&n.region, "region", "", "label topology.kubernetes.io/region of the node")
	f.StringVar(&n.providerIDPrefix, "provider-id", "",
		"`prefix` of spec.providerID, like aws:///eu-west-1a/i-; the rest is made from the node's name")
	f.Func("label", "label of the node, `key=value`; repeatable", func(s string) error {
		k, v, _ := strings.Cut(s, "=")
		n.labels[k] = v
		return nil
	})
	f.Func("taint", "taint of the node, `key=value:effect`; repeatable", func(s string) error {
		t, err := parseTaint(s)
		n.taints = append(n.taints, t)
		return err
	})
}

func (o options) check(rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unknown argument %q", rest[0])
	}
	for _, required := range []struct{ name, value string }{
		{"kubeconfig", o.kubeconfig}, {"images", o.images}, {"state", o.state},
		{"cert", o.tls.Cert}, {"key", o.tls.Key}, {"client-ca", o.tls.ClientCA},
	} {
		if required.value == "" {
			return fmt.Errorf("--%s is required", required.name)
		}
	}
	if !o.podCIDR.Addr().Is4() || o.podCIDR.Bits() > 30 {
		return errors.New("--pod-cidr must be an IPv4 network of at least 4 addresses")
	}
	return nil
}

func parseTaint(s string) (corev1.Taint, error) {
	pair, effect, ok := strings.Cut(s, ":")
	key, value, _ := strings.Cut(pair, "=")
	if !ok || key == "" {
		return corev1.Taint{}, fmt.Errorf("parse taint %q: want key=value:effect", s)
	}
	return corev1.Taint{Key: key, Value: value, Effect: corev1.TaintEffect(effect)}, nil
}
