package observe

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/event"
)

// Restore gives an Observer that has seen nothing what was told of the cluster last, by another one
// before it: a state as Snapshot gives it. Objects that are as they were told then say nothing when
// they are applied; those that changed say so, with their own times; Keep tells which are gone; and
// an episode that goes on is the same one. No episode ends for its pods' sake before Restored is
// called, since they are not known yet. Entries that do not decode are left out.
func (o *Observer) Restore(entries []event.Entry) {
	o.restoring = true
	for i := range entries {
		e := &entries[i]
		switch e.Type.Kind() {
		case event.KindCluster:
			if json.Unmarshal(e.Data, &o.cluster) == nil {
				o.seen = e.Time
			}
		case event.KindFlux:
			o.restoreFlux(e)
		case event.KindWorkload:
			o.restoreWorkload(e)
		case event.KindEpisode:
			o.restoreEpisode(e)
		}
	}
}

// Restored is called when every first list has been applied: what was restored and did not come
// again is gone, or over.
func (o *Observer) Restored(now time.Time) Result {
	o.restoring = false
	for _, open := range o.episodes {
		for _, ep := range open {
			maps.DeleteFunc(ep.members, func(pod event.Object, _ bool) bool { return o.pods[pod] == nil })
		}
	}
	for _, obj := range slices.SortedFunc(maps.Keys(o.work), compareObjects) {
		o.judgeWorkload(o.work[obj], now)
		o.retell(obj, now)
	}
	for _, obj := range slices.SortedFunc(maps.Keys(o.episodes), compareObjects) {
		for _, ep := range o.episodes[obj] {
			ep.restored = false
		}
		o.settle(obj, now)
		o.retell(obj, now)
	}
	o.tellCluster(now)
	return o.take(now)
}

func restoredIdentity(e *event.Entry, owner event.Object) (identity, bool) {
	obj, err := event.ParseObject(e.Subject)
	own := Ownership{Team: e.Team, Service: e.Service, Artifact: e.Artifact}
	return identity{object: obj, created: e.Time, owner: owner, own: own}, err == nil && !obj.IsZero()
}

func (o *Observer) restoreFlux(e *event.Entry) {
	var data event.Flux
	if json.Unmarshal(e.Data, &data) != nil {
		return
	}
	id, ok := restoredIdentity(e, data.Owner)
	if !ok {
		return
	}
	rec := &fluxRecord{
		fluxObject: fluxObject{identity: id, data: data}, restored: true, toldOwner: id.own,
		said: fluxStatus{typ: e.Type, reason: data.Reason, message: data.Message, at: e.Time},
	}
	if rec.waits(data.Reason) {
		rec.said.waiting = e.Time
		if e.Type == event.FluxFailed { // it had lasted too long already
			rec.said.waiting = e.Time.Add(-max(o.opts.Timing.Source, o.opts.Timing.Dependency))
		}
	}
	rec.data.Reason, rec.data.Message = "", ""
	o.flux[id.object] = rec
	o.belongs(id.object, event.Object{}, id.owner)
}

func (o *Observer) restoreWorkload(e *event.Entry) {
	var data event.Workload
	if json.Unmarshal(e.Data, &data) != nil {
		return
	}
	id, ok := restoredIdentity(e, data.Owner)
	if !ok {
		return
	}
	rec := &workRecord{
		workload: workload{identity: id, data: data}, restored: true, toldOwner: id.own,
		typ: e.Type, at: e.Time, told: data, when: e.Time,
	}
	switch e.Type {
	case event.WorkloadAvailable, event.WorkloadSucceeded:
		rec.complete = true
	case event.WorkloadFailed:
		rec.failed = true
	case event.WorkloadDegraded:
		rec.failed = data.Reason == event.ReasonProgressDeadline
	}
	if rec.complete || e.Type == event.WorkloadDegraded && !rec.failed {
		rec.settled, rec.settledDesired = data.Generation, data.Desired
	}
	o.work[id.object] = rec
	o.belongs(id.object, event.Object{}, id.owner)
}

func (o *Observer) restoreEpisode(e *event.Entry) {
	var data event.Episode
	if json.Unmarshal(e.Data, &data) != nil {
		return
	}
	id, ok := restoredIdentity(e, data.Owner)
	if !ok {
		return
	}
	id.runbook = data.Runbook
	raw, _, _ := strings.Cut(data.Message, unreadLines)
	ep := &episode{
		identity: id, class: classOf(data.Reason), data: data, raw: raw, members: map[event.Object]bool{},
		said: e.Time, toldOwner: id.own, restored: true,
	}
	if data.Pod != "" && ep.class != classObject {
		ep.members[event.Object{Kind: kindPod, Namespace: id.object.Namespace, Name: data.Pod}] = true
	}
	o.episodes[id.object] = append(o.episodes[id.object], ep)
	slices.SortStableFunc(o.episodes[id.object], func(a, b *episode) int { return a.data.OpenedAt.Compare(b.data.OpenedAt) })
}

// classOf is the class of the failures that have a reason.
func classOf(reason string) class {
	switch reason {
	case event.ReasonCrashLoop, event.ReasonOOMKilled, event.ReasonInitFailed:
		return classCrash
	case event.ReasonConfigError, event.ReasonCreateError, event.ReasonImagePull, event.ReasonNotStarted:
		return classStart
	case event.ReasonUnschedulable:
		return classSchedule
	case event.ReasonNotReady:
		return classReady
	}
	return classObject
}
