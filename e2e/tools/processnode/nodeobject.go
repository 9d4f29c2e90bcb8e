package main

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/netip"
	"runtime"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// capacity is what the node says it has: more than any test asks for, since the machine is shared without limits.
var capacity = corev1.ResourceList{
	corev1.ResourceCPU:              resource.MustParse("64"),
	corev1.ResourceMemory:           resource.MustParse("256Gi"),
	corev1.ResourcePods:             resource.MustParse("250"),
	corev1.ResourceEphemeralStorage: resource.MustParse("100Gi"),
}

// instanceDigits is how long the made-up end of a provider ID is: as long as that of an EC2 instance.
const instanceDigits = 17

// nodeObject is the Node that is registered; it is ready from the start.
func nodeObject(o nodeOptions, api netip.AddrPort) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: o.name, Labels: nodeLabels(o)},
		Spec:       corev1.NodeSpec{Taints: o.taints},
		Status: corev1.NodeStatus{
			Capacity: capacity, Allocatable: capacity,
			NodeInfo: corev1.NodeSystemInfo{
				KubeletVersion: o.version, OperatingSystem: runtime.GOOS, Architecture: runtime.GOARCH,
				ContainerRuntimeVersion: "process://1", OSImage: "Fairway process node",
			},
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: api.Addr().String()}, {Type: corev1.NodeHostName, Address: o.name},
			},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: int32(api.Port())}},
			Conditions: []corev1.NodeCondition{
				condition(corev1.NodeReady, corev1.ConditionTrue, "KubeletReady", "the process node is running"),
				condition(corev1.NodeMemoryPressure, corev1.ConditionFalse, "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
				condition(corev1.NodeDiskPressure, corev1.ConditionFalse, "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
				condition(corev1.NodePIDPressure, corev1.ConditionFalse, "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
			},
		},
	}
	if o.providerIDPrefix != "" {
		sum := sha256.Sum256([]byte(o.name))
		n.Spec.ProviderID = o.providerIDPrefix + hex.EncodeToString(sum[:])[:instanceDigits]
	}
	return n
}

func nodeLabels(o nodeOptions) map[string]string {
	l := map[string]string{
		corev1.LabelHostname:   o.name,
		corev1.LabelOSStable:   runtime.GOOS,
		corev1.LabelArchStable: runtime.GOARCH,
	}
	if o.zone != "" {
		l[corev1.LabelTopologyZone] = o.zone
	}
	if o.region != "" {
		l[corev1.LabelTopologyRegion] = o.region
	}
	maps.Copy(l, o.labels)
	return l
}

func condition(t corev1.NodeConditionType, s corev1.ConditionStatus, reason, message string) corev1.NodeCondition {
	now := metav1.Now()
	return corev1.NodeCondition{Type: t, Status: s, Reason: reason, Message: message, LastHeartbeatTime: now, LastTransitionTime: now}
}
