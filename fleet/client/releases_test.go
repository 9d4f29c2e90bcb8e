package client

import (
	"encoding/json"
	"io"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/rest"
)

func TestReleasesAreAskedFor(t *testing.T) {
	var asked []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked = append(asked, r.Method+" "+r.URL.RequestURI()+" "+string(body))
		switch {
		case r.Method == http.MethodPost && r.URL.Path == apiPath+"/releases":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			if err := json.NewEncoder(w).Encode(rest.Release{Name: "payments/ledger-1"}); err != nil {
				t.Error(err)
			}
		case r.URL.Path == apiPath+"/releases" && r.URL.Query().Get("cursor") == "":
			answer(t, w, rest.ReleaseList{Page: rest.Page{Next: "two", Total: 2, AsOf: noon}, Items: []rest.Release{{Name: "payments/ledger-2"}}})
		case r.URL.Path == apiPath+"/releases":
			answer(t, w, rest.ReleaseList{Page: rest.Page{Total: 2}, Items: []rest.Release{{Name: "payments/ledger-1"}}})
		case r.URL.Path == apiPath+"/artifacts":
			answer(t, w, rest.ArtifactList{Items: []rest.Artifact{{ID: "main-1"}}})
		case r.URL.Path == apiPath+"/audit":
			answer(t, w, rest.AuditList{Items: []rest.AuditEntry{{Artifact: "main-1"}}})
		default:
			answer(t, w, rest.Release{Name: "payments/ledger-1"})
		}
	})
	list, err := c.Releases(t.Context(), ReleaseQuery{Team: "payments", Phase: "Failed", Since: noon})
	if want := (rest.ReleaseList{Page: rest.Page{AsOf: noon, Total: 2}, Items: []rest.Release{{Name: "payments/ledger-2"}, {Name: "payments/ledger-1"}}}); cmp.Diff(want, list) != "" || err != nil {
		t.Errorf("releases: %v (-want +got):\n%s", err, cmp.Diff(want, list))
	}
	if one, err := c.Release(t.Context(), "payments", "ledger-1"); err != nil || one.Name != "payments/ledger-1" {
		t.Errorf("release = %+v, %v", one, err)
	}
	if list, err := c.Artifacts(t.Context(), "payments", "ledger", "main"); err != nil || len(list.Items) != 1 {
		t.Errorf("artifacts = %+v, %v", list, err)
	}
	if list, err := c.Audit(t.Context(), AuditQuery{Artifact: "main-1", Cluster: "a"}); err != nil || len(list.Items) != 1 {
		t.Errorf("audit = %+v, %v", list, err)
	}
	if _, err := c.Delivery(t.Context(), DeliveryQuery{Since: noon, By: []string{"team", "cloud"}}); err != nil {
		t.Error(err)
	}
	if made, err := c.CreateRelease(t.Context(), "payments", rest.ReleaseRequest{Service: "ledger", Environment: "prod", Branch: "main"}); err != nil || made.Name != "payments/ledger-1" {
		t.Errorf("made %+v, %v", made, err)
	}
	if approved, err := c.ApproveRelease(t.Context(), "payments", "ledger-1", "go"); err != nil || approved.Name != "payments/ledger-1" {
		t.Errorf("approved %+v, %v", approved, err)
	}
	want := []string{
		"GET /api/v1/releases?limit=500&phase=Failed&since=2026-11-22T12%3A00%3A00Z&team=payments ",
		"GET /api/v1/releases?cursor=two&limit=500&phase=Failed&since=2026-11-22T12%3A00%3A00Z&team=payments ",
		"GET /api/v1/releases/payments/ledger-1 ",
		"GET /api/v1/artifacts?branch=main&limit=500&service=ledger&team=payments ",
		"GET /api/v1/audit?artifact=main-1&cluster=a&limit=500 ",
		"GET /api/v1/delivery?by=team%2Ccloud&since=2026-11-22T12%3A00%3A00Z ",
		`POST /api/v1/releases?team=payments {"service":"ledger","environment":"prod","branch":"main"}`,
		`POST /api/v1/releases/payments/ledger-1/approvals {"message":"go"}`,
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestAReleaseThatIsRefusedSaysWhy(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		refuse(t, w, rest.Problem{Status: http.StatusForbidden, Detail: "dev may not", Fix: "ask"})
	})
	_, err := c.CreateRelease(t.Context(), "payments", rest.ReleaseRequest{})
	if want := "release payments/: dev may not"; err == nil || err.Error()[:len(want)] != want {
		t.Errorf("error = %v, want %q", err, want)
	}
}
