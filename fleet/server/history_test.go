package server

import (
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/history"
)

// newHistoryHub is a hub with a history, in which a service failed and came back on one cluster, and
// another fails.
func newHistoryHub(t *testing.T) *hub {
	t.Helper()
	h := newHub(t, somebody, func(o *Options) {
		o.History = history.New(history.Options{Path: filepath.Join(t.TempDir(), "history.db"), Log: logr.Discard()})
	})
	ledger := event.Object{Kind: "Deployment", Namespace: "payments", Name: "ledger"}
	shop := event.Object{Kind: "Deployment", Namespace: "shop", Name: "web"}
	h.publish(t, "a", event.AgentSnapshot, event.Object{}, event.Snapshot{ID: "s", Part: 1, Parts: 1})
	h.publish(t, "a", event.WorkloadRolling, ledger, event.Workload{Desired: 1})
	crash := event.Episode{ID: "e1", Reason: "CrashLoopBackOff", Signature: "sig", Lines: []string{"fatal"}}
	h.publish(t, "a", event.EpisodeOpened, ledger, crash)
	crash.ResolvedBy = "rollout available"
	h.publish(t, "a", event.EpisodeResolved, ledger, crash)
	h.publish(t, "a", event.WorkloadAvailable, ledger, event.Workload{Desired: 1, Ready: 1})
	h.publish(t, "b", event.EpisodeOpened, shop, event.Episode{ID: "e2", Reason: "CrashLoopBackOff", Signature: "sig"})
	retry(t, func() error { return h.History.Flush(t.Context()) })
	return h
}

func TestSince(t *testing.T) {
	h := newHistoryHub(t)
	all := get[rest.Since](t, h, "/api/v1/since?since=1h")
	all.Summary.ByType = nil
	if diff := cmp.Diff(rest.Summary{Rollouts: 1, EpisodesOpened: 2, EpisodesResolved: 1}, all.Summary); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	if all.Total != 5 || len(all.Items) != 5 || all.Sequence != h.seq || all.Items[0].Episode != "e2" {
		t.Errorf("since = %+v, want five changes, the newest first", all)
	}
	if got := get[rest.Since](t, h, "/api/v1/since?team=payments&kind=episode,workload&order=oldest&limit=1"); got.Total != 4 || got.Next == "" || got.Items[0].What != "rolling" {
		t.Errorf("first page of a team = %+v", got)
	}
	if got := get[rest.Since](t, h, "/api/v1/since?cluster=b&since="+time.Now().Add(-time.Hour).UTC().Format(time.RFC3339)); got.Total != 1 {
		t.Errorf("of cluster b: %+v", got)
	}
	for path, want := range map[string]int{
		"/api/v1/since?since=lately": http.StatusBadRequest, "/api/v1/since?kind=pods": http.StatusUnprocessableEntity,
		"/api/v1/since?cursor=x": http.StatusBadRequest,
	} {
		if p := problemOf(t, h.do(t, path)); p.Status != want {
			t.Errorf("%s: %+v, want %d", path, p, want)
		}
	}
}

