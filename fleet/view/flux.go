package view

import (
	"cmp"
	"strings"
	"time"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// FluxFailure is a failure of Flux on a cluster.
type FluxFailure struct {
	Object, Reason, Message string
	Since                   time.Time
}

// FluxHealth says how Flux on a cluster has been since a moment.
type FluxHealth struct {
	Failure *FluxFailure // the oldest that began since then and lasts; nil: there is none
	Calm    time.Time    // when the last one ended that began since then; zero: there was none
}

// FluxHealth looks at what began on a cluster at or after since, by the platform's clock: failures of what
// runs in Flux's namespace and of Flux's objects. That an app is not well, which a Kustomization tells as
// well, is no failure of Flux.
func (v *View) FluxHealth(id string, since time.Time) FluxHealth {
	c := v.find(id)
	if c == nil {
		return FluxHealth{}
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	from := since.Add(c.heart.skew).Truncate(time.Second).UnixNano()
	var out FluxHealth
	var first *episode
	for _, ep := range c.unresolved() {
		if ep.opened >= from && ep.ofFlux() && (first == nil || cmp.Or(cmp.Compare(ep.opened, first.opened), cmp.Compare(ep.id, first.id)) < 0) {
			first = ep
		}
	}
	for _, ep := range c.resolved() {
		if ep.opened >= from && ep.ofFlux() {
			if at := timeOf(ep.resolvedAt).Add(-c.heart.skew); at.After(out.Calm) {
				out.Calm = at
			}
		}
	}
	if first != nil {
		out.Failure = &FluxFailure{Object: first.subject, Reason: first.detail.Reason, Message: first.detail.Message,
			Since: timeOf(first.opened).Add(-c.heart.skew)}
	}
	return out
}

// fluxKinds are those whose failures may be Flux's own.
var fluxKinds = map[string]bool{
	"Kustomization": true, "HelmRelease": true, "GitRepository": true, "OCIRepository": true,
	"Bucket": true, "HelmRepository": true, "HelmChart": true,
}

// appReasons are those by which Flux says that what it applied is not well, or waits for such.
var appReasons = map[string]bool{meta.HealthCheckFailedReason: true, meta.DependencyNotReadyReason: true}

// ofFlux says whether an episode may be about Flux itself.
func (ep *episode) ofFlux() bool {
	kind, rest, _ := strings.Cut(ep.subject, "/")
	if fluxKinds[kind] {
		return !appReasons[ep.detail.Reason]
	}
	return strings.HasPrefix(rest, fleetv1.FluxNamespace+"/")
}

// OfFlux says whether an event begins or ends a failure that FluxHealth may tell of.
func OfFlux(e *event.Event) bool {
	object := e.Object()
	return e.Type.Kind() == event.KindEpisode && (fluxKinds[object.Kind] || object.Namespace == fleetv1.FluxNamespace)
}
