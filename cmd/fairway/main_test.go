package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write golden files and docs/cli.md")

// now is the clock of every test.
var now = time.Date(2026, 11, 22, 8, 17, 0, 0, time.UTC)

func before(d time.Duration) time.Time { return now.Add(-d) }

// golden compares text with testdata/<name>, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; go test ./cmd/fairway -update writes it):\n%s", path, diff)
	}
}

// fakeHub answers paths of /api/v1 with fixed bodies, and what it does not have with a problem.
type fakeHub struct {
	bodies map[string]any
	asked  []string                                     // paths with their queries
	anyone bool                                         // whoever calls is answered
	stream func(w http.ResponseWriter, r *http.Request) // of /watch
	server *httptest.Server
	ca     string
}

func startHub(t *testing.T) *fakeHub {
	t.Helper()
	h := &fakeHub{bodies: map[string]any{
		"/api/v1/clusters": clusters(), "/api/v1/services": services(), "/api/v1/episodes": episodes(), "/api/v1/unowned": unowned(), "/api/v1/audit": audit(), "/api/v1/events": events(t),
		"/api/v1/clusters/prod-azure-eu1": degraded(), "/api/v1/clusters/prod-aws-us1": silent(), "/api/v1/clusters/prod-aws-eu1": healthy(),
		"/api/v1/clusters/dev-azure":             joining(),
		"/api/v1/episodes/" + openEpisode().ID:   rest.EpisodeDetail{Episode: openEpisode(), Similar: similar()},
		"/api/v1/episodes/" + configEpisode().ID: rest.EpisodeDetail{Episode: configEpisode(), Similar: []rest.SimilarEpisode{}},
		"/api/v1/since":                          changes(), "/api/v1/timeline": timeline(),
		"/openapi.json": map[string]any{"info": map[string]string{"version": "v0.1.0"}},
	}}
	h.server = httptest.NewTLSServer(h)
	t.Cleanup(h.server.Close)
	h.ca = filepath.Join(t.TempDir(), "ca.crt")
	pemText := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.server.Certificate().Raw})
	if err := os.WriteFile(h.ca, pemText, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	return h
}

func (h *fakeHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.anyone && r.Header.Get("Authorization") != "Bearer t" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	h.asked = append(h.asked, r.URL.RequestURI())
	if r.URL.Path == "/api/v1/watch" && h.stream != nil {
		h.stream(w, r)
		return
	}
	body, there := h.bodies[r.URL.Path]
	if strings.HasPrefix(r.Header.Get("Accept"), "text/markdown") {
		w.Header().Set("Content-Type", "text/markdown; charset=utf-8")
		fmt.Fprintf(w, "# Timeline of %s\n", r.URL.RawQuery)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if !there {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		body = rest.Problem{Title: "Not Found", Status: http.StatusNotFound, Detail: "there is no " + r.URL.Path}
	}
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err)
	}
}

type result struct {
	code        int
	out, errOut string
}

// fairway runs the program against the hub.
func (h *fakeHub) fairway(ctx context.Context, args ...string) result {
	var out, errOut bytes.Buffer
	sh := &shell{name: "fairway", version: "v0.1.0", now: func() time.Time { return now }, zone: time.UTC}
	args = append(args, "--server", h.server.URL, "--ca-file", h.ca, "--token", "t")
	return result{run(ctx, sh, args, &out, &errOut), out.String(), errOut.String()}
}

