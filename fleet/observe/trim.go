package observe

import (
	corev1 "k8s.io/api/core/v1"
)

// Trim takes out of a decoded object what is never looked at, so that it can be freed while a
// list is still being read.
func Trim(obj any) any {
	switch obj := obj.(type) {
	case *corev1.Pod:
		trimmed := trimPod(obj)
		trimmed.ResourceVersion = obj.ResourceVersion
		return trimmed
	case Object:
		obj.SetManagedFields(nil)
	}
	return obj
}
