package eventbus

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// natsPort is the bus's port where a Service names none.
const natsPort = 4222

// Address is the URL that agents dial: the Fleet's, or that of the load balancer of Service
// fairway-events. ErrNoAddress when there is neither.
func (s *Store) Address(ctx context.Context, fleet *fleetv1.Fleet) (string, error) {
	if given := fleet.Spec.Events.URL; given != "" {
		return given, nil
	}
	service, err := s.service(ctx, EventsService)
	if err != nil {
		return "", err
	}
	return address(service)
}

// address is the URL of a Service of type LoadBalancer, or nil for one that is not there.
func address(service *corev1.Service) (string, error) {
	hosts := balancers(service)
	if len(hosts) == 0 {
		return "", fmt.Errorf("%w: Service %s has no load balancer address; wait for it, or set spec.events.url of the Fleet", ErrNoAddress, EventsService)
	}
	port := natsPort
	if len(service.Spec.Ports) > 0 {
		port = int(service.Spec.Ports[0].Port)
	}
	return "tls://" + net.JoinHostPort(hosts[0], strconv.Itoa(port)), nil
}

// Hosts are the names and addresses that the hub's certificate must hold.
func (s *Store) Hosts(ctx context.Context, fleet *fleetv1.Fleet) ([]string, error) {
	var services []*corev1.Service
	for _, name := range []string{HubName, EventsService} {
		service, err := s.service(ctx, name)
		if err != nil {
			return nil, err
		}
		services = append(services, service)
	}
	return hosts(s.Namespace, fleet.Spec.Events.URL, services...), nil
}

func hosts(namespace, given string, services ...*corev1.Service) []string {
	out := []string{"localhost", "127.0.0.1"}
	for _, name := range []string{HubName, EventsService} {
		out = append(out, name, name+"."+namespace, name+"."+namespace+".svc", name+"."+namespace+".svc.cluster.local")
	}
	if parsed, err := url.Parse(given); err == nil && parsed.Hostname() != "" {
		out = append(out, parsed.Hostname())
	}
	for _, service := range services {
		out = append(out, balancers(service)...)
	}
	return out
}

// balancers are the addresses of a Service's load balancer; names first, since they last longer.
func balancers(service *corev1.Service) []string {
	if service == nil {
		return nil
	}
	var names, addresses []string
	for _, ingress := range service.Status.LoadBalancer.Ingress {
		if ingress.Hostname != "" {
			names = append(names, ingress.Hostname)
		}
		if ingress.IP != "" {
			addresses = append(addresses, ingress.IP)
		}
	}
	return append(names, addresses...)
}

// service reads a Service; nil when it is not there.
func (s *Store) service(ctx context.Context, name string) (*corev1.Service, error) {
	service := &corev1.Service{}
	err := s.Client.Get(ctx, types.NamespacedName{Namespace: s.Namespace, Name: name}, service)
	if client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("get Service %s: %w", name, err)
	}
	if err != nil {
		return nil, nil
	}
	return service, nil
}
