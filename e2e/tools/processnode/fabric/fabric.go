// Package fabric is the network of one node, made of network namespaces only.
//
// Every pod has a namespace with an address of its own. All are joined by a bridge in one more namespace, the router, which
// also holds the addresses of the cluster's Services and its DNS server. Nothing of this listens on the host, and nothing
// outside it can be reached from a pod, except the addresses that Egress forwards:
//
//	pod 10.244.0.2 ─┐
//	pod 10.244.0.3 ─┼─ bridge 10.244.0.1 ─ ClusterIPs on lo ─ listeners ─ dialled back to ready pods
//	pod 10.244.0.4 ─┘                      DNS on 10.244.0.1:53
package fabric

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/netns"
)

// clusterNetwork is what pods send to the router: Services and, off their own link, nothing else.
var clusterNetwork = netip.MustParsePrefix("10.0.0.0/8")

const bridgeName = "pods"

// Fabric is the router and the pods joined to it.
type Fabric struct {
	router *netns.Namespace
	pods   netip.Prefix

	mu      sync.Mutex
	used    map[netip.Addr]bool
	last    netip.Addr
	devices int
}

// Attachment is the network of one pod.
type Attachment struct {
	*netns.Namespace
	// IP is the pod's address, reachable from every other pod of the node.
	IP netip.Addr

	fabric *Fabric
	device string
}

// New makes the router; pods get their addresses from cidr, whose first address is the router's.
func New(cidr netip.Prefix) (*Fabric, error) {
	router, err := netns.New()
	if err != nil {
		return nil, err
	}
	f := &Fabric{router: router, pods: cidr.Masked(), used: map[netip.Addr]bool{}}
	f.last = f.Gateway()
	if err := router.Do(f.setUpRouter); err != nil {
		return nil, errors.Join(fmt.Errorf("set up router: %w", err), router.Close())
	}
	return f, nil
}

// Gateway is the router's address, where pods find the DNS server.
func (f *Fabric) Gateway() netip.Addr { return f.pods.Addr().Next() }

// Router is the namespace from which Services, and the node itself, reach pods.
func (f *Fabric) Router() *netns.Namespace { return f.router }

// Close lets go of the router.
func (f *Fabric) Close() error { return f.router.Close() }

func (f *Fabric) setUpRouter() error {
	if err := loopbackUp(); err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = bridgeName, ownHardwareAddress()
	bridge := &netlink.Bridge{LinkAttrs: attrs}
	if err := netlink.LinkAdd(bridge); err != nil {
		return fmt.Errorf("add bridge: %w", err)
	}
	if err := addressUp(bridge, netip.PrefixFrom(f.Gateway(), f.pods.Bits())); err != nil {
		return err
	}
	// What is no Service and no pod is refused at once: a router that forwards answers "unreachable", one that does not
	// stays silent.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return err
	}
	if err := netlink.RouteAdd(&netlink.Route{Dst: ipNet(clusterNetwork), Type: unix.RTN_UNREACHABLE}); err != nil {
		return fmt.Errorf("add unreachable route: %w", err)
	}
	return nil
}

// ownHardwareAddress is a new hardware address, as IEEE 802 has them for what nobody has assigned. A bridge that is given one keeps it.
// Otherwise it takes the lowest of its ports', and the router would change its address with the pods that come and go: those that had
// learned the one before would reach nothing for most of a minute.
func ownHardwareAddress() net.HardwareAddr {
	const individual, local = 0xfe, 0x02
	address := make(net.HardwareAddr, 6)
	rand.Read(address)
	address[0] = address[0]&individual | local
	return address
}

// Attach makes the network of one more pod.
func (f *Fabric) Attach() (*Attachment, error) {
	space, err := netns.New()
	if err != nil {
		return nil, err
	}
	a := &Attachment{Namespace: space, fabric: f}
	if a.IP, a.device, err = f.allocate(); err != nil {
		return nil, errors.Join(err, space.Close())
	}
	if err := f.router.Do(a.plugIn); err != nil {
		return nil, errors.Join(fmt.Errorf("plug pod into router: %w", err), a.Release())
	}
	if err := space.Do(a.setUp); err != nil {
		return nil, errors.Join(fmt.Errorf("set up pod network: %w", err), a.Release())
	}
	return a, nil
}

// Release gives the address back and lets go of the namespace; it is gone when the pod's processes are.
func (a *Attachment) Release() error {
	err := a.fabric.router.Do(func() error {
		link, err := netlink.LinkByName(a.device)
		if errors.As(err, &netlink.LinkNotFoundError{}) {
			return nil
		} else if err != nil {
			return err
		}
		return netlink.LinkDel(link)
	})
	if err != nil {
		err = fmt.Errorf("unplug pod: %w", err)
	}
	a.fabric.mu.Lock()
	delete(a.fabric.used, a.IP)
	a.fabric.mu.Unlock()
	return errors.Join(err, a.Close())
}

func (a *Attachment) plugIn() error {
	bridge, err := netlink.LinkByName(bridgeName)
	if err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = a.device, bridge.Attrs().Index
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: "eth0", PeerNamespace: netlink.NsFd(a.FD())}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("add veth: %w", err)
	}
	return netlink.LinkSetUp(veth)
}

func (a *Attachment) setUp() error {
	if err := loopbackUp(); err != nil {
		return err
	}
	eth0, err := netlink.LinkByName("eth0")
	if err != nil {
		return err
	}
	if err := addressUp(eth0, netip.PrefixFrom(a.IP, a.fabric.pods.Bits())); err != nil {
		return err
	}
	// Container runtimes let a pod's users listen on low ports.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0); err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{Dst: ipNet(clusterNetwork), Gw: a.fabric.Gateway().AsSlice()})
}

// allocate finds a free address, going round so that one just given back is not used again at once.
func (f *Fabric) allocate() (netip.Addr, string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for ip := f.last.Next(); ip != f.last; ip = ip.Next() {
		if !f.pods.Contains(ip.Next()) { // the last address of the network is its broadcast address
			ip = f.Gateway()
			continue
		}
		if !f.used[ip] {
			f.used[ip], f.last = true, ip
			f.devices++
			return ip, fmt.Sprintf("pod%d", f.devices), nil
		}
	}
	return netip.Addr{}, "", fmt.Errorf("no pod address left in %s", f.pods)
}

func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	return netlink.LinkSetUp(lo)
}

func addressUp(link netlink.Link, address netip.Prefix) error {
	net := &net.IPNet{IP: address.Addr().AsSlice(), Mask: net.CIDRMask(address.Bits(), address.Addr().BitLen())}
	if err := netlink.AddrAdd(link, &netlink.Addr{IPNet: net}); err != nil {
		return fmt.Errorf("add address %s to %s: %w", address, link.Attrs().Name, err)
	}
	return netlink.LinkSetUp(link)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
