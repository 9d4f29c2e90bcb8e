package schema

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/fairway-dev/fairway/api/event"
)

var at = time.Date(2026, 11, 22, 7, 42, 0, 123456789, time.UTC)

// full are payloads in which every field is set, by the kind or type that they belong to.
var full = map[string]any{
	"cluster":      event.Cluster{KubernetesVersion: "v1.36.4", FluxVersion: "v2.9.4", NodesReady: 2, NodesTotal: 3},
	"registered":   registration,
	"deregistered": registration,
	"flux": event.Flux{APIVersion: "kustomize.toolkit.fluxcd.io/v1", Reason: "BuildFailed", Message: "no such file", AttemptedRevision: "main@sha1:2",
		AppliedRevision: "main@sha1:1", OriginRevision: "main@sha1:0", Inventory: 12, DurationMillis: 840, Source: repository, Path: "./apps",
		DependsOn: []event.Object{kustomization}, Owner: kustomization, Generation: 3},
	"workload": event.Workload{Desired: 3, Updated: 2, Ready: 1, Available: 1, Images: []string{"ghcr.io/example/ledger:1"}, Generation: 7,
		Reason: "MinimumReplicasUnavailable", Message: "1 of 3", Owner: kustomization},
	"episode": episode,
	"release": event.Release{Name: "payments/ledger-7k2x9", Team: "payments", Service: "ledger", Artifact: "main-4f1c9d2-a81b", Environment: "prod",
		Intent: "Promote", From: "staging", RequestedBy: "dev@example.com", RequestedAt: at, Comment: "for the audit",
		Approvals: []event.Approval{{By: "lead@example.com", At: at}}, Phase: "Failed", Wave: "canary", StartedAt: at, FinishedAt: at,
		Commit: "main@sha1:1", RollbackCommit: "main@sha1:2", Digest: "sha256:1", Source: source,
		Clusters: []event.ReleaseTarget{{Cluster: "prod-aws-eu1", Wave: "canary", State: "Failed", Previous: "main-0000000-0000", MovedAt: at,
			AvailableAt: at, Reason: "CrashLoopBackOff"}},
		Total: 2, Reason: "RolloutFailed", Message: "prod-aws-eu1: it crashes", Lines: []string{"fatal"}},
	"artifact": event.Artifact{Team: "payments", Service: "ledger", ID: "main-4f1c9d2-a81b", Digest: "sha256:1", Source: source},
	"started":  event.Started{Version: "v0.1.0", Cluster: event.Cluster{NodesReady: 1, NodesTotal: 1}},
	"snapshot": event.Snapshot{ID: "0193", Part: 1, Parts: 2, Entries: []event.Entry{
		{Type: event.EpisodeOpened, Subject: deployment.String(), Time: at, Team: "payments", Service: "ledger", Artifact: "a", Revision: "main@sha1:1",
			Data: []byte(`{"id":"e1","reason":"OOMKilled"}`)},
	}},
	"gap": event.Gap{Reason: "the outbox was full", Dropped: map[event.Kind]int{event.KindFlux: 7}, From: at, To: at.Add(time.Minute),
		Spans: []event.Span{{First: 3, Last: 9}}},
}

var (
	deployment    = event.Object{Kind: "Deployment", Namespace: "payments", Name: "ledger"}
	kustomization = event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: "apps"}
	repository    = event.Object{Kind: "GitRepository", Namespace: "flux-system", Name: "fairway"}
	exit          = int32(137)
	source        = event.ArtifactSource{Repository: "https://git.example.com/payments/ledger", Branch: "main",
		Commit: "4f1c9d2e5b6a798897a6b5c4d3e2f10918273645", Author: "dev@example.com", CI: "https://ci.example.com/1", Created: at}
	registration = event.Registration{Cluster: "prod-aws-eu1", Namespace: "clusters", Environment: "prod", Cloud: "AWS", Region: "eu-west-1",
		Account: "123456789012", Mode: "Manage", Suspended: true,
		Conditions: []event.Condition{{Type: "Ready", Status: "True", Reason: "Ready", Message: "all is well", Since: at}}}
	episode = event.Episode{ID: "e1", Reason: "OOMKilled", Message: "over 64Mi", Container: "app", Pod: "ledger-1", Node: "n1", ExitCode: &exit, Restarts: 4,
		Signature: "9f", Lines: []string{"fatal"}, Runbook: "https://example.com/oom", Owner: kustomization, OpenedAt: at, ResolvedBy: "rollout available"}
)

