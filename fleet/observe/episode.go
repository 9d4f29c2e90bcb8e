package observe

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/redact"
)

// What ends an episode, where more than one place says it.
const (
	resolvedRemoved   = "object removed"
	resolvedAvailable = "rollout available"
)

// episode is one open failure of one object.
type episode struct {
	identity
	class   class
	data    event.Episode
	raw     string                // the message, fit to be sent, before logs were added to it
	members map[event.Object]bool // pods that show it; none when it is the object's own
	// recovered says how the last pod got well that did; "" while pods only went away.
	recovered string

	said      time.Time // last event
	toldOwner Ownership // then
	stale     bool      // there is something new to say
	at        time.Time // since when
	logs      *LogRef   // of the newest death, when it differs from the one that was told

	// restored: which pods show it is not known yet.
	restored bool
}

func (ep *episode) is(f failure) bool {
	if ep.class == classCrash {
		return f.class == classCrash && f.container == ep.data.Container
	}
	return f.reason == ep.data.Reason && f.container == ep.data.Container
}

// report opens an episode for a failure, or takes what is new into the one that is open. A
// container that crashes has one episode, whatever it dies of from one time to the next.
func (o *Observer) report(id identity, f failure, pod, node string, now time.Time) *episode {
	for _, ep := range o.episodes[id.object] {
		if ep.is(f) {
			ep.identity = id
			o.refine(ep, f, pod, node, now)
			return ep
		}
	}
	if f.since.IsZero() {
		f.since = now
	}
	own, _, runbook := o.attributes(id)
	opened, message := f.since.UTC().Truncate(time.Second), o.opts.Redact.Clean(f.message)
	ep := &episode{
		identity: id, class: f.class, raw: message, members: map[event.Object]bool{}, said: now, toldOwner: own,
		data: event.Episode{
			ID:     episodeID(o.opts.Cluster, id.object, f.reason, f.container, opened),
			Reason: f.reason, Message: message, Container: f.container, Pod: pod, Node: node,
			ExitCode: f.exit, Restarts: f.restarts, Signature: redact.Signature(f.reason, f.container, []string{message}, o.names(pod, node)...),
			Runbook: runbook, Owner: id.owner, OpenedAt: opened,
		},
	}
	o.episodes[id.object] = append(o.episodes[id.object], ep)
	d := o.episodeDraft(ep, event.EpisodeOpened, opened)
	d.Logs = f.logs
	o.say(d)
	return ep
}

// episodeID is the same for the same failure, also after the agent was restarted, as long as the
// objects still carry the time at which it began.
func episodeID(cluster string, obj event.Object, reason, container string, opened time.Time) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{cluster, obj.String(), reason, container, opened.Format(time.RFC3339)}, "\n")))
	return hex.EncodeToString(sum[:16])
}

// refine follows the pod that the episode was first seen on, then another one when that is gone.
// Only what helps a reader is told: another exit code, another message, another artifact.
func (o *Observer) refine(ep *episode, f failure, pod, node string, now time.Time) {
	first := event.Object{Kind: kindPod, Namespace: ep.object.Namespace, Name: ep.data.Pod}
	if pod != ep.data.Pod && ep.members[first] {
		return
	}
	own, _, _ := o.attributes(ep.identity)
	news := own != ep.toldOwner
	if f.exit != nil && (ep.data.ExitCode == nil || *f.exit != *ep.data.ExitCode) {
		news, ep.logs = true, f.logs
	}
	if message := o.opts.Redact.Clean(f.message); !f.vague && !redact.Alike(message, ep.raw) {
		news, ep.raw, ep.data.Message = true, message, message
	}
	ep.data.Pod, ep.data.Node, ep.data.Restarts = pod, node, max(f.restarts, ep.data.Restarts)
	if f.exit != nil {
		ep.data.ExitCode = f.exit
	}
	if news {
		ep.stale, ep.at = true, f.since
		o.tellChange(ep, now)
	}
}

// tellChanges says what is new of an object's episodes, where it had to wait.
func (o *Observer) tellChanges(obj event.Object, now time.Time) {
	for _, ep := range o.episodes[obj] {
		o.tellChange(ep, now)
	}
}

func (o *Observer) tellChange(ep *episode, now time.Time) {
	if !ep.stale {
		return
	}
	if next := ep.said.Add(o.opts.Timing.Repeat); now.Before(next) {
		o.again(ep.object, next)
		return
	}
	own, _, _ := o.attributes(ep.identity)
	at := ep.at
	if !at.After(ep.data.OpenedAt) {
		at = now
	}
	d := o.episodeDraft(ep, event.EpisodeChanged, at)
	d.Logs = ep.logs
	ep.stale, ep.logs, ep.said, ep.toldOwner = false, nil, now, own
	o.say(d)
}

// settle resolves the episodes of an object that are over.
func (o *Observer) settle(obj event.Object, now time.Time) {
	if o.restoring { // not all pods are known yet
		return
	}
	for _, ep := range slices.Clone(o.episodes[obj]) {
		if how := o.over(ep); how != "" {
			o.resolve(ep, how, now)
		}
	}
}

