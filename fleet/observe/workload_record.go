package observe

import (
	"slices"
	"time"

	"github.com/fairway-dev/fairway/api/event"
)

// workRecord is a workload, and what was said of it last.
type workRecord struct {
	workload
	typ  event.Type
	at   time.Time      // when it became so
	told event.Workload // the counts that were said
	when time.Time      // when it was said
	// toldOwner is whose it was, as was said.
	toldOwner Ownership
	// settled is the last generation that was seen complete, with its replicas: 0, none was.
	settled        int64
	settledDesired int32
	// held is the reason of the episode for which the workload is not called available, although
	// it is at this moment.
	held string
	// reported: the failure of this Job has been taken into an episode.
	reported bool
	// restored: what is no part of the payload is not known.
	restored bool
}

// payload is what to say of the workload.
func (r *workRecord) payload() event.Workload {
	data := r.data
	if r.held != "" {
		data.Reason, data.Message = r.held, ""
	}
	return data
}

// oldRollout is Kubernetes' own default of a Deployment's progress deadline: a rollout that is
// first seen unfinished after that is taken for one that does not come.
const oldRollout = 10 * time.Minute

// decideWorkload is the state of a workload. Fewer replicas than asked for are a rollout while a
// generation has never been complete, or while there are more to make than before; after that,
// a degradation.
func decideWorkload(prev *workRecord, w *workload, now time.Time) event.Type {
	isJob := w.object.Kind == kindJob
	switch {
	case w.complete && isJob:
		return event.WorkloadSucceeded
	case w.failed && isJob:
		return event.WorkloadFailed
	case isJob:
		return event.WorkloadRolling
	case w.complete:
		return event.WorkloadAvailable
	case w.failed:
		return event.WorkloadDegraded
	case prev == nil:
		if w.rolledOut || now.Sub(w.created) > oldRollout {
			return event.WorkloadDegraded
		}
		return event.WorkloadRolling
	case prev.data.Generation == w.data.Generation && prev.typ == event.WorkloadDegraded && !prev.failed:
		return event.WorkloadDegraded
	case prev.settled == w.data.Generation && w.data.Desired <= prev.settledDesired:
		return event.WorkloadDegraded
	}
	return event.WorkloadRolling
}

func (o *Observer) applyWorkload(w workload, now time.Time) {
	prev := o.work[w.object]
	delete(o.removed, w.object)
	rec := &workRecord{workload: w, typ: decideWorkload(prev, &w, now)}
	var before event.Object
	if prev != nil {
		before, rec.toldOwner = prev.owner, prev.toldOwner
		rec.at, rec.told, rec.when = prev.at, prev.told, prev.when
		rec.settled, rec.settledDesired, rec.reported = prev.settled, prev.settledDesired, prev.reported
	}
	o.work[w.object] = rec
	o.belongs(w.object, before, rec.owner)
	if w.scheduler.Name != "" {
		index(o.jobsOf, w.scheduler, w.object)
	}
	o.judgeWorkload(rec, now)
	o.tellWorkload(prev, rec, now)
}

// tellWorkload says what is new of a workload. While one of its containers fails it is not called
// available again, however often that container is ready in between.
func (o *Observer) tellWorkload(prev, rec *workRecord, now time.Time) {
	if ep := o.podEpisode(rec.object); ep != nil && rec.typ == event.WorkloadAvailable && prev != nil && prev.typ != event.WorkloadAvailable {
		rec.typ, rec.held = prev.typ, ep.data.Reason
	} else if rec.complete {
		rec.settled, rec.settledDesired = rec.data.Generation, rec.data.Desired
	}
	own, _, _ := o.attributes(rec.identity)
	say := prev == nil || prev.typ != rec.typ || prev.data.Generation != rec.data.Generation ||
		prev.toldOwner != own || prev.owner != rec.owner || !slices.Equal(prev.data.Images, rec.data.Images)
	if !say && rec.held == "" && !sameCounts(rec.told, rec.data) {
		if next := rec.when.Add(o.opts.Timing.Repeat); rec.typ != event.WorkloadAvailable && now.Before(next) {
			o.again(rec.object, next)
		} else {
			say = true
		}
	}
	if !say {
		return
	}
	if prev == nil || prev.typ != rec.typ || prev.data.Generation != rec.data.Generation {
		rec.at = happened(rec, prev, now)
	}
	rec.told, rec.when, rec.toldOwner = rec.data, now, own
	o.say(o.workDraft(rec))
}

