package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"

	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

func TestReleasesAreMadeAndApprovedOnThePlatformByWhoMay(t *testing.T) {
	p := newPlatform(t)
	dev, lead, guest := p.account(t, "dev"), p.account(t, "lead"), p.account(t, "guest")
	creating := p.role(t, "creating", []string{"create"}, []string{"releases"})
	approving := p.roleIn(t, fleetv1.GroupVersion.Group, "approving", []string{"approve"}, []string{"releases"})
	p.bindIn(t, "payments", creating, serviceAccount("dev"))
	for _, name := range []string{"dev", "lead"} {
		p.bindIn(t, "payments", approving, serviceAccount(name))
	}
	ask := func(token, path, body string) *http.Response {
		return p.post(t, "/api/v1/releases"+path, body, "Authorization", "Bearer "+token)
	}
	const body = `{"service":"ledger","environment":"prod","artifact":"main-4f1c9d2-a81b","message":"as agreed"}`

	for name, test := range map[string]struct {
		token, path, body string
		want              int
		says              string
	}{
		"nobody releases unknown": {"", "?team=payments", body, http.StatusUnauthorized, "credentials"},
		"nobody releases without the right": {guest, "?team=payments", body, http.StatusForbidden,
			"may not create releases.view.fleet.fairway.dev in namespace payments"},
		"nobody releases for another team": {dev, "?team=search", body, http.StatusForbidden, "in namespace search"},
		"nor for all of them":              {dev, "", body, http.StatusForbidden, "may not create"},
		"what is wrong is named":           {dev, "?team=payments", strings.Replace(body, "ledger", "Ledger!", 1), http.StatusUnprocessableEntity, "spec.service"},
		"nobody approves without the verb": {guest, "/payments/ledger-1/approvals", `{}`, http.StatusForbidden,
			"may not approve releases.fleet.fairway.dev in namespace payments"},
		"nobody approves what is not there": {lead, "/payments/ledger-1/approvals", `{}`, http.StatusNotFound, "payments/ledger-1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := problemOf(t, ask(test.token, test.path, test.body)); got.Status != test.want || !strings.Contains(got.Detail+got.Fix, test.says) {
				t.Errorf("problem = %+v, want %d that says %q", got, test.want, test.says)
			}
		})
	}

	resp := ask(dev, "?team=payments", body)
	var made rest.Release
	if err := json.Unmarshal([]byte(bodyOf(t, resp)), &made); err != nil || resp.StatusCode != http.StatusCreated {
		t.Fatalf("%s: %v", resp.Status, err)
	}
	name := strings.TrimPrefix(made.Name, "payments/")
	const caller = "system:serviceaccount:default:dev"
	want := fleetv1.ReleaseSpec{Service: "ledger", Artifact: "main-4f1c9d2-a81b", Environment: "prod", Intent: fleetv1.IntentRelease, RequestedBy: caller, Message: "as agreed"}
	if diff := cmp.Diff(want, p.release(t, name).Spec); diff != "" {
		t.Errorf("the Release (-want +got):\n%s", diff)
	}
	if made.RequestedBy != caller || made.Phase != string(fleetv1.PhasePending) || made.RequestedAt.IsZero() {
		t.Errorf("answer = %+v", made)
	}

	path := "/payments/" + name + "/approvals"
	if got := problemOf(t, ask(dev, path, `{}`)); got.Status != http.StatusForbidden || !strings.Contains(got.Detail, "cannot approve") {
		t.Errorf("who asked approves: %+v", got)
	}
	for range 2 { // the second time changes nothing
		if resp := ask(lead, path, `{"message":"go"}`); resp.StatusCode != http.StatusOK {
			t.Fatalf("approve: %s: %s", resp.Status, bodyOf(t, resp))
		}
	}
	given := p.release(t, name).Spec.Approvals
	if len(given) != 1 || given[0].By != "system:serviceaccount:default:lead" || given[0].Message != "go" || given[0].At.IsZero() {
		t.Errorf("approvals = %+v, want one of lead", given)
	}
	p.finish(t, name)
	p.bindIn(t, "payments", approving, serviceAccount("guest"))
	retry(t, func() error { // until the denial is forgotten
		if got := problemOf(t, ask(guest, path, `{}`)); got.Status != http.StatusConflict {
			return fmt.Errorf("approval of what is over: %+v, want a conflict", got)
		}
		return nil
	})
}

// release reads a Release of the team payments as an administrator.
func (p *platform) release(t *testing.T, name string) *fleetv1.Release {
	t.Helper()
	obj, err := p.releases(t).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out := &fleetv1.Release{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(obj.Object, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func (p *platform) releases(t *testing.T) dynamic.ResourceInterface {
	t.Helper()
	client, err := dynamic.NewForConfig(p.config)
	if err != nil {
		t.Fatal(err)
	}
	return client.Resource(fleetv1.GroupVersion.WithResource("releases")).Namespace("payments")
}

// finish is what the operator does when a release is over.
func (p *platform) finish(t *testing.T, name string) {
	t.Helper()
	releases := p.releases(t)
	obj, err := releases.Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	obj.Object["status"] = map[string]any{"phase": string(fleetv1.PhaseFailed)}
	if _, err := releases.UpdateStatus(t.Context(), obj, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}
