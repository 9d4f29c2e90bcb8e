package inputs

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

// Field is the value of a field of a pod that the downward API shows, like "metadata.name" or "metadata.labels['app']".
func Field(pod *corev1.Pod, path string) (string, error) {
	if v, ok := mapField(pod.Labels, "metadata.labels", path); ok {
		return v, nil
	}
	if v, ok := mapField(pod.Annotations, "metadata.annotations", path); ok {
		return v, nil
	}
	switch path {
	case "metadata.name":
		return pod.Name, nil
	case "metadata.namespace":
		return pod.Namespace, nil
	case "metadata.uid":
		return string(pod.UID), nil
	case "spec.nodeName":
		return pod.Spec.NodeName, nil
	case "spec.serviceAccountName":
		return pod.Spec.ServiceAccountName, nil
	case "status.podIP", "status.podIPs":
		return pod.Status.PodIP, nil
	case "status.hostIP", "status.hostIPs":
		return pod.Status.HostIP, nil
	}
	return "", fmt.Errorf("unsupported fieldPath: %v", path)
}

// mapField reads one entry of a map, or the whole map as lines of key="value"; false means that path is not about it.
func mapField(m map[string]string, field, path string) (string, bool) {
	if key, ok := strings.CutPrefix(path, field+"['"); ok {
		return m[strings.TrimSuffix(key, "']")], true
	}
	if path != field {
		return "", false
	}
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		lines = append(lines, k+"="+strconv.Quote(m[k]))
	}
	return strings.Join(lines, "\n"), true
}

// Resource is the value of a container's resource, like "limits.memory", in units of the divisor, rounded up. A limit that
// is not set is what the node can give.
func Resource(c *corev1.Container, ref *corev1.ResourceFieldSelector, allocatable corev1.ResourceList) (string, error) {
	kind, name, ok := strings.Cut(ref.Resource, ".")
	list := c.Resources.Requests
	switch {
	case kind == "limits":
		list = c.Resources.Limits
	case kind != "requests":
		ok = false
	}
	if !ok {
		return "", fmt.Errorf("unsupported container resource: %v", ref.Resource)
	}
	amount, set := list[corev1.ResourceName(name)]
	if !set && kind == "limits" {
		amount = allocatable[corev1.ResourceName(name)]
	}
	divisor := ref.Divisor
	if divisor.IsZero() {
		divisor = resource.MustParse("1")
	}
	if name == string(corev1.ResourceCPU) {
		return strconv.FormatInt(divideUp(amount.MilliValue(), divisor.MilliValue()), 10), nil
	}
	return strconv.FormatInt(divideUp(amount.Value(), divisor.Value()), 10), nil
}

func divideUp(a, b int64) int64 { return (a + b - 1) / b }
