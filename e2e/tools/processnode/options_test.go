package main

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/fabric"
)

const required = "--kubeconfig k --images i --state s --cert c --key y --client-ca a"

func TestParse(t *testing.T) {
	o, err := parse(strings.Fields(required + " --listen 127.0.0.1:2 --publish 127.0.0.1:3=a/b:4 --publish 127.0.0.1:5=a/b:6" +
		" --taint dedicated=process:NoSchedule --label pool=process --region eu-west-1 --provider-id aws:///eu-west-1a/i- --node n1"))
	if err != nil {
		t.Fatal(err)
	}
	want := []fabric.Publication{
		{Listen: "127.0.0.1:3", Namespace: "a", Name: "b", Port: "4"}, {Listen: "127.0.0.1:5", Namespace: "a", Name: "b", Port: "6"},
	}
	if diff := cmp.Diff(want, o.published); diff != "" {
		t.Error(diff)
	}
	n := nodeObject(o.node, netip.MustParseAddrPort("127.0.0.1:2"))
	if diff := cmp.Diff([]corev1.Taint{{Key: "dedicated", Value: "process", Effect: corev1.TaintEffectNoSchedule}}, n.Spec.Taints); diff != "" {
		t.Error(diff)
	}
	if n.Labels["pool"] != "process" || n.Labels[corev1.LabelTopologyRegion] != "eu-west-1" || n.Labels[corev1.LabelHostname] != "n1" {
		t.Errorf("labels %v", n.Labels)
	}
	if !strings.HasPrefix(n.Spec.ProviderID, "aws:///eu-west-1a/i-") || len(n.Spec.ProviderID) != len("aws:///eu-west-1a/i-")+instanceDigits {
		t.Errorf("provider ID %q", n.Spec.ProviderID)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, args := range map[string]string{
		"a missing required flag":          "--images i",
		"an argument that is no flag":      required + " extra",
		"a publication of nothing":         required + " --publish 127.0.0.1:1",
		"a taint without an effect":        required + " --taint a=b",
		"an egress address without a port": required + " --egress localhost",
		"pod addresses that are not IPv4":  required + " --pod-cidr fd00::/64",
		"pod addresses for nobody":         required + " --pod-cidr 10.244.0.0/31",
	} {
		t.Run(name, func(t *testing.T) {
			if o, err := parse(strings.Fields(args)); err == nil {
				t.Errorf("took %+v", o)
			}
		})
	}
}
