package pod

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/image"
	"github.com/fairway-dev/fairway/e2e/tools/processnode/probe"
	"github.com/fairway-dev/fairway/e2e/tools/processnode/sandbox"
)

// memoryInterval is how often a container with a memory limit is looked at.
const memoryInterval = 200 * time.Millisecond

// runOnce starts the container and waits for its end. An error says that it could not even be made.
func (c container) runOnce(ctx context.Context, img image.Image) (corev1.ContainerStateTerminated, error) {
	spec, err := c.sandboxSpec(ctx, img)
	if err != nil {
		return corev1.ContainerStateTerminated{}, configError{err}
	}
	files, err := c.openFiles(c.restarts())
	if err != nil {
		return corev1.ContainerStateTerminated{}, err
	}
	spec.Mounts = append(spec.Mounts, sandbox.Mount{Source: files.message, Target: messagePath(c.spec)})
	end := corev1.ContainerStateTerminated{StartedAt: metav1.Now(), ContainerID: containerID(c.pod.created.UID, c.spec.Name, files.number)}
	logged := make(chan struct{})
	defer close(logged)
	process, err := c.pod.node.Spawner.Start(spec, c.pod.Network().Namespace, files.stdout, files.stderr)
	var refused *sandbox.StartError
	switch {
	case errors.As(err, &refused):
		end.ExitCode, end.Reason, end.Message = 128, "StartError", refused.Message
		c.event(corev1.EventTypeWarning, "Failed", "Error: %s", refused.Message)
	case err != nil:
		return end, errors.Join(err, files.close())
	default:
		c.attend(ctx, run{Process: process, id: end.ContainerID, logged: logged}, img, &end)
	}
	err = files.close()
	if end.Message == "" {
		var merr error
		end.Message, merr = files.terminationMessage(ctx, c.spec, end.ExitCode)
		err = errors.Join(err, merr)
	}
	if err != nil {
		slog.ErrorContext(ctx, "Log is incomplete", "pod", c.pod.key(), "container", c.spec.Name, "error", err)
	}
	end.FinishedAt = metav1.Now()
	return end, nil
}

// attend watches over a running container until it has ended, and fills in how it did.
func (c container) attend(ctx context.Context, r run, img image.Image, end *corev1.ContainerStateTerminated) {
	c.running(r, img)
	life, ended := context.WithCancel(c.pod.killed)
	defer ended()
	var outOfMemory atomic.Bool
	go c.watchMemory(life, r, &outOfMemory)
	if !c.init {
		go c.probe(life, r)
	}
	select {
	case <-r.Ended():
	case <-ctx.Done():
		c.terminate(r, c.pod.killed)
	}
	code, err := r.ExitCode()
	if err != nil {
		slog.WarnContext(ctx, "Exit code may be wrong", "pod", c.pod.key(), "container", c.spec.Name, "error", err)
	}
	end.ExitCode, end.Reason = int32(code), "Error"
	switch {
	case outOfMemory.Load():
		end.Reason = "OOMKilled"
	case code == 0:
		end.Reason = "Completed"
	}
}

// terminate runs the preStop hook, asks the container to end, and kills it when its grace is over.
func (c container) terminate(r run, grace context.Context) {
	c.event(corev1.EventTypeNormal, "Killing", "Stopping container %s", c.spec.Name)
	c.preStop(grace)
	r.Terminate()
	select {
	case <-r.Ended():
	case <-grace.Done():
		r.Kill()
		<-r.Ended()
	}
}

func (c container) preStop(grace context.Context) {
	if c.spec.Lifecycle == nil || c.spec.Lifecycle.PreStop == nil {
		return
	}
	hook := c.spec.Lifecycle.PreStop
	if hook.Sleep != nil {
		sleep(grace, time.Duration(hook.Sleep.Seconds)*time.Second)
		return
	}
	asked := &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: hook.Exec, HTTPGet: hook.HTTPGet}, TimeoutSeconds: int32(time.Hour / time.Second)}
	if err := c.target().Ask(grace, asked); err != nil {
		c.event(corev1.EventTypeWarning, "FailedPreStopHook", "PreStopHook failed: %v", err)
	}
}

// watchMemory kills a container that uses more than its limit. Looking from outside needs no cgroup, which not every user
// may make; it may see a fast growth a little late.
func (c container) watchMemory(ctx context.Context, r run, outOfMemory *atomic.Bool) {
	limit := c.spec.Resources.Limits.Memory().Value()
	if limit == 0 {
		return
	}
	for sleep(ctx, memoryInterval) {
		used, err := sandbox.Memory(r.PID())
		if err != nil {
			return // it has ended
		}
		if used > limit {
			outOfMemory.Store(true)
			r.Kill()
			return
		}
	}
}

// probe asks the container's probes: the startup probe first, then the others.
func (c container) probe(ctx context.Context, r run) {
	target := c.target()
	if p := c.spec.StartupProbe; p != nil && !c.startUp(ctx, target, p, r) {
		return
	}
	if p := c.spec.LivenessProbe; p != nil {
		go target.Run(ctx, p, func(v probe.Verdict, reason string) {
			if v == probe.Unhealthy {
				c.restart("Liveness", "liveness", reason, p, r)
			}
		})
	}
	if p := c.spec.ReadinessProbe; p != nil {
		target.Run(ctx, p, func(v probe.Verdict, reason string) {
			if v == probe.Unhealthy {
				c.event(corev1.EventTypeWarning, "Unhealthy", "Readiness probe failed: %s", reason)
			}
			c.status(func(s *corev1.ContainerStatus) { s.Ready = v == probe.Healthy && s.State.Running != nil })
		})
	}
}

// startUp waits for the startup probe; false means that the container is ended for it, or has ended.
func (c container) startUp(ctx context.Context, target probe.Target, p *corev1.Probe, r run) bool {
	ctx, done := context.WithCancel(ctx)
	defer done()
	good := false
	target.Run(ctx, p, func(v probe.Verdict, reason string) {
		if v == probe.Unhealthy {
			c.restart("Startup", "startup", reason, p, r)
		}
		good = v == probe.Healthy
		done()
	})
	if good {
		c.status(func(s *corev1.ContainerStatus) {
			started := s.State.Running != nil
			s.Started, s.Ready = &started, started && c.spec.ReadinessProbe == nil
		})
	}
	return good
}

// restart ends a container whose probe has failed; what follows is that of any other end.
func (c container) restart(title, name, reason string, p *corev1.Probe, r run) {
	c.event(corev1.EventTypeWarning, "Unhealthy", "%s probe failed: %s", title, reason)
	c.event(corev1.EventTypeNormal, "Killing", "Container %s failed %s probe, will be restarted", c.spec.Name, name)
	seconds := p.TerminationGracePeriodSeconds
	if seconds == nil {
		seconds = c.pod.created.Spec.TerminationGracePeriodSeconds
	}
	grace := 30 * time.Second
	if seconds != nil {
		grace = time.Duration(*seconds) * time.Second
	}
	go func() {
		r.Terminate()
		select {
		case <-r.Ended():
		case <-time.After(grace):
			r.Kill()
		}
	}()
}

// target is the container as probes see it: from the node, at the pod's address.
func (c container) target() probe.Target {
	return probe.Target{
		IP: c.pod.Network().IP.String(), Ports: c.spec.Ports, Dial: c.pod.node.Fabric.Router().Dial,
		Exec: func(ctx context.Context, command []string) ([]byte, error) {
			return c.pod.output(ctx, c.spec.Name, command)
		},
	}
}
