package server

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/event/schema"
	"github.com/fairway-dev/fairway/api/rest"
)

func TestTheEventReferenceIsPublished(t *testing.T) {
	h := newHub(t, somebody)
	list := get[rest.SchemaList](t, h, "/api/v1/schemas")
	if want := len(event.Types) + 1; len(list.Items) != want {
		t.Errorf("%d schemas are listed, want %d: every type and heartbeats", len(list.Items), want)
	}
	for _, item := range list.Items {
		doc := get[struct{ Title string }](t, h, item.Path)
		if doc.Title != item.Type {
			t.Errorf("%s is the schema of %q, want %q", item.Path, doc.Title, item.Type)
		}
	}
	resp := h.do(t, "/api/v1/schemas/"+string(event.FluxFailed))
	if got := resp.Header.Get("Content-Type"); got != schema.ContentType {
		t.Errorf("Content-Type of a schema = %q, want %q", got, schema.ContentType)
	}
	if p := problemOf(t, h.do(t, "/api/v1/schemas/asyncapi")); p.Status != http.StatusNotFound {
		t.Errorf("problem = %+v, want not found", p)
	}
	resp = h.do(t, "/api/v1/asyncapi")
	var doc struct{ AsyncAPI string }
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil || doc.AsyncAPI != "3.0.0" {
		t.Errorf("asyncapi = %q, error %v, want 3.0.0", doc.AsyncAPI, err)
	}
	if got := resp.Header.Get("Content-Type"); got != schema.AsyncAPIContentType {
		t.Errorf("Content-Type of the AsyncAPI document = %q, want %q", got, schema.AsyncAPIContentType)
	}
}