func TestOutputs(t *testing.T) {
	h := startHub(t)
	for name, args := range map[string]string{
		"get-clusters.txt":           "get clusters",
		"get-clusters-wide.txt":      "get clusters -o wide",
		"get-clusters-name.txt":      "get clusters -o name",
		"get-clusters.json":          "get clusters -o json",
		"get-clusters.yaml":          "get clusters -o yaml prod-aws-us1",
		"get-clusters-no-head.txt":   "get cluster prod-aws-eu1 --no-headers",
		"get-clusters-team.txt":      "get clusters -n acquired",
		"get-services.txt":           "get services",
		"get-services-wide.txt":      "get svc -o wide payments/ledger",
		"get-services.json":          "get services ledger -o json",
		"get-unowned.txt":            "get unowned",
		"get-unowned-wide.txt":       "get unowned -o wide --status degraded",
		"get-unowned-name.txt":       "get unowned -o name",
		"get-unowned.json":           "get unowned --cluster acquired-1 -o json",
		"get-episodes.txt":           "get episodes --resolved",
		"get-episodes-wide.txt":      "get episodes -o wide",
		"get-episodes.yaml":          "get episodes -o yaml 0193a7c1",
		"describe-degraded.txt":      "describe cluster prod-azure-eu1",
		"describe-degraded-all.txt":  "describe cluster prod-azure-eu1 --all",
		"describe-silent.txt":        "describe cluster prod-aws-us1",
		"describe-healthy.txt":       "describe cluster prod-aws-eu1",
		"describe-joining.txt":       "describe cluster dev-azure",
		"describe-cluster.json":      "describe cluster prod-azure-eu1 -o json",
		"describe-episode.txt":       "describe episode 0193a7c1-0000-7000-8000-000000000001",
		"describe-episode-start.txt": "describe episode 0193a7c2",
		"events.txt":                 "events --since 24h",
		"events.json":                "events --since 24h --kind episode -o json",
		"events.yaml":                "events --since 24h -o yaml --cluster prod-azure-eu1",
		"since.txt":                  "since yesterday --team payments",
		"since-wide.txt":             "since 2h -o wide",
		"since.json":                 "since 2026-11-21 --kind episode -o json",
		"timeline.txt":               "timeline --around 0193a7c1-0000-7000-8000-000000000001",
		"timeline.md":                "timeline --around 2026-11-22T08:00:00Z -o markdown",
		"timeline.yaml":              "timeline --around 0193a7c1-0000-7000-8000-000000000001 -o yaml",
		"episodes.txt":               "episodes --resolved",
		"audit.txt":                  "audit payments/ledger --env prod",
		"audit-wide.txt":             "audit --artifact main-4f1c9d2-a81b -o wide",
		"audit.json":                 "audit --limit 0 -o json",
		"version.txt":                "version",
		"version.json":               "version -o json",
	} {
		t.Run(name, func(t *testing.T) {
			got := h.fairway(t.Context(), strings.Fields(args)...)
			if got.code != 0 || got.errOut != "" {
				t.Fatalf("exit code %d, stderr:\n%s", got.code, got.errOut)
			}
			golden(t, name, got.out)
		})
	}
}

