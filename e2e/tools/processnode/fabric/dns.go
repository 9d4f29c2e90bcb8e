package fabric

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
	corev1 "k8s.io/api/core/v1"
)

// Domain is the cluster's domain, without a dot at the end.
const Domain = "cluster.local"

// dnsTTL is how long, in seconds, an answer may be kept: short, since Services come and go.
const dnsTTL = 5

// ServeDNS answers for the cluster's names on the router's address, UDP port 53, until ctx ends. Every other name does not
// exist: there is no way out.
func (f *Fabric) ServeDNS(ctx context.Context, source Source) error {
	conn, err := f.router.ListenPacket(ctx, netip.AddrPortFrom(f.Gateway(), 53).String())
	if err != nil {
		return fmt.Errorf("start DNS server: %w", err)
	}
	context.AfterFunc(ctx, func() { closeLogged(ctx, conn) })
	go func() {
		for buf := make([]byte, 4096); ; {
			n, from, err := conn.ReadFrom(buf)
			if errors.Is(err, net.ErrClosed) {
				return
			} else if err != nil {
				slog.ErrorContext(ctx, "DNS server stopped", "error", err)
				return
			}
			answer, err := Answer(buf[:n], source.Services(), source.Pods())
			if err != nil {
				continue // not a question
			}
			if _, err := conn.WriteTo(answer, from); err != nil && !errors.Is(err, net.ErrClosed) {
				slog.DebugContext(ctx, "DNS answer not sent", "to", from, "error", err)
			}
		}
	}()
	return nil
}

// Answer is the reply to one DNS query. The error says that it is none.
func Answer(query []byte, services []*corev1.Service, pods []*corev1.Pod) ([]byte, error) {
	var p dnsmessage.Parser
	header, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	ips, exists := Lookup(q.Name.String(), services, pods)
	code := dnsmessage.RCodeSuccess
	if !exists {
		code = dnsmessage.RCodeNameError
	}
	m := dnsmessage.Message{
		Header: dnsmessage.Header{
			ID: header.ID, Response: true, Authoritative: true, RecursionAvailable: true,
			RecursionDesired: header.RecursionDesired, RCode: code,
		},
		Questions: []dnsmessage.Question{q},
	}
	if q.Type == dnsmessage.TypeA {
		h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: dnsTTL}
		for _, ip := range ips {
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: ip.As4()}})
		}
	}
	return m.Pack()
}

// Lookup finds the IPv4 addresses of a fully qualified name: of a Service, of the pods of a headless one, or of a single pod
// of it by its hostname. False means that there is no such name.
func Lookup(name string, services []*corev1.Service, pods []*corev1.Pod) ([]netip.Addr, bool) {
	rest, ok := strings.CutSuffix(strings.ToLower(name), ".svc."+Domain+".")
	if !ok {
		return nil, false
	}
	labels := strings.Split(rest, ".")
	if len(labels) < 2 || len(labels) > 3 {
		return nil, false
	}
	service, namespace := labels[len(labels)-2], labels[len(labels)-1]
	for _, svc := range services {
		if svc.Name != service || svc.Namespace != namespace {
			continue
		}
		if len(labels) == 3 {
			return hostAddress(labels[0], svc, pods)
		}
		if ip, err := netip.ParseAddr(svc.Spec.ClusterIP); err == nil {
			return onlyIPv4([]netip.Addr{ip}), true
		}
		return addresses(Backends(svc, pods)), true
	}
	return nil, false
}

func hostAddress(host string, svc *corev1.Service, pods []*corev1.Pod) ([]netip.Addr, bool) {
	for _, pod := range Backends(svc, pods) {
		if pod.Spec.Hostname == host && pod.Spec.Subdomain == svc.Name {
			return addresses([]*corev1.Pod{pod}), true
		}
	}
	return nil, false
}

func addresses(pods []*corev1.Pod) []netip.Addr {
	var out []netip.Addr
	for _, pod := range pods {
		if ip, err := netip.ParseAddr(pod.Status.PodIP); err == nil {
			out = append(out, ip)
		}
	}
	return onlyIPv4(out)
}

func onlyIPv4(in []netip.Addr) []netip.Addr {
	var out []netip.Addr
	for _, ip := range in {
		if ip.Is4() {
			out = append(out, ip)
		}
	}
	return out
}
