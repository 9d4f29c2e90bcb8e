package event

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// awkward are inputs at the edge of what the fast reader takes.
var awkward = []string{
	`{}`, `[]`, `null`, ``, `{"id":"a","id":"b"}`, `{"ID":"a"}`, `{"\u0069d":"a"}`, `{"id":"\u0061"}`, `{"id":null}`, `{"id":1}`,
	`{"time":null}`, `{"time":"2026-11-22T07:42:00+01:00"}`, `{"time":"2026-11-22"}`, `{"time":5}`, `{"sequence":"0"}`, `{"sequence":"007"}`,
	`{"sequence":5}`, `{"sequence":"18446744073709551615"}`, `{"sequence":"18446744073709551616"}`, `{"sequence":"null"}`, `{"sequence":""}`,
	`{"data":null}`, `{"data":{"a":[1,2.5e-3,true,false,null,"x\n\u00e9"]}}`, `{"data":01}`, `{"data":1.}`, `{"data":-}`, `{"data":"` + "\x01" + `"}`,
	`{"data":"` + "\xff" + `"}`, `{"id":"` + "\xff" + `"}`, `{"id":"é"}`, ` { "id" : "a" , "x" : [ ] } `, `{"id":"a",}`, `{"id":"a"} x`, `{"x":{"y":{}}}`,
	`{"data":"\ud800"}`, `{"K":1,"ſource":"x"}`, `{"source":"/clusters/a","ſubject":"y"}`, `{"type":"dev.fairway.flux.failed.v1","specversion":"1.0"}`,
}

// FuzzDecodePlain holds the fast reader to encoding/json: what it takes, it reads alike.
func FuzzDecodePlain(f *testing.F) {
	for _, text := range awkward {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) { sameAsJSON(t, data) })
}

func sameAsJSON(t *testing.T, data []byte) {
	t.Helper()
	got, ok := decodePlain(data)
	if !ok {
		return
	}
	var want Event
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatalf("the fast reader takes %q, encoding/json does not: %v", data, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%q (-encoding/json +fast):\n%s", data, diff)
	}
}

func TestAwkwardEventsAreReadAlike(t *testing.T) {
	for _, text := range awkward {
		t.Run(text, func(t *testing.T) { sameAsJSON(t, []byte(text)) })
	}
}

func TestWhatIsEncodedIsReadFast(t *testing.T) {
	want := sample(t)
	data, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, ok := decodePlain(data)
	if !ok {
		t.Fatalf("left to encoding/json: %s", data)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("decodePlain (-want +got):\n%s", diff)
	}
}

func BenchmarkDecode(b *testing.B) {
	e, err := New("a", FluxSucceeded, Object{"Kustomization", "flux-system", "apps"}, time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC), Flux{
		APIVersion: "kustomize.toolkit.fluxcd.io/v1", Reason: "ReconciliationSucceeded", Message: "Applied revision: main@sha1:5c2f0e1d",
		AppliedRevision: "main@sha1:5c2f0e1d", Inventory: 12, DurationMillis: 840})
	if err != nil {
		b.Fatal(err)
	}
	e.ID, e.Epoch, e.Sequence, e.Environment, e.Team, e.Service = "0192", "0191", 7, "prod", "payments", "ledger"
	data, err := e.Encode()
	if err != nil {
		b.Fatal(err)
	}
	b.Run("fast", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := Decode(data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var e Event
			if err := json.Unmarshal(data, &e); err != nil {
				b.Fatal(err)
			}
		}
	})
}
