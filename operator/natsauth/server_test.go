package natsauth

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/fairway-dev/fairway/api/event"
)

// bus is a real NATS server that knows a fleet's keys, with the fleet's two streams.
type bus struct {
	t      *testing.T
	keys   *Keys
	server *server.Server
}

func startBus(t *testing.T) *bus {
	t.Helper()
	keys, err := NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := keys.Server(nil)
	if err != nil {
		t.Fatal(err)
	}
	operator, err := jwt.DecodeOperatorClaims(tokens.OperatorJWT)
	if err != nil {
		t.Fatal(err)
	}
	resolver := &server.MemAccResolver{}
	for _, token := range []string{tokens.AccountJWT, tokens.SystemJWT} {
		claims, err := jwt.DecodeAccountClaims(token)
		if err != nil {
			t.Fatal(err)
		}
		if err := resolver.Store(claims.Subject, token); err != nil {
			t.Fatal(err)
		}
	}
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: t.TempDir(),
		TrustedOperators: []*jwt.OperatorClaims{operator}, SystemAccount: operator.SystemAccount, AccountResolver: resolver,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server is not ready after 10s")
	}
	b := &bus{t: t, keys: keys, server: s}
	b.makeStreams()
	return b
}

func (b *bus) makeStreams() {
	b.t.Helper()
	js := b.jetStream(b.connect(b.must(b.keys.Hub())))
	for name, subjects := range map[string]string{
		event.StreamEvents:     "fleet.v1.evt.>",
		event.StreamHeartbeats: "fleet.v1.hb.>",
		"OTHER":                "other.>",
	} {
		if _, err := js.CreateStream(b.t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subjects}}); err != nil {
			b.t.Fatal(err)
		}
	}
}

func (b *bus) must(u User, err error) User {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// connect opens a connection of a user that lasts as long as the test.
func (b *bus) connect(u User, options ...nats.Option) *nats.Conn {
	b.t.Helper()
	conn, err := b.dial(u, options...)
	if err != nil {
		b.t.Fatalf("connect as %s: %v", u.Name, err)
	}
	return conn
}

func (b *bus) dial(u User, options ...nats.Option) (*nats.Conn, error) {
	b.t.Helper()
	file := filepath.Join(b.t.TempDir(), "user.creds")
	if err := os.WriteFile(file, u.Creds, 0o600); err != nil {
		b.t.Fatal(err)
	}
	options = append([]nats.Option{
		nats.UserCredentials(file), nats.NoReconnect(), nats.Timeout(5 * time.Second),
		// Without a handler nats.go prints violations; tests look at LastError.
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}),
	}, options...)
	if u.InboxPrefix != "" {
		options = append(options, nats.CustomInboxPrefix(u.InboxPrefix))
	}
	conn, err := nats.Connect(b.server.ClientURL(), options...)
	if err == nil {
		b.t.Cleanup(conn.Close)
	}
	return conn, err
}

func (b *bus) jetStream(conn *nats.Conn) jetstream.JetStream {
	b.t.Helper()
	js, err := jetstream.New(conn)
	if err != nil {
		b.t.Fatal(err)
	}
	return js
}

// update gives the server an account token, as the hub does when its file changes.
func (b *bus) update(accountJWT string) {
	b.t.Helper()
	claims, err := jwt.DecodeAccountClaims(accountJWT)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := b.server.AccountResolver().Store(claims.Subject, accountJWT); err != nil {
		b.t.Fatal(err)
	}
	account, err := b.server.LookupAccount(claims.Subject)
	if err != nil {
		b.t.Fatal(err)
	}
	b.server.UpdateAccountClaims(account, claims)
}
