package sim

import (
	"context"
	"sync"

	"github.com/fairway-dev/fairway/fleet/agent"
	"github.com/fairway-dev/fairway/fleet/observe"
)

// watcher holds the changes that an agent has not taken yet.
type watcher struct {
	mu     sync.Mutex
	queue  []func(agent.Sink)
	filled chan struct{}
}

func (q *watcher) push(change func(agent.Sink)) {
	q.mu.Lock()
	q.queue = append(q.queue, change)
	q.mu.Unlock()
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

func (q *watcher) take() []func(agent.Sink) {
	q.mu.Lock()
	defer q.mu.Unlock()
	out := q.queue
	q.queue = nil
	return out
}

// push hands a change to the agent, if there is one. w.mu is held.
func (w *World) push(change func(agent.Sink)) {
	if w.watcher != nil {
		w.watcher.push(change)
	}
}

// Watch implements agent.Source. A later Watch takes over from an earlier one.
func (w *World) Watch(ctx context.Context, to agent.Sink) error {
	q := w.open()
	defer w.close(q)
	for {
		for _, change := range q.take() {
			if ctx.Err() != nil {
				break
			}
			change(to)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-q.filled:
		}
	}
}

// open begins a watch with the lists of all that is there now.
func (w *World) open() *watcher {
	w.mu.Lock()
	defer w.mu.Unlock()
	q := &watcher{filled: make(chan struct{}, 1)}
	kinds := w.list()
	for _, kind := range []string{"Kustomization", "GitRepository", "Node", "Deployment", "StatefulSet", "DaemonSet", "Job", "Pod"} {
		q.push(func(to agent.Sink) { to.List(kind, kinds[kind]) })
	}
	q.push(func(to agent.Sink) { to.Version(KubernetesVersion) })
	w.watcher = q
	return q
}

func (w *World) close(q *watcher) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watcher == q {
		w.watcher = nil
	}
}

// list makes every object as it is now, by kind.
func (w *World) list() map[string][]observe.Object {
	out := map[string][]observe.Object{
		"Node": {node()}, "GitRepository": {repository(1)}, "Kustomization": {root(1)},
	}
	for _, s := range w.services {
		out["Kustomization"] = append(out["Kustomization"], s.kustomization())
		out["Deployment"] = append(out["Deployment"], s.deployment())
		out["Pod"] = append(out["Pod"], s.pod(s.rolled()))
		if s.phase == rolling { // the old one is there until the new one is ready
			out["Pod"] = append(out["Pod"], s.pod(s.before))
		}
	}
	return out
}

// List makes every object as it is now: owners before what they own.
func (w *World) List() []observe.Object {
	w.mu.Lock()
	defer w.mu.Unlock()
	var out []observe.Object
	kinds := w.list()
	for _, kind := range []string{"Kustomization", "GitRepository", "Node", "Deployment", "Pod"} {
		out = append(out, kinds[kind]...)
	}
	return out
}
