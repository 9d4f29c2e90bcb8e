package delivery

import (
	"math"
	"slices"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// deployment judges the release at i of the part, by itself, by the episodes of its artifact, and by the
// releases after it.
func (p part) deployment(i int, episodes index) deployment {
	r := &p.releases[i]
	d := deployment{
		group: rest.DeliveryGroup{Team: r.Team, Service: r.Service, Environment: r.Environment, Cloud: p.cloud},
		made:  r.Source.Created, ended: r.FinishedAt, healthy: healthy(r),
	}
	open := p.episodes(i, episodes)
	if len(open) == 0 && !p.failedItself(r) {
		return d
	}
	if p.failedItself(r) {
		if d.failed = r.FailedAt; d.failed.IsZero() {
			d.failed = r.FinishedAt
		}
	}
	for _, e := range open {
		if d.failed.IsZero() || e.Opened.Before(d.failed) {
			d.failed = e.Opened
		}
	}
	d.restored = p.restored(i, open, d.failed)
	return d
}

// healthy is when the last of the release's clusters ran it in health; zero when not all did, or it was
// taken back.
func healthy(r *Release) time.Time {
	var last time.Time
	for _, t := range r.Clusters {
		if t.AvailableAt.IsZero() || t.State == string(fleetv1.TargetRolledBack) {
			return time.Time{}
		}
		if t.AvailableAt.After(last) {
			last = t.AvailableAt
		}
	}
	return last
}

// failedItself says whether the release failed here: of one that failed, all clusters did when it names
// none that did.
func (p part) failedItself(r *Release) bool {
	switch fleetv1.Phase(r.Phase) {
	case fleetv1.PhaseFailed, fleetv1.PhaseRolledBack:
		return p.cloud == "" || slices.ContainsFunc(r.Clusters, blamed) || !r.blames
	}
	return false
}

// blamed says whether it is the cluster that the release failed on. Of those that were moved back, it is
// the one that has a reason.
func blamed(t event.ReleaseTarget) bool {
	return t.State == string(fleetv1.TargetFailed) || t.State == string(fleetv1.TargetRolledBack) && t.Reason != ""
}

// episodes are those of the release's artifact on its clusters, from when each was told to run it until
// it was told to run another one.
func (p part) episodes(i int, all index) []Episode {
	r := &p.releases[i]
	var out []Episode
	for _, t := range r.Clusters {
		if t.MovedAt.IsZero() {
			continue
		}
		until := p.movedOn(i, t.Cluster)
		for _, e := range all[suspect{t.Cluster, r.Team, r.Service, r.Artifact}] {
			if !e.Opened.Before(t.MovedAt) && (until.IsZero() || e.Opened.Before(until)) {
				out = append(out, e)
			}
		}
	}
	return out
}

// movedOn is when a release after the one at i moved the cluster; zero when none did.
func (p part) movedOn(i int, cluster string) time.Time {
	for _, r := range p.releases[i+1:] {
		for _, t := range r.Clusters {
			if t.Cluster == cluster && !t.MovedAt.IsZero() {
				return t.MovedAt
			}
		}
	}
	return time.Time{}
}

// restored is when the failure of the release at i was over: when the last of its episodes was resolved;
// without any, when its clusters were back, or ran a release after it in health.
func (p part) restored(i int, open []Episode, failed time.Time) time.Time {
	var last time.Time
	for _, e := range open {
		if e.Resolved.IsZero() {
			return time.Time{}
		}
		if e.Resolved.After(last) {
			last = e.Resolved
		}
	}
	if len(open) > 0 {
		return last
	}
	if r := &p.releases[i]; r.Phase == string(fleetv1.PhaseRolledBack) {
		return r.FinishedAt
	}
	for _, next := range p.releases[i+1:] {
		if well := healthy(&next); next.Phase == string(fleetv1.PhaseSucceeded) && well.After(failed) {
			return well
		}
	}
	return time.Time{}
}

// figures are those of the deployments.
func figures(all []deployment, q Query) rest.DeliveryFigures {
	var out rest.DeliveryFigures
	var leads, restores []time.Duration
	for _, d := range all {
		out.Deployments++
		if !d.healthy.IsZero() {
			out.Succeeded++
		}
		if d.lead > 0 {
			leads = append(leads, d.lead)
		}
		if d.failed.IsZero() {
			continue
		}
		out.Failed++
		if d.restored.IsZero() {
			out.Unrestored++
			continue
		}
		restores = append(restores, max(0, d.restored.Sub(d.failed)))
	}
	if days := q.Until.Sub(q.From).Hours() / 24; days > 0 {
		out.PerDay = float64(out.Succeeded) / days
	}
	if out.Deployments > 0 {
		out.FailureRate = float64(out.Failed) / float64(out.Deployments)
	}
	out.LeadTime, out.TimeToRestore = spread(leads), spread(restores)
	return out
}

// spread describes durations; nil when there are none. Median and P90 are durations that occur, by the
// nearest rank.
func spread(all []time.Duration) *rest.Spread {
	if len(all) == 0 {
		return nil
	}
	slices.Sort(all)
	rank := func(part float64) float64 { return all[int(math.Ceil(part*float64(len(all))))-1].Seconds() }
	return &rest.Spread{Count: len(all), Median: rank(0.5), P90: rank(0.9), Max: all[len(all)-1].Seconds()}
}
