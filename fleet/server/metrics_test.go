package server

import (
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/history"
	"github.com/fairway-dev/fairway/fleet/internal/metricsdoc"
)

var update = flag.Bool("update", false, "write docs/monitoring/hub-metrics.md")

// collected are the metrics of one scrape.
func collected(c prometheus.Collector) []prometheus.Metric {
	out := make(chan prometheus.Metric)
	go func() { c.Collect(out); close(out) }()
	var all []prometheus.Metric
	for m := range out {
		all = append(all, m)
	}
	return all
}

// TestMetricsReference holds docs/monitoring/hub-metrics.md to what a hub with something to show
// exports; -update writes it.
func TestMetricsReference(t *testing.T) {
	h := newHub(t, somebody, func(o *Options) {
		o.History = history.New(history.Options{Path: filepath.Join(t.TempDir(), "history.db"), Log: logr.Discard()})
	})
	entry := event.Entry{Type: event.FluxSucceeded, Subject: "Kustomization/flux-system/apps", Time: time.Now(), Data: []byte(`{"apiVersion":""}`)}
	h.publish(t, "a", event.AgentSnapshot, event.Object{}, event.Snapshot{ID: "s", Part: 1, Parts: 1, Entries: []event.Entry{entry}})
	h.View.Heartbeat("a", event.Heartbeat{Epoch: epoch, Sequence: 1, Digest: entry.Sum(), Time: time.Now(), Interval: event.Duration(time.Minute)}, time.Now())
	h.artifact(t, "b", "main-1")
	h.artifact(t, "c", "main-2")
	h.say(t, event.ReleaseSucceeded, release("ledger-1", "main-1", "prod", 1, "c"))
	var found []*prometheus.Desc
	for _, m := range append(collected(collector{h.Server}), collected(lag{h.Server, t.Context()})...) {
		found = append(found, m.Desc())
	}
	page := metricsdoc.Page("hub", "go test ./fleet/server -run TestMetricsReference -update", found)
	metricsdoc.Check(t, "../../docs/monitoring/hub-metrics.md", page, *update)
}

// artifact makes the ledger run an artifact on a cluster.
func (h *hub) artifact(t *testing.T, cluster, artifact string) {
	t.Helper()
	h.seq++
	e, err := event.New(cluster, event.WorkloadAvailable, event.Object{Kind: "Deployment", Namespace: "payments", Name: "ledger"}, time.Now(), event.Workload{Desired: 1, Ready: 1})
	if err != nil {
		t.Fatal(err)
	}
	e.ID, e.Epoch, e.Sequence = fmt.Sprintf("id-%d", h.seq), epoch, h.seq
	e.Environment, e.Team, e.Service, e.Artifact = "prod", "payments", "ledger", artifact
	h.send(t, cluster, &e)
}

func TestReleasesAreMetrics(t *testing.T) {
	h := newHub(t, somebody)
	h.artifact(t, "a", "main-1")
	h.artifact(t, "z", "main-2")
	h.say(t, event.ReleaseSucceeded, release("ledger-1", "main-1", "prod", 1, "a", "z"))
	for prefix, want := range map[string][]string{
		"fairway_release_info":   {`fairway_release_info{artifact="main-1",environment="prod",phase="Succeeded",release="payments/ledger-1",service="ledger",team="payments"} 1`},
		"fairway_releases_total": {`fairway_releases_total{environment="prod",outcome="Succeeded",team="payments"} 1`},
	} {
		if diff := cmp.Diff(want, h.lines(t, prefix)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", prefix, diff)
		}
	}
	for prefix, want := range map[string]string{
		"fairway_service_drift_seconds": `{cluster="z",environment="prod",service="ledger",team="payments"} `,
		"fairway_service_skew_seconds":  `{environment="prod",service="ledger",team="payments"} `,
	} {
		if got := h.lines(t, prefix); len(got) != 1 || !strings.HasPrefix(got[0], prefix+want) {
			t.Errorf("%v, want one of %s", got, want)
		}
	}
}

