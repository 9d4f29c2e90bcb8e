package workloadcluster

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Expiries are the metric of when credentials end: those that the operator reaches a cluster with
// ("cluster", as far as they say so) and those of the cluster's agent ("events"). It is read from the
// objects at each scrape, so that it is there on every replica of the operator and goes with its cluster.
type Expiries struct{ Clusters client.Reader }

// scrapeLimit bounds one reading; the list comes from a cache.
const scrapeLimit = 5 * time.Second

var expiry = prometheus.NewDesc("fairway_cluster_credentials_expiry_timestamp_seconds",
	"When a cluster's credentials end: of the operator on the cluster (cluster), of the agent on the event bus (events)",
	[]string{"cluster", "credentials"}, nil)

// Describe implements prometheus.Collector.
func (e Expiries) Describe(out chan<- *prometheus.Desc) { out <- expiry }

// Collect implements prometheus.Collector.
func (e Expiries) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit) //nolint:forbidigo // a collector is given none
	defer cancel()
	var list fleetv1.WorkloadClusterList
	if err := e.Clusters.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		out <- prometheus.NewInvalidMetric(expiry, err)
		return
	}
	seen := map[string]bool{}
	for i := range list.Items {
		obj := &list.Items[i]
		if seen[obj.ID()] { // of two of one id one is a stranger, and works nothing
			continue
		}
		seen[obj.ID()] = true
		for credentials, end := range map[string]*metav1.Time{"cluster": obj.Status.Access.Expires, "events": obj.Status.Agent.CredentialsExpire} {
			if end != nil {
				out <- prometheus.MustNewConstMetric(expiry, prometheus.GaugeValue, float64(end.Unix()), obj.ID(), credentials)
			}
		}
	}
}
