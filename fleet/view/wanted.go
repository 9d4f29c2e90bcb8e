package view

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
)

// compare holds what runs of a service on its clusters against what Git tells them to run. The
// service's clusters are in it; open are its open episodes.
func (l *book) compare(s *rest.Service, open []rest.Episode) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	byEnvironment := map[string][]*rest.ServiceCluster{}
	for i := range s.Clusters {
		on := &s.Clusters[i]
		byEnvironment[on.Environment] = append(byEnvironment[on.Environment], on)
	}
	s.Environments = []rest.ServiceEnvironment{}
	for _, environment := range slices.Sorted(maps.Keys(byEnvironment)) {
		lane, clusters := l.lanes[laneOf(s.Team, s.Name, environment)], byEnvironment[environment]
		for _, on := range clusters {
			want(on, lane)
		}
		here := slices.DeleteFunc(slices.Clone(open), func(ep rest.Episode) bool { return ep.Environment != environment })
		e := rest.ServiceEnvironment{Environment: environment, Skew: skewOf(clusters, lane), Failures: attribute(clusters, here)}
		lead(&e, lane)
		s.Environments = append(s.Environments, e)
	}
}

// want says what Git tells the cluster to run, and since when what runs is another one.
func want(on *rest.ServiceCluster, lane []*release) {
	on.RunningSince = ran(lane, on.Cluster, on.Artifact)
	o, ok := wanted(lane, on.Cluster)
	if !ok {
		return
	}
	on.Wanted, on.WantedSince, on.Release = o.artifact, o.since(), o.release.state.Name
	if on.Artifact != o.artifact && !o.underWay() {
		if on.DriftSince = on.WantedSince; on.Since.After(on.DriftSince) {
			on.DriftSince = on.Since
		}
	}
}

// lead is the newest release that was written to Git. What it was taken back to, the one before says.
func lead(e *rest.ServiceEnvironment, lane []*release) {
	at := slices.IndexFunc(lane, (*release).moved)
	if at < 0 {
		return
	}
	r := lane[at].state
	e.Release, e.Phase, e.Intent, e.RequestedBy, e.RequestedAt = r.Name, r.Phase, r.Intent, r.RequestedBy, r.RequestedAt
	e.Wanted = r.Artifact
	if lane[at].takenBack() {
		e.Wanted = lane[at].before()
	}
}

// skewOf says which artifacts run on the clusters of an environment; nil when it is one.
func skewOf(clusters []*rest.ServiceCluster, lane []*release) *rest.Skew {
	found := map[string]*rest.SkewArtifact{}
	for _, on := range clusters {
		if on.Artifact == "" {
			continue
		}
		since, a := started(on), found[on.Artifact]
		if a == nil {
			a = &rest.SkewArtifact{Artifact: on.Artifact, Since: since}
			found[on.Artifact] = a
		}
		a.Clusters = append(a.Clusters, on.Cluster)
		if since.Before(a.Since) {
			a.Since = since
		}
	}
	if len(found) < 2 {
		return nil
	}
	out := &rest.Skew{Artifacts: make([]rest.SkewArtifact, 0, len(found))}
	for _, a := range found {
		slices.Sort(a.Clusters)
		out.Artifacts = append(out.Artifacts, *a)
	}
	slices.SortFunc(out.Artifacts, func(a, b rest.SkewArtifact) int {
		return cmp.Or(b.Since.Compare(a.Since), strings.Compare(a.Artifact, b.Artifact))
	})
	out.Since = out.Artifacts[len(out.Artifacts)-2].Since // all ran the oldest until somebody began with another
	if at := slices.IndexFunc(lane, func(r *release) bool { return r.moved() && !r.final() }); at >= 0 {
		out.Release = lane[at].state.Name
	}
	return out
}

// started is since when the cluster has run its artifact, as far as is known: when a release says so,
// or since its objects are as they are.
func started(on *rest.ServiceCluster) time.Time {
	switch {
	case !on.RunningSince.IsZero():
		return on.RunningSince
	case on.Wanted == on.Artifact && !on.WantedSince.IsZero():
		return on.WantedSince
	}
	return on.Since
}
