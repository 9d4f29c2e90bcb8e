package server

import (
	"context"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/history"
	"github.com/fairway-dev/fairway/fleet/view"
)

const askStream = 2 * time.Second

var (
	clusterInfo = describe("fairway_cluster_info", "1 for every cluster, with what describes it",
		"cluster", "environment", "cloud", "region", "kubernetes", "flux", "agent")
	clusterStatus    = describe("fairway_cluster_status", "1 for the status that the cluster has, 0 for the others", "cluster", "status")
	clusterFreshness = describe("fairway_cluster_freshness_seconds", "Age of what is known of the cluster: since its last heartbeat", "cluster")
	clusterKnown     = describe("fairway_cluster_known", "1 while heartbeats arrive, 0 when nobody knows how the cluster is", "cluster")
	clusterSkew      = describe("fairway_cluster_clock_skew_seconds", "The agent's clock minus the bus's", "cluster")
	clusterObjects   = describe("fairway_cluster_objects", "Flux objects and workloads", "cluster")
	clusterFailing   = describe("fairway_cluster_failing_objects", "Of these, how many are neither fine nor under way", "cluster")
	clusterMissing   = describe("fairway_cluster_missing_events", "Events that the cluster has sent and the view has not", "cluster")
	clusterGaps      = describe("fairway_cluster_gaps", "Gaps that are open: stretches of events that the view has to do without", "cluster")
	clusterLost      = describe("fairway_cluster_lost_events", "Events of the gaps that the view remembers, the last few of a cluster, that never came: "+
		"missing, though the agent sent them (has to be 0), dropped since its outbox was full, or of an epoch whose outbox was lost", "cluster", "reason")
	clusterDiverged = describe("fairway_cluster_diverged", "1 while the view has all events and its digest is not the agent's", "cluster")
	clusterVerified = describe("fairway_cluster_verified_seconds", "Since the digest of the view was last the agent's", "cluster")
	clusterEpisodes = describe("fairway_cluster_open_episodes", "Open episodes", "cluster")
	viewSequence    = describe("fairway_view_sequence", "Stream position that the view contains")
	viewLag         = describe("fairway_view_lag_events", "Events in the stream that the view has not read yet")
	eventsTotal     = describe("fairway_events_total", "Events folded into the view", "kind")
	eventsRejected  = describe("fairway_events_rejected_total", "Events that the view refused")
	watchers        = describe("fairway_watch_clients", "Readers of the event watch")
	historyUp       = describe("fairway_history_up", "1 while the history is written and misses nothing")
	historySequence = describe("fairway_history_sequence", "Stream position that the history contains")
	historyRows     = describe("fairway_history_events", "Events that the history keeps")
	historyAgain    = describe("fairway_history_reread_events_total", "Events that the history read from the stream again, after it could not write")
	historyLost     = describe("fairway_history_lost_events_total", "Events that the stream had dropped before the history could read them (has to be 0)")
	historyRetries  = describe("fairway_history_retries_total", "Transactions of the history that failed and were tried again")
	buildInfo       = describe("fairway_build_info", "1, with the version", "version", "go")
)

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var statuses = []rest.Status{rest.Ready, rest.Progressing, rest.Suspended, rest.Degraded, rest.Unknown}

// metrics serves the registry. The stream is asked where it ends within each scrape's own time.
func (s *Server) metrics() http.Handler {
	always := prometheus.NewRegistry()
	always.MustRegister(collector{s}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := prometheus.NewRegistry()
		now.MustRegister(lag{s, r.Context()})
		promhttp.HandlerFor(prometheus.Gatherers{always, now}, promhttp.HandlerOpts{}).ServeHTTP(w, r)
	})
}

// lag is how far the view is behind the stream; where the stream does not answer, it is left out.
type lag struct {
	s   *Server
	ctx context.Context // of the scrape that it was made for
}

// Describe sends nothing, as there may be nothing.
func (l lag) Describe(chan<- *prometheus.Desc) {}

