package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/jwt/v2"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/bus/bustest"
)

func TestEveryEventCountsOnceAndNoneIsMissedInSilence(t *testing.T) {
	type step struct {
		epoch    string
		sequence uint64
		want     sight
	}
	fresh := sight{fresh: true}
	for name, steps := range map[string][]step{
		"in order":                              {{"a", 1, fresh}, {"a", 2, fresh}},
		"from the middle on, nothing is a gap":  {{"a", 41, fresh}, {"a", 42, fresh}},
		"a duplicate":                           {{"a", 1, fresh}, {"a", 2, fresh}, {"a", 1, sight{}}, {"a", 2, sight{}}},
		"a gap, filled from its middle":         {{"a", 1, fresh}, {"a", 5, sight{true, 3}}, {"a", 3, fresh}, {"a", 3, sight{}}, {"a", 2, fresh}, {"a", 4, fresh}, {"a", 4, sight{}}, {"a", 6, fresh}},
		"a new epoch begins with 1":             {{"a", 7, fresh}, {"b", 1, fresh}, {"b", 2, fresh}},
		"a new epoch whose begin is missing":    {{"a", 7, fresh}, {"b", 3, sight{true, 2}}},
		"what comes late of an old epoch":       {{"b", 1, fresh}, {"a", 8, sight{}}},
		"the platform's, which are not counted": {{"", 0, fresh}, {"", 0, fresh}},
	} {
		t.Run(name, func(t *testing.T) {
			l := ledger{}
			for i, s := range steps {
				if got := l.see("c1", s.epoch, s.sequence); got != s.want {
					t.Errorf("step %d: %+v, want %+v", i, got, s.want)
				}
			}
			if got := l.see("c2", "a", 9); got != fresh {
				t.Errorf("another cluster: %+v, want a count of its own", got)
			}
		})
	}
}

// lines is output that is read while it is written.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- strings.TrimSpace(string(p))
	return len(p), nil
}

func (l lines) next(t *testing.T) string {
	t.Helper()
	select {
	case line := <-l:
		return line
	case <-time.After(20 * time.Second):
		t.Fatal("no line came")
	}
	return ""
}

// fleet publishes as its agents do.
type fleet struct {
	hub *bus.Conn
	at  time.Time
}

func (f *fleet) publish(t *testing.T, on, source string, typ event.Type, sequence uint64, id string, data any) {
	t.Helper()
	e, err := event.New(source, typ, event.Object{Kind: "Kustomization", Namespace: "flux-system", Name: "apps"}, f.at, data)
	if err != nil {
		t.Fatal(err)
	}
	e.ID, e.Epoch, e.Sequence = id, "0192", sequence
	if err := f.hub.Publish(t.Context(), on, &e); err != nil {
		t.Fatal(err)
	}
}

func TestAConsumerReplaysFromATimeAndGoesOnLive(t *testing.T) {
	b := bustest.Start(t)
	f := &fleet{hub: b.Hub(t), at: time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)}
	flux := event.Flux{APIVersion: "kustomize.toolkit.fluxcd.io/v1"}
	f.publish(t, "c1", "c1", event.FluxProgressing, 1, "before", flux)
	from := time.Now()
	f.publish(t, "c1", "c1", event.FluxSucceeded, 2, "two", flux)
	f.publish(t, "c1", "c1", event.FluxSucceeded, 2, "two again", flux)
	f.publish(t, "c1", "c2", event.FluxFailed, 3, "forged", flux)
	f.publish(t, "c1", "c1", event.FluxFailed, 5, "five", flux)

	creds, _ := b.User(t, jwt.Permissions{})
	file := filepath.Join(t.TempDir(), "example.creds")
	if err := os.WriteFile(file, creds, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	out, ended := make(lines, 100), make(chan error, 1)
	o := options{server: b.Options(nil).URL, creds: file, ca: b.CAFile(t), inboxPrefix: "_INBOX"}
	go func() { ended <- run(ctx, o, from, out) }()

	const at = "2026-11-22T08:00:00Z c1 dev.fairway."
	for _, want := range []string{
		at + "flux.succeeded.v1 Kustomization/flux-system/apps",
		"refused: fleet.v1.evt.c1.flux says that it is a flux event of c2",
		"gap: 2 events of c1 before 5 are missing",
		at + "flux.failed.v1 Kustomization/flux-system/apps",
	} {
		if diff := cmp.Diff(want, out.next(t)); diff != "" {
			t.Errorf("replayed (-want +got):\n%s", diff)
		}
	}
	f.publish(t, "c1", "c1", event.AgentGap, 6, "gap", event.Gap{Reason: "outbox full", Dropped: map[event.Kind]int{event.KindFlux: 2}})
	for _, want := range []string{at + "agent.gap.v1 Kustomization/flux-system/apps", "gap: the agent of c1 dropped map[flux:2]: outbox full"} {
		if diff := cmp.Diff(want, out.next(t)); diff != "" {
			t.Errorf("live (-want +got):\n%s", diff)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
