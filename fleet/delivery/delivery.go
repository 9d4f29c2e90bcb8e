// Package delivery measures how fast and how well changes come to where they run: DORA's four figures,
// from releases and from what then happened on the clusters. It is pure; docs/delivery.md defines every
// figure, and this package is that page as code.
package delivery

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Release is one release with what is known of its clusters.
type Release struct {
	event.Release           // its newest state, with all its clusters
	FailedAt      time.Time // when the platform said first that it failed; zero: never

	blames bool // it names clusters that it failed on, in whatever cloud
}

// Episode is a failure on a cluster, of an artifact of a service.
type Episode struct {
	Cluster, Team, Service, Artifact string
	Opened, Resolved                 time.Time // Resolved is zero while it is open
}

// index has episodes by what they are about.
type index map[suspect][]Episode

type suspect struct{ cluster, team, service, artifact string }

// Facts are what is measured.
type Facts struct {
	Releases []Release
	Episodes []Episode
	Clouds   map[string]string // of clusters; one that is not in it is of the cloud ""
}

// Query says which deployments count and how they are grouped. Empty names say nothing.
type Query struct {
	From, Until                       time.Time // both included
	Team, Service, Environment, Cloud string    // Cloud whatever the case of its letters
	By                                []string  // of "team", "service", "environment", "cloud"; "service" implies "team"
}

// deployment is one release to an environment, or to its clusters in one cloud, that came to an end.
type deployment struct {
	group    rest.DeliveryGroup // names only
	made     time.Time          // the artifact
	ended    time.Time          // the release
	healthy  time.Time          // when the last of its clusters ran it in health; zero: not all did
	failed   time.Time          // when its failure began; zero: it did not fail
	restored time.Time          // when that ended; zero: it lasts
	lead     time.Duration      // from made to healthy; 0: it does not count
}

// Measure computes the figures of the deployments that ended in the window.
func Measure(facts Facts, q Query) rest.Delivery {
	out := rest.Delivery{From: q.From.UTC(), Until: q.Until.UTC(), By: q.By, Items: []rest.DeliveryGroup{}}
	episodes := index{}
	for _, e := range facts.Episodes {
		of := suspect{e.Cluster, e.Team, e.Service, e.Artifact}
		episodes[of] = append(episodes[of], e)
	}
	var all []deployment
	for _, lane := range lanes(facts.Releases, q) {
		all = append(all, measureLane(parts(lane, facts.Clouds, q), episodes, q)...)
	}
	out.All = figures(all, q)
	groups := map[rest.DeliveryGroup][]deployment{}
	for _, d := range all {
		key := q.key(d.group)
		groups[key] = append(groups[key], d)
	}
	for key, of := range groups {
		key.DeliveryFigures = figures(of, q)
		out.Items = append(out.Items, key)
	}
	slices.SortFunc(out.Items, func(a, b rest.DeliveryGroup) int {
		return cmp.Or(strings.Compare(a.Team, b.Team), strings.Compare(a.Service, b.Service),
			strings.Compare(a.Environment, b.Environment), strings.Compare(a.Cloud, b.Cloud))
	})
	return out
}

// key is what of a group's names the figures are grouped by.
func (q Query) key(of rest.DeliveryGroup) rest.DeliveryGroup {
	var out rest.DeliveryGroup
	for _, by := range q.By {
		switch by {
		case "team":
			out.Team = of.Team
		case "service":
			out.Team, out.Service = of.Team, of.Service
		case "environment":
			out.Environment = of.Environment
		case "cloud":
			out.Cloud = of.Cloud
		}
	}
	return out
}

// byCloud says whether the clusters of different clouds are measured on their own.
func (q Query) byCloud() bool { return q.Cloud != "" || slices.Contains(q.By, "cloud") }

func (q Query) selects(r *Release) bool {
	is := func(want, have string) bool { return want == "" || want == have }
	return is(q.Team, r.Team) && is(q.Service, r.Service) && is(q.Environment, r.Environment)
}

type laneKey struct{ team, service, environment string }

// lanes are the releases that were written to Git, of each service to each environment, in the order in
// which they began.
func lanes(all []Release, q Query) map[laneKey][]Release {
	out := map[laneKey][]Release{}
	for _, r := range all {
		if q.selects(&r) && !r.StartedAt.IsZero() {
			key := laneKey{r.Team, r.Service, r.Environment}
			r.blames = slices.ContainsFunc(r.Clusters, blamed)
			out[key] = append(out[key], r)
		}
	}
	for _, lane := range out {
		slices.SortFunc(lane, func(a, b Release) int {
			return cmp.Or(a.StartedAt.Compare(b.StartedAt), strings.Compare(a.Name, b.Name))
		})
	}
	return out
}

// measureLane measures the deployments of one service to one environment that ended in the window.
func measureLane(parts []part, episodes index, q Query) []deployment {
	var out []deployment
	for _, part := range parts {
		arrived := map[string]bool{} // artifacts that were deployed before: a lead time counts once
		for i, r := range part.releases {
			if !counts(&r) {
				continue
			}
			d := part.deployment(i, episodes)
			if first := !arrived[r.Artifact]; first && !d.healthy.IsZero() && !d.made.IsZero() {
				d.lead = max(0, d.healthy.Sub(d.made))
			}
			arrived[r.Artifact] = arrived[r.Artifact] || !d.healthy.IsZero()
			if !d.ended.Before(q.From) && !d.ended.After(q.Until) {
				out = append(out, d)
			}
		}
	}
	return out
}

// counts says whether a release is a deployment: a change that came to an end by itself. A rollback is
// how a change is taken back; one that a newer one superseded ended before anybody could judge it.
func counts(r *Release) bool {
	switch fleetv1.Phase(r.Phase) {
	case fleetv1.PhaseSucceeded, fleetv1.PhaseFailed, fleetv1.PhaseRolledBack:
		return r.Intent != string(fleetv1.IntentRollback) && !r.FinishedAt.IsZero()
	}
	return false
}

// part is a lane with the clusters of one cloud, or with all of them.
type part struct {
	cloud    string
	releases []Release
}

func parts(lane []Release, clouds map[string]string, q Query) []part {
	if !q.byCloud() {
		return []part{{releases: lane}}
	}
	byCloud := map[string][]Release{}
	for _, r := range lane {
		of := map[string][]event.ReleaseTarget{}
		for _, t := range r.Clusters {
			of[clouds[t.Cluster]] = append(of[clouds[t.Cluster]], t)
		}
		for cloud, targets := range of {
			if q.Cloud == "" || strings.EqualFold(q.Cloud, cloud) {
				one := r
				one.Clusters = targets
				byCloud[cloud] = append(byCloud[cloud], one)
			}
		}
	}
	var out []part
	for cloud, releases := range byCloud {
		out = append(out, part{cloud, releases})
	}
	return out
}