func TestWhatIsNotTrueFails(t *testing.T) {
	h := startHub(t)
	for args, want := range map[string]string{
		"get clusters prod-aws-eu2":       "✗ find cluster \"prod-aws-eu2\": there is none of that name\n► did you mean prod-aws-eu1 or prod-aws-us1? Or list them: fairway get clusters\n",
		"describe cluster azure":          "✗ find cluster \"azure\": there is none of that name\n► did you mean dev-azure or prod-azure-eu1? Or list them: fairway get clusters\n",
		"describe cluster x":              "✗ find cluster \"x\": there is none of that name\n► list them: fairway get clusters\n",
		"describe cluster":                "✗ describe cluster: it takes one argument, the cluster's id\n► see: fairway describe cluster --help\n",
		"get services ledgr":              "✗ find service \"ledgr\": there is none of that name\n► list them: fairway get services\n",
		"describe episode 0193":           "✗ find episode \"0193\": several start like this\n► write more of it: 0193a7c1-0000-7000-8000-000000000001, 0193a7c2-0000-7000-8000-000000000002\n",
		"describe episode ffff":           "✗ find episode \"ffff\": there is none of that name\n► list them: fairway get episodes --resolved\n",
		"get":                             "✗ get: say what: clusters, services, episodes or unowned\n► see: fairway get --help\n",
		"get cluters":                     "✗ get: there is no \"cluters\"; did you mean clusters?\n► see: fairway get --help\n",
		"get clusters -o table2":          "✗ get clusters: invalid argument \"table2\" for \"-o, --output\" flag: use one of table|wide|name|json|yaml\n► see: fairway get clusters --help\n",
		"get clusters --status red":       "✗ get clusters: there is no status \"red\"; use Ready, Progressing, Suspended, Degraded, Unknown\n► see: fairway get clusters --help\n",
		"get clusters -w -o json":         "✗ get clusters: --watch prints tables only; for other forms: fairway events -w -o json\n► see: fairway get clusters --help\n",
		"events --since yesterday":        "✗ events: --since: \"yesterday\" is neither a length of time such as 90m, 24h or 7d, nor a time such as 2026-11-22T08:17:00Z\n► see: fairway events --help\n",
		"since lately":                    "✗ since: \"lately\" is neither a length of time such as 90m, 24h or 7d, nor a time such as 2026-11-22T08:17:00Z, nor today, yesterday or a date such as 2026-11-22\n► see: fairway since --help\n",
		"since 2h --kind pods":            "✗ since: there is no kind \"pods\"; use cluster, flux, workload, episode, release, artifact, agent\n► see: fairway since --help\n",
		"get clusters -w --at 2h":         "✗ get clusters: --watch shows what happens now, and --at what was\n► see: fairway get clusters --help\n",
		"timeline":                        "✗ timeline: say around what: --around EPISODE or --around TIME\n► see: fairway timeline --help\n",
		"timeline --around ffff":          "✗ find episode \"ffff\": there is none of that name\n► list them: fairway get episodes --resolved\n",
		"events --kind pods":              "✗ events: there is no kind \"pods\"; use cluster, flux, workload, episode, release, artifact, agent\n► see: fairway events --help\n",
		"install":                         "✗ install: the manifests are printed with --export, and applied by you\n► fairway install --export | kubectl apply --server-side -f -\n",
		"get clusters --token wrong":      "✗ list clusters: the hub answered 401 Unauthorized\n► the platform does not accept the kubeconfig's credentials; log in again, then: kubectl auth whoami\n",
		"get clusters --server http://a/": "✗ connect to the hub: use hub \"http://a/\": it is not an https:// address\n► give it as https://host[:port]; credentials are never sent without TLS\n",
	} {
		t.Run(args, func(t *testing.T) {
			fields := strings.Fields(args)
			var got result
			if strings.Contains(args, "--server") || strings.Contains(args, "--token") {
				got = h.fairwayWith(t.Context(), fields)
			} else {
				got = h.fairway(t.Context(), fields...)
			}
			if got.code != 1 {
				t.Errorf("exit code %d, want 1", got.code)
			}
			if diff := cmp.Diff(want, got.errOut); diff != "" {
				t.Errorf("stderr (-want +got):\n%s", diff)
			}
			if got.out != "" {
				t.Errorf("stdout: %q, want nothing", got.out)
			}
		})
	}
}

// fairwayWith lets flags of args win over those that fairway gives.
func (h *fakeHub) fairwayWith(ctx context.Context, args []string) result {
	var out, errOut bytes.Buffer
	sh := &shell{name: "fairway", version: "v0.1.0", server: h.server.URL, now: func() time.Time { return now }, zone: time.UTC}
	return result{run(ctx, sh, append(args, "--ca-file", h.ca), &out, &errOut), out.String(), errOut.String()}
}

func TestEmptyListsSaySo(t *testing.T) {
	h := startHub(t)
	h.bodies["/api/v1/clusters"] = rest.ClusterList{}
	h.bodies["/api/v1/episodes"] = rest.EpisodeList{}
	h.bodies["/api/v1/unowned"] = rest.UnownedList{}
	for args, want := range map[string]string{
		"get clusters":            "⚠ no cluster is registered yet",
		"get clusters -e staging": "⚠ no cluster matches",
		"get episodes":            "✔ no episode matches",
		"get unowned":             "✔ everything belongs to a team",
		"get unowned -e staging":  "✔ nothing that matches is without a team",
	} {
		got := h.fairway(t.Context(), strings.Fields(args)...)
		if got.code != 0 || got.out != "" || !strings.HasPrefix(got.errOut, want) {
			t.Errorf("%s: %+v, want exit code 0 and %q on stderr", args, got, want)
		}
	}
	if got := h.fairway(t.Context(), "get", "clusters", "-o", "json"); !strings.Contains(got.out, `"items": []`) {
		t.Errorf("JSON of an empty list:\n%s", got.out)
	}
}

