package members

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/fairway-dev/fairway/operator/pki"
)

// domain of the members' names, as TLS has them.
const domain = ".members.test"

// Members are the API servers of a number of clusters. They are safe for concurrent use.
type Members struct {
	byName map[string]*Member
	shared *store
	api    *discovery

	address string
	ca      []byte
	http    *http.Server
}

// Options of the members.
type Options struct {
	Names []string // each a DNS label
	// Like is a client of a real API server, and where it is: discovery and version are what that one says.
	Like    *http.Client
	LikeURL string
	Log     *slog.Logger // of the HTTP server
}

// Start makes empty clusters, all of which answer.
func Start(ctx context.Context, o Options) (*Members, error) {
	api, err := readDiscovery(ctx, o.Like, o.LikeURL)
	if err != nil {
		return nil, err
	}
	m := &Members{byName: make(map[string]*Member, len(o.Names)), shared: newStore(), api: api}
	for _, name := range o.Names {
		m.byName[name] = newMember(name, m.shared, api)
	}
	certificate, err := m.certify()
	if err != nil {
		return nil, err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for members: %w", err)
	}
	m.address = listener.Addr().String()
	m.http = &http.Server{
		Handler: m, ReadHeaderTimeout: time.Minute, IdleTimeout: 5 * time.Minute, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelInfo),
		TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, GetConfigForClient: m.greet},
	}
	go func() {
		if err := m.http.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("members end", "error", err)
		}
	}()
	return m, nil
}

func (m *Members) certify() (tls.Certificate, error) {
	ca, key, err := pki.NewAuthority(time.Now())
	if err != nil {
		return tls.Certificate{}, err
	}
	cert, certKey, err := pki.Serving(ca, key, []string{"*" + domain}, time.Now())
	if err != nil {
		return tls.Certificate{}, err
	}
	m.ca = ca
	certificate, err := tls.X509KeyPair(cert, certKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certify members: %w", err)
	}
	return certificate, nil
}

// greet holds the handshake of a member that hangs, until the other side gives up.
func (m *Members) greet(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	member := m.byName[strings.TrimSuffix(hello.ServerName, domain)]
	if member == nil {
		return nil, fmt.Errorf("there is no member %q", hello.ServerName)
	}
	ctx, cancel := context.WithTimeout(hello.Context(), giveUp) // nobody reads meanwhile, and so nobody sees the other side go
	defer cancel()
	return nil, member.pass(ctx, true)
}

// giveUp is longer than any caller waits for a handshake.
const giveUp = time.Minute

// Member is the cluster of that name, nil when there is none.
func (m *Members) Member(name string) *Member { return m.byName[name] }

// Calls counts what was asked of all members.
func (m *Members) Calls() Calls {
	var all Calls
	for _, member := range m.byName {
		all.add(member.Calls())
	}
	return all
}

// Hang makes members do as the mood says.
func (m *Members) Hang(mood Mood, names ...string) {
	for _, name := range names {
		m.byName[name].set(mood)
	}
}

// Mood of a member.
type Mood int

// Moods of a member.
const (
	Answers      Mood = iota
	HangsLater        // it says its version, and hangs with all else
	HangsAtFirst      // it hangs with the handshake, and with every request over connections that stand
)

// Kubeconfig is that of a member's administrator.
func (m *Members) Kubeconfig(name string) ([]byte, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: "https://" + m.address, TLSServerName: name + domain, CertificateAuthorityData: m.ca}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token(name)}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	data, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("write kubeconfig of %s: %w", name, err)
	}
	return data, nil
}

func token(name string) string { return "token-of-" + name }

// Close ends every connection, also those that hang.
func (m *Members) Close() error {
	for _, member := range m.byName {
		member.set(Answers)
	}
	return m.http.Close()
}

// ServeHTTP implements http.Handler.
func (m *Members) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	member := m.byName[strings.TrimSuffix(r.TLS.ServerName, domain)]
	if member.pass(r.Context(), r.URL.Path == "/version") != nil {
		panic(http.ErrAbortHandler) // who asked has gone
	}
	if r.Header.Get("Authorization") != "Bearer "+token(member.name) {
		fail(w, http.StatusUnauthorized, "Unauthorized", "the token is another's")
		return
	}
	member.serve(w, r)
}

// gate lets callers pass, or holds them.
type gate struct {
	mu   sync.Mutex
	mood Mood
	held chan struct{} // closed when the mood changes
}

func (g *gate) set(mood Mood) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.held != nil {
		close(g.held)
	}
	g.mood, g.held = mood, make(chan struct{})
}

// pass returns when a caller may pass, who is at first, or later; or with the end of ctx.
func (g *gate) pass(ctx context.Context, first bool) error {
	for {
		g.mu.Lock()
		mood, held := g.mood, g.held
		g.mu.Unlock()
		if mood == Answers || mood == HangsLater && first {
			return nil
		}
		select {
		case <-held:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
