package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
)

const (
	startTimeout = 30 * time.Second // recovering 1 GiB of stream takes a few seconds
	maxPayload   = 512 << 10
	// NATS writes at once and syncs to the disk now and then, every 2 min by default. What a power
	// cut takes within this interval comes back with the cluster's next snapshot.
	syncInterval = 5 * time.Second
)

// ServerOptions are those of the embedded server.
type ServerOptions struct {
	Listen   string // "host:port"; ":4222" for all addresses, port 0 for a free one
	StoreDir string // JetStream's files

	// The JWTs of the operator, of the account with the streams, and of the system account, as
	// operator/natsauth makes them. Nobody gets in without a user of the account.
	OperatorJWT, AccountJWT, SystemJWT string

	// Certificate is asked at every handshake, so that it can be renewed under a running server.
	// Nil: no TLS, allowed on loopback addresses only.
	Certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

	Log logr.Logger
}

// Server is a NATS server inside this process, with JetStream on disk.
type Server struct {
	ns       *server.Server
	accounts *server.MemAccResolver
	operator *jwt.OperatorClaims
	account  string // public key of the account with the streams
}

// StartServer returns when the server takes connections. ctx bounds the start only; Close ends it.
func StartServer(ctx context.Context, o ServerOptions) (*Server, error) {
	opts, err := listenOptions(o)
	if err != nil {
		return nil, err
	}
	s := &Server{accounts: &server.MemAccResolver{}}
	if err := s.trust(opts, o); err != nil {
		return nil, err
	}
	if s.ns, err = server.NewServer(opts); err != nil {
		return nil, fmt.Errorf("start event bus: %w", err)
	}
	log := &serverLog{log: o.Log}
	s.ns.SetLoggerV2(log, false, false, false)
	s.ns.Start()
	for wait := startTimeout; !s.ns.ReadyForConnections(200 * time.Millisecond); wait -= 200 * time.Millisecond {
		if err := ctx.Err(); err != nil || wait <= 0 || !s.ns.Running() {
			s.Close()
			return nil, fmt.Errorf("start event bus on %s: %w", o.Listen, errors.Join(log.fatal(), err))
		}
	}
	return s, nil
}

func listenOptions(o ServerOptions) (*server.Options, error) {
	host, portText, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return nil, fmt.Errorf("read listen address: %w", err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("read listen address: %w", err)
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	opts := &server.Options{
		ServerName: "fairway-hub", Host: host, Port: port, JetStream: true, StoreDir: o.StoreDir,
		SyncInterval: syncInterval, MaxPayload: maxPayload, NoSigs: true, DisableJetStreamBanner: true,
	}
	if o.Certificate == nil {
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			return nil, fmt.Errorf("listen on %s: without a certificate only loopback addresses are served", o.Listen)
		}
		return opts, nil
	}
	opts.TLS = true
	opts.TLSTimeout = dialTimeout.Seconds()
	opts.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: o.Certificate}
	return opts, nil
}

// trust puts the operator and its two accounts into the options.
func (s *Server) trust(opts *server.Options, o ServerOptions) error {
	var err error
	if s.operator, err = jwt.DecodeOperatorClaims(o.OperatorJWT); err != nil {
		return fmt.Errorf("read operator JWT: %w", err)
	}
	account, err := s.store(o.AccountJWT)
	if err != nil {
		return fmt.Errorf("read account JWT: %w", err)
	}
	system, err := s.store(o.SystemJWT)
	if err != nil {
		return fmt.Errorf("read system account JWT: %w", err)
	}
	s.account = account.Subject
	opts.TrustedOperators = []*jwt.OperatorClaims{s.operator}
	opts.AccountResolver = s.accounts
	opts.SystemAccount = system.Subject
	return nil
}

func (s *Server) store(token string) (*jwt.AccountClaims, error) {
	claims, err := s.decode(token)
	if err != nil {
		return nil, err
	}
	return claims, s.accounts.Store(claims.Subject, token)
}

func (s *Server) decode(token string) (*jwt.AccountClaims, error) {
	claims, err := jwt.DecodeAccountClaims(token)
	if err != nil {
		return nil, err
	}
	if !s.operator.DidSign(claims) {
		return nil, fmt.Errorf("account %s is not signed by operator %s", claims.Subject, s.operator.Subject)
	}
	return claims, nil
}

// UpdateAccount puts another version of the account's JWT into force: users that it revokes are
// disconnected. It refuses the JWT of another account.
func (s *Server) UpdateAccount(token string) error {
	claims, err := s.decode(token)
	if err != nil {
		return fmt.Errorf("read account JWT: %w", err)
	}
	if claims.Subject != s.account {
		return fmt.Errorf("update account: the JWT is of account %s, this server's is %s; restart the hub", claims.Subject, s.account)
	}
	account, err := s.ns.LookupAccount(s.account)
	if err != nil {
		return fmt.Errorf("update account: %w", err)
	}
	if err := s.accounts.Store(claims.Subject, token); err != nil {
		return fmt.Errorf("update account: %w", err)
	}
	s.ns.UpdateAccountClaims(account, claims)
	return nil
}

// URL is where the server listens, for clients on this machine.
func (s *Server) URL() string { return s.ns.ClientURL() }

// Port is the TCP port that it listens on.
func (s *Server) Port() int { return s.ns.Addr().(*net.TCPAddr).Port }

// Close stops the server and returns when its files are closed.
func (s *Server) Close() {
	s.ns.Shutdown()
	s.ns.WaitForShutdown()
}

// serverLog hands the server's own log on: its words are the values, since they are not constant.
// It keeps the last fatal one, which the server says nowhere else.
type serverLog struct {
	log  logr.Logger
	last atomic.Pointer[string]
}

func (l *serverLog) fatal() error {
	if why := l.last.Load(); why != nil {
		return errors.New(*why)
	}
	return errors.New("not ready in time")
}

func (l *serverLog) Fatalf(format string, v ...any) {
	why := fmt.Sprintf(format, v...)
	l.last.Store(&why)
	l.log.Info("event bus fails", "says", why)
}

func (l *serverLog) Noticef(format string, v ...any) {
	l.log.V(1).Info("event bus", "says", fmt.Sprintf(format, v...))
}

func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Info("event bus warns", "says", fmt.Sprintf(format, v...))
}

func (l *serverLog) Errorf(format string, v ...any) {
	l.log.Info("event bus reports", "says", fmt.Sprintf(format, v...))
}

func (l *serverLog) Debugf(string, ...any) {}

func (l *serverLog) Tracef(string, ...any) {}
