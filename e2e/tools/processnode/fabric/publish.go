package fabric

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// Publication is a host address that leads to a Service: the load balancer of the bench.
type Publication struct {
	// Listen is the address "host:port" on the host.
	Listen string
	// Namespace, Name and Port, a name or a number, say which port of which Service.
	Namespace, Name, Port string
}

// ParsePublication reads "127.0.0.1:PORT=namespace/service:servicePort".
func ParsePublication(s string) (Publication, error) {
	listen, service, ok := strings.Cut(s, "=")
	namespace, rest, ok2 := strings.Cut(service, "/")
	name, port, ok3 := strings.Cut(rest, ":")
	p := Publication{Listen: listen, Namespace: namespace, Name: name, Port: port}
	if _, _, err := net.SplitHostPort(listen); err != nil || !ok || !ok2 || !ok3 || namespace == "" || name == "" || port == "" {
		return p, fmt.Errorf("parse publication %q: want host:port=namespace/service:port", s)
	}
	return p, nil
}

// Publish listens on the host and forwards to the Service until ctx ends.
func (s *Services) Publish(ctx context.Context, p Publication) error {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", p.Listen)
	if err != nil {
		return fmt.Errorf("publish %s/%s: %w", p.Namespace, p.Name, err)
	}
	Forward(ctx, l, func(ctx context.Context) (net.Conn, error) { return s.Dial(ctx, p.Namespace, p.Name, p.Port) })
	return nil
}

// Announce writes the published host address into the status of svc when it is of type LoadBalancer, as a cloud's
// controller does.
func Announce(ctx context.Context, services corev1client.ServicesGetter, svc *corev1.Service, published []Publication) {
	for _, p := range published {
		host, _, err := net.SplitHostPort(p.Listen)
		if err != nil || p.Namespace != svc.Namespace || p.Name != svc.Name || svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
			continue
		}
		if in := svc.Status.LoadBalancer.Ingress; len(in) == 1 && in[0].IP == host {
			continue
		}
		changed := svc.DeepCopy()
		changed.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: host}}
		if _, err := services.Services(svc.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{}); err != nil {
			slog.ErrorContext(ctx, "Load balancer address not announced", "service", svc.Namespace+"/"+svc.Name, "error", err)
		}
		return
	}
}