func TestWithoutAnythingTheErrorSaysWhatToSet(t *testing.T) {
	h := startHub(t)
	var out, errOut bytes.Buffer
	sh := &shell{name: "kubectl fairway", now: time.Now, zone: time.UTC}
	code := run(t.Context(), sh, []string{"get", "clusters"}, &out, &errOut)
	if code != 1 || !strings.Contains(errOut.String(), "► set KUBECONFIG or --kubeconfig") {
		t.Errorf("exit code %d, stderr:\n%s", code, errOut.String())
	}
	got := h.fairwayWith(t.Context(), []string{"version", "--server", "https://127.0.0.1:1"})
	if got.code != 0 || got.out != "client: v0.1.0\n" || !strings.HasPrefix(got.errOut, "⚠ the hub cannot be reached") {
		t.Errorf("version without a hub: %+v", got)
	}
}

func TestListsOfThePastAskForTheirMoment(t *testing.T) {
	h := startHub(t)
	for args, path := range map[string]string{
		"get clusters --at yesterday":  "/api/v1/clusters?at=2026-11-21T00%3A00%3A00Z",
		"get services --at 2026-11-20": "/api/v1/services?at=2026-11-20T00%3A00%3A00Z",
		"get episodes --at 2h":         "/api/v1/episodes?at=2026-11-22T06%3A17%3A00Z",
	} {
		h.asked = nil
		got := h.fairway(t.Context(), strings.Fields(args)...)
		if got.code != 0 || !strings.HasPrefix(got.errOut, "► as it was at 2026-11-2") {
			t.Errorf("%s: %+v", args, got)
		}
		if len(h.asked) != 1 || !strings.HasPrefix(h.asked[0], path) {
			t.Errorf("%s asks for %v, want %s", args, h.asked, path)
		}
	}
}

func TestMomentsAreReadInTheUsersZone(t *testing.T) {
	zone := time.FixedZone("CET", 3600)
	for text, want := range map[string]string{
		"today": "2026-11-21T23:00:00Z", "yesterday": "2026-11-20T23:00:00Z", "2026-11-20": "2026-11-19T23:00:00Z",
		"2026-11-20 08:30": "2026-11-20T07:30:00Z", "2h": "2026-11-22T06:17:00Z", "7d": "2026-11-15T08:17:00Z",
		"2026-11-20T08:00:00Z": "2026-11-20T08:00:00Z",
	} {
		at, err := parseMoment(text, now.In(zone))
		if got := at.UTC().Format(time.RFC3339); err != nil || got != want {
			t.Errorf("parseMoment(%q) = %s, %v, want %s", text, got, err, want)
		}
	}
}

func TestNamesAsAPlugin(t *testing.T) {
	for program, want := range map[string]string{
		"/usr/local/bin/fairway": "fairway", "kubectl-fairway": "kubectl fairway", "flux-fairway.exe": "flux fairway", "/tmp/main.test": "fairway",
	} {
		if got := calledAs(program); got != want {
			t.Errorf("calledAs(%q) = %q, want %q", program, got, want)
		}
	}
	var out, errOut bytes.Buffer
	sh := &shell{name: "kubectl fairway", now: time.Now, zone: time.UTC}
	run(t.Context(), sh, []string{"get", "clusters", "--help"}, &out, &errOut)
	if !strings.Contains(out.String(), "kubectl fairway get clusters [ID...]") || !strings.Contains(out.String(), "  kubectl fairway get clusters -w") {
		t.Errorf("help does not name the plugin:\n%s", out.String())
	}
}

