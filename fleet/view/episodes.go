package view

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
	"unique"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

// bySnapshot is who ended an episode that a snapshot no longer has.
const bySnapshot = "snapshot"

// episode is one failure. What describes it comes from the newest of opened and changed, what ends
// it from resolved: two registers, so that their order of arrival does not matter.
type episode struct {
	id      string // the first that was heard for it, over all epochs
	as      string // the one that it had in the epoch before; "": it was not there
	subject string
	opened  int64 // the earliest that any of its events says
	from    unique.Handle[origin]
	detail  event.Episode
	seq     uint64 // of detail; 0: only resolved was heard
	sum     uint64 // of the entry that detail comes from
	known   int64  // when it was heard to be open last, UnixNano; 0: never

	resolvedAt  int64 // 0: never
	resolvedBy  string
	resolvedSeq uint64 // of the resolved event; 0: a snapshot ended it
}

// open says whether the newest word is not that it was resolved.
func (ep *episode) open() bool {
	return ep.resolvedAt == 0 || ep.resolvedSeq > 0 && ep.seq > ep.resolvedSeq
}

// failure is what makes two episodes the same one under different ids.
type failure struct{ subject, reason, container string }

func (ep *episode) failure() failure {
	return failure{ep.subject, ep.detail.Reason, ep.detail.Container}
}

// episodeOf reads one episode event as an episode of its own.
func episodeOf(e *event.Entry, seq uint64) (*episode, error) {
	var p event.Episode
	if err := payload(e, &p); err != nil {
		return nil, err
	}
	if p.ID == "" || e.Subject == "" {
		return nil, ErrPayload
	}
	at := e.Time.UnixNano()
	ep := &episode{id: p.ID, subject: strings.Clone(e.Subject), detail: p, opened: at,
		from: unique.Make(origin{team: e.Team, service: e.Service, artifact: e.Artifact, revision: e.Revision})}
	if !p.OpenedAt.IsZero() {
		ep.opened = p.OpenedAt.UnixNano()
	}
	ep.detail.Message = cut(p.Message)
	if e.Type != event.EpisodeResolved {
		ep.seq, ep.sum, ep.known = seq, e.Sum(), at
		return ep, nil
	}
	ep.resolvedAt, ep.resolvedBy, ep.resolvedSeq = max(1, at), p.ResolvedBy, seq
	return ep, nil
}

// hear folds one episode event.
func (c *cluster) hear(news *episode) {
	c.adoptWhere(news, func(old *episode) bool { return old.as == news.id }) // the epoch's snapshot may still be on its way
	id, have := news.id, c.take(news.id)
	if have == nil {
		have = news
	} else {
		have.merge(news)
	}
	if have.open() && have.seq < c.snapshot { // it was open before the snapshot, which lacks it
		have.end(c.lacked(have.seq))
	}
	c.file(id, have)
}

// take removes an episode of this epoch from where it is, to be changed and filed again; nil when
// there is none.
func (c *cluster) take(id string) *episode {
	if ep := c.open[id]; ep != nil {
		c.digest -= ep.sum
		delete(c.open, id)
		return ep
	}
	ep := c.done[id]
	delete(c.done, id)
	return ep
}

func (c *cluster) file(id string, ep *episode) {
	into := &c.done
	if ep.open() {
		into = &c.open
		c.digest += ep.sum
	}
	if *into == nil {
		*into = map[string]*episode{}
	}
	(*into)[id] = ep
	if !ep.open() {
		c.trim()
	}
}

// merge takes what the other event of the same episode has newer.
func (ep *episode) merge(news *episode) {
	ep.opened, ep.known = min(ep.opened, news.opened), max(ep.known, news.known)
	switch {
	case news.resolvedSeq > ep.resolvedSeq:
		ep.resolvedAt, ep.resolvedBy, ep.resolvedSeq = news.resolvedAt, news.resolvedBy, news.resolvedSeq
	case news.seq > ep.seq:
		ep.detail, ep.from, ep.seq, ep.sum = news.detail, news.from, news.seq, news.sum
		if ep.ended() { // and it came back, or another snapshot is the first that lacked it
			ep.resolvedAt, ep.resolvedBy = 0, ""
		}
	}
}

