package natsauth

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fairway-dev/fairway/api/event"
)

// attempt is one publish or subscription, and whether the server lets it pass.
type attempt struct {
	name      string
	publish   string
	subscribe string
	allowed   bool
}

func (b *bus) try(u User, cases []attempt) {
	for _, c := range cases {
		b.t.Run(u.Name+": "+c.name, func(t *testing.T) {
			own := &bus{t: t, keys: b.keys, server: b.server}
			conn := own.connect(u)
			if c.publish != "" {
				if err := conn.PublishRequest(c.publish, u.InboxPrefix+".reply", []byte("{}")); err != nil {
					t.Fatal(err)
				}
			} else if _, err := conn.SubscribeSync(c.subscribe); err != nil {
				t.Fatal(err)
			}
			// The server answers the flush after its complaint about what came before.
			if err := conn.FlushTimeout(5 * time.Second); err != nil {
				t.Fatal(err)
			}
			refused := errors.Is(conn.LastError(), nats.ErrPermissionViolation)
			if refused == c.allowed {
				t.Errorf("%s%s: allowed = %v, want %v (%v)", c.publish, c.subscribe, !refused, c.allowed, conn.LastError())
			}
		})
	}
}

func TestAnAgentMayDoExactlyItsOwn(t *testing.T) {
	b := startBus(t)
	var cases []attempt
	for _, kind := range []event.Kind{"cluster", "flux", "workload", "episode", "release", "artifact", "agent"} {
		cases = append(cases, attempt{name: "publishes its own " + string(kind) + " events", publish: event.OfCluster("c1", kind).String(), allowed: true})
	}
	b.try(b.must(b.keys.Agent("c1", time.Now().Add(time.Hour))), append(cases, []attempt{
		{name: "publishes its own heartbeats", publish: "fleet.v1.hb.c1", allowed: true},
		{name: "hears its own commands", subscribe: "fleet.v1.cmd.c1", allowed: true},
		{name: "hears its own replies", subscribe: "_INBOX_c1.>", allowed: true},

		{name: "publishes no other cluster's events", publish: "fleet.v1.evt.c2.flux"},
		{name: "publishes no events of a cluster whose id its own begins", publish: "fleet.v1.evt.c10.flux"},
		{name: "publishes no platform events", publish: "fleet.v1.evt._platform.cluster"},
		{name: "publishes nothing deeper than a kind", publish: "fleet.v1.evt.c1.flux.more"},
		{name: "publishes no other cluster's heartbeats", publish: "fleet.v1.hb.c2"},
		{name: "commands nobody", publish: "fleet.v1.cmd.c2"},
		{name: "does not command itself", publish: "fleet.v1.cmd.c1"},
		{name: "writes into nobody's inbox", publish: "_INBOX_c2.reply"},
		{name: "reads no events, not even its own", subscribe: "fleet.v1.evt.c1.>"},
		{name: "reads nobody's events", subscribe: "fleet.v1.evt.>"},
		{name: "reads nobody's heartbeats", subscribe: "fleet.v1.hb.>"},
		{name: "hears no other cluster's commands", subscribe: "fleet.v1.cmd.c2"},
		{name: "hears not all commands", subscribe: "fleet.v1.cmd.*"},
		{name: "hears no other cluster's replies", subscribe: "_INBOX_c2.>"},
		{name: "hears no default inbox", subscribe: "_INBOX.>"},
		{name: "hears not everything", subscribe: ">"},
		{name: "hears no system events", subscribe: "$SYS.>"},
		{name: "sees no stream", publish: "$JS.API.STREAM.INFO.FLEET_EVENTS"},
		{name: "sees no account", publish: "$JS.API.INFO"},
		{name: "makes no stream", publish: "$JS.API.STREAM.CREATE.MINE"},
		{name: "changes no stream", publish: "$JS.API.STREAM.UPDATE.FLEET_EVENTS"},
		{name: "deletes no stream", publish: "$JS.API.STREAM.DELETE.FLEET_EVENTS"},
		{name: "purges no stream", publish: "$JS.API.STREAM.PURGE.FLEET_EVENTS"},
		{name: "deletes no message", publish: "$JS.API.STREAM.MSG.DELETE.FLEET_EVENTS"},
		{name: "gets no message", publish: "$JS.API.STREAM.MSG.GET.FLEET_EVENTS"},
		{name: "gets no message directly", publish: "$JS.API.DIRECT.GET.FLEET_EVENTS"},
		{name: "makes no consumer", publish: "$JS.API.CONSUMER.CREATE.FLEET_EVENTS.x"},
		{name: "writes no key-value bucket", publish: "$KV.STATE.c1.x"},
	}...))
}

