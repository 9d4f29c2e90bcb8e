package agent

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/outbox"
)

// metrics of one agent, in a registry of their own.
type metrics struct {
	registry      *prometheus.Registry
	sent          *prometheus.CounterVec
	failures      *prometheus.CounterVec
	refused       prometheus.Counter
	watchFailures *prometheus.CounterVec
	known         prometheus.Gauge
}

func newMetrics(box *outbox.Outbox) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		sent: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairway_agent_events_published_total", Help: "Events that the bus has acknowledged, by kind."}, []string{"kind"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairway_agent_publish_errors_total", Help: "Tries to send an event or a heartbeat that failed."}, []string{"channel"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "fairway_agent_denied_total", Help: "Times that the bus refused the agent's credentials."}),
		watchFailures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "fairway_agent_watch_errors_total", Help: "Lists and watches of the cluster that failed."}, []string{"kind"}),
		known: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "fairway_agent_objects", Help: "Flux objects and workloads that are reported."}),
	}
	m.registry.MustRegister(m.sent, m.failures, m.refused, m.watchFailures, m.known,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &boxCollector{box})
	return m
}

// boxCollector tells of the outbox, as it is at the moment when it is asked.
type boxCollector struct{ *outbox.Outbox }

var (
	boxEvents    = prometheus.NewDesc("fairway_agent_outbox_events", "Events that wait to be sent.", nil, nil)
	boxBytes     = prometheus.NewDesc("fairway_agent_outbox_bytes", "Bytes of events that wait to be sent.", nil, nil)
	boxUnwritten = prometheus.NewDesc("fairway_agent_outbox_unwritten_events", "Events that wait in memory, since the outbox's disk cannot be written.", nil, nil)
	boxFailed    = prometheus.NewDesc("fairway_agent_outbox_write_errors_total", "Writes of the outbox that failed.", nil, nil)
	boxDropped   = prometheus.NewDesc("fairway_agent_events_dropped_total", "Events that will never be sent, by kind. A gap tells of them, a snapshot takes their place.", []string{"kind"}, nil)
	boxGaps      = prometheus.NewDesc("fairway_agent_gaps_total", "Gaps that told of dropped events.", nil, nil)
	boxLag       = prometheus.NewDesc("fairway_agent_publish_lag_seconds", "How long the oldest event that is not sent yet has waited; 0: none waits.", nil, nil)
)

// Describe implements prometheus.Collector.
func (c *boxCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{boxEvents, boxBytes, boxUnwritten, boxFailed, boxDropped, boxGaps, boxLag} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *boxCollector) Collect(out chan<- prometheus.Metric) {
	s, lag := c.Stats(), 0.0
	if !s.Oldest.IsZero() {
		lag = max(0, time.Since(s.Oldest).Seconds())
	}
	gauge := func(d *prometheus.Desc, v float64) { out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	count := func(d *prometheus.Desc, v int, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	gauge(boxEvents, float64(s.Events))
	gauge(boxBytes, float64(s.Bytes))
	gauge(boxUnwritten, float64(s.Unwritten))
	gauge(boxLag, lag)
	count(boxFailed, s.Failed)
	count(boxGaps, s.Gaps)
	for _, kind := range []event.Kind{event.KindCluster, event.KindFlux, event.KindWorkload, event.KindEpisode, event.KindAgent} {
		count(boxDropped, s.Dropped[kind], string(kind))
	}
}

func (m *metrics) objects(count int) { m.known.Set(float64(count)) }
