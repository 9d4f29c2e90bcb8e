package pod

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

const writeRetry = 500 * time.Millisecond

// statusWriter brings a pod's status to the API server, in order, leaving out what is overtaken. It patches, so that what
// others write, into conditions of their own or into metadata, stays.
type statusWriter struct {
	pods corev1client.PodInterface
	base *corev1.Pod // as the API server last returned it; used by run only

	mu      sync.Mutex
	want    *corev1.PodStatus
	set     int           // number of the newest status
	written int           // number of the newest status that the API server has, or will never have
	changed chan struct{} // closed and replaced when any of these changes
}

func newStatusWriter(pods corev1client.PodInterface, pod *corev1.Pod) *statusWriter {
	return &statusWriter{pods: pods, base: pod, changed: make(chan struct{})}
}

// Set makes st the status to be written. It does not wait.
func (w *statusWriter) Set(st *corev1.PodStatus) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.want = st
	w.set++
	w.notify()
}

func (w *statusWriter) notify() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// Flush waits until everything set before is written.
func (w *statusWriter) Flush(ctx context.Context) error {
	w.mu.Lock()
	upTo := w.set
	w.mu.Unlock()
	for {
		w.mu.Lock()
		written, changed := w.written, w.changed
		w.mu.Unlock()
		if written >= upTo {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("write last status: %w", ctx.Err())
		case <-changed:
		}
	}
}

// run writes until ctx ends or the pod is no longer there.
func (w *statusWriter) run(ctx context.Context) {
	for {
		w.mu.Lock()
		st, number, written, changed := w.want, w.set, w.written, w.changed
		w.mu.Unlock()
		wait := changed
		var retry <-chan time.Time
		if written < number {
			err := w.write(ctx, st)
			switch {
			case err == nil || gone(err):
				w.mu.Lock()
				w.written = number
				w.notify()
				w.mu.Unlock()
				continue
			case ctx.Err() == nil:
				slog.WarnContext(ctx, "Pod status not written", "pod", w.base.Namespace+"/"+w.base.Name, "error", err)
			}
			retry = time.After(writeRetry)
		}
		select {
		case <-ctx.Done():
			return
		case <-wait:
		case <-retry:
		}
	}
}

// gone says that the pod is no more, or that another one has its name, whose UID cannot be changed to this one's.
func gone(err error) bool {
	cause, ok := apierrors.StatusCause(err, metav1.CauseTypeFieldValueInvalid)
	return apierrors.IsNotFound(err) || apierrors.IsConflict(err) || (ok && cause.Field == "metadata.uid")
}

func (w *statusWriter) write(ctx context.Context, st *corev1.PodStatus) error {
	patch, err := statusPatch(w.base, st)
	if err != nil || patch == nil {
		return err
	}
	pod, err := w.pods.Patch(ctx, w.base.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	if err != nil {
		return err
	}
	w.base = pod
	return nil
}

// statusPatch is what turns the status of base into st, keeping conditions that only base has; nil when nothing differs.
func statusPatch(base *corev1.Pod, st *corev1.PodStatus) ([]byte, error) {
	next := st.DeepCopy()
	for _, theirs := range base.Status.Conditions {
		known := false
		for _, ours := range next.Conditions {
			known = known || ours.Type == theirs.Type
		}
		if !known {
			next.Conditions = append(next.Conditions, theirs)
		}
	}
	before, err := json.Marshal(corev1.Pod{Status: base.Status})
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	after, err := json.Marshal(corev1.Pod{Status: *next})
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	patch, err := strategicpatch.CreateTwoWayMergePatch(before, after, corev1.Pod{})
	if err != nil {
		return nil, fmt.Errorf("compare status: %w", err)
	}
	if string(patch) == "{}" {
		return nil, nil
	}
	// The UID makes the API server refuse the patch when another pod has taken the name.
	var body map[string]any
	if err := json.Unmarshal(patch, &body); err != nil {
		return nil, fmt.Errorf("compare status: %w", err)
	}
	body["metadata"] = map[string]any{"uid": base.UID}
	return json.Marshal(body)
}
