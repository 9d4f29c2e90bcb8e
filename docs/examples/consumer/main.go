// Command consumer reads the events of a fleet from a time on, and goes on with those that come. It shows
// what a reader of FLEET_EVENTS has to do: see docs/howto/consume-events.md.
//
//	fairway events credentials --name example > example.creds
//	go run ./docs/examples/consumer -server tls://events.example.com:4222 -creds example.creds \
//	    -ca ca.crt -inbox-prefix _INBOX__reader-example -since 1h
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fairway-dev/fairway/api/event"
)

type options struct {
	server, creds, ca, inboxPrefix string
	since                          time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.server, "server", "", "address of the event bus, tls://host:port")
	flag.StringVar(&o.creds, "creds", "", "credentials file, made by fairway events credentials")
	flag.StringVar(&o.ca, "ca", "", "PEM file of the authority that signed the bus's certificate")
	flag.StringVar(&o.inboxPrefix, "inbox-prefix", "", "the one that fairway events credentials printed")
	flag.DurationVar(&o.since, "since", time.Hour, "how far back to begin")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, time.Now().Add(-o.since), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "consumer:", err)
		os.Exit(1)
	}
}

// run reads what was stored from a time on, then what comes, until ctx ends.
func run(ctx context.Context, o options, from time.Time, out io.Writer) error {
	conn, err := nats.Connect(o.server,
		nats.Name("consumer example"), nats.MaxReconnects(-1),
		nats.UserCredentials(o.creds), nats.RootCAs(o.ca), nats.CustomInboxPrefix(o.inboxPrefix))
	if err != nil {
		return fmt.Errorf("connect to %s: %w", o.server, err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("use JetStream: %w", err)
	}
	// An ordered consumer delivers in order, makes itself anew when the connection or the server was
	// gone, and leaves nothing behind on the server.
	consumer, err := js.OrderedConsumer(ctx, event.StreamEvents, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &from,
	})
	if err != nil {
		return fmt.Errorf("consume %s: %w", event.StreamEvents, err)
	}
	r := &reader{out: out, ledger: ledger{}}
	// Messages are handed over one at a time.
	messages, err := consumer.Consume(func(m jetstream.Msg) { r.take(m.Subject(), m.Data()) })
	if err != nil {
		return fmt.Errorf("consume %s: %w", event.StreamEvents, err)
	}
	<-ctx.Done()
	messages.Stop()
	<-messages.Closed()
	return nil
}

// reader prints events.
type reader struct {
	out    io.Writer
	ledger ledger
}

// take looks at one message.
func (r *reader) take(subject string, data []byte) {
	s, err := event.ParseSubject(subject)
	if err != nil {
		fmt.Fprintln(r.out, "refused:", err)
		return
	}
	e, err := event.Decode(data)
	if err != nil {
		fmt.Fprintln(r.out, "refused:", err)
		return
	}
	// Credentials let a cluster publish on its own subjects only. What an event says of itself, anybody
	// could have written.
	if e.Cluster() != s.Cluster || e.Type.Kind() != s.Kind {
		fmt.Fprintf(r.out, "refused: %s says that it is a %s event of %s\n", subject, e.Type.Kind(), e.Cluster())
		return
	}
	seen := r.ledger.see(s.Cluster, e.Epoch, e.Sequence)
	if seen.missing > 0 {
		fmt.Fprintf(r.out, "gap: %d events of %s before %d are missing\n", seen.missing, s.Cluster, e.Sequence)
	}
	if !seen.fresh {
		return
	}
	fmt.Fprintln(r.out, e.Time.Format(time.RFC3339), s.Cluster, e.Type, e.Subject)
	r.explain(s.Cluster, &e)
}

// explain prints what the agent says of gaps. What it dropped will never come; the snapshot that follows
// has the state that came of it.
func (r *reader) explain(cluster string, e *event.Event) {
	if e.Type != event.AgentGap {
		return
	}
	var gap event.Gap
	if err := e.Payload(&gap); err != nil {
		fmt.Fprintln(r.out, "refused:", err)
		return
	}
	fmt.Fprintf(r.out, "gap: the agent of %s dropped %v: %s\n", cluster, gap.Dropped, gap.Reason)
}