func TestAReaderReadsEventsAndNothingElse(t *testing.T) {
	b := startBus(t)
	b.try(b.must(b.keys.Reader("grafana", time.Now().Add(time.Hour))), []attempt{
		{name: "makes a consumer", publish: "$JS.API.CONSUMER.CREATE.FLEET_EVENTS.grafana", allowed: true},
		{name: "makes a filtered consumer", publish: "$JS.API.CONSUMER.CREATE.FLEET_EVENTS.grafana.fleet.v1.evt.*.flux", allowed: true},
		{name: "looks at its consumer", publish: "$JS.API.CONSUMER.INFO.FLEET_EVENTS.grafana", allowed: true},
		{name: "looks at the stream", publish: "$JS.API.STREAM.INFO.FLEET_EVENTS", allowed: true},
		{name: "asks for messages", publish: "$JS.API.CONSUMER.MSG.NEXT.FLEET_EVENTS.grafana", allowed: true},
		{name: "acknowledges by its durable consumer", publish: "$JS.ACK.FLEET_EVENTS.grafana.1.1.1.1.1", allowed: true},
		{name: "deletes its durable consumer", publish: "$JS.API.CONSUMER.DELETE.FLEET_EVENTS.grafana", allowed: true},
		{name: "makes a consumer as older clients do", publish: "$JS.API.CONSUMER.CREATE.FLEET_EVENTS", allowed: true},
		{name: "makes its durable consumer as older clients do", publish: "$JS.API.CONSUMER.DURABLE.CREATE.FLEET_EVENTS.grafana", allowed: true},
		{name: "hears its replies", subscribe: "_INBOX__reader-grafana.>", allowed: true},

		{name: "makes no consumer on heartbeats", publish: "$JS.API.CONSUMER.CREATE.FLEET_HEARTBEATS.grafana"},
		{name: "makes no consumer on another stream", publish: "$JS.API.CONSUMER.CREATE.OTHER.grafana"},
		{name: "deletes nobody's consumer", publish: "$JS.API.CONSUMER.DELETE.FLEET_EVENTS.hub"},
		{name: "acknowledges for nobody else", publish: "$JS.ACK.FLEET_EVENTS.hub.1.1.1.1.1"},
		{name: "pauses nobody's consumer", publish: "$JS.API.CONSUMER.PAUSE.FLEET_EVENTS.hub"},
		{name: "resets nobody's consumer", publish: "$JS.API.CONSUMER.RESET.FLEET_EVENTS.hub"},
		{name: "unpins nobody's consumer", publish: "$JS.API.CONSUMER.UNPIN.FLEET_EVENTS.hub"},
		{name: "moves no consumer", publish: "$JS.API.CONSUMER.LEADER.STEPDOWN.FLEET_EVENTS.hub"},
		{name: "lists no consumers", publish: "$JS.API.CONSUMER.LIST.FLEET_EVENTS"},
		{name: "names no consumers", publish: "$JS.API.CONSUMER.NAMES.FLEET_EVENTS"},
		{name: "lists no streams", publish: "$JS.API.STREAM.LIST"},
		{name: "names no streams", publish: "$JS.API.STREAM.NAMES"},
		{name: "looks at no heartbeats", publish: "$JS.API.STREAM.INFO.FLEET_HEARTBEATS"},
		{name: "looks at no other stream", publish: "$JS.API.STREAM.INFO.OTHER"},
		{name: "gets no heartbeat", publish: "$JS.API.STREAM.MSG.GET.FLEET_HEARTBEATS"},
		{name: "gets no heartbeat directly", publish: "$JS.API.DIRECT.GET.FLEET_HEARTBEATS"},
		{name: "sees no account", publish: "$JS.API.INFO"},
		{name: "makes no stream", publish: "$JS.API.STREAM.CREATE.MINE"},
		{name: "changes no stream", publish: "$JS.API.STREAM.UPDATE.FLEET_EVENTS"},
		{name: "deletes no stream", publish: "$JS.API.STREAM.DELETE.FLEET_EVENTS"},
		{name: "purges no stream", publish: "$JS.API.STREAM.PURGE.FLEET_EVENTS"},
		{name: "restores no stream", publish: "$JS.API.STREAM.RESTORE.FLEET_EVENTS"},
		{name: "takes no snapshot of a stream", publish: "$JS.API.STREAM.SNAPSHOT.FLEET_EVENTS"},
		{name: "deletes no message", publish: "$JS.API.STREAM.MSG.DELETE.FLEET_EVENTS"},
		{name: "writes no key-value bucket", publish: "$KV.STATE.x"},
		{name: "asks the system for nothing", publish: "$SYS.REQ.SERVER.PING"},
		{name: "hears no system events", subscribe: "$SYS.>"},
		{name: "publishes no events", publish: "fleet.v1.evt.c1.flux"},
		{name: "publishes no heartbeats", publish: "fleet.v1.hb.c1"},
		{name: "commands nobody", publish: "fleet.v1.cmd.c1"},
		{name: "follows no subject by itself", subscribe: "fleet.v1.evt.>"},
		{name: "hears no replies of a cluster of its name", subscribe: "_INBOX_grafana.>"},
		{name: "hears not everything", subscribe: ">"},
	})
}