func TestCompletionOffersWhatTheHubKnows(t *testing.T) {
	h := startHub(t)
	for args, want := range map[string][]string{
		"describe cluster prod-a":        {"prod-aws-eu1", "prod-aws-us1", "prod-azure-eu1"},
		"get services pay":               {"payments/cards", "payments/ledger"},
		"get clusters --environment p":   {"prod"},
		"get clusters --status Ready,Un": {"Ready,Unknown"},
		"get clusters -o w":              {"wide"},
		"events --kind ep":               {"episode"},
	} {
		got := h.completion(t, args)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", args, diff)
		}
	}
}

func (h *fakeHub) completion(t *testing.T, line string) []string {
	t.Helper()
	fields := strings.Fields(line)
	args := append([]string{"__complete", "--server", h.server.URL, "--ca-file", h.ca, "--token", "t"}, fields...)
	var out, errOut bytes.Buffer
	sh := &shell{name: "fairway", now: func() time.Time { return now }, zone: time.UTC}
	if code := run(t.Context(), sh, args, &out, &errOut); code != 0 {
		t.Fatalf("%s: exit code %d, %s", line, code, errOut.String())
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	return lines[:len(lines)-1] // the last is the directive
}

// screen is output that a test reads while the program writes it.
type screen struct {
	lines chan string
	rest  string
}

func (s *screen) Write(p []byte) (int, error) {
	s.rest += string(p)
	for {
		line, rest, whole := strings.Cut(s.rest, "\n")
		if !whole {
			return len(p), nil
		}
		s.lines <- line
		s.rest = rest
	}
}

func TestEventsAreWatchedUntilInterrupted(t *testing.T) {
	h := startHub(t)
	all := events(t).Items
	h.bodies["/api/v1/events"] = rest.EventList{Page: rest.Page{Sequence: 104}, Items: all[:1]}
	h.stream = func(w http.ResponseWriter, r *http.Request) {
		if from := r.Header.Get("Last-Event-ID"); from != "104" {
			t.Errorf("watching from %q, want where the list ended", from)
		}
		body, err := json.Marshal(all[1])
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprintf(w, "id: 105\ndata: %s\n\n", body)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out := &screen{lines: make(chan string, 100)}
	code := make(chan int, 1)
	go func() {
		sh := &shell{name: "fairway", now: func() time.Time { return now }, zone: time.UTC}
		code <- run(ctx, sh, []string{"events", "-w", "--server", h.server.URL, "--ca-file", h.ca, "--token", "t"}, out, &bytes.Buffer{})
	}()
	for _, want := range []string{"cluster registered", "flux failed"} {
		select {
		case line := <-out.lines:
			if !strings.Contains(line, want) {
				t.Errorf("line %q, want %q in it", line, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no line with %q", want)
		}
	}
	interrupt()
	if got := <-code; got != 0 {
		t.Errorf("exit code %d after an interrupt, want 0", got)
	}
}

func TestWatchedListPrintsWhatChanged(t *testing.T) {
	old := clusterDocument(clusters(), now)
	changed := clusters()
	changed.Items[0].Status, changed.Items[0].Freshness.LastHeartbeat = rest.Degraded, now
	changed.Items[2].Freshness.LastHeartbeat = now // its age is not news
	changed.Items = append(changed.Items, rest.Cluster{ID: "new"})
	var got []string
	for _, r := range difference(old.table.rows, clusterDocument(changed, now.Add(time.Minute)).table.rows) {
		got = append(got, r.key)
	}
	if diff := cmp.Diff([]string{changed.Items[0].ID, "new"}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func storedEvent(t *testing.T, sequence uint64, typ event.Type, obj event.Object, ago time.Duration, data any) rest.StoredEvent {
	t.Helper()
	cluster := "prod-azure-eu1"
	if typ == event.ClusterRegistered {
		cluster = event.Platform
	}
	e, err := event.New(cluster, typ, obj, before(ago), data)
	if err != nil {
		t.Fatal(err)
	}
	e.ID = fmt.Sprintf("0193a7c0-0000-7000-8000-%012d", sequence)
	return rest.StoredEvent{Sequence: sequence, Stored: before(ago), Cluster: cluster, Event: e}
}