func TestFluxObjectsAreMetricsWithFluxsLabels(t *testing.T) {
	h := newHub(t, somebody)
	object := func(kind, name string) event.Object {
		return event.Object{Kind: kind, Namespace: "flux-system", Name: name}
	}
	h.publish(t, "a", event.FluxSucceeded, object("Kustomization", "apps"), event.Flux{AppliedRevision: "main@sha1:1", Source: object("GitRepository", "fleet")})
	h.publish(t, "a", event.FluxFailed, object("HelmRelease", "ledger"), event.Flux{Reason: "UpgradeFailed", Source: object("HelmRepository", "charts")})
	h.publish(t, "a", event.FluxSuspended, object("GitRepository", "fleet"), event.Flux{})
	h.publishDeployments(t, "a", "ledger")
	h.View.Heartbeat("a", event.Heartbeat{Epoch: epoch, Sequence: 4, Time: time.Now(), Interval: event.Duration(time.Minute)}, time.Now())
	want := []string{
		`fairway_resource_info{cluster="a",customresource_kind="GitRepository",exported_namespace="flux-system",name="fleet",ready="Unknown",revision="",source_name="",suspended="true",team="flux-system"} 1`,
		`fairway_resource_info{cluster="a",customresource_kind="HelmRelease",exported_namespace="flux-system",name="ledger",ready="False",revision="",source_name="charts",suspended="false",team="flux-system"} 1`,
		`fairway_resource_info{cluster="a",customresource_kind="Kustomization",exported_namespace="flux-system",name="apps",ready="True",revision="main@sha1:1",source_name="fleet",suspended="false",team="flux-system"} 1`,
	}
	if diff := cmp.Diff(want, h.lines(t, "fairway_resource_info")); diff != "" {
		t.Errorf("resources (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"fairway_resources_left_out 0"}, h.lines(t, "fairway_resources_left_out")); diff != "" {
		t.Errorf("left out (-want +got):\n%s", diff)
	}
	h.Resources = -1
	if got := h.lines(t, "fairway_resource"); len(got) != 0 {
		t.Errorf("resources are shown when they are switched off: %v", got)
	}
}

// lines are those of /metrics that start with a prefix, ordered.
func (h *hub) lines(t *testing.T, prefix string) []string {
	t.Helper()
	w := scrape(t, h.Server)
	var out []string
	for line := range strings.Lines(w) {
		if strings.HasPrefix(line, prefix) {
			out = append(out, strings.TrimSpace(line))
		}
	}
	slices.Sort(out)
	return out
}

func TestOneClustersObjectsLeaveRoomForTheOthers(t *testing.T) {
	for _, c := range []struct {
		name        string
		room        int
		has         []int // Flux objects of clusters, one after the other
		shown, left []int // after each of them
	}{
		{"all have room", 100, []int{10, 20}, []int{10, 30}, []int{0, 0}},
		{"a cluster takes no more than its share", 10_000, []int{clusterResources + 5, 3}, []int{clusterResources, clusterResources + 3}, []int{5, 5}},
		{"what is beyond the whole room is counted", 15, []int{10, 20}, []int{10, 15}, []int{0, 15}},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := make(chan prometheus.Metric, 10_000)
			r := &resources{out: out, room: c.room}
			for i, n := range c.has {
				detail := rest.ClusterDetail{Cluster: rest.Cluster{ID: fmt.Sprint(i)}}
				for j := range n {
					detail.Inventory = append(detail.Inventory, rest.Object{Object: fmt.Sprintf("Kustomization/a/%d", j)}, rest.Object{Object: fmt.Sprintf("Deployment/a/%d", j)})
				}
				r.collect(detail)
				if len(out) != c.shown[i] || r.left != c.left[i] {
					t.Errorf("after cluster %d: %d shown, %d left out; want %d and %d", i, len(out), r.left, c.shown[i], c.left[i])
				}
			}
		})
	}
}

func TestWhatIsLostIsCountedByReason(t *testing.T) {
	closed := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name                    string
		gaps                    []rest.Gap
		missing, dropped, epoch uint64
	}{
		{"nothing", nil, 0, 0, 0},
		{"what came after all is not lost", []rest.Gap{{Reason: rest.GapMissing, Events: 3, Closed: closed, ClosedBy: rest.ByEvents}}, 0, 0, 0},
		{"what is still missing may come", []rest.Gap{{Reason: rest.GapMissing, Events: 3}}, 0, 0, 0},
		{"what a snapshot took the place of is lost", []rest.Gap{{Reason: rest.GapMissing, Events: 3, Closed: closed, ClosedBy: rest.BySnapshot}}, 3, 0, 0},
		{"what was dropped never comes", []rest.Gap{{Reason: rest.GapDropped, Events: 2}, {Reason: rest.GapDropped, Events: 5, Closed: closed, ClosedBy: rest.BySnapshot}}, 0, 7, 0},
		{"neither does what was in a lost outbox", []rest.Gap{{Reason: rest.GapEpoch, Events: 4}}, 0, 0, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			out := make(chan prometheus.Metric, 10)
			collectLost(out, "a", c.gaps)
			close(out)
			got := map[string]float64{}
			for m := range out {
				var d dto.Metric
				if err := m.Write(&d); err != nil {
					t.Fatal(err)
				}
				for _, l := range d.Label {
					if l.GetName() == "reason" {
						got[l.GetValue()] = d.Gauge.GetValue()
					}
				}
			}
			want := map[string]float64{"missing": float64(c.missing), "dropped": float64(c.dropped), "epoch": float64(c.epoch)}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("lost (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNoTextOfAClusterSpoilsAScrape(t *testing.T) {
	for _, text := range []string{"", "main@sha1:1", "\xff", "\xfe", strings.Repeat("é", maxLabel)} {
		got := label(text)
		if len(got) > maxLabel || strings.ToValidUTF8(got, "") != got {
			t.Errorf("label(%q) = %q", text, got)
		}
	}
	if label("\xff") == label("\xfe") {
		t.Error("two names have become one, and a metric twice in a scrape is an error")
	}
}
