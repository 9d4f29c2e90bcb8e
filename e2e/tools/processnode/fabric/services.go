package fabric

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
)

// Source is what the cluster and the node know now.
type Source struct {
	// Services are all Services of the cluster.
	Services func() []*corev1.Service
	// Pods are the pods of this node with their present status.
	Pods func() []*corev1.Pod
}

// Services makes the cluster's Services reachable from pods at their own addresses. An address is listened on only while
// something ready is behind it, so that others see the same refused connection as in a real cluster.
type Services struct {
	fabric *Fabric
	source Source
	api    string // host address of the API server
	wake   chan struct{}

	addresses map[netip.Addr]bool     // held on the router's loopback device
	listeners map[string]net.Listener // by "ip:port"
}

// NewServices serves what source knows; api is the host address "ip:port" of the API server, which stands behind the
// Service default/kubernetes.
func NewServices(f *Fabric, source Source, api string) *Services {
	return &Services{
		fabric: f, source: source, api: api, wake: make(chan struct{}, 1),
		addresses: map[netip.Addr]bool{}, listeners: map[string]net.Listener{},
	}
}

// Changed says that a Service or the readiness of a pod may have changed. It never blocks.
func (s *Services) Changed() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run follows the changes until ctx ends.
func (s *Services) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
			if err := s.sync(ctx); err != nil {
				slog.ErrorContext(ctx, "Service network is incomplete", "error", err)
			}
		}
	}
}

// Dial connects to a ready endpoint of a port, given by name or number, of a Service.
func (s *Services) Dial(ctx context.Context, namespace, name, port string) (net.Conn, error) {
	for _, svc := range s.source.Services() {
		if svc.Namespace != namespace || svc.Name != name {
			continue
		}
		p, ok := portNamed(svc, port)
		if !ok {
			return nil, fmt.Errorf("service %s/%s has no port %s", namespace, name, port)
		}
		return s.dialAny(ctx, svc, p)
	}
	return nil, fmt.Errorf("service %s/%s not found", namespace, name)
}

// dialAny tries the endpoints in random order.
func (s *Services) dialAny(ctx context.Context, svc *corev1.Service, port corev1.ServicePort) (net.Conn, error) {
	if isAPI(svc) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", s.api)
	}
	errs := []error{fmt.Errorf("service %s/%s has no endpoint that answers", svc.Namespace, svc.Name)}
	endpoints := Endpoints(svc, port, s.source.Pods())
	rand.Shuffle(len(endpoints), func(i, j int) { endpoints[i], endpoints[j] = endpoints[j], endpoints[i] })
	for _, e := range endpoints {
		c, err := s.fabric.router.Dial(ctx, e)
		if err == nil {
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func isAPI(svc *corev1.Service) bool {
	return svc.Namespace == corev1.NamespaceDefault && svc.Name == "kubernetes"
}

// sync brings the router's addresses and listeners in line with the Services.
func (s *Services) sync(ctx context.Context) error {
	addresses, backends := s.wanted()
	var errs []error
	for a := range addresses {
		if !s.addresses[a] {
			errs = append(errs, s.hold(a))
		}
	}
	for address, l := range s.listeners {
		if _, ok := backends[address]; !ok {
			delete(s.listeners, address)
			errs = append(errs, l.Close())
		}
	}
	for address, dial := range backends {
		if s.listeners[address] == nil {
			errs = append(errs, s.listen(ctx, address, dial))
		}
	}
	for a := range s.addresses {
		if !addresses[a] {
			errs = append(errs, s.drop(a))
		}
	}
	return errors.Join(errs...)
}

// wanted are the addresses to hold, and the ones "ip:port" to listen on.
func (s *Services) wanted() (map[netip.Addr]bool, map[string]Dialer) {
	addresses, backends := map[netip.Addr]bool{}, map[string]Dialer{}
	pods := s.source.Pods()
	for _, svc := range s.source.Services() {
		ip, err := netip.ParseAddr(svc.Spec.ClusterIP) // "" and "None" are no addresses
		if err != nil || !ip.Is4() {
			continue
		}
		addresses[ip] = true
		for _, p := range svc.Spec.Ports {
			if protocol(p.Protocol) != corev1.ProtocolTCP || (!isAPI(svc) && len(Endpoints(svc, p, pods)) == 0) {
				continue
			}
			namespace, name, port := svc.Namespace, svc.Name, strconv.Itoa(int(p.Port))
			backends[net.JoinHostPort(ip.String(), port)] = func(ctx context.Context) (net.Conn, error) {
				return s.Dial(ctx, namespace, name, port)
			}
		}
	}
	return addresses, backends
}

func (s *Services) listen(ctx context.Context, address string, dial Dialer) error {
	l, err := s.fabric.router.Listen(ctx, address)
	if err != nil {
		return fmt.Errorf("listen on service address: %w", err)
	}
	s.listeners[address] = l
	Forward(ctx, l, dial)
	return nil
}

func (s *Services) hold(a netip.Addr) error {
	if err := s.onLoopback(a, netlink.AddrAdd); err != nil {
		return fmt.Errorf("add service address %s: %w", a, err)
	}
	s.addresses[a] = true
	return nil
}

func (s *Services) drop(a netip.Addr) error {
	delete(s.addresses, a)
	if err := s.onLoopback(a, netlink.AddrDel); err != nil {
		return fmt.Errorf("remove service address %s: %w", a, err)
	}
	return nil
}

func (s *Services) onLoopback(a netip.Addr, do func(netlink.Link, *netlink.Addr) error) error {
	return s.fabric.router.Do(func() error {
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return err
		}
		return do(lo, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(a, a.BitLen()))})
	})
}
