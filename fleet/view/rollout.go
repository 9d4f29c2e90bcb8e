package view

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// RolloutFailure is a failure of a service on a cluster.
type RolloutFailure struct {
	Flux                    bool // Flux cannot apply it; else it was applied and does not run
	Object, Reason, Message string
	Lines                   []string // last lines of the container that died
	Since                   time.Time
}

// Rollout is how a service is on a cluster. Times are by the platform's clock.
type Rollout struct {
	Known bool      // heartbeats arrive, and nothing of what the cluster told is missing
	AsOf  time.Time // of the last heartbeat
	// Artifact that all workloads of the service carry; of a service without workloads, that its Kustomization has applied. Empty: none, or
	// several.
	Artifact  string
	Workloads int
	Applied   bool      // the service's Kustomization has applied Artifact, and its last attempt is no failure
	Available bool      // every workload is; without workloads: it is Applied
	Since     time.Time // when the last of the workloads became what it is; zero without workloads
	Message   string    // what is not there yet; may be empty

	Failure *RolloutFailure // the oldest that lasts
}

// Rollout looks at a service on a cluster, which is to run an artifact. A failure counts when it began at or after since, unless it is known
// to be one of another artifact. That a Kustomization waits for the health of what it applied is none: the workloads' own failures tell more,
// and who takes long may yet become healthy.
func (v *View) Rollout(now time.Time, id, team, service, artifact string, since time.Time) Rollout {
	c := v.find(id)
	if c == nil {
		return Rollout{}
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := Rollout{
		Known: c.known(now, v.options.MissesUntilUnknown) && c.snapshot > 0 && !c.diverged && len(c.openGaps(now)) == 0,
		AsOf:  timeOf(c.heart.received),
	}
	of := released{team: team, service: service, artifact: artifact, pointer: pointerOf(team, service)}
	c.workloads(of, &out)
	c.applied(of, &out)
	out.Failure = c.failureOf(of, since)
	return out
}

// released is a service, the artifact that it should run, and the Kustomization that applies it.
type released struct{ team, service, artifact, pointer string }

// pointerOf is the key of the Kustomization that applies a service.
func pointerOf(team, service string) string {
	return event.Object{Kind: "Kustomization", Namespace: fleetv1.FluxNamespace, Name: team + "." + service}.String()
}

// has says whether an object is of the service: by its labels, or because the service's Kustomization has applied it.
func (r released) has(key string, from origin) bool {
	return from.team == r.team && from.service == r.service || from.owner == r.pointer || key == r.pointer
}

// workloads looks at the service's workloads.
func (c *cluster) workloads(of released, out *Rollout) {
	out.Available = true
	for i := range c.objects {
		o := &c.objects[i]
		kind, _, _ := strings.Cut(o.key, "/")
		from := o.from()
		if fluxKinds[kind] || !of.has(o.key, from) {
			continue
		}
		if out.Workloads++; out.Workloads == 1 {
			out.Artifact = from.artifact
		} else if out.Artifact != from.artifact {
			out.Artifact = ""
		}
		if at := timeOf(o.since).Add(-c.heart.skew); at.After(out.Since) {
			out.Since = at
		}
		available := o.state == stateAvailable || o.state == stateDone
		out.Available = out.Available && available
		if out.Message == "" && (!available || from.artifact != of.artifact) {
			out.Message = fmt.Sprintf("%s: %s, %d of %d ready, on %s", o.key, words[o.state], o.ready, o.desired, cmp.Or(from.artifact, "no artifact"))
		}
	}
}

// applied looks at the service's Kustomization. While it looks at the same artifact on another commit, what it has applied is what the
// workloads carry.
func (c *cluster) applied(of released, out *Rollout) {
	pointer := c.objects.get(of.pointer)
	if pointer == nil {
		out.Available = out.Available && out.Workloads > 0
		out.Message = cmp.Or(out.Message, of.pointer+" is not there yet")
		return
	}
	from, said := pointer.from(), pointer.said.Value()
	done := pointer.state == stateSucceeded
	if out.Workloads == 0 {
		out.Available = done
		if done {
			out.Artifact = from.artifact
		}
	}
	out.Applied = from.artifact != "" && from.artifact == out.Artifact && (done || pointer.state == stateProgressing)
	if !done || from.artifact != of.artifact {
		text := fmt.Sprintf("%s: %s on %s", of.pointer, words[pointer.state], cmp.Or(from.artifact, "no artifact"))
		if said.message != "" {
			text += ": " + said.message
		}
		out.Message = cmp.Or(out.Message, text)
	}
}

// failureOf is the oldest failure of the service that lasts.
func (c *cluster) failureOf(of released, since time.Time) *RolloutFailure {
	from := int64(0)
	if !since.IsZero() {
		from = since.Add(c.heart.skew).Truncate(time.Second).UnixNano()
	}
	var first *episode
	for _, ep := range c.unresolved() {
		origin := ep.from.Value()
		origin.owner = ep.detail.Owner.String()
		other := origin.artifact != "" && origin.artifact != of.artifact
		kind, _, _ := strings.Cut(ep.subject, "/")
		waits := fluxKinds[kind] && appReasons[ep.detail.Reason]
		if ep.opened < from || other || waits || !of.has(ep.subject, origin) {
			continue
		}
		if first == nil || byOpening(ep, first) > 0 {
			first = ep
		}
	}
	if first == nil {
		return nil
	}
	kind, _, _ := strings.Cut(first.subject, "/")
	return &RolloutFailure{Flux: fluxKinds[kind], Object: first.subject, Reason: first.detail.Reason, Message: first.detail.Message,
		Lines: first.detail.Lines, Since: timeOf(first.opened).Add(-c.heart.skew)}
}

// ServiceOf is the service that Rollout may have news of after an event; ok is false when there is none.
func ServiceOf(e *event.Event) (team, service string, ok bool) {
	switch e.Type.Kind() {
	case event.KindFlux, event.KindWorkload, event.KindEpisode:
		return e.Team, e.Service, e.Team != "" && e.Service != ""
	}
	return "", "", false
}
