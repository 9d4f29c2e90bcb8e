package view

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// ReleaseFilter selects releases; its zero value selects all that the view holds.
type ReleaseFilter struct {
	Team, Service, Environment string
	Cluster                    string // that is to run it
	Phase                      string
	Since                      time.Time // requested, or spoken of, since then
}

// Releases lists the releases that the filter selects, the newest first. The view holds the newest few
// of every service and environment.
func (v *View) Releases(f ReleaseFilter) []rest.Release {
	l := v.book
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := []rest.Release{}
	for _, lane := range l.lanes {
		for _, r := range lane {
			if f.selects(r) {
				out = append(out, r.rest())
			}
		}
	}
	slices.SortFunc(out, func(a, b rest.Release) int {
		return cmp.Or(b.RequestedAt.Compare(a.RequestedAt), strings.Compare(a.Name, b.Name))
	})
	return out
}

func (f ReleaseFilter) selects(r *release) bool {
	if _, there := r.targets[f.Cluster]; f.Cluster != "" && !there {
		return false
	}
	return is(f.Team, r.state.Team) && is(f.Service, r.state.Service) && is(f.Environment, r.state.Environment) && is(f.Phase, r.state.Phase) &&
		(!r.state.RequestedAt.Before(f.Since) || r.word.at >= f.Since.UnixNano())
}

// NewestReleases are the newest release of every service to every environment, ordered by team, service
// and environment.
func (v *View) NewestReleases() []rest.Release {
	l := v.book
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := make([]rest.Release, 0, len(l.lanes))
	for _, lane := range slices.Sorted(maps.Keys(l.lanes)) {
		if len(l.lanes[lane]) > 0 {
			out = append(out, l.lanes[lane][0].rest())
		}
	}
	return out
}

// Outcomes counts the releases that ended since the view began, by how.
func (v *View) Outcomes() map[Outcome]uint64 {
	l := v.book
	l.mu.RLock()
	defer l.mu.RUnlock()
	return maps.Clone(l.outcomes)
}

// Release finds a release by its name, "payments/ledger-7k2x9".
func (v *View) Release(name string) (rest.Release, bool) {
	l := v.book
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, lane := range l.lanes {
		for _, r := range lane {
			if r.state.Name == name {
				return r.rest(), true
			}
		}
	}
	return rest.Release{}, false
}

// Artifacts lists what the platform has seen in the registry of the team's services, or of one of them,
// the newest first. The view holds the newest few of every service.
func (v *View) Artifacts(team, service string) []rest.Artifact {
	l := v.book
	l.mu.RLock()
	defer l.mu.RUnlock()
	out := []rest.Artifact{}
	for _, all := range l.artifacts {
		for _, a := range all {
			if is(team, a.of.Team) && is(service, a.of.Service) {
				out = append(out, a.rest())
			}
		}
	}
	slices.SortFunc(out, func(a, b rest.Artifact) int {
		return cmp.Or(b.Source.Created.Compare(a.Source.Created), strings.Compare(a.Team, b.Team), strings.Compare(a.Service, b.Service), strings.Compare(a.ID, b.ID))
	})
	return out
}

func (a *artifact) rest() rest.Artifact {
	return rest.Artifact{Team: a.of.Team, Service: a.of.Service, ID: a.of.ID, Digest: a.of.Digest, Source: rest.ArtifactSource(a.of.Source)}
}

func (r *release) rest() rest.Release {
	clusters := make([]event.ReleaseTarget, 0, len(r.targets))
	for _, id := range r.clusters() {
		clusters = append(clusters, r.targets[id].of)
	}
	return RestRelease(r.state, clusters, timeOf(r.word.at))
}

// RestRelease is a release as the API shows it: its newest state, its clusters ordered by id, and when
// the platform last spoke of it.
func RestRelease(p event.Release, clusters []event.ReleaseTarget, updated time.Time) rest.Release {
	out := rest.Release{
		Name: p.Name, Team: p.Team, Service: p.Service, Artifact: p.Artifact, Environment: p.Environment, Intent: p.Intent, From: p.From,
		RequestedBy: p.RequestedBy, RequestedAt: p.RequestedAt, Comment: p.Comment, Approvals: make([]rest.Approval, len(p.Approvals)),
		Phase: p.Phase, Wave: p.Wave, StartedAt: p.StartedAt, FinishedAt: p.FinishedAt, UpdatedAt: updated,
		Commit: p.Commit, RollbackCommit: p.RollbackCommit, Digest: p.Digest, Source: rest.ArtifactSource(p.Source),
		Total: max(p.Total, len(clusters)), Clusters: make([]rest.ReleaseCluster, len(clusters)),
		Reason: p.Reason, Message: p.Message, Lines: p.Lines,
	}
	for i, a := range p.Approvals {
		out.Approvals[i] = rest.Approval(a)
	}
	for i, t := range clusters {
		out.Clusters[i] = rest.ReleaseCluster(t)
		if t.State == string(fleetv1.TargetAvailable) {
			out.Available++
		}
	}
	return out
}