// sample is an event of a type as an agent sends it, with every attribute and field or with as few as there may be.
func sample(t *testing.T, typ event.Type, whole bool) event.Event {
	t.Helper()
	var payload any
	if whole {
		if payload = full[typ.What()]; payload == nil {
			payload = full[string(typ.Kind())]
		}
		if payload == nil {
			t.Fatalf("there is no sample of %s: add one", typ)
		}
	} else {
		payload = payloads[typ]
		switch payload.(type) {
		case event.Snapshot:
			payload = event.Snapshot{Entries: []event.Entry{}}
		case event.Gap:
			payload = event.Gap{Dropped: map[event.Kind]int{}}
		}
	}
	e, err := event.New("prod-aws-eu1", typ, deployment, at, payload)
	if err != nil {
		t.Fatal(err)
	}
	e.ID, e.Epoch, e.Sequence = "0193a7c1-0000-7000-8000-000000000001", "0192f000-0000-7000-8000-000000000001", 1<<40
	if whole {
		e.Environment, e.Cloud, e.Region, e.Team, e.Service = "prod", "AWS", "eu-west-1", "payments", "ledger"
		e.Artifact, e.Revision, e.TraceParent = "main-4f1c9d2-a81b", "main@sha1:1", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	} else {
		e.Subject, e.Epoch, e.Sequence = "", "", 0
	}
	return e
}

