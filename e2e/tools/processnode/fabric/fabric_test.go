package fabric

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func pod(name, ip string, ready bool, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{
			Hostname: name, Subdomain: "peers",
			Containers: []corev1.Container{{Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}}}},
		},
		Status: corev1.PodStatus{PodIP: ip, Phase: corev1.PodRunning},
	}
	if ready {
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	}
	for _, f := range change {
		f(p)
	}
	return p
}

func service(name, ip string, change ...func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec: corev1.ServiceSpec{
			ClusterIP: ip, Selector: map[string]string{"app": "web"},
			Ports: []corev1.ServicePort{{Name: "web", Port: 80, TargetPort: intstr.FromString("http")}},
		},
	}
	for _, f := range change {
		f(s)
	}
	return s
}

func TestEndpoints(t *testing.T) {
	pods := []*corev1.Pod{
		pod("a", "10.244.0.2", true),
		pod("b", "10.244.0.3", false),
		pod("other", "10.244.0.4", true, func(p *corev1.Pod) { p.Labels = nil }),
		pod("elsewhere", "10.244.0.5", true, func(p *corev1.Pod) { p.Namespace = "bank" }),
		pod("leaving", "10.244.0.6", true, func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }),
		pod("unnamed", "10.244.0.7", true, func(p *corev1.Pod) { p.Spec.Containers[0].Ports[0].Name = "" }),
		pod("done", "10.244.0.8", true, func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }),
	}
	for name, tc := range map[string]struct {
		change func(*corev1.Service)
		want   []string
	}{
		"a named port leads to the ready pods that have it": {func(*corev1.Service) {}, []string{"10.244.0.2:8080"}},
		"a number leads to every ready pod": {
			func(s *corev1.Service) { s.Spec.Ports[0].TargetPort = intstr.FromInt32(9000) }, []string{"10.244.0.2:9000", "10.244.0.7:9000"}},
		"no target port is the port itself": {
			func(s *corev1.Service) { s.Spec.Ports[0].TargetPort = intstr.IntOrString{} }, []string{"10.244.0.2:80", "10.244.0.7:80"}},
		"pods that are not ready can be published too": {
			func(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = true },
			[]string{"10.244.0.2:8080", "10.244.0.3:8080", "10.244.0.6:8080"}},
		"without a selector there are none": {func(s *corev1.Service) { s.Spec.Selector = nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			svc := service("web", "10.0.0.9", tc.change)
			if diff := cmp.Diff(tc.want, Endpoints(svc, svc.Spec.Ports[0], pods)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLookup(t *testing.T) {
	services := []*corev1.Service{service("web", "10.0.0.9"), service("peers", "None"), service("outside", "", func(s *corev1.Service) { s.Spec.Selector = nil })}
	pods := []*corev1.Pod{pod("a", "10.244.0.2", true), pod("b", "10.244.0.3", false)}
	for name, tc := range map[string]struct {
		name   string
		want   []string
		exists bool
	}{
		"a Service has its address":                  {"web.shop.svc.cluster.local.", []string{"10.0.0.9"}, true},
		"names are not case sensitive":               {"Web.Shop.SVC.cluster.local.", []string{"10.0.0.9"}, true},
		"a headless Service has its ready pods":      {"peers.shop.svc.cluster.local.", []string{"10.244.0.2"}, true},
		"a pod of a headless Service has its own":    {"a.peers.shop.svc.cluster.local.", []string{"10.244.0.2"}, true},
		"a pod that is not ready has no name":        {"b.peers.shop.svc.cluster.local.", nil, false},
		"a Service without an address exists":        {"outside.shop.svc.cluster.local.", nil, true},
		"another namespace has its own Services":     {"web.bank.svc.cluster.local.", nil, false},
		"the domain is needed":                       {"web.shop.svc.", nil, false},
		"nothing outside the cluster exists":         {"example.com.", nil, false},
		"a name that is too short is not a Service":  {"shop.svc.cluster.local.", nil, false},
		"a name that is too long is nobody's either": {"x.a.peers.shop.svc.cluster.local.", nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			ips, exists := Lookup(tc.name, services, pods)
			var got []string
			for _, ip := range ips {
				got = append(got, ip.String())
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || exists != tc.exists {
				t.Errorf("exists %v, %s", exists, diff)
			}
		})
	}
}

func TestAnswer(t *testing.T) {
	ask := func(name string, kind dnsmessage.Type) dnsmessage.Message {
		t.Helper()
		q := dnsmessage.Message{Header: dnsmessage.Header{ID: 7}, Questions: []dnsmessage.Question{
			{Name: dnsmessage.MustNewName(name), Type: kind, Class: dnsmessage.ClassINET}}}
		query, err := q.Pack()
		if err != nil {
			t.Fatal(err)
		}
		reply, err := Answer(query, []*corev1.Service{service("web", "10.0.0.9")}, nil)
		if err != nil {
			t.Fatal(err)
		}
		var m dnsmessage.Message
		if err := m.Unpack(reply); err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := ask("web.shop.svc.cluster.local.", dnsmessage.TypeA)
	if m.ID != 7 || len(m.Answers) != 1 || m.Answers[0].Body.(*dnsmessage.AResource).A != [4]byte{10, 0, 0, 9} {
		t.Errorf("A: %+v", m)
	}
	if m := ask("web.shop.svc.cluster.local.", dnsmessage.TypeAAAA); m.RCode != dnsmessage.RCodeSuccess || len(m.Answers) != 0 {
		t.Errorf("AAAA of a name that exists: %+v", m)
	}
	if m := ask("example.com.", dnsmessage.TypeA); m.RCode != dnsmessage.RCodeNameError {
		t.Errorf("another name: %+v", m)
	}
	if _, err := Answer([]byte("nonsense"), nil, nil); err == nil {
		t.Error("nonsense is answered")
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("\x00\x07\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03web\x00\x00\x01\x00\x01"))
	f.Fuzz(func(t *testing.T, query []byte) {
		if reply, err := Answer(query, nil, nil); err == nil && len(reply) < 12 {
			t.Errorf("Answer(%q) = %q", query, reply)
		}
	})
}

func TestAllocateGoesRoundAndEnds(t *testing.T) {
	f := &Fabric{pods: netip.MustParsePrefix("10.244.0.0/29"), used: map[netip.Addr]bool{}}
	f.last = f.Gateway()
	var got []string
	for range 5 {
		ip, _, err := f.allocate()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ip.String())
	}
	if diff := cmp.Diff([]string{"10.244.0.2", "10.244.0.3", "10.244.0.4", "10.244.0.5", "10.244.0.6"}, got); diff != "" {
		t.Error(diff)
	}
	if ip, _, err := f.allocate(); err == nil {
		t.Errorf("a full network gave %s", ip)
	}
	delete(f.used, netip.MustParseAddr("10.244.0.4"))
	if ip, _, err := f.allocate(); err != nil || ip.String() != "10.244.0.4" {
		t.Errorf("the address given back: %s, %v", ip, err)
	}
}

// A pod reaches the router whichever others leave: also when it has just learned the router's hardware address.
func TestPodsKeepTheirRouter(t *testing.T) {
	f, err := New(netip.MustParsePrefix("10.244.0.0/24"))
	if errors.Is(err, os.ErrPermission) {
		t.Skip("network namespaces can only be made by root: ", err)
	} else if err != nil {
		t.Fatal(err)
	}
	defer func() { orFatal(t, f.Close()) }()
	l, err := f.Router().Listen(t.Context(), netip.AddrPortFrom(f.Gateway(), 80).String())
	orFatal(t, err)
	defer l.Close()
	var pods []*Attachment
	for range 6 {
		a, err := f.Attach()
		orFatal(t, err)
		pods = append(pods, a)
	}
	slices.SortFunc(pods, func(a, b *Attachment) int { return strings.Compare(portAddress(t, f, a), portAddress(t, f, b)) })
	stays := pods[len(pods)-1]
	for _, leaves := range pods[:len(pods)-1] {
		reach(t, stays, l.Addr())
		orFatal(t, leaves.Release())
		reach(t, stays, l.Addr())
	}
	orFatal(t, stays.Release())
}

// portAddress is the hardware address of a pod's port of the bridge.
func portAddress(t *testing.T, f *Fabric, a *Attachment) string {
	t.Helper()
	var out string
	orFatal(t, f.Router().Do(func() error {
		link, err := netlink.LinkByName(a.device)
		if err == nil {
			out = string(link.Attrs().HardwareAddr)
		}
		return err
	}))
	return out
}

// reach connects within a second: before the first packet that was lost would be sent again.
func reach(t *testing.T, from *Attachment, to net.Addr) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 900*time.Millisecond)
	defer cancel()
	c, err := from.Dial(ctx, to.String())
	orFatal(t, err)
	orFatal(t, c.Close())
}

func orFatal(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestParsePublication(t *testing.T) {
	want := Publication{Listen: "127.0.0.1:4222", Namespace: "fairway-system", Name: "fairway-events", Port: "nats"}
	got, err := ParsePublication("127.0.0.1:4222=fairway-system/fairway-events:nats")
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for _, bad := range []string{"", "127.0.0.1:1", "127.0.0.1=a/b:1", "127.0.0.1:1=b:1", "127.0.0.1:1=a/b", "127.0.0.1:1=/b:1"} {
		if got, err := ParsePublication(bad); err == nil {
			t.Errorf("%q was taken as %+v", bad, got)
		}
	}
}

func TestParseEgress(t *testing.T) {
	e, err := ParseEgress("127.0.0.1:1, 127.0.0.1:2,,@" + t.TempDir() + "/absent")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"127.0.0.1:1", "127.0.0.1:2"}, e.addresses, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if _, err := ParseEgress("localhost"); err == nil {
		t.Error("an address without a port was taken")
	}
}
