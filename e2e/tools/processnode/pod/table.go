package pod

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/errdefs"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	corev1listers "k8s.io/client-go/listers/core/v1"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/sandbox"
)

const (
	// defaultGrace is that of a pod which does not say.
	defaultGrace = 30 * time.Second
	// goneGrace is for pods that the API server no longer has: nobody waits for their end.
	goneGrace = 2 * time.Second
	// keptPods is how many folders of pods that are gone are kept for their logs.
	keptPods = 50
)

// Table is every pod of the node. It is what virtual-kubelet's pod controller works on.
type Table struct {
	node   *Node
	lister corev1listers.PodLister // the API server's pods of this node

	mu   sync.Mutex
	pods map[types.UID]*Pod
}

// NewTable makes the table of a node whose state folder exists.
func NewTable(node *Node, lister corev1listers.PodLister) (*Table, error) {
	if err := os.MkdirAll(filepath.Join(node.State, rootDir), 0o755); err != nil {
		return nil, fmt.Errorf("make state folder: %w", err)
	}
	return &Table{node: node, lister: lister, pods: map[types.UID]*Pod{}}, nil
}

// NotifyPods is part of virtual-kubelet's contract. Pods write their status themselves, so there is nothing to notify of.
func (t *Table) NotifyPods(context.Context, func(*corev1.Pod)) {}

// CreatePod starts a pod; ctx may end before the pod does.
func (t *Table) CreatePod(ctx context.Context, obj *corev1.Pod) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, p := range t.pods {
		if p.key() == obj.Namespace+"/"+obj.Name && p.created.UID != obj.UID { // deleted by force, and made again
			p.Stop(goneGrace)
		}
	}
	if t.pods[obj.UID] != nil {
		return nil
	}
	p := start(context.WithoutCancel(ctx), t.node, obj.DeepCopy())
	t.pods[obj.UID] = p
	go func() {
		<-p.Done()
		t.forget(ctx, p)
	}()
	return nil
}

func (t *Table) forget(ctx context.Context, p *Pod) {
	t.mu.Lock()
	delete(t.pods, p.created.UID)
	t.mu.Unlock()
	if err := t.prune(); err != nil {
		slog.ErrorContext(ctx, "Old logs not removed", "error", err)
	}
}

// UpdatePod takes over new labels and annotations.
func (t *Table) UpdatePod(ctx context.Context, obj *corev1.Pod) error {
	if p := t.byUID(obj.UID); p != nil {
		p.setObject(obj.DeepCopy())
		return nil
	}
	return t.CreatePod(ctx, obj)
}

// DeletePod begins to end a pod and returns; it is called more than once for the same pod.
func (t *Table) DeletePod(ctx context.Context, obj *corev1.Pod) error {
	p := t.byUID(obj.UID)
	if p == nil { // it ran in an earlier process of the node, or has ended: nothing to wait for
		if err := deleteNow(ctx, t.node.Client, obj); err != nil {
			return err
		}
		return errdefs.NotFoundf("pod %s/%s is not running here", obj.Namespace, obj.Name)
	}
	grace := defaultGrace
	if s := obj.DeletionGracePeriodSeconds; s != nil {
		grace = time.Duration(*s) * time.Second
	}
	if now, err := t.lister.Pods(obj.Namespace).Get(obj.Name); err != nil || now.UID != obj.UID {
		grace = min(grace, goneGrace)
	}
	if obj.DeletionTimestamp != nil {
		p.setObject(obj.DeepCopy())
	}
	p.Stop(grace)
	return nil
}

// GetPod is a pod with its present status.
func (t *Table) GetPod(_ context.Context, namespace, name string) (*corev1.Pod, error) {
	if p := t.find(namespace, name); p != nil {
		return p.Object(), nil
	}
	return nil, errdefs.NotFoundf("pod %s/%s is not running here", namespace, name)
}