func TestTheOperatorReadsAndSpeaksForThePlatform(t *testing.T) {
	b := startBus(t)
	b.try(b.must(b.keys.Operator()), []attempt{
		{name: "publishes platform events", publish: "fleet.v1.evt._platform.cluster", allowed: true},
		{name: "commands a cluster", publish: "fleet.v1.cmd.c1", allowed: true},
		{name: "looks at the events", publish: "$JS.API.STREAM.INFO.FLEET_EVENTS", allowed: true},
		{name: "looks at the heartbeats", publish: "$JS.API.STREAM.INFO.FLEET_HEARTBEATS", allowed: true},
		{name: "follows the events", publish: "$JS.API.CONSUMER.CREATE.FLEET_EVENTS.operator", allowed: true},
		{name: "follows the heartbeats", publish: "$JS.API.CONSUMER.CREATE.FLEET_HEARTBEATS.operator", allowed: true},
		{name: "drops a consumer that it made", publish: "$JS.API.CONSUMER.DELETE.FLEET_HEARTBEATS.operator", allowed: true},
		{name: "hears its replies", subscribe: "_INBOX__platform.>", allowed: true},

		{name: "publishes no cluster's events", publish: "fleet.v1.evt.c1.flux"},
		{name: "publishes no heartbeats", publish: "fleet.v1.hb.c1"},
		{name: "hears no commands", subscribe: "fleet.v1.cmd.*"},
		{name: "makes no stream", publish: "$JS.API.STREAM.CREATE.MINE"},
		{name: "deletes no stream", publish: "$JS.API.STREAM.DELETE.FLEET_EVENTS"},
		{name: "purges no stream", publish: "$JS.API.STREAM.PURGE.FLEET_EVENTS"},
		{name: "hears no replies of a cluster called operator", subscribe: "_INBOX_operator.>"},
		{name: "hears not everything", subscribe: ">"},
	})
}

func TestTheHubMayDoEverythingInItsAccount(t *testing.T) {
	b := startBus(t)
	b.try(b.must(b.keys.Hub()), []attempt{
		{name: "hears everything", subscribe: ">", allowed: true},
		{name: "makes a stream", publish: "$JS.API.STREAM.CREATE.MINE", allowed: true},
		{name: "commands a cluster", publish: "fleet.v1.cmd.c1", allowed: true},
		{name: "publishes events", publish: "fleet.v1.evt.c1.flux", allowed: true},
	})
}

func TestAnEventGoesFromAnAgentToItsReaders(t *testing.T) {
	b := startBus(t)
	agent := b.connect(b.must(b.keys.Agent("c1", time.Now().Add(time.Hour))))
	if _, err := b.jetStream(agent).Publish(t.Context(), "fleet.v1.evt.c1.flux", []byte("one")); err != nil {
		t.Fatalf("publish with acknowledgement: %v", err)
	}
	for _, reader := range []User{
		b.must(b.keys.Reader("grafana", time.Now().Add(time.Hour))),
		b.must(b.keys.Operator()),
	} {
		t.Run(reader.Name+" by an ordered consumer", func(t *testing.T) {
			js := b.jetStream(b.connect(reader))
			consumer, err := js.OrderedConsumer(t.Context(), event.StreamEvents, jetstream.OrderedConsumerConfig{})
			if err != nil {
				t.Fatal(err)
			}
			expectOne(t, consumer)
		})
		t.Run(reader.Name+" by a durable consumer", func(t *testing.T) {
			js := b.jetStream(b.connect(reader))
			consumer, err := js.CreateOrUpdateConsumer(t.Context(), event.StreamEvents,
				jetstream.ConsumerConfig{Durable: reader.Name, AckPolicy: jetstream.AckExplicitPolicy})
			if err != nil {
				t.Fatal(err)
			}
			if err := expectOne(t, consumer).DoubleAck(t.Context()); err != nil {
				t.Fatalf("acknowledge: %v", err)
			}
		})
	}
}

func expectOne(t *testing.T, consumer jetstream.Consumer) jetstream.Msg {
	t.Helper()
	msg, err := consumer.Next(jetstream.FetchMaxWait(5 * time.Second))
	if err != nil {
		t.Fatalf("next message: %v", err)
	}
	if diff := cmp.Diff("one", string(msg.Data())); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	return msg
}

