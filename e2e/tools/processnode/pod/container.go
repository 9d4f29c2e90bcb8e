package pod

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/image"
)

const (
	configRetry   = 3 * time.Second // until a missing ConfigMap or Secret is looked for again
	pullErrorTime = 2 * time.Second // how long ErrImagePull is shown before ImagePullBackOff
	// crashTime is how long a crash is shown as such before it shows as CrashLoopBackOff.
	crashTime = 500 * time.Millisecond
)

// container is one container of a pod.
type container struct {
	pod  *Pod
	spec *corev1.Container
	init bool
}

// run runs the container until it has ended for good; false means that what comes after it must not run.
func (c container) run(ctx context.Context) bool {
	img, ok := c.pull(ctx)
	if !ok {
		return false
	}
	var backOff BackOff
	for {
		c.event(corev1.EventTypeNormal, "Pulled", "Container image %q already present on machine", c.spec.Image)
		began := time.Now()
		end, err := c.runOnce(ctx, img)
		if err != nil {
			if !c.notMade(ctx, err) {
				return false
			}
			continue
		}
		c.ended(end)
		switch {
		case ctx.Err() != nil:
			return false
		case c.init && end.ExitCode == 0:
			return true
		case Final(c.pod.created.Spec.RestartPolicy, end.ExitCode, false):
			return end.ExitCode == 0
		}
		if !c.wait(ctx, backOff.After(time.Since(began))) {
			return false
		}
		c.status(func(s *corev1.ContainerStatus) { s.RestartCount++ })
	}
}

// pull finds the image, for as long as it takes: the pod may be deleted, or its image changed by a new pod.
func (c container) pull(ctx context.Context) (image.Image, bool) {
	ref := c.spec.Image
	if img, ok := c.pod.node.Images.Find(ref); ok {
		return img, true
	}
	message := fmt.Sprintf("failed to pull and unpack image %q: failed to resolve reference %q: %s: not found", ref, ref, ref)
	var wait time.Duration
	for {
		c.event(corev1.EventTypeNormal, "Pulling", "Pulling image %q", ref)
		c.event(corev1.EventTypeWarning, "Failed", "Failed to pull image %q: %s", ref, message)
		c.event(corev1.EventTypeWarning, "Failed", "Error: ErrImagePull")
		c.waiting("ErrImagePull", message)
		if !sleep(ctx, pullErrorTime) {
			return image.Image{}, false
		}
		c.event(corev1.EventTypeNormal, "BackOff", "Back-off pulling image %q", ref)
		c.event(corev1.EventTypeWarning, "Failed", "Error: ImagePullBackOff")
		c.waiting("ImagePullBackOff", fmt.Sprintf("Back-off pulling image %q: ErrImagePull: %s", ref, message))
		wait = grow(wait)
		if !sleep(ctx, wait) {
			return image.Image{}, false
		}
	}
}

// configError says that what the pod asks for is not there, or not allowed; any other error is one of the node.
type configError struct{ error }

// notMade shows why the container could not be made, and waits until it is worth another try.
func (c container) notMade(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	reason := "CreateContainerError"
	if errors.As(err, &configError{}) {
		reason = "CreateContainerConfigError"
	}
	c.event(corev1.EventTypeWarning, "Failed", "Error: %v", err)
	c.waiting(reason, err.Error())
	return sleep(ctx, configRetry)
}

// wait shows the back-off and lets it pass.
func (c container) wait(ctx context.Context, d time.Duration) bool {
	if d == 0 {
		return ctx.Err() == nil
	}
	if !sleep(ctx, crashTime) {
		return false
	}
	o := c.pod.created
	c.event(corev1.EventTypeWarning, "BackOff", "Back-off restarting failed container %s in pod %s_%s(%s)", c.spec.Name, o.Name, o.Namespace, o.UID)
	c.waiting("CrashLoopBackOff",
		fmt.Sprintf("back-off %s restarting failed container=%s pod=%s_%s(%s)", d, c.spec.Name, o.Name, o.Namespace, o.UID))
	return sleep(ctx, d)
}

// ended records how a run ended.
func (c container) ended(end corev1.ContainerStateTerminated) {
	c.pod.mu.Lock()
	delete(c.pod.running, c.spec.Name)
	c.pod.mu.Unlock()
	c.status(func(s *corev1.ContainerStatus) {
		if s.State.Terminated != nil { // it could not be started: the run before is the last one
			s.LastTerminationState = s.State
		}
		started := false
		s.Ready, s.Started = c.init && end.ExitCode == 0, &started
		s.ContainerID = end.ContainerID
		s.State = corev1.ContainerState{Terminated: &end}
	})
}

// waiting shows that the container is not running, and why.
func (c container) waiting(reason, message string) {
	c.status(func(s *corev1.ContainerStatus) {
		if s.State.Terminated != nil {
			s.LastTerminationState = s.State
		}
		started := false
		s.Ready, s.Started, s.State = false, &started, waiting(reason, message)
	})
}

// status changes the container's status.
func (c container) status(change func(*corev1.ContainerStatus)) {
	c.pod.update(func(st *corev1.PodStatus) {
		eachContainer(st, func(s *corev1.ContainerStatus) {
			if s.Name == c.spec.Name {
				change(s)
			}
		})
	})
}

func (c container) restarts() int {
	n := 0
	c.pod.mu.Lock()
	defer c.pod.mu.Unlock()
	eachContainer(&c.pod.status, func(s *corev1.ContainerStatus) {
		if s.Name == c.spec.Name {
			n = int(s.RestartCount)
		}
	})
	return n
}

func (c container) event(kind, reason, format string, args ...any) {
	list := "containers"
	if c.init {
		list = "initContainers"
	}
	c.pod.event(fmt.Sprintf("spec.%s{%s}", list, c.spec.Name), kind, reason, format, args...)
}

// running shows that the container's program runs.
func (c container) running(r run, img image.Image) {
	c.pod.mu.Lock()
	c.pod.running[c.spec.Name] = r
	c.pod.mu.Unlock()
	c.event(corev1.EventTypeNormal, "Created", "Container created")
	c.event(corev1.EventTypeNormal, "Started", "Container started")
	c.status(func(s *corev1.ContainerStatus) {
		if s.State.Terminated != nil {
			s.LastTerminationState = s.State
		}
		started := c.spec.StartupProbe == nil
		s.Started, s.Ready = &started, started && c.spec.ReadinessProbe == nil
		s.ContainerID, s.ImageID = r.id, idScheme+img.Binary
		s.State = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.Now()}}
	})
}
