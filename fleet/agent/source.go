package agent

import (
	"context"

	"github.com/fairway-dev/fairway/fleet/observe"
)

// Source is where an agent has its objects from when that is not an API server: a simulated
// cluster.
type Source interface {
	// Watch tells of the cluster until ctx ends: first to.List for every kind that is there, then
	// to.Version, after which the snapshot is made, then whatever changes. It is called once.
	Watch(ctx context.Context, to Sink) error
	// Logs returns the end of a container's log, or in words why there is none.
	Logs(ctx context.Context, ref observe.LogRef) (raw []byte, problem string)
}

// Sink takes what a Source tells. Its methods wait while the agent is busy. The agent keeps Pods:
// they must not be changed afterwards.
type Sink interface {
	// List says that these are all objects of a kind. A kind that the agent does not watch is left out.
	List(kind string, objects []observe.Object)
	Apply(obj observe.Object)
	Remove(obj observe.Object)
	// Version is that of Kubernetes.
	Version(version string)
}

// lineReader reads the end of a container's log, or says in words why there is none.
type lineReader interface {
	read(ctx context.Context, ref observe.LogRef) (raw []byte, problem string)
}

// sourceLogs is the lineReader of a Source.
type sourceLogs struct{ Source }

func (s sourceLogs) read(ctx context.Context, ref observe.LogRef) ([]byte, string) {
	return s.Logs(ctx, ref)
}

// fromSource runs the Source in place of the reflectors.
func (a *Agent) fromSource(ctx context.Context) error {
	return a.opts.Source.Watch(ctx, &sourceSink{agent: a, tell: func(c change) { a.tell(ctx, c) }})
}

type sourceSink struct {
	agent *Agent
	tell  func(change)
}

func (s *sourceSink) List(kind string, objects []observe.Object) {
	k := kindOf(kind)
	if k == nil {
		return
	}
	all := make([]observe.Object, 0, len(objects)) // nil would say: not listed yet
	s.tell(change{kind: k, op: opList, objects: append(all, objects...)})
	s.agent.health.watchWorks(kind)
}

func (s *sourceSink) Apply(obj observe.Object) { s.one(opApply, obj) }

func (s *sourceSink) Remove(obj observe.Object) { s.one(opRemove, obj) }

func (s *sourceSink) Version(version string) {
	s.agent.health.watchWorks("discovery")
	s.tell(change{op: opVersion, version: version})
}

func (s *sourceSink) one(op operation, obj observe.Object) {
	if k := kindOf(observe.Kind(obj)); k != nil {
		s.tell(change{kind: k, op: op, objects: []observe.Object{obj}})
	}
}

func kindOf(name string) *kind {
	for _, k := range kinds {
		if k.name == name {
			return k
		}
	}
	return nil
}
