package server

import (
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

func TestWhatNobodyOwnsIsListedByCluster(t *testing.T) {
	h := newHub(t, somebody)
	deployment := func(namespace, name string) event.Object {
		return event.Object{Kind: "Deployment", Namespace: namespace, Name: name}
	}
	for _, cluster := range []string{"b", "a"} {
		h.publish(t, cluster, event.WorkloadAvailable, deployment("payments", "ledger"), event.Workload{Desired: 1, Ready: 1})
		h.publish(t, cluster, event.WorkloadDegraded, deployment("", "legacy"), event.Workload{Desired: 1, Reason: "MinimumReplicasUnavailable",
			Images: []string{"registry.example.com/old:1"}, Owner: event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: "apps"}})
		h.publish(t, cluster, event.FluxSucceeded, event.Object{Kind: "Kustomization", Name: "apps"}, event.Flux{})
	}
	var got []string
	for cursor := ""; ; {
		page := get[rest.UnownedList](t, h, "/api/v1/unowned?limit=3&cursor="+url.QueryEscape(cursor))
		if page.Total != 4 {
			t.Errorf("total %d, want 4", page.Total)
		}
		for _, o := range page.Items {
			got = append(got, o.Cluster+" "+o.Object)
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	want := []string{"a Deployment//legacy", "a Kustomization//apps", "b Deployment//legacy", "b Kustomization//apps"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("unowned (-want +got):\n%s", diff)
	}
	for query, want := range map[string]int{"cluster=a": 2, "environment=dev": 0, "q=old": 2, "q=apps": 4, "cluster=c": 0, "status=Unknown": 4} {
		if got := get[rest.UnownedList](t, h, "/api/v1/unowned?"+query); got.Total != want || got.Items == nil {
			t.Errorf("%s: %d, want %d", query, got.Total, want)
		}
	}
	one := get[rest.UnownedList](t, h, "/api/v1/unowned?cluster=a").Items[0]
	one.Since = time.Time{}
	if diff := cmp.Diff(rest.Unowned{Cluster: "a", Environment: "prod", Object: "Deployment//legacy", Owner: "Kustomization/flux-system/apps",
		Status: rest.Unknown, Reason: "MinimumReplicasUnavailable", Service: "legacy", Images: []string{"registry.example.com/old:1"}}, one); diff != "" {
		t.Errorf("item (-want +got):\n%s", diff)
	}
}
