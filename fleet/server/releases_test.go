package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/history"
)

var then = time.Now().Add(-2 * time.Hour).UTC().Truncate(time.Second)

// release is a release of the ledger that went well on the clusters, an hour after the one before.
func release(name, artifact, environment string, hour int, clusters ...string) event.Release {
	at := then.Add(time.Duration(hour) * time.Hour / 4)
	r := event.Release{Name: "payments/" + name, Team: "payments", Service: "ledger", Artifact: artifact, Environment: environment, Intent: "Release",
		RequestedBy: "dev@example.com", RequestedAt: at, Phase: string(fleetv1.PhaseSucceeded), StartedAt: at, FinishedAt: at.Add(time.Minute),
		Source: event.ArtifactSource{Branch: "main", Commit: "4f1c9d2", Author: "author@example.com", Created: at.Add(-time.Minute)}}
	for _, c := range clusters {
		r.Clusters = append(r.Clusters, event.ReleaseTarget{Cluster: c, State: string(fleetv1.TargetAvailable), MovedAt: at, AvailableAt: at.Add(time.Minute)})
	}
	return r
}

// say publishes what the platform says of a release, or of an artifact.
func (h *hub) say(t *testing.T, typ event.Type, r event.Release) {
	t.Helper()
	e, err := event.NewRelease(typ, r, time.Now())
	h.platform(t, e, err)
}

func (h *hub) created(t *testing.T, id, branch string, at time.Time) {
	t.Helper()
	e, err := event.NewArtifact(event.Artifact{Team: "payments", Service: "ledger", ID: id, Source: event.ArtifactSource{Branch: branch, Created: at}}, time.Now())
	h.platform(t, e, err)
}

func newReleaseHub(t *testing.T, change ...func(*Options)) *hub {
	t.Helper()
	h := newHub(t, somebody, append([]func(*Options){func(o *Options) {
		o.History = history.New(history.Options{Path: filepath.Join(t.TempDir(), "history.db"), Log: logr.Discard()})
	}}, change...)...)
	h.say(t, event.ReleaseSucceeded, release("ledger-1", "main-1", "prod", 1, "a", "z"))
	h.say(t, event.ReleaseSucceeded, release("ledger-2", "main-2", "staging", 2, "s"))
	h.say(t, event.ReleaseSucceeded, release("ledger-3", "main-2", "prod", 3, "a", "z"))
	h.created(t, "main-1", "main", then)
	h.created(t, "main-3", "main", then.Add(time.Hour))
	h.created(t, "fix-1", "fix", then.Add(2*time.Hour))
	retry(t, func() error { return h.History.Flush(t.Context()) })
	return h
}

