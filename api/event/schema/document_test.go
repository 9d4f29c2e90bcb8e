package schema

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/invopop/jsonschema"

	"github.com/fairway-dev/fairway/api/event"
)

// object is a JSON object in the making; encoding/json writes its members in order.
type object = map[string]any

// document is the AsyncAPI document, as a reader of the bus sees it.
func document(t *testing.T, r *jsonschema.Reflector) object {
	t.Helper()
	schemas, messages, sent := components(t, r)
	return object{
		"asyncapi": "3.0.0",
		"info": object{
			"title": "Fairway events", "version": "1.0.0",
			"description": "What happens on the clusters of a fleet. Events are CloudEvents 1.0 in structured JSON, kept in the JetStream stream " +
				event.StreamEvents + "; the last heartbeat of every cluster is in " + event.StreamHeartbeats + ". Who published is what the subject says: " +
				"drop an event whose source is another cluster's. Count by (cluster, epoch, sequence) to see duplicates and gaps.",
		},
		"defaultContentType": event.ContentType,
		"servers": object{"bus": object{
			"host": "{host}:{port}", "protocol": "nats", "protocolVersion": "2",
			"description": "TLS, with the credentials that `fairway events credentials` makes",
			"variables": object{
				"host": object{"description": "what spec.events.url of the Fleet names"},
				"port": object{"default": "4222"},
			},
		}},
		"channels": object{
			"events": object{
				"address": "fleet.v1.evt.{cluster}.{kind}", "title": "Events of every cluster", "messages": sent,
				"servers":     []any{object{"$ref": "#/servers/bus"}},
				"parameters":  object{"cluster": clusterParameter, "kind": object{"description": "The coarse kind, also in the type of the event", "enum": event.Kinds}},
				"x-jetstream": object{"stream": event.StreamEvents},
			},
			"heartbeats": object{
				"address": "fleet.v1.hb.{cluster}", "title": "Whether a cluster is alive, and how much it has sent",
				"messages":    object{heartbeat: object{"$ref": "#/components/messages/" + heartbeat}},
				"servers":     []any{object{"$ref": "#/servers/bus"}},
				"parameters":  object{"cluster": clusterParameter},
				"x-jetstream": object{"stream": event.StreamHeartbeats},
			},
		},
		"operations": object{
			"receiveEvents":     receive("events", "Replay and follow events, by an ordered or a durable pull consumer"),
			"receiveHeartbeats": receive("heartbeats", "Follow heartbeats. The credentials of dashboards do not reach them"),
		},
		"components": object{"schemas": schemas, "messages": messages},
	}
}

var clusterParameter = object{
	"description": "Id of the WorkloadCluster, 1 to 63 lower-case letters, digits and dashes; " + event.Platform + " for the platform itself",
	"examples":    []string{"prod-aws-eu1", event.Platform},
}

func receive(channel, summary string) object {
	return object{"action": "receive", "summary": summary, "channel": object{"$ref": "#/channels/" + channel}}
}

// components are the schemas and messages, and the messages of the channel of events.
func components(t *testing.T, r *jsonschema.Reflector) (schemas, messages, sent object) {
	t.Helper()
	schemas, messages, sent = object{}, object{}, object{}
	schemas["CloudEvent"] = seventh(t, envelope(r))
	schemas["Heartbeat"] = seventh(t, expanded(r, event.Heartbeat{}))
	for _, typ := range event.Types {
		defs := jsonschema.Definitions{}
		name := payload(r, typ, defs)
		for name, def := range defs {
			schemas[name] = seventh(t, def)
		}
		messages[string(typ)] = object{
			"name": string(typ), "title": strings.ToUpper(string(typ.Kind()[:1])) + string(typ.Kind()[1:]) + " " + typ.What(),
			"contentType": event.ContentType, "headers": headers, "tags": []any{object{"name": string(typ.Kind())}},
			"payload": object{"allOf": []any{
				object{"$ref": "#/components/schemas/CloudEvent"},
				object{"type": "object", "properties": object{
					"type": object{"const": string(typ)}, "data": object{"$ref": "#/components/schemas/" + name},
				}},
			}},
		}
		sent[string(typ)] = object{"$ref": "#/components/messages/" + string(typ)}
	}
	messages[heartbeat] = object{
		"name": heartbeat, "title": "Heartbeat", "contentType": "application/json",
		"payload": object{"$ref": "#/components/schemas/Heartbeat"},
	}
	return schemas, messages, sent
}

var headers = object{"type": "object", "properties": object{
	"Content-Type": object{"const": event.ContentType},
	"Nats-Msg-Id":  object{"type": "string", "description": "the event's id"},
}}

// seventh is a schema in draft 7, with references into the document: nothing stands beside a $ref,
// which that draft would ignore.
func seventh(t *testing.T, s *jsonschema.Schema) any {
	t.Helper()
	var out any
	if err := json.Unmarshal(encode(t, s), &out); err != nil {
		t.Fatal(err)
	}
	return translate(out)
}

func translate(v any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = translate(v[i])
		}
	case object:
		delete(v, "$defs")
		for key := range v {
			v[key] = translate(v[key])
		}
		ref, ok := v["$ref"].(string)
		if !ok {
			return v
		}
		to := object{"$ref": strings.Replace(ref, "#/$defs/", "#/components/schemas/", 1)}
		if delete(v, "$ref"); len(v) == 0 {
			return to
		}
		v["allOf"] = []any{to}
	}
	return v
}
