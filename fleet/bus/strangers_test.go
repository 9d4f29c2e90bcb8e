package bus_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/jwt/v2"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/bus/bustest"
)

func TestAnAgentMayUseItsOwnSubjectsOnly(t *testing.T) {
	b := bustest.Start(t)
	hub := b.Hub(t)
	reported := newLog[error]()
	o := b.AgentOptions(t, "a")
	o.OnError = reported.add
	agent := bustest.Connect(t, o)
	heartbeat := event.Heartbeat{Epoch: "e", Time: time.Now(), Interval: event.Duration(time.Second)}

	for name, test := range map[string]struct {
		subject string
		do      func() error
	}{
		"an event of another cluster": {"fleet.v1.evt.b.flux",
			func() error { return agent.Publish(t.Context(), "b", newEvent(t, "b", "x")) }},
		"an event of the platform": {"fleet.v1.evt._platform.flux",
			func() error { return agent.Publish(t.Context(), event.Platform, newEvent(t, event.Platform, "x")) }},
		"the heartbeat of another cluster": {"fleet.v1.hb.b",
			func() error { return agent.Heartbeat(t.Context(), "b", heartbeat) }},
	} {
		t.Run(name+" is refused, before the deadline", func(t *testing.T) {
			err := test.do()
			var denied *bus.DeniedError
			if !errors.Is(err, bus.ErrDenied) || !errors.As(err, &denied) || denied.Subject != test.subject {
				t.Errorf("error = %v, want ErrDenied for %s", err, test.subject)
			}
		})
	}
	for name, test := range map[string]struct {
		subject string
		do      func()
	}{
		"looking at streams": {"$JS.API.STREAM.INFO.FLEET_EVENTS",
			func() { _ = agent.EnsureStreams(shortly(t), bus.Retention{}) }},
		"reading events":              {"$JS.API.STREAM.INFO.FLEET_EVENTS", func() { _, _ = agent.State(shortly(t)) }},
		"commands of another cluster": {"fleet.v1.cmd.b", func() { _, _ = agent.OnCommand("b", func(string) {}) }},
		"commanding another cluster":  {"fleet.v1.cmd.b", func() { _ = agent.Command(shortly(t), "b", bus.Resync) }},
	} {
		t.Run(name+" is refused and reported", func(t *testing.T) {
			test.do()
			reported.until(t, "a violation of "+test.subject, func(errs []error) bool {
				return slices.ContainsFunc(errs, func(err error) bool {
					var denied *bus.DeniedError
					return errors.As(err, &denied) && (denied.Subject == test.subject || strings.HasPrefix(denied.Subject, "$JS.API.STREAM"))
				})
			})
		})
	}
	publish(t, agent, "a", "mine")
	ids := follow(t, hub, bus.Start{}).until(t, "the agent's own event", func(ids []string) bool { return len(ids) > 0 })
	if diff := cmp.Diff([]string{"mine"}, ids); diff != "" {
		t.Errorf("the stream has more than the agent's own event (-want +got):\n%s", diff)
	}
}

func TestAnAgentsInboxIsItsOwn(t *testing.T) {
	b := bustest.Start(t)
	b.Hub(t)
	reported := newLog[error]()
	o := b.AgentOptions(t, "a")
	o.InboxPrefix = event.InboxPrefix("b")
	o.OnError = reported.add
	agent := bustest.Connect(t, o)
	if err := agent.Publish(shortly(t), "a", newEvent(t, "a", "1")); err == nil {
		t.Error("Publish() with another's inbox got an answer, want none")
	}
	reported.until(t, "a violation of the inbox", func(errs []error) bool {
		return slices.ContainsFunc(errs, func(err error) bool {
			var denied *bus.DeniedError
			return errors.As(err, &denied) && denied.Operation == "subscribe" && strings.HasPrefix(denied.Subject, "_INBOX_b.")
		})
	})
}

func TestARevokedUserIsDisconnectedAndStaysOut(t *testing.T) {
	b := bustest.Start(t)
	b.Hub(t)
	creds, key := b.Agent(t, "a")
	o := b.Options(creds)
	o.InboxPrefix = event.InboxPrefix("a")
	agent := bustest.Connect(t, o)
	other := bustest.Connect(t, b.AgentOptions(t, "b"))
	publish(t, agent, "a", "1")
	b.Revoke(t, key)
	retry(t, func() error {
		if agent.Connected() {
			return errors.New("still connected")
		}
		return nil
	})
	if err := agent.Publish(shortly(t), "a", newEvent(t, "a", "2")); err == nil {
		t.Error("a revoked user published")
	}
	publish(t, other, "b", "3")
}

func TestConnectSaysWhyItFailed(t *testing.T) {
	b := bustest.Start(t)
	stranger := bustest.Start(t)
	creds, _ := stranger.User(t, jwt.Permissions{})
	for name, change := range map[string]func(*bus.Options){
		"credentials of another bus":       func(o *bus.Options) { o.Creds = creds },
		"no credentials":                   func(o *bus.Options) { o.Creds = nil },
		"a certificate of another CA":      func(o *bus.Options) { o.CA = stranger.CA },
		"a CA that is none":                func(o *bus.Options) { o.CA = []byte("nothing") },
		"a CA file that is not there":      func(o *bus.Options) { o.CAFile = t.TempDir() + "/ca.crt" },
		"a credentials file that is empty": func(o *bus.Options) { o.Creds, o.CredentialsFile = nil, t.TempDir() },
	} {
		t.Run(name, func(t *testing.T) {
			o := b.AgentOptions(t, "a")
			change(&o)
			conn, err := bus.Connect(shortly(t), o)
			if err == nil {
				conn.Close()
				t.Fatal("Connect() succeeded")
			}
			t.Log(err)
		})
	}
}

func TestTheServerRefusesKeysThatDoNotBelongTogether(t *testing.T) {
	b := bustest.Start(t)
	stranger := bustest.Start(t)
	for name, change := range map[string]func(*bus.ServerOptions){
		"an account of another operator":      func(o *bus.ServerOptions) { o.AccountJWT = stranger.ServerOptions().AccountJWT },
		"an operator that is none":            func(o *bus.ServerOptions) { o.OperatorJWT = "x" },
		"no system account":                   func(o *bus.ServerOptions) { o.SystemJWT = "" },
		"no certificate on all addresses":     func(o *bus.ServerOptions) { o.Certificate, o.Listen = nil, ":0" },
		"an address without a port":           func(o *bus.ServerOptions) { o.Listen = "127.0.0.1" },
		"an address that is already taken":    func(o *bus.ServerOptions) { o.Listen = b.ServerOptions().Listen },
		"a folder in which no file can be be": func(o *bus.ServerOptions) { o.StoreDir = "/dev/null/store" },
	} {
		t.Run(name, func(t *testing.T) {
			o := b.ServerOptions()
			o.Listen, o.StoreDir = "127.0.0.1:0", t.TempDir()
			change(&o)
			s, err := bus.StartServer(shortly(t), o)
			if err == nil {
				s.Close()
				t.Fatal("StartServer() succeeded")
			}
			t.Log(err)
		})
	}
	if err := b.Server.UpdateAccount(stranger.ServerOptions().AccountJWT); err == nil {
		t.Error("UpdateAccount() took the account of a stranger")
	}
}
