package fabric

import (
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Endpoints are the addresses "ip:port" that one port of a Service leads to, out of the pods of this node: those of the pods
// that it selects and that are ready and not being deleted, or of all that have an address when it publishes those too.
func Endpoints(svc *corev1.Service, port corev1.ServicePort, pods []*corev1.Pod) []string {
	var out []string
	for _, pod := range Backends(svc, pods) {
		if n := targetPort(port, pod); n != 0 {
			out = append(out, net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(n))))
		}
	}
	return out
}

// Backends are the pods behind a Service, in the order of pods. A Service without a selector has none.
func Backends(svc *corev1.Service, pods []*corev1.Pod) []*corev1.Pod {
	if len(svc.Spec.Selector) == 0 {
		return nil
	}
	selector := labels.SelectorFromSet(svc.Spec.Selector)
	var out []*corev1.Pod
	for _, pod := range pods {
		if pod.Namespace == svc.Namespace && selector.Matches(labels.Set(pod.Labels)) && serves(pod, svc.Spec.PublishNotReadyAddresses) {
			out = append(out, pod)
		}
	}
	return out
}

func serves(pod *corev1.Pod, notReadyToo bool) bool {
	if pod.Status.PodIP == "" || pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed {
		return false
	}
	if notReadyToo {
		return true
	}
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// targetPort is the number of the port of pod that port leads to; 0 when the pod has no port of that name.
func targetPort(port corev1.ServicePort, pod *corev1.Pod) int32 {
	switch {
	case port.TargetPort.Type == intstr.Int && port.TargetPort.IntVal != 0:
		return port.TargetPort.IntVal
	case port.TargetPort.Type == intstr.Int || port.TargetPort.StrVal == "":
		return port.Port
	}
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if p.Name == port.TargetPort.StrVal && protocol(p.Protocol) == protocol(port.Protocol) {
				return p.ContainerPort
			}
		}
	}
	return 0
}

func protocol(p corev1.Protocol) corev1.Protocol {
	if p == "" {
		return corev1.ProtocolTCP
	}
	return p
}

// portNamed is the port of a Service by its name or number.
func portNamed(svc *corev1.Service, name string) (corev1.ServicePort, bool) {
	for _, p := range svc.Spec.Ports {
		if p.Name == name || strconv.Itoa(int(p.Port)) == name {
			return p, true
		}
	}
	return corev1.ServicePort{}, false
}