// over says what ended an episode, or "" while it lasts. No pod may show it any more; and either
// one of them got well, or the object as a whole is available or gone.
func (o *Observer) over(ep *episode) string {
	if ep.class == classObject && o.flux[ep.object] != nil {
		return "" // judgeFlux knows
	}
	whole := o.endOf(ep.object)
	switch {
	case ep.object.Kind == kindJob || ep.object.Kind == kindCronJob:
		if whole != "" { // pods of earlier attempts stay and show what they died of
			return whole
		}
	case len(ep.members) > 0:
		return ""
	}
	if ep.class != classObject && len(ep.members) == 0 && ep.recovered != "" {
		return ep.recovered
	}
	return whole
}

// endOf says in which way an object as a whole is well, or gone; "" when it is neither.
func (o *Observer) endOf(obj event.Object) string {
	if w := o.work[obj]; w != nil {
		switch {
		case !w.complete:
			return ""
		case obj.Kind == kindJob:
			return "job succeeded"
		}
		return resolvedAvailable
	}
	if obj.Kind == kindCronJob {
		if len(o.jobsOf[obj]) == 0 {
			return resolvedRemoved
		}
		if latest := o.latestJob(obj); latest != nil && latest.complete {
			return "next run succeeded"
		}
		return ""
	}
	if len(o.podsOf[obj]) == 0 {
		return resolvedRemoved
	}
	for k := range maps.Keys(o.podsOf[obj]) {
		if c := podCondition(o.pods[k].pod, "Ready"); c == nil || c.Status != "True" {
			return ""
		}
	}
	return "all pods ready"
}

func (o *Observer) resolveAll(obj event.Object, how string, at time.Time) {
	for _, ep := range slices.Clone(o.episodes[obj]) {
		o.resolve(ep, how, at)
	}
}

func (o *Observer) resolve(ep *episode, how string, at time.Time) {
	if at.Before(ep.data.OpenedAt) {
		at = ep.data.OpenedAt
	}
	d := o.episodeDraft(ep, event.EpisodeResolved, at)
	data := ep.data
	data.ResolvedBy = how
	d.Data = data
	rest := slices.DeleteFunc(o.episodes[ep.object], func(other *episode) bool { return other == ep })
	if o.episodes[ep.object] = rest; len(rest) == 0 {
		delete(o.episodes, ep.object)
	}
	o.say(d)
}

// retell says a workload's state again, when the end of an episode may have changed it.
func (o *Observer) retell(obj event.Object, now time.Time) {
	if rec := o.work[obj]; rec != nil && rec.held != "" && o.podEpisode(obj) == nil {
		o.applyWorkload(rec.workload, now)
	}
}

// podEpisode is the oldest open episode that pods of the object show, or showed.
func (o *Observer) podEpisode(obj event.Object) *episode {
	for _, ep := range o.episodes[obj] {
		if ep.class != classObject {
			return ep
		}
	}
	return nil
}

func (o *Observer) episodeDraft(ep *episode, typ event.Type, at time.Time) Draft {
	own, revision, _ := o.attributes(ep.identity)
	if f := o.flux[ep.object]; f != nil {
		revision = firstOf(f.gitRevision(), revision)
	}
	return Draft{Type: typ, Object: ep.object, Time: at, Ownership: own, Revision: revision, Data: ep.data}
}

// WithLogs puts a container's last lines into a draft that asked for them, and into the episode
// that it is about: later events repeat them. raw is the log as it was read; problem says why
// there is none.
func (o *Observer) WithLogs(d Draft, raw []byte, problem string) Draft {
	data, ok := d.Data.(event.Episode)
	if !ok {
		return d
	}
	d.Data, d.Logs = o.withLogs(data, raw, problem), nil
	for _, ep := range o.episodes[d.Object] {
		if ep.data.ID == data.ID {
			ep.data = o.withLogs(ep.data, raw, problem)
		}
	}
	return d
}

// unreadLines begins what a message says of lines that are missing.
const unreadLines = " (its last lines could not be read: "

func (o *Observer) withLogs(data event.Episode, raw []byte, problem string) event.Episode {
	if problem != "" {
		data.Message = o.opts.Redact.Clean(data.Message + unreadLines + problem + ")")
		return data
	}
	lines := o.opts.Redact.Lines(raw)
	data.Lines = redact.Last(lines)
	if len(data.Lines) > 0 {
		data.Signature = redact.Signature(data.Reason, data.Container, lines, o.names(data.Pod, data.Node)...)
	}
	return data
}

// names are what differs in a failure's lines from one cluster or pod to the next.
func (o *Observer) names(pod, node string) []string { return []string{pod, node, o.opts.Cluster} }

// WithLinesOf repeats in an episode's draft the lines that an earlier one of the same episode got
// after this one was made.
func (d Draft) WithLinesOf(earlier Draft) Draft {
	data, ok := d.Data.(event.Episode)
	from, okFrom := earlier.Data.(event.Episode)
	if ok && okFrom && data.Lines == nil {
		data.Lines, data.Signature = from.Lines, from.Signature
		d.Data = data
	}
	return d
}

// Episode is the id of the episode that a draft is about, or "".
func (d Draft) Episode() string {
	data, _ := d.Data.(event.Episode)
	return data.ID
}