// compile reads a schema with a library that no part of Fairway uses.
func compile(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	text, ok := Of(name)
	if !ok {
		t.Fatalf("there is no schema %s", name)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource(name, doc); err != nil {
		t.Fatal(err)
	}
	out, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func validate(t *testing.T, s *jsonschema.Schema, text []byte) error {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(doc)
}

func TestEveryEventIsOfItsTypesSchemaAndOfNoOther(t *testing.T) {
	schemas := map[event.Type]*jsonschema.Schema{}
	for _, typ := range event.Types {
		schemas[typ] = compile(t, string(typ))
	}
	for _, typ := range event.Types {
		for _, whole := range []bool{true, false} {
			e := sample(t, typ, whole)
			text, err := e.Encode()
			if err != nil {
				t.Fatal(err)
			}
			for other, s := range schemas {
				if err := validate(t, s, text); (err == nil) != (other == typ) {
					t.Errorf("%s (whole: %v) against the schema of %s: %v", text, whole, other, err)
				}
			}
		}
	}
}

func TestEveryFieldOfAWholeEventIsDescribed(t *testing.T) {
	for _, typ := range event.Types {
		e := sample(t, typ, true)
		text, err := e.Encode()
		if err != nil {
			t.Fatal(err)
		}
		// What the schemas let pass for the future must not be something of today.
		s := strings.ReplaceAll(mustOf(t, string(typ)), `"type": "object"`, `"type": "object", "unevaluatedProperties": false`)
		doc, err := jsonschema.UnmarshalJSON(strings.NewReader(s))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource("strict", doc); err != nil {
			t.Fatal(err)
		}
		strict, err := c.Compile("strict")
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, strict, text); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

func mustOf(t *testing.T, name string) string {
	t.Helper()
	text, ok := Of(name)
	if !ok {
		t.Fatalf("there is no schema %s", name)
	}
	return string(text)
}

func TestAWrongEventIsRefused(t *testing.T) {
	s := compile(t, string(event.EpisodeOpened))
	for name, change := range map[string]func(map[string]any){
		"without an id":                     func(e map[string]any) { delete(e, "id") },
		"with an empty id":                  func(e map[string]any) { e["id"] = "" },
		"without a time":                    func(e map[string]any) { delete(e, "time") },
		"at a time that is none":            func(e map[string]any) { e["time"] = "yesterday" },
		"of another version of CloudEvents": func(e map[string]any) { e["specversion"] = "0.3" },
		"from something that is no cluster": func(e map[string]any) { e["source"] = "/clusters/Not A Cluster" },
		"about something that is no object": func(e map[string]any) { e["subject"] = "ledger" },
		"with a number for a sequence":      func(e map[string]any) { e["sequence"] = 5 },
		"with a sequence of letters":        func(e map[string]any) { e["sequence"] = "five" },
		"without data":                      func(e map[string]any) { delete(e, "data") },
		"with a list for data":              func(e map[string]any) { e["data"] = []any{} },
		"with an episode of no reason":      func(e map[string]any) { delete(e["data"].(map[string]any), "reason") },
		"with a text for a count":           func(e map[string]any) { e["data"].(map[string]any)["restarts"] = "4" },
		"with more lines than an episode has": func(e map[string]any) {
			e["data"].(map[string]any)["lines"] = slices.Repeat([]any{"x"}, event.MaxLogLines+1)
		},
		"with a message longer than is promised": func(e map[string]any) {
			e["data"].(map[string]any)["message"] = strings.Repeat("x", event.MaxMessage+1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			whole := sample(t, event.EpisodeOpened, true)
			text, err := whole.Encode()
			if err != nil {
				t.Fatal(err)
			}
			var e map[string]any
			if err := json.Unmarshal(text, &e); err != nil {
				t.Fatal(err)
			}
			change(e)
			if text, err = json.Marshal(e); err != nil {
				t.Fatal(err)
			}
			if validate(t, s, text) == nil {
				t.Errorf("accepted: %s", text)
			}
		})
	}
}

func TestASnapshotHoldsOnlyWhatIsRightByItself(t *testing.T) {
	s := compile(t, string(event.AgentSnapshot))
	e := sample(t, event.AgentSnapshot, true)
	e.Data = []byte(`{"id":"1","part":1,"parts":1,"entries":[{"type":"dev.fairway.flux.failed.v1","subject":"Kustomization/a/b","time":"2026-11-22T07:42:00Z","data":{}}]}`)
	text, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if validate(t, s, text) == nil {
		t.Error("an entry without an apiVersion was accepted as one about a Flux object")
	}
}

func TestAHeartbeatIsOfItsSchema(t *testing.T) {
	s := compile(t, heartbeat)
	text, err := json.Marshal(event.Heartbeat{Epoch: "0192", Sequence: 7, Objects: 3, Digest: 1 << 63, Time: at, Interval: event.Duration(15 * time.Second),
		Version: "v0.1.0", Started: at, Cluster: event.Cluster{NodesReady: 1, NodesTotal: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if err := validate(t, s, text); err != nil {
		t.Error(err)
	}
	if validate(t, s, bytes.Replace(text, []byte(`"15s"`), []byte(`"soon"`), 1)) == nil {
		t.Error("an interval that is no duration was accepted")
	}
}

func TestNamesAreThoseThatAreServed(t *testing.T) {
	for _, name := range Names() {
		if _, ok := Of(name); !ok {
			t.Errorf("there is no schema %s", name)
		}
	}
	for _, name := range []string{"", "asyncapi", "../event", "dev.fairway.flux.failed.v2"} {
		if _, ok := Of(name); ok {
			t.Errorf("there is a schema %q", name)
		}
	}
}

func TestTheDocumentsChannelsAreTheGrammar(t *testing.T) {
	var doc struct {
		Channels map[string]struct {
			Address    string
			Parameters map[string]struct{ Enum []event.Kind }
			Messages   map[string]any
		}
	}
	if err := json.Unmarshal(AsyncAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for name, channel := range doc.Channels {
		got[name] = strings.NewReplacer("{cluster}", "c1", "{kind}", "flux").Replace(channel.Address)
	}
	if diff := cmp.Diff(map[string]string{
		"events": event.OfCluster("c1", event.KindFlux).String(), "heartbeats": event.Heartbeats("c1").String(),
	}, got); diff != "" {
		t.Errorf("addresses of cluster c1 (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(event.Kinds, doc.Channels["events"].Parameters["kind"].Enum); diff != "" {
		t.Errorf("kinds (-want +got):\n%s", diff)
	}
	for _, typ := range event.Types {
		if doc.Channels["events"].Messages[string(typ)] == nil {
			t.Errorf("no message %s", typ)
		}
	}
}

func TestEveryReferenceOfTheDocumentResolves(t *testing.T) {
	var doc any
	if err := json.Unmarshal(AsyncAPI(), &doc); err != nil {
		t.Fatal(err)
	}
	seen := 0
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for _, item := range v {
				walk(item)
			}
			ref, ok := v["$ref"].(string)
			if !ok {
				return
			}
			if seen++; len(v) > 1 {
				t.Errorf("what stands beside %s is ignored by readers", ref)
			}
			if !resolves(doc, ref) {
				t.Errorf("%s leads nowhere", ref)
			}
		}
	}
	walk(doc)
	if seen < 2*len(event.Types) {
		t.Errorf("only %d references were found", seen)
	}
}

func resolves(doc any, ref string) bool {
	path, local := strings.CutPrefix(ref, "#/")
	for part := range strings.SplitSeq(path, "/") {
		members, ok := doc.(map[string]any)
		if !ok || members[part] == nil {
			return false
		}
		doc = members[part]
	}
	return local
}
