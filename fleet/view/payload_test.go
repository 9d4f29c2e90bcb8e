package view

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/fairway-dev/fairway/api/event"
)

// The payloads that the view reads are parts of the contract's, under the same names, and all that
// their senders write is read without encoding/json.
func TestPayloadsAreThoseOfTheContract(t *testing.T) {
	e, err := event.New("a", event.FluxFailed, rootObject, start, event.Flux{
		APIVersion: "v1", Reason: "r", Message: "m", AttemptedRevision: "x", AppliedRevision: "a", OriginRevision: "o", Inventory: 1,
		DurationMillis: 2, Source: ledger, Path: "p", DependsOn: []event.Object{ledger}, Owner: rootObject, Generation: 3})
	if err != nil {
		t.Fatal(err)
	}
	var flux fluxPayload
	if !flux.plain(e.Data) {
		t.Errorf("left to encoding/json: %s", e.Data)
	}
	if diff := cmp.Diff(fluxPayload{raw("r"), raw("m"), raw("a"), raw(ledger.String()), raw(rootObject.String())}, flux); diff != "" {
		t.Errorf("flux (-want +got):\n%s", diff)
	}
	if e, err = event.New("a", event.WorkloadRolling, ledger, start, event.Workload{
		Desired: 1, Updated: 4, Ready: 2, Available: 3, Images: []string{"i", "j"}, Generation: 5, Reason: "r", Message: "m", Owner: rootObject}); err != nil {
		t.Fatal(err)
	}
	var workload workloadPayload
	if !workload.plain(e.Data) {
		t.Errorf("left to encoding/json: %s", e.Data)
	}
	if diff := cmp.Diff(workloadPayload{1, 2, 3, raws("i\nj"), raw("r"), raw("m"), raw(rootObject.String())}, workload); diff != "" {
		t.Errorf("workload (-want +got):\n%s", diff)
	}
}

// FuzzPayloads holds the fast readers to encoding/json: what they take, they read alike.
func FuzzPayloads(f *testing.F) {
	for _, text := range []string{`{"desired":3,"images":["a","b"],"owner":"Kustomization/x/y"}`, `{"Desired":3}`, `{"desired":3.0}`, `{"desired":"3"}`,
		`{"message":"a\nb"}`, `{"images":null}`, `{"images":[]}`, `{"desired":4000000000}`, `{"source":{"x":1}}`, `{"reason":"a","reason":"b"}`, `{"other":1}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		compareReaders(t, data, func(p *fluxPayload) bool { return p.plain(data) })
		compareReaders(t, data, func(p *workloadPayload) bool { return p.plain(data) })
	})
}

func compareReaders[T any](t *testing.T, data []byte, plain func(*T) bool) {
	t.Helper()
	var got, want T
	if !plain(&got) {
		return
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatalf("the fast reader takes %q, encoding/json does not: %v", data, err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("%q (-encoding/json +fast):\n%s", data, diff)
	}
}
