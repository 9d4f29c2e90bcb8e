// Package pod runs pods as processes: their life from volumes to exit codes, and the status that tells of it.
package pod

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/record"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/fabric"
	"github.com/fairway-dev/fairway/e2e/tools/processnode/image"
	"github.com/fairway-dev/fairway/e2e/tools/processnode/inputs"
	"github.com/fairway-dev/fairway/e2e/tools/processnode/sandbox"
)

const (
	hostIP          = "127.0.0.1"
	volumesDir      = ".volumes"
	refreshInterval = 10 * time.Second // of tokens, ConfigMaps and Secrets in volumes
	retryFirst      = 500 * time.Millisecond
	retryMost       = 8 * time.Second
	reportTimeout   = 5 * time.Second
	// killMargin is how much earlier than its grace period a container is killed: virtual-kubelet removes the pod when the
	// period is over, and the last status should be written by then.
	killMargin = 500 * time.Millisecond
)

// Node is what all pods of a node share.
type Node struct {
	Client      kubernetes.Interface
	Recorder    record.EventRecorder
	Images      image.Table
	Environment inputs.Environment
	Fabric      *fabric.Fabric
	Egress      *fabric.Egress
	Spawner     *sandbox.Spawner
	// State is the folder of logs and volumes.
	State string
	// KeepUser runs everything as the node's own user, where there is no other.
	KeepUser bool
	// Changed is called when the readiness or the address of a pod may have changed.
	Changed func()
}

// Pod is one pod of the node.
type Pod struct {
	node    *Node
	created *corev1.Pod // as it was created: its specification does not change
	dir     string
	volumes *inputs.Volumes
	writer  *statusWriter
	stop    context.CancelFunc // containers are to end
	kill    context.CancelFunc // their grace is over
	killed  context.Context
	done    chan struct{}
	// unfinished says that a container is to run; otherwise the pod had ended before the node took it over.
	unfinished bool

	mu       sync.Mutex
	obj      *corev1.Pod // the newest from the API server, but for its status
	status   corev1.PodStatus
	stopping bool
	orphaned bool      // the node goes away: the API server is not told
	deadline time.Time // when grace ends, once stopping
	network  *fabric.Attachment
	running  map[string]run
}

// run is the present process of a container.
type run struct {
	*sandbox.Process
	id     string
	logged chan struct{} // closed when its log is complete
}

// start begins to run obj; ctx ends with the node's process.
func start(ctx context.Context, node *Node, obj *corev1.Pod) *Pod {
	p := &Pod{
		node: node, created: obj, obj: obj, dir: folder(node.State, obj), done: make(chan struct{}), running: map[string]run{},
		writer: newStatusWriter(node.Client.CoreV1().Pods(obj.Namespace), obj),
	}
	p.volumes = inputs.NewVolumes(inputs.Objects{Client: node.Client}, obj, filepath.Join(p.dir, volumesDir), !node.KeepUser)
	p.killed, p.kill = context.WithCancel(ctx)
	var running context.Context
	running, p.stop = context.WithCancel(p.killed)
	again := p.firstStatus()
	go p.run(ctx, running, again)
	return p
}

// folder is where a pod's logs and volumes are.
func folder(state string, obj *corev1.Pod) string {
	return filepath.Join(state, fmt.Sprintf("%s_%s_%s", obj.Namespace, obj.Name, obj.UID))
}

