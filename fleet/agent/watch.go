package agent

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/fairway-dev/fairway/fleet/observe"
)

type watchInterface = watch.Interface

// change is what a reflector tells the loop.
type change struct {
	kind    *kind
	op      operation
	objects []observe.Object // one, but for opList
	version string           // of Kubernetes, for opVersion
}

type operation int

const (
	opApply operation = iota
	opRemove
	opList    // the objects are all there are
	opAbsent  // the kind itself is not there, or no longer
	opWanted  // the first snapshot has to wait for the kind's list
	opSkip    // the first snapshot must not wait for it any more
	opVersion // discovery has answered: all kinds are known that the first snapshot waits for
)

const (
	versionEvery = 5 * time.Minute
	healthyAfter = 2 * time.Minute // a watch that lived so long was no failure: retry at once
)

// watch runs a reflector for every kind that the cluster has, and looks for those that it does
// not have yet.
func (a *Agent) watch(ctx context.Context) error {
	if a.opts.Source != nil {
		return a.fromSource(ctx)
	}
	var running sync.WaitGroup
	defer running.Wait()
	var mu sync.Mutex
	active := map[*kind]bool{}
	start := func(k *kind) {
		mu.Lock()
		defer mu.Unlock()
		if active[k] {
			return
		}
		active[k] = true
		a.tell(ctx, change{kind: k, op: opWanted})
		running.Go(func() {
			a.reflect(ctx, k)
			mu.Lock()
			defer mu.Unlock()
			delete(active, k)
		})
	}
	for _, k := range kinds {
		if !k.optional {
			start(k)
		}
	}
	complete := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(active) == len(kinds)
	}
	var asked time.Time
	for {
		if !complete() || time.Since(asked) >= versionEvery {
			a.discover(ctx, start)
			asked = time.Now()
		}
		if err := pause(ctx, a.opts.Discovery); err != nil {
			return err
		}
	}
}

// discover starts what the cluster has, and tells its version.
func (a *Agent) discover(ctx context.Context, start func(*kind)) {
	backoff := newBackoff()
	for {
		found, err := a.cluster.installed(ctx)
		var version string
		if err == nil {
			version, err = a.cluster.version(ctx)
		}
		if err == nil {
			a.health.watchWorks("discovery")
			for _, k := range kinds {
				if found[k] {
					start(k)
				}
			}
			a.tell(ctx, change{op: opVersion, version: version})
			return
		}
		a.health.watchFailed("discovery", err)
		if pause(ctx, backoff.Step()) != nil {
			return
		}
	}
}

// reflect lists and watches a kind until ctx ends, or the kind is gone.
func (a *Agent) reflect(ctx context.Context, k *kind) {
	store := &sink{kind: k, tell: func(c change) { a.tell(ctx, c) }, listed: func() { a.health.watchWorks(k.name) }}
	r := cache.NewReflectorWithOptions(a.cluster.listWatch(k), k.prototype, store, cache.ReflectorOptions{
		Name: "agent", TypeDescription: k.name,
	})
	backoff := newBackoff()
	for ctx.Err() == nil {
		began := time.Now()
		err := r.ListAndWatchWithContext(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && k.optional && apierrors.IsNotFound(err):
			a.tell(ctx, change{kind: k, op: opAbsent})
			return
		case err != nil:
			a.health.watchFailed(k.name, err)
			if k.optional && apierrors.IsForbidden(err) { // the rest can be told without it
				a.tell(ctx, change{kind: k, op: opSkip})
			}
		case time.Since(began) > healthyAfter:
			backoff = newBackoff()
		}
		if pause(ctx, backoff.Step()) != nil {
			return
		}
	}
}

func (a *Agent) tell(ctx context.Context, c change) {
	select {
	case a.changes <- c:
	case <-ctx.Done():
	}
}

// sink is the store of a reflector that keeps nothing.
type sink struct {
	kind   *kind
	tell   func(change)
	listed func()
}

var _ cache.TransformingStore = &sink{}

func (s *sink) Add(obj any) error    { return s.one(opApply, obj) }
func (s *sink) Update(obj any) error { return s.one(opApply, obj) }
func (s *sink) Delete(obj any) error { return s.one(opRemove, obj) }
func (s *sink) Resync() error        { return nil }

// Transformer trims objects before a list is complete.
func (s *sink) Transformer() cache.TransformFunc {
	return func(obj any) (any, error) { return observe.Trim(obj), nil }
}

func (s *sink) one(op operation, obj any) error {
	if o, ok := obj.(observe.Object); ok {
		s.tell(change{kind: s.kind, op: op, objects: []observe.Object{o}})
	}
	return nil
}

// Replace hands on a whole list.
func (s *sink) Replace(list []any, _ string) error {
	objects := make([]observe.Object, 0, len(list))
	for _, obj := range list {
		if o, ok := observe.Trim(obj).(observe.Object); ok {
			objects = append(objects, o)
		}
	}
	s.tell(change{kind: s.kind, op: opList, objects: objects})
	s.listed()
	return nil
}
