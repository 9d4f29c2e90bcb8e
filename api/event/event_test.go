package event

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"
)

func TestSubject(t *testing.T) {
	for text, want := range map[string]Subject{
		"fleet.v1.evt.prod-aws-eu1.workload": OfCluster("prod-aws-eu1", KindWorkload),
		"fleet.v1.evt._platform.cluster":     OfCluster(Platform, KindCluster),
		"fleet.v1.hb.a":                      Heartbeats("a"),
		"fleet.v1.cmd.a-1":                   Commands("a-1"),
	} {
		got, err := ParseSubject(text)
		if err != nil || got != want {
			t.Errorf("ParseSubject(%q) = %+v, %v; want %+v", text, got, err, want)
		}
		if got.String() != text {
			t.Errorf("%+v.String() = %q, want %q", got, got.String(), text)
		}
	}
	for _, text := range []string{
		"", "fleet.v1", "fleet.v1.evt.a", "fleet.v1.evt.a.nothing", "fleet.v1.evt.a.flux.more", "fleet.v1.hb.",
		"fleet.v1.hb.A", "fleet.v1.hb.a.b", "fleet.v1.hb.*", "fleet.v1.evt.>.flux", "fleet.v2.hb.a", "fleet.v1.xx.a",
		"fleet.v1.hb." + strings.Repeat("a", 64), "fleet.v1.hb._other",
	} {
		if got, err := ParseSubject(text); !errors.Is(err, ErrSubject) {
			t.Errorf("ParseSubject(%q) = %+v, %v; want ErrSubject", text, got, err)
		}
	}
}

// FuzzParseSubject: a subject that is read is written the same, names a cluster, and stands in the one
// channel that its form says.
func FuzzParseSubject(f *testing.F) {
	for _, text := range []string{
		"fleet.v1.evt.prod-aws-eu1.workload", "fleet.v1.hb.a", "fleet.v1.cmd.a-1", "fleet.v1.evt._platform.cluster", "fleet.v1.hb.*", "fleet.v1.evt.>.flux", "fleet.v1.evt..flux",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSubject(text)
		if err != nil {
			if !errors.Is(err, ErrSubject) || s != (Subject{}) {
				t.Errorf("ParseSubject(%q) = %+v, %v; want nothing and ErrSubject", text, s, err)
			}
			return
		}
		if s.String() != text {
			t.Errorf("ParseSubject(%q).String() = %q", text, s.String())
		}
		if s.Cluster != Platform && !ValidCluster(s.Cluster) || strings.ContainsAny(text, "*> \t\r\n") {
			t.Errorf("ParseSubject took %q: %+v", text, s)
		}
		if events := strings.HasPrefix(text, "fleet.v1.evt."); events != s.Kind.Known() || !events && s.Kind != "" {
			t.Errorf("ParseSubject(%q) has kind %q", text, s.Kind)
		}
	})
}

func TestTypesHaveKinds(t *testing.T) {
	for _, typ := range Types {
		if !typ.Kind().Known() || typ.What() == "" {
			t.Errorf("%s: kind %q, what %q", typ, typ.Kind(), typ.What())
		}
	}
	for _, typ := range []Type{"", "dev.fairway.flux.v1", "dev.fairway.nothing.failed.v1", "dev.fairway.flux.a.b.v1", "flux.failed"} {
		if typ.Kind() != "" {
			t.Errorf("Type(%q).Kind() = %q, want none", typ, typ.Kind())
		}
	}
}

func sample(t *testing.T) Event {
	t.Helper()
	at := time.Date(2026, 11, 22, 7, 42, 0, 123456789, time.UTC)
	e, err := New("prod-azure-eu1", EpisodeOpened, Object{"Deployment", "payments", "ledger"}, at,
		Episode{ID: "e1", Reason: "CrashLoopBackOff", Container: "app", Lines: []string{"fatal: no database"}})
	if err != nil {
		t.Fatal(err)
	}
	e.ID, e.Epoch, e.Sequence, e.Team = "0193", "0192", 1<<40, "payments"
	return e
}

func TestEventKeepsItsValueOnTheWire(t *testing.T) {
	want := sample(t)
	data, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Decode(Encode()) mismatch (-want +got):\n%s", diff)
	}
}

func TestEventIsACloudEvent(t *testing.T) {
	e := sample(t)
	data, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var ce cloudevents.Event
	if err := ce.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	if err := ce.Validate(); err != nil {
		t.Error(err)
	}
	if got := ce.Extensions()["sequence"]; got != "1099511627776" {
		t.Errorf("sequence = %#v, want a string: CloudEvents integers end at 2^31", got)
	}
	if ce.Subject() != "Deployment/payments/ledger" || ce.Source() != "/clusters/prod-azure-eu1" {
		t.Errorf("subject %q, source %q", ce.Subject(), ce.Source())
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, change := range map[string]func(*Event){
		"another version of CloudEvents": func(e *Event) { e.SpecVersion = "0.3" },
		"no id":                          func(e *Event) { e.ID = "" },
		"a type of somebody else":        func(e *Event) { e.Type = "com.example.thing" },
		"a source that is no cluster":    func(e *Event) { e.Source = "/clusters/Not A Cluster" },
		"no time":                        func(e *Event) { e.Time = time.Time{} },
	} {
		t.Run(name, func(t *testing.T) {
			e := sample(t)
			change(&e)
			if _, err := e.Encode(); !errors.Is(err, ErrInvalid) {
				t.Errorf("Encode() error = %v, want ErrInvalid", err)
			}
		})
	}
	if _, err := Decode([]byte(`{"specversion":"1.0"`)); !errors.Is(err, ErrInvalid) {
		t.Errorf("Decode of cut JSON: %v, want ErrInvalid", err)
	}
	if _, err := Decode(make([]byte, MaxSize+1)); !errors.Is(err, ErrInvalid) {
		t.Errorf("Decode of a huge message: %v, want ErrInvalid", err)
	}
}

// FuzzDecode: what Decode takes is an event of the contract, and says the same after another way over
// the wire.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"specversion":"1.0","id":"1","source":"/clusters/a","type":"dev.fairway.flux.failed.v1","time":"2026-11-22T07:42:00Z","sequence":"3","data":{}}`))
	f.Add([]byte(`{"specversion":"1.0","id":"\u00e9","source":"/clusters/_platform","type":"dev.fairway.x.y.v1","time":"2026-11-22T07:42:00.5+02:00","data":"a"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := Decode(data)
		if err != nil {
			if !errors.Is(err, ErrInvalid) {
				t.Errorf("error %v does not wrap ErrInvalid", err)
			}
			return
		}
		if cluster := e.Cluster(); cluster != Platform && !ValidCluster(cluster) || e.ID == "" || e.Type.Kind() == "" || e.Time.IsZero() {
			t.Errorf("Decode took %+v", e)
		}
		encoded, err := e.Encode()
		if err != nil {
			t.Skip("larger when written out, or a time beyond RFC 3339")
		}
		again, err := Decode(encoded)
		if err != nil {
			t.Fatalf("what Decode took, Encode wrote and Decode refused: %v", err)
		}
		if twice, err := again.Encode(); err != nil || string(twice) != string(encoded) {
			t.Errorf("over the wire again (%v):\n%s\n%s", err, encoded, twice)
		}
		entry, same := e.Entry(), again.Entry()
		if len(e.Data) > 0 && json.Valid(e.Data) && string(again.Data) == string(e.Data) && entry.Sum() != same.Sum() {
			t.Errorf("the sum of %s is another after the wire", encoded)
		}
	})
}