func TestAnAgentAnswersACommandOnce(t *testing.T) {
	b := startBus(t)
	agent := b.connect(b.must(b.keys.Agent("c1", time.Now().Add(time.Hour))))
	replied := make(chan error, 1)
	_, err := agent.Subscribe("fleet.v1.cmd.c1", func(m *nats.Msg) {
		err := m.Respond([]byte("first"))
		if err == nil {
			err = agent.Publish(m.Reply, []byte("second"))
		}
		replied <- errors.Join(err, agent.FlushTimeout(5*time.Second))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Flush(); err != nil {
		t.Fatal(err)
	}
	operator := b.connect(b.must(b.keys.Operator()))
	answer, err := operator.Request("fleet.v1.cmd.c1", []byte("resync"), 5*time.Second)
	if err != nil {
		t.Fatalf("request: %v", err)
	}
	if diff := cmp.Diff("first", string(answer.Data)); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	if err := <-replied; err != nil {
		t.Fatal(err)
	}
	if !errors.Is(agent.LastError(), nats.ErrPermissionViolation) {
		t.Errorf("the second answer passed: %v", agent.LastError())
	}
}

func TestExpiredCredentialsAreRefused(t *testing.T) {
	b := startBus(t)
	if _, err := b.dial(b.must(b.keys.Agent("c1", time.Now().Add(-time.Minute)))); err == nil {
		t.Error("expired credentials were let in")
	}
}

func TestAConnectionEndsWhenItsCredentialsExpire(t *testing.T) {
	b := startBus(t)
	closed := make(chan struct{})
	b.connect(b.must(b.keys.Agent("c1", time.Now().Add(2*time.Second))),
		nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	select {
	case <-closed:
	case <-time.After(15 * time.Second):
		t.Error("the connection is still open 15s later")
	}
}

func TestARevokedUserIsThrownOut(t *testing.T) {
	b := startBus(t)
	leaver := b.must(b.keys.Agent("c1", time.Now().Add(time.Hour)))
	stayer := b.must(b.keys.Agent("c2", time.Now().Add(time.Hour)))
	closed := make(chan struct{})
	b.connect(leaver, nats.ClosedHandler(func(*nats.Conn) { close(closed) }))
	other := b.connect(stayer)

	tokens, err := b.keys.Server(map[string]time.Time{leaver.PublicKey: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	b.update(tokens.AccountJWT)

	select {
	case <-closed:
	case <-time.After(10 * time.Second):
		t.Error("the revoked user is still connected 10s later")
	}
	if _, err := b.dial(leaver); err == nil {
		t.Error("the revoked user came back")
	}
	if err := other.FlushTimeout(5 * time.Second); err != nil {
		t.Errorf("another cluster was cut off: %v", err)
	}
	b.connect(b.must(b.keys.Agent("c1", time.Now().Add(time.Hour)))) // the same cluster, with a new user
}

func TestAStrangerOfAnotherFleetIsRefused(t *testing.T) {
	b := startBus(t)
	keys, err := NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	stranger := b.must(keys.Hub())
	if _, err := b.dial(stranger); err == nil {
		t.Error("credentials of another fleet were let in")
	}
	if _, err := nats.Connect(b.server.ClientURL(), nats.NoReconnect()); err == nil {
		t.Error("nobody was let in: " + fmt.Sprint(err))
	}
}

// NATS checks what a client publishes to, not where it wants the answer: an agent can have the
// server acknowledge a message on another cluster's subject. Readers of the stream must therefore
// drop what is no event; this holds the server to it that nothing of the agent's own gets there.
func TestAReplySubjectCarriesNothingOfTheAgents(t *testing.T) {
	b := startBus(t)
	agent := b.connect(b.must(b.keys.Agent("c1", time.Now().Add(time.Hour))))
	hub := b.connect(b.must(b.keys.Hub()))
	for _, reply := range []string{"fleet.v1.evt.c2.flux", "fleet.v1.hb.c2", "fleet.v1.cmd.c2"} {
		t.Run(reply, func(t *testing.T) {
			heard, err := hub.SubscribeSync(reply)
			if err != nil {
				t.Fatal(err)
			}
			if err := hub.Flush(); err != nil {
				t.Fatal(err)
			}
			if err := agent.PublishRequest("fleet.v1.evt.c1.flux", reply, []byte("forged")); err != nil {
				t.Fatal(err)
			}
			msg, err := heard.NextMsg(5 * time.Second)
			if err != nil {
				t.Fatal(err)
			}
			var acknowledgement struct{ Stream string }
			if err := json.Unmarshal(msg.Data, &acknowledgement); err != nil || acknowledgement.Stream != event.StreamEvents {
				t.Errorf("%s got %q, want the server's acknowledgement only", reply, msg.Data)
			}
			if len(msg.Header) > 0 {
				t.Errorf("%s got the agent's headers: %v", reply, msg.Header)
			}
		})
	}
}
