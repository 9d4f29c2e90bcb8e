package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	restclient "k8s.io/client-go/rest"
)

const (
	hubName = "fairway-hub" // of its Service and of the ConfigMap with its authority
	hubPort = 443           // of the Service
	caKey   = "ca.crt"
)

// Forward makes a client of the hub in a namespace of the cluster that credentials name. It opens a
// port-forward to a ready pod of the hub when it is first needed, another one when that breaks, and
// no local port. The hub's certificate is verified with the authority in ConfigMap fairway-hub.
func Forward(ctx context.Context, credentials *restclient.Config, namespace string, retry Retry) (*Client, error) {
	kube, err := kubernetes.NewForConfig(credentials)
	if err != nil {
		return nil, &Error{Op: "use the kubeconfig", Err: err, Fix: "check the context: kubectl config view --minify"}
	}
	f := &finder{kube: kube, namespace: namespace}
	ca, err := f.authority(ctx)
	if err != nil {
		return nil, err
	}
	host := hubName + "." + namespace + ".svc"
	t := newTunnel(credentials, f.pod)
	return build(&url.URL{Scheme: "https", Host: host}, Options{Credentials: credentials, CA: ca, Retry: retry}, link{
		dial: t.DialContext,
		// The port-forward goes through the API server's proxy, if there is one, never around it.
		proxy:      func(*http.Request) (*url.URL, error) { return nil, nil },
		serverName: host,
		close:      t.Close,
	})
}

// finder looks for the hub in a cluster.
type finder struct {
	kube      kubernetes.Interface
	namespace string
}

func (f *finder) authority(ctx context.Context) ([]byte, error) {
	cm, err := f.kube.CoreV1().ConfigMaps(f.namespace).Get(ctx, hubName, metav1.GetOptions{})
	if err != nil {
		return nil, f.explain(err)
	}
	ca := cm.Data[caKey]
	if ca == "" {
		return nil, f.fail(fmt.Errorf("ConfigMap %s has no %s", hubName, caKey), f.logs("operator"))
	}
	return []byte(ca), nil
}

// pod is a pod that serves the hub's API now, and the port that it serves on.
func (f *finder) pod(ctx context.Context) (target, error) {
	svc, err := f.kube.CoreV1().Services(f.namespace).Get(ctx, hubName, metav1.GetOptions{})
	if err != nil {
		return target{}, f.explain(err)
	}
	selector := labels.SelectorFromSet(svc.Spec.Selector).String()
	pods, err := f.kube.CoreV1().Pods(f.namespace).List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return target{}, f.explain(err)
	}
	found, err := pick(svc, pods.Items)
	if err != nil {
		return target{}, f.fail(err, fmt.Sprintf("see why: kubectl -n %s get pods -l %s", f.namespace, selector))
	}
	return found, nil
}

// target is where a port-forward ends.
type target struct {
	namespace, pod string
	port           int32
}

// pick chooses a ready pod behind a Service, the first by name, and the port behind hubPort.
func pick(svc *corev1.Service, pods []corev1.Pod) (target, error) {
	if len(svc.Spec.Selector) == 0 {
		return target{}, fmt.Errorf("service %s selects no pods", svc.Name)
	}
	var best *corev1.Pod
	for i := range pods {
		if p := &pods[i]; ready(p) && (best == nil || p.Name < best.Name) {
			best = p
		}
	}
	if best == nil {
		return target{}, fmt.Errorf("no pod of the hub is ready (%d are there)", len(pods))
	}
	port, err := targetPort(svc, best)
	return target{namespace: best.Namespace, pod: best.Name, port: port}, err
}

func ready(p *corev1.Pod) bool {
	if p.DeletionTimestamp != nil || p.Status.Phase != corev1.PodRunning {
		return false
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func targetPort(svc *corev1.Service, pod *corev1.Pod) (int32, error) {
	for _, sp := range svc.Spec.Ports {
		switch {
		case sp.Port != hubPort:
			continue
		case sp.TargetPort.Type == intstr.Int && sp.TargetPort.IntVal != 0:
			return sp.TargetPort.IntVal, nil
		case sp.TargetPort.Type == intstr.Int:
			return sp.Port, nil
		}
		for _, c := range pod.Spec.Containers {
			for _, cp := range c.Ports {
				if cp.Name == sp.TargetPort.StrVal {
					return cp.ContainerPort, nil
				}
			}
		}
		return 0, fmt.Errorf("pod %s has no port %q", pod.Name, sp.TargetPort.StrVal)
	}
	return 0, fmt.Errorf("service %s has no port %d", svc.Name, hubPort)
}

func (f *finder) fail(err error, fix string) error {
	return &Error{Op: "find the hub in namespace " + f.namespace, Err: err, Fix: fix}
}

func (f *finder) logs(of string) string {
	return fmt.Sprintf("see what happens: kubectl -n %s logs deploy/fairway-%s", f.namespace, of)
}

// explain gives an error of the Kubernetes API its fix.
func (f *finder) explain(err error) error {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case apierrors.IsNotFound(err):
		return f.fail(err, "is this the platform's context, and Fairway in another namespace (--fairway-namespace)? "+
			"If it is not installed: fairway install --export | kubectl apply --server-side -f -")
	case apierrors.IsForbidden(err):
		return f.fail(err, fmt.Sprintf("ask for the Role fairway-connect: "+
			"kubectl -n %s create rolebinding NAME --role=fairway-connect --user=YOU", f.namespace))
	case apierrors.IsUnauthorized(err):
		return f.fail(err, fixOfStatus(http.StatusUnauthorized))
	case errors.As(err, &dns), errors.As(err, &op), strings.Contains(err.Error(), "no such host"):
		return f.fail(err, "the kubeconfig's cluster does not answer; check the context: kubectl config current-context")
	}
	return f.fail(err, fixOfTransport(err))
}
