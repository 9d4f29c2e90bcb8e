package server

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

const (
	// DefaultResources is how many Flux objects are exported one by one, unless Options say otherwise.
	DefaultResources = 50_000
	// clusterResources bounds them on one cluster, so that none takes the others' place.
	clusterResources = 2_000
	maxLabel         = 256 // bytes of a label's value
)

// Label names are those of Flux's own gotk_resource_info (fluxcd/flux2-monitoring-example), so that its
// dashboards and alerts need another metric and one more label only.
var (
	resourceInfo = describe("fairway_resource_info", "1 for every Flux object, with its state: ready is True, False, or Unknown on a cluster that is silent",
		"cluster", "customresource_kind", "exported_namespace", "name", "ready", "suspended", "revision", "source_name", "team")
	resourcesLeftOut = describe("fairway_resources_left_out", "Flux objects that fairway_resource_info does not show, since there are more than it may")
)

// fluxKinds are the kinds that the agent reports of Flux.
var fluxKinds = map[string]bool{"Kustomization": true, "HelmRelease": true, "GitRepository": true, "OCIRepository": true,
	"HelmRepository": true, "HelmChart": true, "Bucket": true}

// resources exports Flux objects until there are as many as may be.
type resources struct {
	out        chan<- prometheus.Metric
	room, left int
}

func (c collector) collectResources(out chan<- prometheus.Metric, clusters []rest.Cluster, now time.Time) {
	if c.s.Resources < 0 {
		return
	}
	r := &resources{out: out, room: c.s.Resources}
	for i := range clusters {
		if detail, ok := c.s.View.Cluster(now, clusters[i].ID); ok {
			r.collect(detail)
		}
	}
	gauge(out, resourcesLeftOut, float64(r.left))
}

func (r *resources) collect(c rest.ClusterDetail) {
	room := min(r.room, clusterResources)
	for i := range c.Inventory {
		o := &c.Inventory[i]
		obj, err := event.ParseObject(o.Object)
		if err != nil || !fluxKinds[obj.Kind] {
			continue
		}
		if room == 0 {
			r.left++
			continue
		}
		room--
		r.room--
		gauge(r.out, resourceInfo, 1, c.ID, obj.Kind, obj.Namespace, obj.Name, readiness(o.Status),
			strconv.FormatBool(o.Status == rest.Suspended), o.Revision, sourceName(o.Source), o.Team)
	}
}

// sourceName is the name of the source; "" of what has none, or one that is no object.
func sourceName(source string) string {
	obj, err := event.ParseObject(source)
	if err != nil {
		return ""
	}
	return obj.Name
}

// readiness is the status of Flux's condition Ready, as far as ours tells it.
func readiness(s rest.Status) string {
	switch s {
	case rest.Ready:
		return "True"
	case rest.Degraded:
		return "False"
	}
	return "Unknown"
}

// label is a text as a label's value: a client library refuses what is no UTF-8, and with it the whole
// scrape. Different texts stay different.
func label(text string) string {
	if !utf8.ValidString(text) {
		text = strconv.QuoteToASCII(text)
	}
	if len(text) > maxLabel {
		text = strings.ToValidUTF8(text[:maxLabel], "")
	}
	return text
}
