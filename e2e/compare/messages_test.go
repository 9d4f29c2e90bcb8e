package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/event"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// ofFlux is a message as the nats provider publishes it.
func ofFlux(kind, name, severity, reason, message, metadata string) []byte {
	return []byte(`{"involvedObject":{"kind":"` + kind + `","namespace":"flux-system","name":"` + name + `","apiVersion":"v1","uid":"u"},` +
		`"severity":"` + severity + `","timestamp":"2026-01-01T11:59:59Z","message":"` + message + `","reason":"` + reason + `",` +
		`"metadata":` + metadata + `,"reportingController":"kustomize-controller"}`)
}

func TestAMessageOfTheProviderIsReadInItsFavour(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		want change
		ok   bool
	}{
		"a source has fetched": {
			ofFlux("GitRepository", "fairway", "info", "NewArtifact", "stored artifact", `{"revision":"main@sha1:a"}`), change{source, "main@sha1:a", applied}, true},
		"objects were configured, which comes before the health checks": {
			ofFlux("Kustomization", "compare-0", "info", "Progressing", "ConfigMap/default/x configured", `{"revision":"main@sha1:a"}`), change{web, "main@sha1:a", applied}, true},
		"it failed": {
			ofFlux("Kustomization", "compare-0", "error", "ReconciliationFailed", "refused", `{"revision":"main@sha1:a"}`), change{web, "main@sha1:a", failed}, true},
		"it names no revision": {data: ofFlux("Kustomization", "compare-0", "error", "BuildFailed", "no", `{}`)},
	} {
		got, ok, err := readFlux(c.data, noon)
		if err != nil || ok != c.ok || ok && (got.change != c.want || got.At != noon) {
			t.Errorf("%s: %+v, %v, error %v; want %+v, %v", name, got, ok, err, c.want, c.ok)
		}
	}
	for name, data := range map[string]string{"no JSON": "x", "no object": `{"message":"x"}`} {
		if _, _, err := readFlux([]byte(data), noon); err == nil {
			t.Errorf("%s is read without an error", name)
		}
	}
}

func TestTheSameMessageHasTheSameID(t *testing.T) {
	id := func(data []byte) string {
		got, _, err := readFlux(data, noon)
		if err != nil {
			t.Fatal(err)
		}
		return got.ID
	}
	first := ofFlux("Kustomization", "compare-0", "error", "ReconciliationFailed", "refused", `{"revision":"r"}`)
	later := []byte(strings.Replace(string(first), "11:59:59", "12:04:59", 1))
	if id(first) != id(later) {
		t.Error("a message that comes again five minutes later is taken for another one")
	}
	if id(first) == id(ofFlux("Kustomization", "compare-0", "error", "ReconciliationFailed", "timeout", `{"revision":"r"}`)) {
		t.Error("another message is taken for the same one")
	}
}

func TestAnEventSaysHowARevisionEnded(t *testing.T) {
	flux := event.Flux{APIVersion: "kustomize.toolkit.fluxcd.io/v1", AttemptedRevision: "main@sha1:b", AppliedRevision: "main@sha1:a"}
	for name, c := range map[string]struct {
		typ     event.Type
		cluster string
		want    change
		ok      bool
	}{
		"it succeeded":                   {event.FluxSucceeded, "one", change{web, "main@sha1:a", applied}, true},
		"it failed":                      {event.FluxFailed, "one", change{web, "main@sha1:b", failed}, true},
		"it will not be tried again":     {event.FluxStalled, "one", change{web, "main@sha1:b", failed}, true},
		"it is under way":                {event.FluxProgressing, "one", change{}, false},
		"it happened on another cluster": {event.FluxSucceeded, "two", change{}, false},
	} {
		e, err := event.New(c.cluster, c.typ, web, noon.Add(-time.Second), flux)
		if err != nil {
			t.Fatal(err)
		}
		e.ID = "id of " + name
		data, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, ok, err := readFairway("one", data, noon)
		want := told{c.want, e.ID, noon}
		if err != nil || ok != c.ok || ok && got != want {
			t.Errorf("%s: %s, %v, error %v", name, cmp.Diff(want, got, cmp.AllowUnexported(told{})), ok, err)
		}
	}
	if _, _, err := readFairway("one", []byte("{}"), noon); err == nil {
		t.Error("what is no event is read without an error")
	}
}
