package observe

import (
	"strings"
	"time"

	helmv2 "github.com/fluxcd/helm-controller/api/v2"

	"github.com/fairway-dev/fairway/api/event"
)

// fluxRecord is a Flux object and what was said of it last.
type fluxRecord struct {
	fluxObject
	said      fluxStatus
	why       string // the reason of its episode, while it fails
	toldOwner Ownership
	restored  bool // what is no part of the payload is not known
}

func (o *Observer) applyFlux(f fluxObject, now time.Time) {
	prev := o.flux[f.object]
	next, say := nextFlux(prev, &f, o.opts, now)
	if next.at.IsZero() {
		next.at = now
	}
	if say && prev != nil && next.at.Before(prev.said.at) {
		next.at = now // the object carries no time for this change
	}
	rec := &fluxRecord{fluxObject: f, said: next}
	if next.failing() {
		rec.why = rec.failure()
		if prev != nil && prev.why != "" && prev.said.failing() && decideFlux(&f).attempt {
			rec.why = prev.why // while it is tried again, its conditions may be gone that say of what kind it was
		}
	}
	o.flux[f.object] = rec
	o.again(f.object, next.recheck)
	rec.toldOwner, _, _ = o.attributes(rec.identity)
	if say || prev.toldOwner != rec.toldOwner {
		o.say(o.fluxDraft(rec))
	}
	o.judgeFlux(rec, now)
	o.handDown(prev, rec, now)
}

// handDown tells of a Flux object's labels to what is below it, when they are new.
func (o *Observer) handDown(prev, rec *fluxRecord, now time.Time) {
	var before identity
	if prev != nil {
		before = prev.identity
	}
	o.belongs(rec.object, before.owner, rec.owner)
	if before.own != rec.own || before.owner != rec.owner {
		o.tellEpisodes(rec.object, now)
		o.inherit(rec.object, ownerDepth, now)
	}
}

func (o *Observer) removeFlux(obj event.Object, at time.Time) {
	rec := o.flux[obj]
	if rec == nil {
		return
	}
	d := o.fluxDraft(rec)
	d.Type, d.Time = event.FluxRemoved, at
	delete(o.flux, obj)
	o.belongs(obj, rec.owner, event.Object{})
	o.resolveAll(obj, resolvedRemoved, at)
	o.say(d)
}

func (o *Observer) fluxDraft(rec *fluxRecord) Draft {
	own, revision, _ := o.attributes(rec.identity)
	data := rec.data
	data.Reason, data.Message = rec.said.reason, o.opts.Redact.Clean(rec.said.message)
	return Draft{
		Type: rec.said.typ, Object: rec.object, Time: rec.said.at, Ownership: own,
		Revision: firstOf(rec.gitRevision(), revision), Data: data,
	}
}

// judgeFlux opens and resolves the episode of a Flux object. It has at most one.
func (o *Observer) judgeFlux(rec *fluxRecord, now time.Time) {
	said, open := rec.said, o.episodes[rec.object]
	switch {
	case said.failing():
		reason := rec.why
		for _, ep := range open {
			if ep.data.Reason != reason {
				o.resolve(ep, "followed by "+reason, said.at)
			}
		}
		at := said.at
		if !said.waiting.IsZero() {
			at = said.waiting
		}
		o.report(rec.identity, failure{reason: reason, message: said.message, since: at, class: classObject}, "", "", now)
	case said.typ == event.FluxSucceeded:
		o.resolveAll(rec.object, strings.TrimSpace("reconciled "+rec.data.AppliedRevision), said.at)
	case said.typ == event.FluxSuspended:
		o.resolveAll(rec.object, "suspended", said.at)
	}
}

// failure is the reason under which the failure is known, whatever Flux says while it retries or
// gives up: a Helm install that failed stays that through rollbacks and exhausted retries.
func (r *fluxRecord) failure() string {
	if r.object.Kind == helmv2.HelmReleaseKind && r.said.waiting.IsZero() {
		if c := r.condition(helmv2.ReleasedCondition); c != nil && c.Status == "False" {
			return c.Reason
		}
		if r.action != "" && r.said.typ == event.FluxStalled {
			return r.action
		}
	}
	return r.said.reason
}