// GetPodStatus is the present status of a pod.
func (t *Table) GetPodStatus(ctx context.Context, namespace, name string) (*corev1.PodStatus, error) {
	obj, err := t.GetPod(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	return &obj.Status, nil
}

// GetPods are all pods with their present status.
func (t *Table) GetPods(context.Context) ([]*corev1.Pod, error) { return t.Objects(), nil }

// Objects are all pods with their present status, in the order of their names.
func (t *Table) Objects() []*corev1.Pod {
	var out []*corev1.Pod
	for _, p := range t.all() {
		out = append(out, p.Object())
	}
	slices.SortFunc(out, func(a, b *corev1.Pod) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return out
}

func (t *Table) all() []*Pod {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out []*Pod
	for _, p := range t.pods {
		out = append(out, p)
	}
	return out
}

func (t *Table) byUID(uid types.UID) *Pod {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.pods[uid]
}

// find is the pod of this name that the API server means; when it has none, the one that still runs here.
func (t *Table) find(namespace, name string) *Pod {
	if now, err := t.lister.Pods(namespace).Get(name); err == nil {
		return t.byUID(now.UID)
	}
	for _, p := range t.all() {
		if p.key() == namespace+"/"+name {
			return p
		}
	}
	return nil
}

// StopAll ends every pod within grace without telling the API server, and waits for it.
func (t *Table) StopAll(grace time.Duration) {
	pods := t.all()
	for _, p := range pods {
		p.Orphan()
		p.Stop(grace)
	}
	for _, p := range pods {
		<-p.Done()
	}
}

// Log is the file of a container's log, and a channel that is closed when it gets no more lines. A pod that ended before
// this process of the node began still has its logs.
func (t *Table) Log(namespace, name, container string, previous bool) (file string, ended <-chan struct{}, err error) {
	closed := make(chan struct{})
	close(closed)
	p := t.find(namespace, name)
	obj, lerr := t.lister.Pods(namespace).Get(name)
	if p != nil {
		obj, lerr = p.Object(), nil
	}
	if lerr != nil {
		return "", nil, errdefs.NotFoundf("pod %q does not exist", name)
	}
	id, err := LogOf(obj, container, previous)
	if err != nil {
		return "", nil, errdefs.AsInvalidInput(err)
	}
	number, err := runNumber(id)
	if err != nil {
		return "", nil, errdefs.AsInvalidInput(err)
	}
	file, ended = logFile(folder(t.node.State, obj), container, number), closed
	if p == nil {
		return file, ended, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if r, ok := p.running[container]; ok && r.id == id {
		ended = r.logged
	}
	return file, ended, nil
}

// Dial connects to a port of a pod from inside it, where it also reaches what listens on the loopback device only.
func (t *Table) Dial(ctx context.Context, namespace, name string, port int32) (net.Conn, error) {
	p := t.find(namespace, name)
	if p == nil || p.Network() == nil {
		return nil, errdefs.NotFoundf("pod %s/%s is not running here", namespace, name)
	}
	return p.Network().Dial(ctx, fmt.Sprintf("127.0.0.1:%d", port))
}

// Exec runs a command inside a container.
func (t *Table) Exec(ctx context.Context, namespace, name, container string, command []string, streams sandbox.Streams) error {
	p := t.find(namespace, name)
	if p == nil {
		return errdefs.NotFoundf("pod %s/%s is not running here", namespace, name)
	}
	return p.Exec(ctx, container, command, streams)
}

// Sweep removes what pods have left behind that are no more: volumes, and logs beyond the newest. Call it once the lister
// is in sync.
func (t *Table) Sweep() error { return t.prune() }

// prune keeps the folders of all present pods and of the last keptPods others; those without volumes.
func (t *Table) prune() error {
	present := map[string]bool{rootDir: true}
	listed, err := t.lister.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list pods: %w", err)
	}
	for _, obj := range append(listed, t.Objects()...) {
		present[filepath.Base(folder(t.node.State, obj))] = true
	}
	entries, err := os.ReadDir(t.node.State)
	if err != nil {
		return fmt.Errorf("read state folder: %w", err)
	}
	var old []fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) || present[e.Name()] || !e.IsDir() || strings.Count(e.Name(), "_") != 2 {
			continue
		} else if err != nil {
			return fmt.Errorf("read state folder: %w", err)
		}
		old = append(old, info)
	}
	slices.SortFunc(old, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	var errs []error
	for i, info := range old {
		dir := filepath.Join(t.node.State, info.Name())
		if i < keptPods {
			dir = filepath.Join(dir, volumesDir)
		}
		errs = append(errs, os.RemoveAll(dir))
	}
	return errors.Join(errs...)
}
