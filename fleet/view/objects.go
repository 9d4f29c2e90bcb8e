package view

import (
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

// object is the last known state of one Flux object or workload, 80 bytes: a fleet has many. What
// repeats between objects and clusters is held once, by handle.
type object struct {
	key    string // <Kind>/<namespace>/<name>
	seq    uint64
	sum    uint64 // event.Entry.Sum
	since  int64  // UnixNano
	origin unique.Handle[origin]
	said   unique.Handle[said]
	images unique.Handle[string] // separated by newlines

	desired, ready int32
	state          state
}

// origin is what an object was released from, and by whom.
type origin struct {
	team, service, artifact, revision string
	owner, source                     string // objects
}

type said struct{ reason, message string }

// state is the last word of a type of events about objects.
type state uint8

const (
	stateProgressing state = iota
	stateSucceeded
	stateFailed
	stateStalled
	stateSuspended
	stateRolling
	stateAvailable
	stateDegraded
	stateDone     // a Job that succeeded
	stateGivenUp  // a Job that failed
	stateRemoved  // never kept
	stateNotKnown // of a type that is newer than this view
)

var states = map[event.Type]state{
	event.FluxProgressing: stateProgressing, event.FluxSucceeded: stateSucceeded, event.FluxFailed: stateFailed,
	event.FluxStalled: stateStalled, event.FluxSuspended: stateSuspended, event.FluxRemoved: stateRemoved,
	event.WorkloadRolling: stateRolling, event.WorkloadAvailable: stateAvailable, event.WorkloadDegraded: stateDegraded,
	event.WorkloadSucceeded: stateDone, event.WorkloadFailed: stateGivenUp, event.WorkloadRemoved: stateRemoved,
}

func stateOf(typ event.Type) state {
	if s, ok := states[typ]; ok {
		return s
	}
	return stateNotKnown
}

var words = [...]string{"progressing", "succeeded", "failed", "stalled", "suspended", "rolling", "available",
	"degraded", "succeeded", "failed", "removed", ""}

func (s state) status() rest.Status {
	switch s {
	case stateProgressing, stateRolling:
		return rest.Progressing
	case stateSucceeded, stateAvailable, stateDone:
		return rest.Ready
	case stateFailed, stateStalled, stateDegraded, stateGivenUp:
		return rest.Degraded
	case stateSuspended:
		return rest.Suspended
	}
	return rest.Unknown
}

var (
	noSaid   = unique.Make(said{})
	noImages = unique.Make("")
)

// objectOf reads an entry about a Flux object or a workload. have is the object as it was, or nil:
// what did not change is not looked up again. known is false for types that this view is too old
// for.
func objectOf(e *event.Entry, kind event.Kind, seq uint64, have *object) (o object, known bool, err error) {
	o = object{key: e.Subject, seq: seq, since: e.Time.UnixNano(), state: stateOf(e.Type), said: noSaid, images: noImages}
	if o.state == stateNotKnown || e.Subject == "" {
		return o, false, nil
	}
	if o.state == stateRemoved {
		return o, true, nil
	}
	o.sum = e.Sum()
	from := origin{team: e.Team, service: e.Service, artifact: e.Artifact, revision: e.Revision}
	if kind == event.KindFlux {
		err = o.flux(e, from, have)
	} else {
		err = o.workload(e, from, have)
	}
	return o, true, err
}

func (o *object) flux(e *event.Entry, from origin, have *object) error {
	p, err := fluxOf(e)
	if err != nil {
		return err
	}
	was := have.from()
	if len(p.AppliedRevision) > 0 {
		from.revision = p.AppliedRevision.or(was.revision)
	}
	from.owner, from.source = p.Owner.or(was.owner), p.Source.or(was.source)
	o.describe(from, p.Reason, p.Message, have)
	return nil
}

func (o *object) workload(e *event.Entry, from origin, have *object) error {
	p, err := workloadOf(e)
	if err != nil {
		return err
	}
	from.owner = p.Owner.or(have.from().owner)
	o.describe(from, p.Reason, p.Message, have)
	switch {
	case len(p.Images) == 0:
	case have != nil && string(p.Images) == have.images.Value():
		o.images = have.images
	default:
		o.images = unique.Make(string(p.Images))
	}
	o.desired, o.ready = p.Desired, p.Ready
	if strings.HasPrefix(o.key, "Job/") {
		o.ready = p.Available // those that succeeded
	}
	return nil
}

// from is where the object comes from; of nil, nowhere.
func (o *object) from() origin {
	if o == nil {
		return origin{}
	}
	return o.origin.Value()
}

func (o *object) describe(from origin, reason, message raw, have *object) {
	if have != nil && have.origin.Value() == from {
		o.origin = have.origin
	} else {
		o.origin = unique.Make(from)
	}
	if len(reason)+len(message) == 0 {
		return
	}
	var was said
	if have != nil {
		was = have.said.Value()
	}
	words := said{reason.or(was.reason), cut(message.or(was.message))}
	if have != nil && words == was {
		o.said = have.said
	} else {
		o.said = unique.Make(words)
	}
}

func cut(text string) string {
	if len(text) > event.MaxMessage {
		return strings.ToValidUTF8(text[:event.MaxMessage], "")
	}
	return text
}

// rest is the object as the API shows it. Nothing on a silent cluster is known.
func (o *object) rest(known bool) rest.Object {
	from, words_ := o.origin.Value(), o.said.Value()
	out := rest.Object{
		Object: o.key, Owner: from.owner, Source: from.source, Status: o.state.status(), State: words[o.state],
		Reason: words_.reason, Message: words_.message,
		Team: from.team, Service: from.service, Artifact: from.artifact, Revision: from.revision,
		Desired: o.desired, Ready: o.ready, Since: time.Unix(0, o.since).UTC(),
	}
	if images := o.images.Value(); images != "" {
		out.Images = strings.Split(images, "\n")
	}
	if !known {
		out.Status = rest.Unknown
	}
	return out
}

// objects are ordered by key. A slice takes a third of what a map of pointers does.
type objects []object

func (s objects) find(key string) (at int, found bool) {
	end := len(s)
	for at < end {
		if middle := int(uint(at+end) >> 1); s[middle].key < key {
			at = middle + 1
		} else {
			end = middle
		}
	}
	return at, at < len(s) && s[at].key == key
}

// get is the object, or nil.
func (s objects) get(key string) *object {
	if at, found := s.find(key); found {
		return &s[at]
	}
	return nil
}

// sorted orders objects; of those with the same key the last one is kept.
func sorted(all objects) objects {
	slices.SortStableFunc(all, func(a, b object) int { return strings.Compare(a.key, b.key) })
	out := all[:0]
	for i, o := range all {
		if i+1 == len(all) || all[i+1].key != o.key {
			out = append(out, o)
		}
	}
	clear(all[len(out):])
	return out
}

// putAt replaces or adds an object where find has found its place, with little room for more: most
// clusters stay as they are.
func (s objects) putAt(at int, found bool, o object) objects {
	if found {
		o.key = s[at].key
		s[at] = o
		return s
	}
	o.key = strings.Clone(o.key)
	if len(s) == cap(s) {
		grown := make(objects, len(s), len(s)+max(4, len(s)/8))
		copy(grown, s)
		s = grown
	}
	return slices.Insert(s, at, o)
}
