package pod

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
)

// idScheme begins the container and image IDs of a process node.
const idScheme = "process://"

// containerID names one run of a container, so that its log is found from a pod's status alone.
func containerID(uid types.UID, container string, number int) string {
	return fmt.Sprintf("%s%s/%s/%d", idScheme, uid, container, number)
}

// runNumber is which run of its container a container ID names.
func runNumber(id string) (int, error) {
	n, err := strconv.Atoi(id[strings.LastIndexByte(id, '/')+1:])
	if err != nil || !strings.HasPrefix(id, idScheme) {
		return 0, fmt.Errorf("container ID %q is not of a process node", id)
	}
	return n, nil
}

// logFile is the log of one run of a container.
func logFile(podDir, container string, number int) string {
	return filepath.Join(podDir, container, strconv.Itoa(number)+".log")
}

// LogOf picks the run of a container whose log is meant, by the pod's status: the running or the last one, or the one
// before it with previous. Its errors are in a kubelet's words.
func LogOf(pod *corev1.Pod, container string, previous bool) (containerID string, err error) {
	var status *corev1.ContainerStatus
	eachContainer(&pod.Status, func(s *corev1.ContainerStatus) {
		if s.Name == container {
			status = s
		}
	})
	if status == nil {
		return "", fmt.Errorf("container %q in pod %q is not available", container, pod.Name)
	}
	last, state := status.LastTerminationState.Terminated, status.State
	switch {
	case previous:
		if last == nil || last.ContainerID == "" {
			return "", fmt.Errorf("previous terminated container %q in pod %q not found", container, pod.Name)
		}
		return last.ContainerID, nil
	case state.Running != nil:
		return status.ContainerID, nil
	case state.Terminated != nil && state.Terminated.ContainerID != "":
		return state.Terminated.ContainerID, nil
	case last != nil && last.ContainerID != "":
		return last.ContainerID, nil
	case state.Terminated != nil:
		return "", fmt.Errorf("container %q in pod %q is terminated", container, pod.Name)
	case state.Waiting == nil:
		return "", fmt.Errorf("container %q in pod %q is waiting to start - no logs yet", container, pod.Name)
	}
	why := state.Waiting.Reason
	switch why {
	case "ErrImagePull":
		why = "image can't be pulled"
	case "ImagePullBackOff":
		why = "trying and failing to pull image"
	}
	return "", fmt.Errorf("container %q in pod %q is waiting to start: %s", container, pod.Name, why)
}
