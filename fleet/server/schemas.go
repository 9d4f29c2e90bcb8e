package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/fairway-dev/fairway/api/event/schema"
	"github.com/fairway-dev/fairway/api/rest"
)

const schemasPath = "/api/v1/schemas"

// document is an answer that was written beforehand.
type document struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (s *Server) registerSchemas() {
	huma.Register(s.api, huma.Operation{
		OperationID: "list-schemas", Method: http.MethodGet, Path: schemasPath, Tags: []string{"reference"},
		Summary: "Types of events, each with where its schema is",
	}, listSchemas)
	huma.Register(s.api, huma.Operation{
		OperationID: "get-schema", Method: http.MethodGet, Path: schemasPath + "/{type}", Tags: []string{"reference"},
		Summary: "The JSON Schema (2020-12) of a type of event: of the whole CloudEvent, envelope and data",
		Errors:  []int{http.StatusNotFound}, Responses: served(schema.ContentType),
	}, getSchema)
	huma.Register(s.api, huma.Operation{
		OperationID: "get-asyncapi", Method: http.MethodGet, Path: "/api/v1/asyncapi", Tags: []string{"reference"},
		Summary:   "The AsyncAPI 3.0 document of the event bus: channels, operations, messages",
		Responses: served(schema.AsyncAPIContentType),
	}, getAsyncAPI)
}

// served describes an answer that is a JSON document of its own.
func served(contentType string) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {
		Description: "OK", Content: map[string]*huma.MediaType{contentType: {Schema: &huma.Schema{Type: huma.TypeObject}}},
	}}
}

func listSchemas(context.Context, *struct{}) (*body[rest.SchemaList], error) {
	out := rest.SchemaList{Items: []rest.Schema{}}
	for _, name := range schema.Names() {
		out.Items = append(out.Items, rest.Schema{Type: name, Path: schemasPath + "/" + name})
	}
	return &body[rest.SchemaList]{out}, nil
}

func getSchema(_ context.Context, in *struct {
	Type string `path:"type" maxLength:"128" doc:"Type of event, or heartbeat"`
}) (*document, error) {
	text, ok := schema.Of(in.Type)
	if !ok {
		return nil, problem(rest.Problem{Status: http.StatusNotFound, Detail: "no type of event is called " + in.Type,
			Fix: "GET " + schemasPath + " lists those that this hub knows"})
	}
	return &document{schema.ContentType, text}, nil
}

func getAsyncAPI(context.Context, *struct{}) (*document, error) {
	return &document{schema.AsyncAPIContentType, schema.AsyncAPI()}, nil
}
