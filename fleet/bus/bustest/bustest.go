// Package bustest runs a real event bus for tests: the embedded server on a free loopback port,
// with TLS, and users whose rights are those of the contract.
package bustest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr/testr"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/bus"
)

const maxBytes = 256 << 20

// Bus is a running server and the keys to make users for it.
type Bus struct {
	Server *bus.Server
	CA     []byte // PEM

	options bus.ServerOptions
	account nkeys.KeyPair
	mint    func(revoked ...string) string
	log     *quietLog
}

// Start runs a server until the test ends.
func Start(t testing.TB) *Bus {
	t.Helper()
	b := &Bus{log: &quietLog{t: t}}
	certificate, ca := selfSigned(t)
	b.CA = ca
	b.options = bus.ServerOptions{
		Listen: "127.0.0.1:0", StoreDir: t.TempDir(), Log: testr.NewWithInterface(b.log, testr.Options{}),
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return certificate, nil },
	}
	b.keys(t)
	b.start(t)
	t.Cleanup(func() {
		b.Server.Close()
		b.log.stop()
	})
	return b
}

func (b *Bus) start(t testing.TB) {
	t.Helper()
	var err error
	if b.Server, err = bus.StartServer(t.Context(), b.options); err != nil {
		t.Fatal(err)
	}
	b.options.Listen = net.JoinHostPort("127.0.0.1", strconv.Itoa(b.Server.Port()))
}

// Restart stops the server and starts it again on the same port, with the same files.
func (b *Bus) Restart(t testing.TB) {
	t.Helper()
	b.Server.Close()
	b.start(t)
}

// Revoke puts an account JWT into force that revokes the users with these public keys.
func (b *Bus) Revoke(t testing.TB, users ...string) {
	t.Helper()
	if err := b.Server.UpdateAccount(b.mint(users...)); err != nil {
		t.Fatal(err)
	}
}

// Options are those to connect as the owner of creds. Add what the test looks at.
func (b *Bus) Options(creds []byte) bus.Options {
	return bus.Options{URL: "tls://" + b.options.Listen, Name: "test", Creds: creds, CA: b.CA}
}

// Connect connects until the test ends.
func Connect(t testing.TB, o bus.Options) *bus.Conn {
	t.Helper()
	c, err := bus.Connect(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// Hub connects with all rights in the account, and makes the streams.
func (b *Bus) Hub(t testing.TB) *bus.Conn {
	t.Helper()
	creds, _ := b.User(t, jwt.Permissions{})
	c := Connect(t, b.Options(creds))
	if err := c.EnsureStreams(t.Context(), bus.Retention{MaxBytes: maxBytes}); err != nil {
		t.Fatal(err)
	}
	return c
}

// Agent makes the credentials of a cluster's agent, with the rights that the contract gives it.
func (b *Bus) Agent(t testing.TB, cluster string) (creds []byte, publicKey string) {
	t.Helper()
	var p jwt.Permissions
	p.Pub.Allow.Add("fleet.v1.evt."+cluster+".*", event.Heartbeats(cluster).String())
	p.Sub.Allow.Add(event.Commands(cluster).String(), event.InboxPrefix(cluster)+".>")
	p.Resp = &jwt.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}
	return b.User(t, p)
}

// AgentOptions are those that an agent connects with.
func (b *Bus) AgentOptions(t testing.TB, cluster string) bus.Options {
	t.Helper()
	creds, _ := b.Agent(t, cluster)
	o := b.Options(creds)
	o.InboxPrefix = event.InboxPrefix(cluster)
	return o
}

// User makes the credentials of a user of the account.
func (b *Bus) User(t testing.TB, p jwt.Permissions) (creds []byte, publicKey string) {
	t.Helper()
	key := must(nkeys.CreateUser())(t)
	publicKey = must(key.PublicKey())(t)
	claims := jwt.NewUserClaims(publicKey)
	claims.Permissions = p
	token := must(claims.Encode(b.account))(t)
	return must(jwt.FormatUserConfig(token, must(key.Seed())(t)))(t), publicKey
}

func (b *Bus) keys(t testing.TB) {
	t.Helper()
	operator := must(nkeys.CreateOperator())(t)
	system := must(nkeys.CreateAccount())(t)
	b.account = must(nkeys.CreateAccount())(t)
	account := must(b.account.PublicKey())(t)
	systemID := must(system.PublicKey())(t)

	systemClaims := jwt.NewAccountClaims(systemID)
	systemClaims.Name = "SYS"
	b.options.SystemJWT = must(systemClaims.Encode(operator))(t)

	operatorClaims := jwt.NewOperatorClaims(must(operator.PublicKey())(t))
	operatorClaims.SystemAccount = systemID
	b.options.OperatorJWT = must(operatorClaims.Encode(operator))(t)

	b.mint = func(revoked ...string) string {
		claims := jwt.NewAccountClaims(account)
		claims.Name = "FLEET"
		claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
		for _, user := range revoked {
			claims.Revoke(user)
		}
		return must(claims.Encode(operator))(t)
	}
	b.options.AccountJWT = b.mint()
}

func selfSigned(t testing.TB) (*tls.Certificate, []byte) {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fairway-hub"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der := must(x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key))(t)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// quietLog lets the server log until the test ends: logging afterwards would panic.
type quietLog struct {
	mu    sync.Mutex
	t     testing.TB
	ended bool
}

func (l *quietLog) Helper() {}

func (l *quietLog) Log(args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.t.Log(args...)
	}
}

func (l *quietLog) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
}

// ServerOptions are those that the server runs with.
func (b *Bus) ServerOptions() bus.ServerOptions { return b.options }

// Replace takes the store away and starts the server on an empty one: every stream begins again.
func (b *Bus) Replace(t testing.TB, hub *bus.Conn) {
	t.Helper()
	b.Server.Close()
	b.options.StoreDir = t.TempDir()
	b.start(t)
	for {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		err := hub.EnsureStreams(ctx, bus.Retention{MaxBytes: maxBytes})
		cancel()
		if err == nil {
			return
		}
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
}

// CAFile writes the authority to a file, for clients other than ours.
func (b *Bus) CAFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(path, b.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