// firstStatus starts from what the API server knows of the pod, and returns the names of the containers to run.
func (p *Pod) firstStatus() map[string]bool {
	now := metav1.Now()
	old := p.created.Status.DeepCopy()
	p.status = corev1.PodStatus{
		Phase: corev1.PodPending, HostIP: hostIP, HostIPs: []corev1.HostIP{{IP: hostIP}},
		StartTime: old.StartTime, QOSClass: old.QOSClass, Conditions: old.Conditions,
	}
	if p.status.StartTime == nil {
		p.status.StartTime = &now
	}
	reason := "ContainerCreating"
	if len(p.created.Spec.InitContainers) > 0 {
		reason = "PodInitializing"
	}
	toRun := map[string]bool{}
	resume := func(list []corev1.Container, policy corev1.RestartPolicy) (out []corev1.ContainerStatus, any bool) {
		for i := range list {
			next, again := Resume(before(old, &list[i]), policy, now)
			if next.State.Waiting != nil {
				next.State.Waiting.Reason = reason
			}
			out, any, toRun[next.Name] = append(out, next), any || again, again
		}
		return out, any
	}
	p.status.ContainerStatuses, p.unfinished = resume(p.created.Spec.Containers, p.created.Spec.RestartPolicy)
	p.status.InitContainerStatuses = old.InitContainerStatuses
	if p.unfinished { // all run again, as in a new sandbox
		p.status.InitContainerStatuses, _ = resume(p.created.Spec.InitContainers, corev1.RestartPolicyAlways)
	}
	return toRun
}

// before is the last known status of a container.
func before(st *corev1.PodStatus, c *corev1.Container) corev1.ContainerStatus {
	known := corev1.ContainerStatus{}
	eachContainer(st, func(s *corev1.ContainerStatus) {
		if s.Name == c.Name {
			known = *s
		}
	})
	known.Name, known.Image = c.Name, c.Image
	return known
}

// run is the pod's life. ctx outlasts running, which ends when the containers are to end.
func (p *Pod) run(ctx, running context.Context, again map[string]bool) {
	writing, endWriting := context.WithCancel(ctx)
	defer endWriting()
	go p.writer.run(writing)
	defer p.finish(ctx)
	p.update(func(*corev1.PodStatus) {})
	if !p.prepare(running) {
		return
	}
	go p.refresh(running)
	p.runContainers(running, again)
	<-running.Done() // a pod that has ended stays, with its logs, until it is deleted
}

// prepare makes network and volumes; false means that the pod was stopped before it could.
func (p *Pod) prepare(ctx context.Context) bool {
	return p.retry(ctx, "FailedCreatePodSandBox", func() error {
		if err := os.MkdirAll(filepath.Join(p.dir, volumesDir), 0o755); err != nil {
			return err
		}
		if err := os.Chmod(filepath.Join(p.dir, volumesDir), 0o700); err != nil {
			return err
		}
		return p.connect()
	}) && p.retry(ctx, "FailedMount", func() error { return p.volumes.Sync(ctx) })
}

func (p *Pod) retry(ctx context.Context, reason string, f func() error) bool {
	for wait := retryFirst; ; wait = min(2*wait, retryMost) {
		err := f()
		if err == nil {
			return ctx.Err() == nil
		}
		if ctx.Err() == nil {
			p.event("", corev1.EventTypeWarning, reason, "%v", err)
		}
		if !sleep(ctx, wait) {
			return false
		}
	}
}

func (p *Pod) connect() error {
	a, err := p.node.Fabric.Attach()
	if err != nil {
		return err
	}
	p.node.Egress.Attach(p.killed, a)
	p.mu.Lock()
	p.network = a
	p.mu.Unlock()
	p.update(func(st *corev1.PodStatus) {
		st.PodIP, st.PodIPs = a.IP.String(), []corev1.PodIP{{IP: a.IP.String()}}
	})
	return nil
}

func (p *Pod) refresh(ctx context.Context) {
	for sleep(ctx, refreshInterval) {
		if err := p.volumes.Sync(ctx); err != nil && ctx.Err() == nil {
			p.event("", corev1.EventTypeWarning, "FailedMount", "%v", err)
		}
	}
}

func (p *Pod) runContainers(ctx context.Context, again map[string]bool) {
	if !p.unfinished {
		return
	}
	for i := range p.created.Spec.InitContainers {
		c := container{pod: p, spec: &p.created.Spec.InitContainers[i], init: true}
		if !c.run(ctx) {
			return
		}
	}
	var wg sync.WaitGroup
	for i := range p.created.Spec.Containers {
		if c := (container{pod: p, spec: &p.created.Spec.Containers[i]}); again[c.spec.Name] {
			wg.Go(func() { c.run(ctx) })
		}
	}
	wg.Wait()
}

