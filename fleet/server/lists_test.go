package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

func TestListsArePagedAndFiltered(t *testing.T) {
	h := newHub(t, somebody)
	for i := range 5 {
		h.publishDeployments(t, fmt.Sprintf("cluster-%d", i), "ledger", "invoices")
	}
	h.publish(t, "cluster-0", event.EpisodeOpened, event.Object{Kind: "Deployment", Namespace: "payments", Name: "ledger"},
		event.Episode{ID: "e1", Reason: "CrashLoopBackOff"})

	var ids []string
	pages := 0
	for cursor := ""; ; pages++ {
		page := get[rest.ClusterList](t, h, "/api/v1/clusters?limit=2&cursor="+url.QueryEscape(cursor))
		if page.Total != 5 || page.Sequence != h.seq || page.AsOf.IsZero() {
			t.Errorf("page = %+v, want a total of 5 as of sequence %d", page.Page, h.seq)
		}
		for _, c := range page.Items {
			ids = append(ids, c.ID)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	if want := []string{"cluster-0", "cluster-1", "cluster-2", "cluster-3", "cluster-4"}; !slices.Equal(ids, want) || pages != 2 {
		t.Errorf("clusters over %d pages = %v, want %v over 3", pages+1, ids, want)
	}
	services := get[rest.ServiceList](t, h, "/api/v1/services?team=payments&service=ledger&cluster=cluster-3")
	if len(services.Items) != 1 || len(services.Items[0].Clusters) != 1 || services.Items[0].Name != "ledger" {
		t.Errorf("services = %+v, want the ledger on one cluster", services.Items)
	}
	service := get[rest.Service](t, h, "/api/v1/services/payments/ledger")
	if len(service.Clusters) != 5 {
		t.Errorf("service on %d clusters, want 5", len(service.Clusters))
	}
	detail := get[rest.ClusterDetail](t, h, "/api/v1/clusters/cluster-0")
	if len(detail.Inventory) != 2 || len(detail.Open) != 1 || detail.Status != rest.Unknown {
		t.Errorf("detail = %+v, want two objects and an episode on a cluster without heartbeats", detail)
	}
	if got := get[rest.EpisodeList](t, h, "/api/v1/episodes?status=Unknown"); got.Total != 1 || got.Items[0].ID != "e1" {
		t.Errorf("episodes = %+v, want e1", got.Items)
	}
	if got := get[rest.Episode](t, h, "/api/v1/episodes/e1"); got.Reason != "CrashLoopBackOff" || got.Known {
		t.Errorf("episode = %+v, want a crash loop of which nobody knows whether it lasts", got)
	}
	if got := get[rest.EpisodeList](t, h, "/api/v1/episodes?cluster=cluster-1"); got.Items == nil || got.Total != 0 {
		t.Errorf("no episodes are %#v, want an empty list", got.Items)
	}
}

func TestEventsArePaged(t *testing.T) {
	h := newHub(t, somebody)
	for i := range 10 {
		h.publishDeployments(t, "a", fmt.Sprintf("app-%d", i))
	}
	h.publish(t, "b", event.FluxFailed, event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: "apps"}, event.Flux{Reason: "BuildFailed"})

	var sequences []uint64
	for cursor := ""; ; {
		page := get[rest.EventList](t, h, "/api/v1/events?limit=4&cursor="+cursor)
		for _, e := range page.Items {
			sequences = append(sequences, e.Sequence)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
		if page.Total != -1 {
			t.Errorf("total = %d on one of several pages, want -1", page.Total)
		}
	}
	if want := []uint64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}; !slices.Equal(sequences, want) {
		t.Errorf("sequences = %v, want %v", sequences, want)
	}
	for query, want := range map[string]int{
		"": 11, "?cluster=b": 1, "?kind=flux": 1, "?kind=agent": 0, "?cluster=c": 0, "?team=payments": 10, "?service=app-3": 1,
		"?environment=prod": 11, "?environment=dev": 0, "?since=1h": 11, "?until=1h": 0,
		"?since=" + url.QueryEscape(time.Now().Add(time.Minute).Format(time.RFC3339)): 0,
		"?since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z":                      0,
	} {
		t.Run("events"+query, func(t *testing.T) {
			got := get[rest.EventList](t, h, "/api/v1/events"+query)
			if len(got.Items) != want || got.Total != want || got.Items == nil || got.Next != "" {
				t.Errorf("%d events, total %d, next %q; want %d", len(got.Items), got.Total, got.Next, want)
			}
		})
	}
	one := get[rest.EventList](t, h, "/api/v1/events?cluster=b").Items[0]
	raw, err := json.Marshal(one.Event)
	if err != nil {
		t.Fatal(err)
	}
	e, err := event.Decode(raw)
	if err != nil || e.Type != event.FluxFailed || one.Cluster != "b" || one.Stored.IsZero() {
		t.Errorf("event = %+v (%v), want the CloudEvent as it was published", one, err)
	}
}

func TestMistakesAreProblemsWithAFix(t *testing.T) {
	h := newHub(t, somebody)
	for path, want := range map[string]int{
		"/api/v1/clusters/nobody":            http.StatusNotFound,
		"/api/v1/services/payments/nothing":  http.StatusNotFound,
		"/api/v1/episodes/none":              http.StatusNotFound,
		"/api/v2/clusters":                   http.StatusNotFound,
		"/":                                  http.StatusNotFound,
		"/api/v1/clusters?limit=501":         http.StatusUnprocessableEntity,
		"/api/v1/clusters?limit=none":        http.StatusUnprocessableEntity,
		"/api/v1/clusters?status=Fine":       http.StatusUnprocessableEntity,
		"/api/v1/clusters?cursor=!":          http.StatusBadRequest,
		"/api/v1/events?since=yesterday":     http.StatusBadRequest,
		"/api/v1/events?until=-1h":           http.StatusBadRequest,
		"/api/v1/events?cursor=x":            http.StatusBadRequest,
		"/api/v1/events?cluster=%3E":         http.StatusBadRequest,
		"/api/v1/events?kind=things":         http.StatusUnprocessableEntity,
		"/api/v1/watch?from=here":            http.StatusBadRequest,
		"/api/v1/watch?cluster=fleet.v1.evt": http.StatusBadRequest,
	} {
		t.Run(path, func(t *testing.T) {
			resp := h.do(t, path)
			if resp.StatusCode != want {
				t.Errorf("status = %d, want %d", resp.StatusCode, want)
			}
			problemOf(t, resp)
		})
	}
}

func TestTheDescriptionIsThatOfTheCode(t *testing.T) {
	h := newHub(t, somebody)
	doc := get[struct {
		OpenAPI string                    `json:"openapi"`
		Paths   map[string]map[string]any `json:"paths"`
	}](t, h, "/openapi.json")
	if !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("openapi = %q, want 3.1", doc.OpenAPI)
	}
	for pattern := range rights {
		method, path, _ := strings.Cut(pattern, " ")
		if strings.HasPrefix(path, "/api/") && doc.Paths[path][strings.ToLower(method)] == nil {
			t.Errorf("%s is not described", pattern)
		}
	}
	if resp := h.do(t, "/openapi.yaml"); resp.StatusCode != http.StatusOK {
		t.Errorf("/openapi.yaml: %s", resp.Status)
	}
	if resp := h.do(t, "/docs"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("/docs: %s; want none: it would load scripts from elsewhere", resp.Status)
	}
}

