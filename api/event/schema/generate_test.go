package schema

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/invopop/jsonschema"

	"github.com/fairway-dev/fairway/api/event"
)

var update = flag.Bool("update", false, "write the schemas and the AsyncAPI document")

// TestGenerated holds the files to the Go types; -update writes them.
func TestGenerated(t *testing.T) {
	want := generate(t)
	have, err := filepath.Glob("*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range have {
		if _, wanted := want[name]; wanted {
			continue
		}
		if !*update {
			t.Errorf("%s is of no type, make generate removes it", name)
		} else if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range want {
		if *update {
			if err := os.WriteFile(name, text, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		got, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(text), string(got)); diff != "" {
			t.Errorf("%s is stale, make generate writes it (-want +got):\n%s", name, diff)
		}
	}
}

// generate makes every file, by name.
func generate(t *testing.T) map[string][]byte {
	t.Helper()
	r := reflector(t)
	files := map[string][]byte{heartbeat + ".json": encode(t, heartbeatSchema(r))}
	for _, typ := range event.Types {
		files[string(typ)+".json"] = encode(t, eventSchema(r, typ))
	}
	files[asyncAPI+".json"] = encode(t, document(t, r))
	return files
}

func encode(t *testing.T, v any) []byte {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	text := out.Bytes()
	for escaped, plain := range map[string]string{`\u003c`: "<", `\u003e`: ">", `\u0026`: "&"} { // jsonschema writes for HTML
		text = bytes.ReplaceAll(text, []byte(escaped), []byte(plain))
	}
	return text
}

// payloads are the structs that event.Type's constants name.
var payloads = map[event.Type]any{
	event.ClusterConnected: event.Cluster{}, event.ClusterSilent: event.Cluster{}, event.ClusterChanged: event.Cluster{},
	event.ClusterRegistered: event.Registration{}, event.ClusterDeregistered: event.Registration{},
	event.FluxProgressing: event.Flux{}, event.FluxSucceeded: event.Flux{}, event.FluxFailed: event.Flux{},
	event.FluxStalled: event.Flux{}, event.FluxSuspended: event.Flux{}, event.FluxRemoved: event.Flux{},
	event.WorkloadRolling: event.Workload{}, event.WorkloadAvailable: event.Workload{}, event.WorkloadDegraded: event.Workload{},
	event.WorkloadRemoved: event.Workload{}, event.WorkloadSucceeded: event.Workload{}, event.WorkloadFailed: event.Workload{},
	event.EpisodeOpened: event.Episode{}, event.EpisodeChanged: event.Episode{}, event.EpisodeResolved: event.Episode{},
	event.ReleaseRequested: event.Release{}, event.ReleaseRefused: event.Release{}, event.ReleaseCommitted: event.Release{},
	event.ReleaseWaveStarted: event.Release{}, event.ReleaseWaveHealthy: event.Release{}, event.ReleaseSucceeded: event.Release{},
	event.ReleaseFailed: event.Release{}, event.ReleaseRolledBack: event.Release{}, event.ReleaseSuperseded: event.Release{},
	event.ArtifactCreated: event.Artifact{},
	event.AgentStarted:    event.Started{}, event.AgentSnapshot: event.Snapshot{}, event.AgentGap: event.Gap{},
}

func reflector(t *testing.T) *jsonschema.Reflector {
	t.Helper()
	r := &jsonschema.Reflector{
		Anonymous: true, ExpandedStruct: true,
		AllowAdditionalProperties: true, // old readers accept newer events
		Mapper:                    special,
	}
	// The package path is base joined with the folder, so that ".." is api/event.
	if err := r.AddGoComments("github.com/fairway-dev/fairway/api/event/schema", "..", jsonschema.WithFullComment()); err != nil {
		t.Fatal(err)
	}
	for key, text := range r.CommentMap {
		r.CommentMap[key] = strings.Join(strings.Fields(text), " ")
	}
	return r
}

const (
	clusterPattern  = `(_platform|[a-z0-9-]{1,63})`
	objectPattern   = `^[^/]+/[^/]*/[^/]+$`
	counterPattern  = `^(0|[1-9][0-9]{0,19})$`
	durationPattern = `^([0-9]+(\.[0-9]+)?(ns|µs|ms|s|m|h))+$`
)

// special are the types that have a form of their own in JSON.
func special(t reflect.Type) *jsonschema.Schema {
	switch t {
	case reflect.TypeFor[event.Object]():
		return &jsonschema.Schema{Type: "string", Pattern: objectPattern, Description: "<Kind>/<namespace>/<name>"}
	case reflect.TypeFor[event.Duration]():
		return &jsonschema.Schema{Type: "string", Pattern: durationPattern, Examples: []any{"15s"}}
	}
	return nil
}

const base = "https://fairway.dev/schemas/"

// eventSchema is the whole CloudEvent of one type.
func eventSchema(r *jsonschema.Reflector, typ event.Type) *jsonschema.Schema {
	s, defs := envelope(r), jsonschema.Definitions{}
	name := payload(r, typ, defs)
	set(s, "type", func(p *jsonschema.Schema) { p.Const = string(typ) })
	set(s, "data", func(p *jsonschema.Schema) { p.Ref, p.Description = "#/$defs/"+name, "" })
	s.Version, s.ID, s.Title, s.Definitions = jsonschema.Version, jsonschema.ID(base+string(typ)+".json"), string(typ), defs
	return s
}

func heartbeatSchema(r *jsonschema.Reflector) *jsonschema.Schema {
	s := expanded(r, event.Heartbeat{})
	s.Version, s.ID, s.Title = jsonschema.Version, base+heartbeat+".json", heartbeat
	return s
}

// envelope is what all events have: the type is any, and the data anything.
func envelope(r *jsonschema.Reflector) *jsonschema.Schema {
	s := expanded(r, event.Event{})
	set(s, "specversion", func(p *jsonschema.Schema) { p.Const = "1.0" })
	set(s, "id", func(p *jsonschema.Schema) { p.MinLength = length(1) })
	set(s, "source", func(p *jsonschema.Schema) { p.Pattern = "^/clusters/" + clusterPattern + "$" })
	set(s, "subject", func(p *jsonschema.Schema) { p.Pattern = objectPattern })
	set(s, "datacontenttype", func(p *jsonschema.Schema) { p.Const = "application/json" })
	s.Required = append(s.Required, "data")
	return s
}

// payload adds the struct of a type, and what it is made of, to defs and returns its name there.
func payload(r *jsonschema.Reflector, typ event.Type, defs jsonschema.Definitions) string {
	value := payloads[typ]
	s := expanded(r, value)
	for name, def := range s.Definitions {
		defs[name] = def
	}
	s.Definitions = nil
	name := reflect.TypeOf(value).Name()
	defs[name] = s
	if name == "Snapshot" {
		entries(r, defs)
	}
	return name
}

// entries says of the entries of a snapshot which payload goes with which type.
func entries(r *jsonschema.Reflector, defs jsonschema.Definitions) {
	for _, c := range []struct {
		pattern string
		of      event.Type
	}{
		{`^dev\.fairway\.cluster\.(connected|silent|changed)\.`, event.ClusterChanged},
		{`^dev\.fairway\.flux\.`, event.FluxSucceeded},
		{`^dev\.fairway\.workload\.`, event.WorkloadAvailable},
		{`^dev\.fairway\.episode\.`, event.EpisodeOpened},
	} {
		when, then := jsonschema.NewProperties(), jsonschema.NewProperties()
		when.Set("type", &jsonschema.Schema{Pattern: c.pattern})
		then.Set("data", &jsonschema.Schema{Ref: "#/$defs/" + payload(r, c.of, defs)})
		defs["Entry"].AllOf = append(defs["Entry"].AllOf,
			&jsonschema.Schema{If: &jsonschema.Schema{Properties: when}, Then: &jsonschema.Schema{Properties: then}})
	}
}

// expanded is a struct's schema with its properties at the top, within the bounds of the contract.
func expanded(r *jsonschema.Reflector, value any) *jsonschema.Schema {
	s := r.Reflect(value)
	s.Version = ""
	if len(s.Definitions) == 0 {
		s.Definitions = nil
	}
	bound(reflect.TypeOf(value).Name(), s)
	for name, def := range s.Definitions {
		bound(name, def)
	}
	return s
}

// bound adds what Go's types do not say.
func bound(name string, s *jsonschema.Schema) {
	if s.Properties == nil {
		return
	}
	for _, counter := range []string{"sequence", "digest", "first", "last"} {
		if p, ok := s.Properties.Get(counter); ok && name != "Release" && name != "Artifact" { // whose digest is a text
			p.Pattern = counterPattern
		}
	}
	switch name {
	case "Flux", "Workload", "Episode", "Release":
		set(s, "message", func(p *jsonschema.Schema) { p.MaxLength = length(event.MaxMessage) })
	}
	switch name {
	case "Episode":
		set(s, "lines", func(p *jsonschema.Schema) { p.MaxItems = length(event.MaxLogLines) })
	case "Release":
		set(s, "lines", func(p *jsonschema.Schema) { p.MaxItems = length(event.MaxLogLines) })
		set(s, "clusters", func(p *jsonschema.Schema) { p.MaxItems = length(event.MaxTargets) })
		set(s, "approvals", func(p *jsonschema.Schema) { p.MaxItems = length(event.MaxApprovals) })
		set(s, "comment", func(p *jsonschema.Schema) { p.MaxLength = length(event.MaxMessage) })
	case "Condition":
		set(s, "status", func(p *jsonschema.Schema) { p.Enum = []any{"True", "False", "Unknown"} })
	case "Gap":
		set(s, "spans", func(p *jsonschema.Schema) { p.MaxItems = length(event.MaxGapSpans) })
		set(s, "dropped", func(p *jsonschema.Schema) {
			p.PropertyNames = &jsonschema.Schema{}
			for _, kind := range event.Kinds {
				p.PropertyNames.Enum = append(p.PropertyNames.Enum, string(kind))
			}
		})
	}
}

func length(n uint64) *uint64 { return &n }

// set changes a property, which has to be there.
func set(s *jsonschema.Schema, name string, change func(*jsonschema.Schema)) {
	p, ok := s.Properties.Get(name)
	if !ok {
		panic("there is no property " + name)
	}
	change(p)
}
