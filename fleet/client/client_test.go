package client

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	"github.com/google/go-cmp/cmp"
	restclient "k8s.io/client-go/rest"
)

const token = "s3cret"

// serve starts a hub that answers as h does, and makes a client of it with a bearer token.
func serve(t *testing.T, h http.HandlerFunc) *Client {
	t.Helper()
	hub := httptest.NewTLSServer(h)
	t.Cleanup(hub.Close)
	c, err := New(hub.URL, Options{
		Credentials: &restclient.Config{Host: "https://kubernetes.example.com", BearerToken: token},
		CA:          authority(hub),
		Retry:       Retry{First: time.Millisecond, Most: 5 * time.Millisecond},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func authority(s *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

func answer(t *testing.T, w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		t.Error(err)
	}
}

func refuse(t *testing.T, w http.ResponseWriter, p rest.Problem) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	if err := json.NewEncoder(w).Encode(p); err != nil {
		t.Error(err)
	}
}

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func stored(t *testing.T, sequence uint64) Event {
	t.Helper()
	ce, err := event.New("prod-aws-eu1", event.FluxFailed, event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: "apps"},
		noon, event.Flux{APIVersion: "v1", Reason: "BuildFailed"})
	if err != nil {
		t.Fatal(err)
	}
	ce.ID = fmt.Sprint(sequence)
	raw, err := ce.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return Event{Sequence: sequence, Stored: noon, Cluster: "prod-aws-eu1", Event: ce, raw: raw}
}

func TestClustersReadsAllPages(t *testing.T) {
	var queries []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "Bearer "+token {
			t.Errorf("Authorization %q", got)
		}
		queries = append(queries, r.URL.Path+"?"+r.URL.RawQuery)
		page := rest.ClusterList{Page: rest.Page{AsOf: noon, Sequence: 41, Next: "two", Total: 2}, Items: []rest.Cluster{{ID: "a"}}}
		if r.URL.Query().Get("cursor") == "two" {
			page = rest.ClusterList{Page: rest.Page{AsOf: noon.Add(time.Second), Sequence: 42, Total: 2}, Items: []rest.Cluster{{ID: "b"}}}
		}
		answer(t, w, page)
	})
	got, err := c.Clusters(t.Context(), Filter{Environment: "prod", Status: rest.Degraded})
	if err != nil {
		t.Fatal(err)
	}
	want := rest.ClusterList{Page: rest.Page{AsOf: noon, Sequence: 41, Total: 2}, Items: []rest.Cluster{{ID: "a"}, {ID: "b"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
	wantQueries := []string{
		"/api/v1/clusters?environment=prod&limit=500&status=Degraded",
		"/api/v1/clusters?cursor=two&environment=prod&limit=500&status=Degraded",
	}
	if diff := cmp.Diff(wantQueries, queries); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestPagesEndWhenTheHubRepeatsItself(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(t, w, rest.ServiceList{Page: rest.Page{Next: "again"}})
	})
	if _, err := c.Services(t.Context(), Filter{}); err == nil || !strings.Contains(err.Error(), "repeats") {
		t.Errorf("error = %v, want one that says so", err)
	}
}

func TestOneOfEach(t *testing.T) {
	var paths []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.EscapedPath())
		switch {
		case strings.Contains(r.URL.Path, "clusters"):
			answer(t, w, rest.ClusterDetail{Cluster: rest.Cluster{ID: "a"}})
		case strings.Contains(r.URL.Path, "services"):
			answer(t, w, rest.Service{Team: "payments", Name: "ledger"})
		case strings.Contains(r.URL.Path, "episodes"):
			answer(t, w, rest.Episode{ID: "e/1"})
		default:
			answer(t, w, map[string]any{"openapi": "3.1.0", "info": map[string]string{"version": "v0.1.0"}})
		}
	})
	cluster, err := c.Cluster(t.Context(), "a")
	if err != nil || cluster.ID != "a" {
		t.Errorf("Cluster = %+v, %v", cluster, err)
	}
	service, err := c.Service(t.Context(), "payments", "ledger")
	if err != nil || service.Name != "ledger" {
		t.Errorf("Service = %+v, %v", service, err)
	}
	episode, err := c.Episode(t.Context(), "e/1")
	if err != nil || episode.ID != "e/1" {
		t.Errorf("Episode = %+v, %v", episode, err)
	}
	version, err := c.Version(t.Context())
	if err != nil || version != "v0.1.0" {
		t.Errorf("Version = %q, %v", version, err)
	}
	want := []string{"/api/v1/clusters/a", "/api/v1/services/payments/ledger", "/api/v1/episodes/e%2F1", "/openapi.json"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestEventsKeepWhatThisClientDoesNotKnow(t *testing.T) {
	one := stored(t, 1)
	one.raw = json.RawMessage(strings.Replace(string(one.raw), `{`, `{"comfuture":"x",`, 1))
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.Query().Get("since"); got != "2026-11-22T12:00:00Z" {
			t.Errorf("since = %q", got)
		}
		answer(t, w, map[string]any{"sequence": 9, "items": []any{one}})
	})
	var got []Event
	for page, err := range c.Events(t.Context(), EventQuery{Since: noon, Kind: event.KindFlux}) {
		if err != nil {
			t.Fatal(err)
		}
		if page.Sequence != 9 {
			t.Errorf("sequence %d, want 9", page.Sequence)
		}
		got = append(got, page.Items...)
	}
	if len(got) != 1 || got[0].Event.Type != event.FluxFailed || got[0].Sequence != 1 {
		t.Fatalf("events = %+v", got)
	}
	text, err := json.Marshal(got[0])
	if err != nil || !strings.Contains(string(text), `"comfuture":"x"`) {
		t.Errorf("written again: %s, %v; want the unknown attribute in it", text, err)
	}
}