func TestHealthAndMetrics(t *testing.T) {
	waiting := errors.New("reading the event stream: at 1 of 9")
	h := newHub(t, somebody, func(o *Options) { o.Ready = func() error { return waiting } })
	h.publishDeployments(t, "a", "ledger")
	h.View.Heartbeat("a", event.Heartbeat{Epoch: epoch, Sequence: 1, Time: time.Now(), Interval: event.Duration(time.Minute), Version: "v0.1.0"}, time.Now())
	health := h.Health()
	ask := func(path string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		if err != nil {
			t.Fatal(err)
		}
		w := &recorder{header: http.Header{}}
		health.ServeHTTP(w, r)
		return w.status, w.body.String()
	}
	if status, body := ask("/healthz"); status != http.StatusOK || body != "ok\n" {
		t.Errorf("/healthz = %d %q", status, body)
	}
	if status, body := ask("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(body, waiting.Error()) {
		t.Errorf("/readyz = %d %q, want what it waits for", status, body)
	}
	waiting = nil
	if status, _ := ask("/readyz"); status != http.StatusOK {
		t.Errorf("/readyz = %d when it is ready", status)
	}
	_, metrics := ask("/metrics")
	for _, want := range []string{
		`fairway_cluster_info{agent="v0.1.0",cloud="",cluster="a",environment="prod",flux="",kubernetes="",region=""} 1`,
		`fairway_cluster_status{cluster="a",status="Progressing"} 1`, `fairway_cluster_status{cluster="a",status="Unknown"} 0`,
		`fairway_cluster_freshness_seconds{cluster="a"} `, `fairway_cluster_missing_events{cluster="a"} 0`,
		`fairway_events_total{kind="workload"} 1`, `fairway_events_rejected_total 0`, `fairway_view_lag_events 0`,
		`fairway_view_sequence 1`, `fairway_watch_clients 0`, `fairway_build_info{go="go`, `process_resident_memory_bytes`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if t.Failed() {
		t.Log(metrics)
	}
	if status, _ := ask("/api/v1/clusters"); status != http.StatusNotFound {
		t.Errorf("the health port serves the API: %d", status)
	}
}

// scrape is what Prometheus gets.
func scrape(t *testing.T, s *Server) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &recorder{header: http.Header{}}
	if s.Health().ServeHTTP(w, r); w.status != http.StatusOK {
		t.Fatalf("/metrics = %d %s", w.status, &w.body)
	}
	return w.body.String()
}

type recorder struct {
	header http.Header
	status int
	body   strings.Builder
}

func (r *recorder) Header() http.Header    { return r.header }
func (r *recorder) WriteHeader(status int) { r.status = status }
func (r *recorder) Write(data []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.body.Write(data)
}

func TestCursorsSurviveWhatComesAndGoes(t *testing.T) {
	key := func(s string) string { return s }
	page, next, err := cut([]string{"a", "c", "e"}, Paging{Limit: 2}, key)
	if err != nil {
		t.Fatal(err)
	}
	rest, last, err := cut([]string{"a", "b", "d", "e"}, Paging{Limit: 2, Cursor: next}, key) // c is gone, b and d are new
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([][]string{{"a", "c"}, {"d", "e"}}, [][]string{page, rest}); diff != "" || last != "" {
		t.Errorf("pages (-want +got), next %q:\n%s", last, diff)
	}
}

func FuzzCursor(f *testing.F) {
	f.Add("YQ", 1)
	f.Fuzz(func(t *testing.T, cursor string, limit int) {
		all := []string{"a", "b", "c"}
		items, _, err := cut(all, Paging{Limit: 1 + limit&3, Cursor: cursor}, func(s string) string { return s })
		if err == nil && len(items) > 4 {
			t.Errorf("%d items", len(items))
		}
	})
}