// Collect sends the metric.
func (l lag) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(l.ctx, askStream)
	defer cancel()
	state, err := l.s.Log.State(ctx)
	if err != nil {
		l.s.Logger.V(1).Info("stream does not say where it ends", "reason", err.Error())
		return
	}
	if sequence, _ := l.s.View.Position(); sequence < state.Last {
		gauge(out, viewLag, float64(state.Last-sequence))
		return
	}
	gauge(out, viewLag, 0)
}

// collector computes the metrics when they are asked for.
type collector struct{ s *Server }

// Describe sends nothing: which clusters there are changes.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the metrics.
func (c collector) Collect(out chan<- prometheus.Metric) {
	now := c.s.Clock()
	clusters := c.s.View.Clusters(now, view.Filter{})
	for _, cluster := range clusters {
		collectCluster(out, cluster, now)
		collectLost(out, cluster.ID, c.s.View.Gaps(now, cluster.ID))
	}
	c.collectResources(out, clusters, now)
	c.collectReleases(out, now)
	applied, rejected := c.s.View.Counts()
	for kind, n := range applied {
		count(out, eventsTotal, float64(n), string(kind))
	}
	count(out, eventsRejected, float64(rejected))
	sequence, _ := c.s.View.Position()
	gauge(out, viewSequence, float64(sequence))
	gauge(out, watchers, float64(c.s.Feed.Watchers()))
	gauge(out, buildInfo, 1, c.s.Version, runtime.Version())
	if c.s.History != nil {
		collectHistory(out, c.s.History.Stats())
	}
}

func collectHistory(out chan<- prometheus.Metric, s history.Stats) {
	up := 0.0
	if s.Healthy {
		up = 1
	}
	gauge(out, historyUp, up)
	gauge(out, historySequence, float64(s.Position))
	gauge(out, historyRows, float64(s.Rows))
	count(out, historyAgain, float64(s.Again))
	count(out, historyLost, float64(s.Lost))
	count(out, historyRetries, float64(s.Retries))
}

func collectCluster(out chan<- prometheus.Metric, c rest.Cluster, now time.Time) {
	gauge(out, clusterInfo, 1, c.ID, c.Environment, c.Cloud, c.Region, c.KubernetesVersion, c.FluxVersion, c.AgentVersion)
	for _, status := range statuses {
		gauge(out, clusterStatus, truth(status == c.Status), c.ID, string(status))
	}
	if !c.Freshness.LastHeartbeat.IsZero() {
		gauge(out, clusterFreshness, now.Sub(c.Freshness.LastHeartbeat).Seconds(), c.ID)
	}
	gauge(out, clusterKnown, truth(c.Freshness.Known), c.ID)
	gauge(out, clusterSkew, c.Freshness.ClockSkew, c.ID)
	gauge(out, clusterObjects, float64(c.Objects), c.ID)
	gauge(out, clusterFailing, float64(c.Failing), c.ID)
	gauge(out, clusterMissing, float64(c.Freshness.Missing), c.ID)
	gauge(out, clusterGaps, float64(c.Freshness.Gaps), c.ID)
	gauge(out, clusterDiverged, truth(c.Freshness.Diverged), c.ID)
	if !c.Freshness.Verified.IsZero() {
		gauge(out, clusterVerified, now.Sub(c.Freshness.Verified).Seconds(), c.ID)
	}
	gauge(out, clusterEpisodes, float64(c.Episodes), c.ID)
}

// collectLost counts what will never come. What is missing may come as long as its gap is open.
func collectLost(out chan<- prometheus.Metric, id string, gaps []rest.Gap) {
	lost := map[rest.GapReason]uint64{rest.GapMissing: 0, rest.GapDropped: 0, rest.GapEpoch: 0}
	for _, g := range gaps {
		if g.ClosedBy == rest.BySnapshot || g.Closed.IsZero() && g.Reason != rest.GapMissing {
			lost[g.Reason] += g.Events
		}
	}
	for reason, events := range lost {
		gauge(out, clusterLost, float64(events), id, string(reason))
	}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func gauge(out chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	for i := range labels {
		labels[i] = label(labels[i])
	}
	out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
}

func count(out chan<- prometheus.Metric, d *prometheus.Desc, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, value, labels...)
}
