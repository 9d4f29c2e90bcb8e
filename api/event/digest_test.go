package event

import (
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
)

func TestASumIsTheSameOnBothSidesAndInASnapshot(t *testing.T) {
	at := time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)
	sent, err := New("a", WorkloadAvailable, Object{Kind: "Deployment", Namespace: "pay", Name: "ledger"}, at,
		Workload{Desired: 2, Ready: 2, Message: "<&> \u2028 \"quoted\""})
	if err != nil {
		t.Fatal(err)
	}
	sent.ID, sent.Epoch, sent.Sequence, sent.Team = "1", "e", 1, "payments"
	entry := sent.Entry()
	want := entry.Sum()

	data, err := sent.Encode()
	if err != nil {
		t.Fatal(err)
	}
	received, err := Decode(data)
	if err != nil {
		t.Fatal(err)
	}
	if got := received.Entry(); got.Sum() != want {
		t.Errorf("the reader's sum is %x, the sender's %x", got.Sum(), want)
	}

	part, err := New("a", AgentSnapshot, Object{}, at, Snapshot{ID: "s", Part: 1, Parts: 1, Entries: []Entry{entry}})
	if err != nil {
		t.Fatal(err)
	}
	var p Snapshot
	if err := part.Payload(&p); err != nil {
		t.Fatal(err)
	}
	if got := p.Entries[0].Sum(); got != want {
		t.Errorf("the sum in a snapshot is %x, the event's %x", got, want)
	}
}

// The sum is part of the contract: other senders and readers compute it, too.
func TestTheSumIsXXHashOverTheFieldsInTheirOrder(t *testing.T) {
	e := Entry{Type: FluxSucceeded, Subject: "Kustomization/a/b", Team: "t", Service: "s", Artifact: "a", Revision: "r", Data: []byte(`{"a":1}`)}
	for _, size := range []int{0, 7, 1 << 10, 16 << 10} { // also beyond what is kept on the stack
		e.Data = []byte(strings.Repeat("x", size))
		want := xxhash.Sum64String("dev.fairway.flux.succeeded.v1\x00Kustomization/a/b\x00t\x00s\x00a\x00r\x00" + string(e.Data))
		if got := e.Sum(); got != want {
			t.Errorf("with %d bytes of data the sum is %x, want %x", size, got, want)
		}
	}
}

func TestASumChangesWithEverythingButTheTime(t *testing.T) {
	base := Entry{Type: FluxSucceeded, Subject: "Kustomization/a/b", Team: "t", Service: "s", Artifact: "a", Revision: "r", Data: []byte("{}")}
	later := base
	later.Time = time.Now()
	if base.Sum() != later.Sum() {
		t.Error("the time counts")
	}
	for name, change := range map[string]func(*Entry){
		"type": func(e *Entry) { e.Type = FluxFailed }, "subject": func(e *Entry) { e.Subject += "c" },
		"team": func(e *Entry) { e.Team = "" }, "service": func(e *Entry) { e.Service = "" },
		"artifact": func(e *Entry) { e.Artifact = "b" }, "revision": func(e *Entry) { e.Revision = "" },
		"data": func(e *Entry) { e.Data = []byte(`{"a":1}`) },
		// no text can be moved from one field to the next
		"borders": func(e *Entry) { e.Team, e.Service = "ts", "" },
	} {
		other := base
		if change(&other); other.Sum() == base.Sum() {
			t.Errorf("%s does not count", name)
		}
	}
}
