// Package bus carries events and heartbeats between clusters and the platform. It is the only
// importer of NATS: streams and their limits, acknowledged publishing, following and replaying the
// stream, commands to agents, and the embedded server that a hub runs when it is given no other.
//
// A connection never gives up: it reconnects for ever and reads its credentials again each time.
// What NATS reports on the side (a refused subject, a lost connection) reaches Options.OnError,
// from one goroutine at a time.
package bus

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	dialTimeout    = 5 * time.Second
	requestTimeout = 10 * time.Second
	checkTimeout   = 2 * time.Second
	reconnectWait  = time.Second
	reconnectSplay = time.Second      // so that a fleet does not come back in the same instant
	pingInterval   = 10 * time.Second // two missed pings: a cut that sent no FIN shows in 30 s
	maxPings       = 2
)

// Options say where the bus is and who we are on it.
type Options struct {
	URL  string // "tls://fairway-hub.fairway-system:4222"; several are separated by commas
	Name string // shown in the server's logs

	// CredentialsFile is a NATS .creds file, read again at every reconnect. Creds are the same
	// bytes for who has no file. Both empty: no authentication, which only a test's server takes.
	CredentialsFile string
	Creds           []byte

	// CAFile or CA (PEM) is the only authority that is trusted for the server's certificate, and
	// makes TLS obligatory. Both empty: the system's authorities, and TLS where the URL says tls.
	CAFile string
	CA     []byte

	// InboxPrefix replaces "_INBOX" for who may not subscribe it: agents, event.InboxPrefix(id).
	InboxPrefix string

	// Dial replaces the network, for who has to cut it. Nil: the network.
	Dial func(network, address string) (net.Conn, error)

	// OnError is told of everything that goes wrong beside the calls: errors that match ErrDenied
	// with the subject, ErrDisconnected, failed reconnects. Nil: nobody is told.
	OnError func(error)
}

// Conn is a connection to the bus, safe for concurrent use.
type Conn struct {
	nc      *nats.Conn
	js      jetstream.JetStream
	onError func(error)

	mu      sync.Mutex
	pending map[string]map[*context.CancelCauseFunc]struct{} // publishes that wait for an ack, by subject
	back    chan struct{}                                    // closed when a connection that was lost is there again
}

// Connect dials until it is connected or ctx ends; then the error says why the last try failed.
// Every failed try is reported to OnError.
func Connect(ctx context.Context, o Options) (*Conn, error) {
	c := &Conn{onError: o.OnError, pending: map[string]map[*context.CancelCauseFunc]struct{}{}, back: make(chan struct{})}
	if c.onError == nil {
		c.onError = func(error) {}
	}
	opts, err := c.options(o)
	if err != nil {
		return nil, err
	}
	for {
		nc, err := nats.Connect(o.URL, opts...)
		if err == nil {
			return c.use(nc)
		}
		err = fmt.Errorf("connect to %s: %w", o.URL, err)
		c.onError(err)
		select {
		case <-ctx.Done():
			return nil, errors.Join(context.Cause(ctx), err)
		case <-time.After(reconnectWait):
		}
	}
}

func (c *Conn) use(nc *nats.Conn) (*Conn, error) {
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(requestTimeout))
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("use JetStream: %w", err)
	}
	c.nc, c.js = nc, js
	return c, nil
}

func (c *Conn) options(o Options) ([]nats.Option, error) {
	opts := []nats.Option{
		nats.Name(o.Name),
		nats.Timeout(dialTimeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectSplay, reconnectSplay),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPings),
		// What is published while disconnected fails at once: the caller holds the event and
		// sends it again, in order. A hidden buffer would send it out of order, or lose it.
		nats.ReconnectBufSize(-1),
		// Refused credentials are turned by the operator sooner or later: ask again.
		nats.IgnoreAuthErrorAbort(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.report(err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) { c.lost(err) }),
		nats.ReconnectHandler(func(*nats.Conn) { c.found() }),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { c.onError(fmt.Errorf("reconnect: %w", err)) }),
	}
	if o.Dial != nil {
		opts = append(opts, nats.SetCustomDialer(dialer(o.Dial)))
	}
	if o.InboxPrefix != "" {
		opts = append(opts, nats.CustomInboxPrefix(o.InboxPrefix))
	}
	switch {
	case o.CredentialsFile != "":
		opts = append(opts, nats.UserCredentials(o.CredentialsFile))
	case len(o.Creds) > 0:
		opts = append(opts, nats.UserCredentialBytes(o.Creds))
	}
	trust, err := trust(o)
	if err != nil || trust == nil {
		return opts, err
	}
	return append(opts, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: trust})), nil
}

type dialer func(network, address string) (net.Conn, error)

// Dial implements nats.CustomDialer.
func (d dialer) Dial(network, address string) (net.Conn, error) { return d(network, address) }

func trust(o Options) (*x509.CertPool, error) {
	pem := o.CA
	if o.CAFile != "" {
		var err error
		if pem, err = os.ReadFile(o.CAFile); err != nil {
			return nil, fmt.Errorf("read CA: %w", err)
		}
	}
	if len(pem) == 0 {
		return nil, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("read CA: no PEM certificate in it")
	}
	return pool, nil
}

// Connected says whether the connection stands at this moment.
func (c *Conn) Connected() bool { return c.nc.IsConnected() }

// Close ends the connection. Calls under way fail.
func (c *Conn) Close() { c.nc.Close() }
