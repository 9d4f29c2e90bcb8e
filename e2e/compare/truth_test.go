package main

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/event"
)

var (
	source = event.Object{Kind: "GitRepository", Namespace: "flux-system", Name: "fairway"}
	web    = event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: "compare-0"}
)

func kustomize(status metav1.ConditionStatus, reason, attempted, applied string) *kustomizev1.Kustomization {
	obj := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Namespace: web.Namespace, Name: web.Name}}
	obj.Status.LastAttemptedRevision, obj.Status.LastAppliedRevision = attempted, applied
	obj.Status.Conditions = []metav1.Condition{{Type: meta.ReadyCondition, Status: status, Reason: reason}}
	return obj
}

func fetched(revision string) *sourcev1.GitRepository {
	obj := &sourcev1.GitRepository{ObjectMeta: metav1.ObjectMeta{Namespace: source.Namespace, Name: source.Name}}
	if revision != "" {
		obj.Status.Artifact = &meta.Artifact{Revision: revision}
	}
	return obj
}

func TestARevisionEndsOnceTheObjectItselfSaysSo(t *testing.T) {
	for name, c := range map[string]struct {
		obj  client.Object
		want change
		ok   bool
	}{
		"a source that has fetched":       {fetched("main@sha1:a"), change{source, "main@sha1:a", applied}, true},
		"a source that has never fetched": {obj: fetched("")},
		"it was applied": {
			kustomize("True", "ReconciliationSucceeded", "main@sha1:b", "main@sha1:b"), change{web, "main@sha1:b", applied}, true},
		"it says Ready, and has yet to say of which revision": {obj: kustomize("True", "ReconciliationSucceeded", "main@sha1:b", "main@sha1:a")},
		"it is being tried":       {obj: kustomize("Unknown", "Progressing", "main@sha1:b", "main@sha1:a")},
		"it was refused":          {kustomize("False", "ReconciliationFailed", "main@sha1:b", "main@sha1:a"), change{web, "main@sha1:b", failed}, true},
		"it is not healthy":       {kustomize("False", "HealthCheckFailed", "main@sha1:b", "main@sha1:a"), change{web, "main@sha1:b", failed}, true},
		"it waits for another":    {obj: kustomize("False", "DependencyNotReady", "main@sha1:b", "main@sha1:a")},
		"another revision came":   {obj: kustomize("False", "HealthCheckCanceled", "main@sha1:b", "main@sha1:a")},
		"nothing was tried":       {obj: kustomize("False", "BuildFailed", "", "")},
		"a kind that is not read": {obj: &sourcev1.Bucket{}},
	} {
		got, ok := ended(c.obj)
		if ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %+v, %v; want %+v, %v", name, got, ok, c.want, c.ok)
		}
	}
}

func TestTheSameEndTwiceIsOneChange(t *testing.T) {
	began := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	var tr truth
	for i, obj := range []client.Object{
		kustomize("True", "ReconciliationSucceeded", "r1", "r1"),
		kustomize("Unknown", "Progressing", "r2", "r1"),
		kustomize("False", "ReconciliationFailed", "r2", "r1"),
		kustomize("Unknown", "Progressing", "r2", "r1"), // it is tried again
		kustomize("False", "ReconciliationFailed", "r2", "r1"),
		fetched("r3"),
		kustomize("True", "ReconciliationSucceeded", "r3", "r3"),
		kustomize("True", "ReconciliationSucceeded", "r3", "r3"), // its interval is over
		kustomize("False", "HealthCheckFailed", "r3", "r3"),
		kustomize("True", "ReconciliationSucceeded", "r3", "r3"),
	} {
		tr.see(obj, began.Add(time.Duration(i)*time.Second))
	}
	at := func(i int) time.Time { return began.Add(time.Duration(i) * time.Second) }
	want := []happened{
		{change{web, "r1", applied}, at(0)}, {change{web, "r2", failed}, at(2)}, {change{source, "r3", applied}, at(5)},
		{change{web, "r3", applied}, at(6)}, {change{web, "r3", failed}, at(8)}, {change{web, "r3", applied}, at(9)},
	}
	if diff := cmp.Diff(want, tr.changes, cmp.AllowUnexported(happened{})); diff != "" {
		t.Error(diff)
	}
}