func TestTimeline(t *testing.T) {
	h := newHistoryHub(t)
	got := get[rest.Timeline](t, h, "/api/v1/timeline?around=e1")
	if got.Episode == nil || got.Episode.ID != "e1" || got.Total != 4 || got.Items[0].What != "rolling" {
		t.Errorf("around an episode: %+v, want what happened on its cluster, oldest first", got)
	}
	if got := get[rest.Timeline](t, h, "/api/v1/timeline?around=1s&before=1h&team=shop"); got.Episode != nil || got.Total != 1 {
		t.Errorf("around a moment: %+v", got)
	}
	for path, accept := range map[string]string{"/api/v1/timeline?around=e1&format=markdown": "*/*", "/api/v1/timeline?around=e1": "text/markdown"} {
		resp := h.do(t, path, "Accept", accept)
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/markdown; charset=utf-8" {
			t.Fatalf("%s: %s, %s, %v", path, resp.Status, resp.Header.Get("Content-Type"), err)
		}
		if !strings.HasPrefix(string(text), "# CrashLoopBackOff of Deployment/payments/ledger on a\n") || !strings.Contains(string(text), "```\nfatal\n```") {
			t.Errorf("Markdown:\n%s", text)
		}
	}
	for path, want := range map[string]int{
		"/api/v1/timeline?around=e9": http.StatusNotFound, "/api/v1/timeline?around=e1&team=shop": http.StatusNotFound,
		"/api/v1/timeline": http.StatusUnprocessableEntity, "/api/v1/timeline?around=e1&after=-2h": http.StatusBadRequest,
	} {
		if p := problemOf(t, h.do(t, path)); p.Status != want {
			t.Errorf("%s: %+v, want %d", path, p, want)
		}
	}
}

func TestEpisodesHaveTheirLikes(t *testing.T) {
	h := newHistoryHub(t)
	got := get[rest.EpisodeDetail](t, h, "/api/v1/episodes/e2")
	if got.ID != "e2" || len(got.Similar) != 1 || got.Similar[0].ID != "e1" || got.Similar[0].ResolvedBy != "rollout available" {
		t.Errorf("episode = %+v, want it with the one that is like it", got)
	}
}

func TestThePastOfTheView(t *testing.T) {
	h := newHistoryHub(t)
	items := get[rest.Since](t, h, "/api/v1/since?order=oldest&cluster=a").Items
	opened := url.QueryEscape(items[1].Stored.Format(time.RFC3339Nano))
	episodes := get[rest.EpisodeList](t, h, "/api/v1/episodes?at="+opened)
	if len(episodes.Items) != 1 || episodes.Items[0].ID != "e1" || !episodes.Items[0].ResolvedAt.IsZero() {
		t.Errorf("when it opened: %+v, want e1, open", episodes.Items)
	}
	if got := get[rest.ClusterList](t, h, "/api/v1/clusters?at="+opened); got.Total != 1 || got.Items[0].Episodes != 1 || got.Sequence != 3 {
		t.Errorf("clusters then: %+v", got)
	}
	if got := get[rest.ClusterDetail](t, h, "/api/v1/clusters/a?at="+opened); len(got.Open) != 1 || got.Inventory[0].State != "rolling" {
		t.Errorf("cluster a then: %+v", got)
	}
	if got := get[rest.ServiceList](t, h, "/api/v1/services?at="+opened); got.Total != 1 {
		t.Errorf("services then: %+v", got)
	}
	if got := get[rest.ClusterList](t, h, "/api/v1/clusters"); got.Total != 2 {
		t.Errorf("clusters now: %+v", got)
	}
	for path, want := range map[string]int{
		"/api/v1/clusters?at=2100-01-01T00:00:00Z": http.StatusBadRequest, "/api/v1/clusters?at=9000h": http.StatusNotFound,
		"/api/v1/episodes/e2?at=" + opened: http.StatusNotFound,
	} {
		if p := problemOf(t, h.do(t, path)); p.Status != want {
			t.Errorf("%s: %+v, want %d", path, p, want)
		}
	}
}

func TestWithoutAHistoryThePresentIsServed(t *testing.T) {
	h := newHub(t, somebody)
	h.publishDeployments(t, "a", "ledger")
	if got := get[rest.ClusterList](t, h, "/api/v1/clusters"); got.Total != 1 {
		t.Errorf("clusters = %+v", got)
	}
	for _, path := range []string{"/api/v1/since", "/api/v1/timeline?around=1h", "/api/v1/clusters?at=1h"} {
		if p := problemOf(t, h.do(t, path)); p.Status != http.StatusServiceUnavailable {
			t.Errorf("%s: %+v, want 503", path, p)
		}
	}
}