// happened is when the workload became what it is: the time that the object carries, unless that
// is of an earlier change.
func happened(rec, prev *workRecord, now time.Time) time.Time {
	switch {
	case prev == nil && rec.workload.at.IsZero():
		return rec.created // nothing else is dated on StatefulSets and DaemonSets
	case prev == nil || rec.workload.at.After(prev.at):
		return rec.workload.at
	}
	return now
}

func sameCounts(a, b event.Workload) bool {
	return a.Desired == b.Desired && a.Updated == b.Updated && a.Ready == b.Ready && a.Available == b.Available
}

func (o *Observer) workDraft(rec *workRecord) Draft {
	own, revision, _ := o.attributes(rec.identity)
	return Draft{Type: rec.typ, Object: rec.object, Time: rec.at, Ownership: own, Revision: revision, Data: rec.payload()}
}

func (o *Observer) removeWorkload(obj event.Object, at, now time.Time) {
	rec := o.work[obj]
	if rec == nil {
		return
	}
	d := o.workDraft(rec)
	d.Type, d.Time = event.WorkloadRemoved, at
	delete(o.work, obj)
	o.belongs(obj, rec.owner, event.Object{})
	o.removed[obj] = now
	o.again(obj, now.Add(lingering+time.Second)) // forgets it
	o.resolveAll(obj, resolvedRemoved, at)
	if rec.scheduler.Name != "" {
		unindex(o.jobsOf, rec.scheduler, obj)
		o.settle(rec.scheduler, now)
	}
	o.say(d)
}

// judgeWorkload opens the episodes that are the workload's own, and resolves those that its
// newest state ends.
func (o *Observer) judgeWorkload(rec *workRecord, now time.Time) {
	top := topOfWorkload(rec)
	switch {
	case o.restoring: // its pods, or later Jobs, may say more
	case rec.failed && rec.object.Kind == kindJob:
		o.judgeFailedJob(rec, top, now)
	case rec.failed && o.podEpisode(rec.object) == nil: // else its pods already say why
		o.report(rec.identity, failure{
			reason: event.ReasonProgressDeadline, message: rec.data.Message, since: rec.workload.at, class: classObject,
		}, "", "", now)
	}
	o.settle(top, now)
}

func topOfWorkload(rec *workRecord) event.Object {
	if rec.scheduler.Name != "" {
		return rec.scheduler
	}
	return rec.object
}

// judgeFailedJob reports a failed Job, once, with the container that failed last. A Job whose
// containers crashed before it gave up has its episode already.
func (o *Observer) judgeFailedJob(rec *workRecord, top event.Object, now time.Time) {
	rec.reported = rec.reported || o.reportedBefore(rec, top)
	if rec.reported || o.podEpisode(top) != nil || o.superseded(rec, top) {
		return
	}
	f := failure{reason: event.ReasonJobFailed, message: rec.data.Reason + ": " + rec.data.Message, since: rec.workload.at, class: classObject}
	pod, node := o.lastFailedPod(rec.object, &f)
	if soon := f.since.Add(podLag); pod == "" && now.Before(soon) {
		o.again(rec.object, soon)
		return
	}
	id := rec.identity
	id.object = top
	rec.reported = true
	o.report(id, f, pod, node, now)
}

// reportedBefore says whether the failure of this Job is the one of an episode that was restored.
func (o *Observer) reportedBefore(rec *workRecord, top event.Object) bool {
	return slices.ContainsFunc(o.episodes[top], func(ep *episode) bool {
		return ep.restored && ep.data.Reason == event.ReasonJobFailed && !rec.workload.at.Truncate(time.Second).After(ep.data.OpenedAt)
	})
}

// podLag is how long the news of a Job's pod may come after the news of the Job: they are two
// watches.
const podLag = 2 * time.Second

// superseded says whether a later run of the same CronJob has ended since.
func (o *Observer) superseded(rec *workRecord, top event.Object) bool {
	latest := o.latestJob(top)
	return latest != nil && latest.object != rec.object
}

// latestJob is the CronJob's finished Job that was made last.
func (o *Observer) latestJob(cron event.Object) *workRecord {
	var latest *workRecord
	for job := range o.jobsOf[cron] {
		rec := o.work[job]
		if rec == nil || !rec.complete && !rec.failed {
			continue
		}
		if latest == nil || rec.created.After(latest.created) ||
			rec.created.Equal(latest.created) && rec.object.Name > latest.object.Name {
			latest = rec
		}
	}
	return latest
}

func index(m map[event.Object]map[event.Object]bool, under, obj event.Object) {
	if m[under] == nil {
		m[under] = map[event.Object]bool{}
	}
	m[under][obj] = true
}

func unindex(m map[event.Object]map[event.Object]bool, under, obj event.Object) {
	delete(m[under], obj)
	if len(m[under]) == 0 {
		delete(m, under)
	}
}
