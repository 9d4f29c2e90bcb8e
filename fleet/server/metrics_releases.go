package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairway-dev/fairway/fleet/view"
)

var (
	releaseInfo = describe("fairway_release_info", "1 for the newest release of every service to every environment",
		"team", "service", "environment", "release", "artifact", "phase")
	releasesTotal = describe("fairway_releases_total", "Releases that ended, by how: Succeeded, Failed, RolledBack, Refused, Superseded",
		"team", "environment", "outcome")
	serviceDrift = describe("fairway_service_drift_seconds", "For how long a cluster has run another artifact than Git tells it to, where no release explains it",
		"team", "service", "environment", "cluster")
	serviceSkew = describe("fairway_service_skew_seconds", "For how long clusters of an environment have run different artifacts of a service",
		"team", "service", "environment")
)

func (c collector) collectReleases(out chan<- prometheus.Metric, now time.Time) {
	for _, r := range c.s.View.NewestReleases() {
		gauge(out, releaseInfo, 1, r.Team, r.Service, r.Environment, r.Name, r.Artifact, r.Phase)
	}
	for of, n := range c.s.View.Outcomes() {
		count(out, releasesTotal, float64(n), label(of.Team), label(of.Environment), label(of.Phase))
	}
	for _, s := range c.s.View.Services(now, view.Filter{}) {
		for _, on := range s.Clusters {
			if !on.DriftSince.IsZero() {
				gauge(out, serviceDrift, now.Sub(on.DriftSince).Seconds(), s.Team, s.Name, on.Environment, on.Cluster)
			}
		}
		for _, e := range s.Environments {
			if e.Skew != nil {
				gauge(out, serviceSkew, now.Sub(e.Skew.Since).Seconds(), s.Team, s.Name, e.Environment)
			}
		}
	}
}
