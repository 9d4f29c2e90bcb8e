// Package schema is the event reference for readers in any language: a JSON Schema (2020-12) for
// every type of event and for heartbeats, and an AsyncAPI 3.0 document of the channels that carry
// them. The files are generated from the Go types of api/event and their comments: make generate.
package schema

import (
	"embed"

	"github.com/fairway-dev/fairway/api/event"
)

// ContentType is what a JSON Schema is served as.
const ContentType = "application/schema+json"

// AsyncAPIContentType is what the AsyncAPI document is served as.
const AsyncAPIContentType = "application/vnd.aai.asyncapi+json;version=3.0.0"

// heartbeat is the name of the schema of heartbeats, which are no events.
const heartbeat = "heartbeat"

//go:embed *.json
var files embed.FS

// Names lists what Of knows: every type of event in the order of the contract, then "heartbeat".
func Names() []string {
	out := make([]string, 0, len(event.Types)+1)
	for _, t := range event.Types {
		out = append(out, string(t))
	}
	return append(out, heartbeat)
}

// Of is the JSON Schema of what is on the wire: of a whole CloudEvent, envelope and data, by its
// type, or of a heartbeat. false for a name that is not in Names.
func Of(name string) ([]byte, bool) {
	if name == asyncAPI {
		return nil, false
	}
	data, err := files.ReadFile(name + ".json")
	return data, err == nil
}

const asyncAPI = "asyncapi"

// AsyncAPI is the document that describes channels, operations and messages. Its schemas keep to
// what draft 7 of JSON Schema has too, which is AsyncAPI's own dialect.
func AsyncAPI() []byte {
	data, err := files.ReadFile(asyncAPI + ".json")
	if err != nil { // it is embedded
		panic(err)
	}
	return data
}