func TestErrorsSayTheFix(t *testing.T) {
	for name, tt := range map[string]struct {
		answer   func(http.ResponseWriter)
		want     rest.Problem
		fixSays  string
		notFound bool
	}{
		"a problem of the hub is given as it is": {
			answer: func(w http.ResponseWriter) {
				refuse(t, w, rest.Problem{Title: "Not Found", Status: 404, Detail: "there is no cluster a", Fix: "list them"})
			},
			want: rest.Problem{Title: "Not Found", Status: 404, Detail: "there is no cluster a", Fix: "list them"}, fixSays: "list them", notFound: true,
		},
		"a refusal without a fix gets the role to ask for": {
			answer:  func(w http.ResponseWriter) { refuse(t, w, rest.Problem{Title: "Forbidden", Status: 403, Detail: "no"}) },
			want:    rest.Problem{Title: "Forbidden", Status: 403, Detail: "no", Fix: fixOfStatus(403)},
			fixSays: "fairway-view",
		},
		"the page of a proxy is cut to its first line": {
			answer:  func(w http.ResponseWriter) { http.Error(w, "upstream gone\n<html>", http.StatusBadGateway) },
			want:    rest.Problem{Title: "Bad Gateway", Status: 502, Detail: "upstream gone", Fix: fixOfStatus(502)},
			fixSays: "logs",
		},
		"a redirect is not followed, since credentials are for this hub only": {
			answer: func(w http.ResponseWriter) {
				w.Header().Set("Location", "https://elsewhere.example.com")
				w.WriteHeader(http.StatusFound)
			},
			want: rest.Problem{Title: "Found", Status: 302, Detail: "the hub answered 302 Found"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, _ *http.Request) { tt.answer(w) })
			_, err := c.Cluster(t.Context(), "a")
			var p *rest.Problem
			if !errors.As(err, &p) {
				t.Fatalf("error = %v, want a *rest.Problem", err)
			}
			if diff := cmp.Diff(tt.want, *p); diff != "" {
				t.Errorf("problem (-want +got):\n%s", diff)
			}
			if fix := Fix(err); !strings.Contains(fix, tt.fixSays) {
				t.Errorf("Fix = %q, want it to say %q", fix, tt.fixSays)
			}
			if IsNotFound(err) != tt.notFound {
				t.Errorf("IsNotFound = %t", IsNotFound(err))
			}
		})
	}
}

func TestConnectionsThatFailSayTheFix(t *testing.T) {
	hub := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(hub.Close)
	gone := httptest.NewTLSServer(http.NotFoundHandler())
	gone.Close()
	for name, tt := range map[string]struct{ server, says string }{
		"an authority that nobody knows": {hub.URL, "--ca-file"},
		"nobody listens":                 {gone.URL, "check the address"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := New(tt.server, Options{Credentials: &restclient.Config{}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Clusters(t.Context(), Filter{})
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(e.Fix, tt.says) {
				t.Errorf("error = %v, fix %q; want a fix that says %q", err, Fix(err), tt.says)
			}
		})
	}
}

func TestNewRefusesAddressesWithoutTLS(t *testing.T) {
	for _, server := range []string{"http://hub.example.com", "hub.example.com", "https://", "://", ""} {
		if _, err := New(server, Options{Credentials: &restclient.Config{}}); err == nil || Fix(err) == "" {
			t.Errorf("New(%q): %v, want an error with a fix", server, err)
		}
	}
}

func TestCallerIsWhoTheKubeconfigSays(t *testing.T) {
	hub := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Impersonate-User") != "jane" || r.Header.Get("Impersonate-Group") != "payments" {
			t.Errorf("impersonation headers are missing: %v", r.Header)
		}
		answer(t, w, rest.ClusterList{})
	}))
	t.Cleanup(hub.Close)
	credentials := &restclient.Config{
		Host: "https://kubernetes.example.com", BearerToken: token,
		Impersonate: restclient.ImpersonationConfig{UserName: "jane", Groups: []string{"payments"}},
		// The API server's own TLS settings are not the hub's.
		TLSClientConfig: restclient.TLSClientConfig{Insecure: true, ServerName: "kubernetes.example.com"},
	}
	c, err := New(hub.URL, Options{Credentials: credentials, CA: authority(hub)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Clusters(t.Context(), Filter{}); err != nil {
		t.Error(err)
	}
	stranger, err := New(hub.URL, Options{Credentials: credentials})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := stranger.Clusters(t.Context(), Filter{}); err == nil {
		t.Error("insecure-skip-tls-verify of the kubeconfig was used for the hub")
	}
}