// Stop ends the pod within grace; a later call can only shorten it. It does not wait: see Done.
func (p *Pod) Stop(grace time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopping = true
	if end := time.Now().Add(grace); p.deadline.IsZero() || end.Before(p.deadline) {
		p.deadline = end
		time.AfterFunc(max(grace-killMargin, 0), p.kill)
	}
	p.stop()
}

// Orphan makes the pod end without telling the API server: the pod lives on there, for the node's next process.
func (p *Pod) Orphan() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.orphaned = true
}

// Done is closed when nothing of the pod is left but its logs.
func (p *Pod) Done() <-chan struct{} { return p.done }

// finish reports the end and removes the pod from the API server, as a kubelet does, then all that it held here.
func (p *Pod) finish(ctx context.Context) {
	defer close(p.done)
	defer p.kill()
	p.update(func(st *corev1.PodStatus) { eachContainer(st, endUnseen) })
	p.mu.Lock()
	orphaned, network := p.orphaned, p.network
	p.mu.Unlock()
	var errs []error
	if !orphaned {
		errs = append(errs, p.remove(ctx))
	}
	if network != nil {
		errs = append(errs, network.Release())
	}
	if !orphaned {
		errs = append(errs, os.RemoveAll(filepath.Join(p.dir, volumesDir)))
	}
	if err := errors.Join(errs...); err != nil {
		slog.ErrorContext(ctx, "Pod not fully removed", "pod", p.key(), "error", err)
	}
	p.node.Changed()
}

// endUnseen ends a container that never got as far as running.
func endUnseen(c *corev1.ContainerStatus) {
	c.Ready = false
	if c.State.Running != nil {
		c.State = corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{
			ExitCode: 137, Reason: "ContainerStatusUnknown", FinishedAt: metav1.Now(), ContainerID: c.ContainerID,
		}}
	}
}

// remove writes the last status, then deletes the pod at once: its processes are gone.
func (p *Pod) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, reportTimeout)
	defer cancel()
	return errors.Join(p.writer.Flush(ctx), deleteNow(ctx, p.node.Client, p.Object()))
}

// deleteNow removes a pod that has nothing running any more; the UID keeps another one of its name safe.
func deleteNow(ctx context.Context, client kubernetes.Interface, obj *corev1.Pod) error {
	options := metav1.NewDeleteOptions(0)
	options.Preconditions = metav1.NewUIDPreconditions(string(obj.UID))
	err := client.CoreV1().Pods(obj.Namespace).Delete(ctx, obj.Name, *options)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete pod %s/%s: %w", obj.Namespace, obj.Name, err)
	}
	return nil
}

// Object is the pod with its present status.
func (p *Pod) Object() *corev1.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.obj.DeepCopy()
	p.status.DeepCopyInto(&o.Status)
	return o
}

// Network is the pod's network; nil until it has one.
func (p *Pod) Network() *fabric.Attachment {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.network
}

func (p *Pod) key() string { return p.created.Namespace + "/" + p.created.Name }

// setObject takes over what has changed in the pod's metadata.
func (p *Pod) setObject(obj *corev1.Pod) {
	p.mu.Lock()
	p.obj = obj
	p.mu.Unlock()
	p.update(func(*corev1.PodStatus) {})
}

// update changes the status, derives phase and conditions from it, and has it written.
func (p *Pod) update(change func(*corev1.PodStatus)) {
	p.mu.Lock()
	change(&p.status)
	SetConditions(p.obj, &p.status, p.network != nil, p.stopping)
	if !p.orphaned {
		p.writer.Set(p.status.DeepCopy())
	}
	p.mu.Unlock()
	p.node.Changed()
}

// event records an event on the pod, or on one of its containers.
func (p *Pod) event(field, kind, reason, format string, args ...any) {
	p.mu.Lock()
	ref := &corev1.ObjectReference{
		Kind: "Pod", APIVersion: "v1", Namespace: p.obj.Namespace, Name: p.obj.Name, UID: p.obj.UID,
		ResourceVersion: p.obj.ResourceVersion, FieldPath: field,
	}
	p.mu.Unlock()
	p.node.Recorder.Eventf(ref, kind, reason, format, args...)
}

// sleep waits; false means that ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