func TestReleasesAreListed(t *testing.T) {
	h := newReleaseHub(t)
	for path, want := range map[string][]string{
		"/api/v1/releases": {"ledger-3", "ledger-2", "ledger-1"},
		"/api/v1/releases?team=payments&environment=prod":           {"ledger-3", "ledger-1"},
		"/api/v1/releases?cluster=s":                                {"ledger-2"},
		"/api/v1/releases?service=index":                            {},
		"/api/v1/releases?phase=Failed":                             {},
		"/api/v1/releases?since=24h&environment=prod":               {"ledger-3", "ledger-1"},
		"/api/v1/releases?since=2099-01-01T00:00:00Z&phase=Refused": {},
		"/api/v1/releases?since=2001-01-01T00:00:00Z&limit=2":       {"ledger-3", "ledger-2"},
		"/api/v1/releases?limit=1&cursor=" + cursorAfter(t, h):      {"ledger-2"},
	} {
		t.Run(path, func(t *testing.T) {
			got := []string{}
			for _, r := range get[rest.ReleaseList](t, h, path).Items {
				got = append(got, strings.TrimPrefix(r.Name, "payments/"))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if got := get[rest.Release](t, h, "/api/v1/releases/payments/ledger-2"); got.Artifact != "main-2" || got.Available != 1 || got.Source.Author != "author@example.com" {
		t.Errorf("release = %+v", got)
	}
	for path, want := range map[string]int{"/api/v1/releases/payments/ledger-9": http.StatusNotFound, "/api/v1/releases?since=lately": http.StatusBadRequest,
		"/api/v1/releases?phase=Nearly": http.StatusUnprocessableEntity, "/api/v1/delivery?by=colour": http.StatusUnprocessableEntity} {
		if p := problemOf(t, h.do(t, path)); p.Status != want {
			t.Errorf("%s: %+v, want %d", path, p, want)
		}
	}
}

// cursorAfter is the cursor after the first release.
func cursorAfter(t *testing.T, h *hub) string {
	t.Helper()
	return get[rest.ReleaseList](t, h, "/api/v1/releases?limit=1").Next
}

func TestAReleaseThatTheViewHasForgottenIsFoundInTheHistory(t *testing.T) {
	h := newReleaseHub(t)
	for i := range 20 {
		h.say(t, event.ReleaseSucceeded, release("ledger-1"+string(rune('a'+i)), "main-9", "prod", 4, "a"))
	}
	retry(t, func() error { return h.History.Flush(t.Context()) })
	if _, ok := h.View.Release("payments/ledger-1"); ok {
		t.Fatal("the view holds it still; publish more")
	}
	if got := get[rest.Release](t, h, "/api/v1/releases/payments/ledger-1"); got.Artifact != "main-1" {
		t.Errorf("release = %+v", got)
	}
}

func TestArtifactsAreServed(t *testing.T) {
	h := newReleaseHub(t)
	for path, want := range map[string][]string{
		"/api/v1/artifacts": {"fix-1", "main-3", "main-1"}, "/api/v1/artifacts?team=payments&service=ledger&branch=main": {"main-3", "main-1"},
		"/api/v1/artifacts?limit=1": {"fix-1"}, "/api/v1/artifacts?team=search": {},
	} {
		got := []string{}
		for _, a := range get[rest.ArtifactList](t, h, path).Items {
			got = append(got, a.ID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

func TestAnAuditIsServed(t *testing.T) {
	h := newReleaseHub(t)
	got := get[rest.AuditList](t, h, "/api/v1/audit?artifact=main-2&cluster=z")
	if len(got.Items) != 1 || got.Total != 1 || got.Items[0].Release != "payments/ledger-3" || got.Items[0].Source.Author != "author@example.com" || got.Items[0].AvailableAt.IsZero() {
		t.Errorf("audit = %+v, want how main-2 came to z", got)
	}
	if got := get[rest.AuditList](t, h, "/api/v1/audit?limit=2"); got.Total != 5 || len(got.Items) != 2 || got.Next == "" {
		t.Errorf("a page of the whole audit = %+v", got)
	}
	h.History = nil
	if p := problemOf(t, h.do(t, "/api/v1/audit")); p.Status != http.StatusServiceUnavailable {
		t.Errorf("without a history: %+v", p)
	}
}

func TestDeliveryIsServed(t *testing.T) {
	h := newReleaseHub(t)
	got := get[rest.Delivery](t, h, "/api/v1/delivery?since=24h&environment=prod")
	figures := rest.DeliveryFigures{Deployments: 2, Succeeded: 2, PerDay: 2, LeadTime: &rest.Spread{Count: 2, Median: 120, P90: 120, Max: 120}}
	if diff := cmp.Diff(figures, got.All); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]rest.DeliveryGroup{{Team: "payments", Service: "ledger", Environment: "prod", DeliveryFigures: figures}}, got.Items); diff != "" {
		t.Errorf("groups (-want +got):\n%s", diff)
	}
	if got := get[rest.Delivery](t, h, "/api/v1/delivery?by=team&since=720h").Items; len(got) != 1 || got[0].Team != "payments" || got[0].Deployments != 3 {
		t.Errorf("by team = %+v", got)
	}
	if p := problemOf(t, h.do(t, "/api/v1/delivery?since=lately")); p.Status != http.StatusBadRequest {
		t.Errorf("problem = %+v", p)
	}
}

// desk stands for the platform where it is not what is tested.
type desk struct {
	made     []fleetv1.Release
	err      error
	approved fleetv1.Approval
}

func (d *desk) Create(_ context.Context, r *fleetv1.Release) error {
	if d.err == nil {
		r.Name = r.GenerateName + "7k2x9"
		d.made = append(d.made, *r)
	}
	return d.err
}

func (d *desk) Approve(_ context.Context, namespace, name string, a fleetv1.Approval) (*fleetv1.Release, error) {
	d.approved = a
	return &fleetv1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Spec: fleetv1.ReleaseSpec{Approvals: []fleetv1.Approval{a}},
		Status: fleetv1.ReleaseStatus{Phase: fleetv1.PhaseFailed}}, d.err
}

func TestAReleaseIsAskedForAsTheCaller(t *testing.T) {
	for name, test := range map[string]struct {
		ask  string
		want fleetv1.ReleaseSpec
	}{
		"an artifact": {`{"service":"ledger","environment":"prod","artifact":"main-7","message":"as agreed"}`,
			fleetv1.ReleaseSpec{Service: "ledger", Environment: "prod", Artifact: "main-7", Intent: fleetv1.IntentRelease, Message: "as agreed"}},
		"the newest artifact of a branch": {`{"service":"ledger","environment":"staging","branch":"main"}`,
			fleetv1.ReleaseSpec{Service: "ledger", Environment: "staging", Artifact: "main-3", Intent: fleetv1.IntentRelease}},
		"a promotion of what is there": {`{"service":"ledger","environment":"prod","intent":"Promote","from":"staging"}`,
			fleetv1.ReleaseSpec{Service: "ledger", Environment: "prod", Artifact: "main-2", Intent: fleetv1.IntentPromote, From: "staging"}},
		"a rollback to what was before": {`{"service":"ledger","environment":"prod","intent":"Rollback"}`,
			fleetv1.ReleaseSpec{Service: "ledger", Environment: "prod", Artifact: "main-1", Intent: fleetv1.IntentRollback}},
	} {
		t.Run(name, func(t *testing.T) {
			d := &desk{}
			h := newReleaseHub(t, func(o *Options) { o.Releases = d })
			resp := h.post(t, "/api/v1/releases?team=payments", test.ask)
			if got := resp.Header.Get("Location"); resp.StatusCode != http.StatusCreated || got != "/api/v1/releases/payments/ledger-7k2x9" {
				t.Fatalf("%s, Location %q: %s", resp.Status, got, bodyOf(t, resp))
			}
			test.want.RequestedBy = "dev"
			if len(d.made) != 1 || d.made[0].Namespace != "payments" {
				t.Fatalf("made %+v, want one in the team's namespace", d.made)
			}
			if diff := cmp.Diff(test.want, d.made[0].Spec); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatCannotBeReleasedIsSaid(t *testing.T) {
	const ask = `{"service":"ledger","environment":"prod","artifact":"main-7"}`
	releases := schema.GroupResource{Group: "fleet.fairway.dev", Resource: "releases"}
	for name, test := range map[string]struct {
		path, ask string
		err       error
		want      int
		says      string
	}{
		"no team":                         {"", ask, nil, http.StatusUnprocessableEntity, "team"},
		"no service":                      {"?team=payments", `{"environment":"prod","artifact":"main-7"}`, nil, http.StatusUnprocessableEntity, "service"},
		"neither artifact nor branch":     {"?team=payments", `{"service":"ledger","environment":"prod"}`, nil, http.StatusBadRequest, "neither"},
		"both":                            {"?team=payments", `{"service":"ledger","environment":"prod","artifact":"a","branch":"b"}`, nil, http.StatusBadRequest, "one of them"},
		"an auto-release":                 {"?team=payments", `{"service":"ledger","environment":"prod","artifact":"a","intent":"AutoRelease"}`, nil, http.StatusBadRequest, "policy"},
		"a branch without artifacts":      {"?team=payments", `{"service":"ledger","environment":"prod","branch":"gone"}`, nil, http.StatusConflict, "gone"},
		"a promotion of nothing":          {"?team=payments", `{"service":"ledger","environment":"prod","intent":"Promote","from":"dev"}`, nil, http.StatusConflict, "dev"},
		"a rollback to nothing":           {"?team=payments", `{"service":"ledger","environment":"staging","intent":"Rollback"}`, nil, http.StatusConflict, "before"},
		"what the platform calls invalid": {"?team=payments", ask, apierrors.NewInvalid(fleetv1.GroupVersion.WithKind("Release").GroupKind(), "ledger", nil), http.StatusUnprocessableEntity, "invalid"},
		"no such namespace":               {"?team=payments", ask, apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, "payments"), http.StatusNotFound, "payments"},
		"what an admission policy refuses": {"?team=payments", ask, apierrors.NewForbidden(releases, "ledger", errors.New(`ValidatingAdmissionPolicy "x" denied request: no`)),
			http.StatusForbidden, "denied"},
		"a hub without rights":            {"?team=payments", ask, apierrors.NewForbidden(releases, "ledger", errors.New("no")), http.StatusServiceUnavailable, "refuses the hub"},
		"a platform that does not answer": {"?team=payments", ask, errors.New("connection refused"), http.StatusServiceUnavailable, "does not answer"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newReleaseHub(t, func(o *Options) { o.Releases = &desk{err: test.err} })
			if p := problemOf(t, h.post(t, "/api/v1/releases"+test.path, test.ask)); p.Status != test.want || !strings.Contains(p.Detail+p.Fix, test.says) {
				t.Errorf("problem = %+v, want %d that says %q", p, test.want, test.says)
			}
		})
	}
	h := newHub(t, somebody)
	for path, body := range map[string]string{"/api/v1/releases?team=payments": ask, "/api/v1/releases/payments/ledger-1/approvals": `{}`} {
		if p := problemOf(t, h.post(t, path, body)); p.Status != http.StatusServiceUnavailable {
			t.Errorf("%s of a hub that makes none: %+v", path, p)
		}
	}
}

func TestAReleaseIsApprovedAsTheCaller(t *testing.T) {
	const path = "/api/v1/releases/payments/ledger-1/approvals"
	d := &desk{}
	h := newHub(t, somebody, func(o *Options) { o.Releases = d })
	if resp := h.post(t, path, `{"message":"go"}`); resp.StatusCode != http.StatusOK || d.approved.By != "dev" || d.approved.Message != "go" || d.approved.At.IsZero() {
		t.Errorf("%s: approved %+v, want by dev", resp.Status, d.approved)
	}
	for err, want := range map[error]int{ErrOwnRelease: http.StatusForbidden, ErrReleaseOver: http.StatusConflict,
		apierrors.NewNotFound(schema.GroupResource{Resource: "releases"}, "ledger-1"): http.StatusNotFound, errors.New("away"): http.StatusServiceUnavailable} {
		d.err = err
		if p := problemOf(t, h.post(t, path, `{}`)); p.Status != want {
			t.Errorf("%v: %+v, want %d", err, p, want)
		}
	}
}

func TestWhatWasBeforeIsNotWhatWasTakenBack(t *testing.T) {
	of := func(artifact string, phase fleetv1.Phase) rest.Release {
		return rest.Release{Artifact: artifact, Phase: string(phase)}
	}
	for name, test := range map[string]struct {
		released []rest.Release // the newest first
		want     string
	}{
		"the one before":      {[]rest.Release{of("3", fleetv1.PhaseSucceeded), of("2", fleetv1.PhaseSucceeded)}, "2"},
		"not one that failed": {[]rest.Release{of("3", fleetv1.PhaseSucceeded), of("2", fleetv1.PhaseFailed), of("1", fleetv1.PhaseSucceeded)}, "1"},
		"not the same one":    {[]rest.Release{of("3", fleetv1.PhaseSucceeded), of("3", fleetv1.PhaseSucceeded), of("1", fleetv1.PhaseSucceeded)}, "1"},
		"the one before that which is to run after all": {[]rest.Release{of("3", fleetv1.PhaseRolledBack), of("2", fleetv1.PhaseSucceeded), of("1", fleetv1.PhaseSucceeded)}, "1"},
		"of a release that failed: what ran before":     {[]rest.Release{of("3", fleetv1.PhaseFailed), of("2", fleetv1.PhaseSucceeded)}, "2"},
		"nothing": {[]rest.Release{of("3", fleetv1.PhaseSucceeded)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := previous("service", test.released, "prod")
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("previous = %q (%v), want %q", got, err, test.want)
			}
		})
	}
}

func TestReleasesAreWatched(t *testing.T) {
	h := newHub(t, somebody)
	got := h.watching(t, "/api/v1/watch?kind=release&team=payments&environment=prod")
	h.ready(t, 1)
	h.created(t, "main-1", "main", then)
	h.say(t, event.ReleaseSucceeded, release("ledger-1", "main-1", "staging", 1, "s"))
	h.say(t, event.ReleaseSucceeded, release("ledger-2", "main-1", "prod", 1, "a"))
	e := next(t, got).stored(t)
	raw, err := json.Marshal(e.Event)
	if err != nil {
		t.Fatal(err)
	}
	told, err := event.Decode(raw)
	if err != nil || e.Cluster != event.Platform || told.Type != event.ReleaseSucceeded || told.Subject != "Release/payments/ledger-2" {
		t.Errorf("told %+v (%v), want the release to prod", told, err)
	}
}
