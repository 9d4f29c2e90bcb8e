package agent

import (
	"flag"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairway-dev/fairway/fleet/internal/metricsdoc"
)

var update = flag.Bool("update", false, "write docs/monitoring/agent-metrics.md")

// TestMetricsReference holds docs/monitoring/agent-metrics.md to what an agent registers; -update writes
// it.
func TestMetricsReference(t *testing.T) {
	out := make(chan *prometheus.Desc)
	go func() { newMetrics(nil).registry.Describe(out); close(out) }()
	var found []*prometheus.Desc
	for d := range out {
		found = append(found, d)
	}
	page := metricsdoc.Page("agent", "go test ./fleet/agent -run TestMetricsReference -update", found)
	metricsdoc.Check(t, "../../docs/monitoring/agent-metrics.md", page, *update)
}