// ended says whether it was a snapshot that ended it.
func (ep *episode) ended() bool { return ep.resolvedAt != 0 && ep.resolvedSeq == 0 }

func (ep *episode) end(at int64) {
	ep.resolvedAt, ep.resolvedBy, ep.resolvedSeq = max(1, at), bySnapshot, 0
}

// resolved lists the resolved episodes, the newest first.
func (c *cluster) resolved() []*episode {
	out := slices.AppendSeq(slices.Clone(c.past), maps.Values(c.done))
	slices.SortFunc(out, func(a, b *episode) int {
		return cmp.Or(-cmp.Compare(a.resolvedAt, b.resolvedAt), cmp.Compare(a.id, b.id), cmp.Compare(a.seq, b.seq), cmp.Compare(a.sum, b.sum))
	})
	return out
}

// unresolved lists the open episodes, the newest first.
func (c *cluster) unresolved() []*episode {
	out := slices.AppendSeq(slices.Clone(c.carried), maps.Values(c.open))
	slices.SortFunc(out, byOpening)
	return out
}

// byOpening orders the newest first.
func byOpening(a, b *episode) int {
	return cmp.Or(-cmp.Compare(a.opened, b.opened), cmp.Compare(a.id, b.id), cmp.Compare(a.seq, b.seq), cmp.Compare(a.sum, b.sum))
}

// newest is the open episode that unresolved has first; nil when none is open.
func (c *cluster) newest() (first *episode) {
	for _, ep := range c.carried {
		if first == nil || byOpening(ep, first) < 0 {
			first = ep
		}
	}
	for _, ep := range c.open {
		if first == nil || byOpening(ep, first) < 0 {
			first = ep
		}
	}
	return first
}

// trim keeps the newest resolved episodes, and the log lines of the newest of these.
func (c *cluster) trim() {
	all, lines := c.resolved(), 0
	for _, ep := range all[:min(len(all), maxResolved)] {
		for _, line := range ep.detail.Lines {
			lines += len(line)
		}
		if lines > maxLines {
			ep.detail.Lines = nil
		}
	}
	if len(all) > maxResolved {
		c.drop(all[maxResolved:])
	}
}

// expire drops the episodes that were resolved too long ago.
func (c *cluster) expire(now time.Time) {
	if len(c.past)+len(c.done) == 0 {
		return
	}
	oldest := now.Add(-keepResolved).UnixNano()
	c.drop(slices.DeleteFunc(c.resolved(), func(ep *episode) bool { return ep.resolvedAt >= oldest }))
}

func (c *cluster) drop(old []*episode) {
	if len(old) == 0 {
		return
	}
	gone := func(ep *episode) bool { return slices.Contains(old, ep) }
	c.past = slices.DeleteFunc(c.past, gone)
	maps.DeleteFunc(c.done, func(_ string, ep *episode) bool { return gone(ep) })
}

// rest is the episode as the API shows it.
func (ep *episode) rest(c *cluster, known bool) rest.Episode {
	from, where, p := ep.from.Value(), c.where(), ep.detail
	out := rest.Episode{
		ID: ep.id, Cluster: c.id, Environment: where.environment, Cloud: where.cloud,
		Object: ep.subject, Owner: p.Owner.String(),
		Team: from.team, Service: from.service, Artifact: from.artifact, Revision: from.revision,
		Reason: p.Reason, Message: p.Message, Container: p.Container, Pod: p.Pod, ExitCode: p.ExitCode,
		Restarts: p.Restarts, Signature: p.Signature, Lines: p.Lines, Runbook: p.Runbook,
		OpenedAt: timeOf(ep.opened), Known: known,
	}
	if !ep.open() {
		out.ResolvedAt, out.ResolvedBy = timeOf(ep.resolvedAt), ep.resolvedBy
		if ep.ended() {
			out.ResolvedAfter = timeOf(min(ep.known, ep.resolvedAt))
		}
	}
	return out
}
