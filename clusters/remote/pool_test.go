package remote

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"weak"

	"k8s.io/apimachinery/pkg/util/wait"
)

// server is something at the other end that is not well: real API servers answer in the suites of
// the operator.
func server(t *testing.T, handler http.HandlerFunc) (*httptest.Server, []byte) {
	t.Helper()
	s := httptest.NewTLSServer(handler)
	t.Cleanup(s.Close)
	return s, []byte(with(s, "token: one"))
}

func with(s *httptest.Server, user string) string {
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	return kubeconfig(fmt.Sprintf("server: %q, certificate-authority-data: %s", s.URL, base64Text(ca)), user)
}

func quickPool() *Pool {
	return NewPool(Options{DialTimeout: 300 * time.Millisecond, RequestTimeout: 600 * time.Millisecond})
}

// patient is longer than any cluster may take to answer.
const patient = time.Minute

func answer(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"gitVersion":"v1.36.4"}`) }

func TestConnectErrors(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	plain := httptest.NewServer(http.HandlerFunc(answer))
	defer plain.Close()
	_, hanging := server(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	_, page := server(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") })
	_, missing := server(t, http.NotFound)
	_, refusing := server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })
	_, forbidding := server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	_, unavailable := server(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	unknown, _ := server(t, answer)
	at := func(address string) []byte {
		return []byte(kubeconfig(fmt.Sprintf("server: %q", address), goodUser))
	}
	for name, c := range map[string]struct {
		kubeconfig []byte
		want       error
		says       string
	}{
		"a port where nobody listens":            {at("https://127.0.0.1:1"), ErrUnreachable, "refused"},
		"a name that does not resolve":           {at("https://cluster.invalid"), ErrUnreachable, `"cluster.invalid" does not resolve`},
		"one that accepts and says nothing":      {at("https://" + silent.Addr().String()), ErrUnreachable, "no answer in time"},
		"one that does not speak TLS":            {at(strings.Replace(plain.URL, "http://", "https://", 1)), ErrUnreachable, "HTTPS client"},
		"one whose authority is unknown":         {at(unknown.URL), ErrUnreachable, "unknown authority"},
		"one that takes a request and hangs":     {hanging, ErrUnreachable, "no answer in time"},
		"one that is no API server":              {page, ErrUnreachable, "no Kubernetes API server"},
		"one that has no /version":               {missing, ErrUnreachable, "no Kubernetes API server"},
		"one that refuses the credentials":       {refusing, ErrUnauthorized, "expired or was revoked"},
		"one that gives the user no rights":      {forbidding, ErrUnauthorized, "give it rights"},
		"one whose load balancer has no backend": {unavailable, ErrUnreachable, "not available"},
		"a kubeconfig that is not one":           {[]byte("x"), ErrInvalid, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := quickPool().Connect(t.Context(), "c", c.kubeconfig, patient)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v that says %q", err, c.want, c.says)
			}
			if _, again := quickPool().Connect(t.Context(), "c", c.kubeconfig, patient); again.Error() != err.Error() {
				t.Errorf("the same failure has another text: %v, then %v", err, again)
			}
		})
	}
}

func TestConnectIsBounded(t *testing.T) {
	_, hanging := server(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := NewPool(Options{}).Connect(ctx, "c", hanging, patient); !errors.Is(err, context.Canceled) {
		t.Errorf("the end of the caller is taken for the cluster's: %v", err)
	}
}

func TestPool(t *testing.T) {
	var seen atomic.Pointer[string]
	s, first := server(t, func(w http.ResponseWriter, r *http.Request) {
		token := r.Header.Get("Authorization")
		seen.Store(&token)
		answer(w, r)
	})
	pool := quickPool()
	connect := func(id string, kubeconfig []byte) *Cluster {
		t.Helper()
		c, err := pool.Connect(t.Context(), id, kubeconfig, patient)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one := connect("a", first)
	if one.Version != "v1.36.4" {
		t.Errorf("version %q", one.Version)
	}
	if again := connect("a", first); again.Client != one.Client {
		t.Error("the same kubeconfig makes another connection")
	}
	turned := connect("a", []byte(with(s, "token: two")))
	if turned.Client == one.Client || *seen.Load() != "Bearer two" {
		t.Errorf("a token that turned is not followed: %s", *seen.Load())
	}
	if other := connect("b", first); other.Client == one.Client {
		t.Error("two clusters share a connection")
	}
	pool.Forget("a")
	if fresh := connect("a", []byte(with(s, "token: two"))); fresh.Client == turned.Client {
		t.Error("a forgotten connection is used again")
	}
	if _, err := pool.Connect(t.Context(), "b", []byte("broken"), patient); !errors.Is(err, ErrInvalid) {
		t.Errorf("a kubeconfig that broke: %v", err)
	}
}

func TestThePoolKeepsWhatWasUsedLast(t *testing.T) {
	closed := make(chan struct{}, 10)
	s := httptest.NewUnstartedServer(http.HandlerFunc(answer))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateClosed {
			closed <- struct{}{}
		}
	}
	s.StartTLS()
	defer s.Close()
	pool := NewPool(Options{Connections: 2})
	connect := func(id string) *Cluster {
		t.Helper()
		c, err := pool.Connect(t.Context(), id, []byte(with(s, "token: one")), patient)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a, b := connect("a"), connect("b")
	if connect("a").Client != a.Client {
		t.Error("a connection is made anew while there is room")
	}
	connect("c")
	<-closed // b's, which nobody has used for longest
	if connect("a").Client != a.Client {
		t.Error("what was used last is made anew")
	}
	if connect("b").Client == b.Client {
		t.Error("more connections are kept than there may be")
	}
}

// Whatever looks after a connection, as pings would, ends with it: a thousand that were forgotten must not be held.
func TestNothingHoldsAConnectionThatWasForgotten(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(answer))
	s.EnableHTTP2 = true // as API servers speak
	s.StartTLS()
	defer s.Close()
	pool, kubeconfig := NewPool(Options{}), []byte(with(s, "token: one"))
	if _, err := pool.Connect(t.Context(), "a", kubeconfig, patient); err != nil {
		t.Fatal(err)
	}
	held := func() weak.Pointer[http.Transport] {
		conn, err := pool.connection("a", kubeconfig)
		if err != nil {
			t.Fatal(err)
		}
		return weak.Make(conn.transport)
	}()
	pool.Forget("a")
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, idleTimeout/2, true, func(context.Context) (bool, error) {
		runtime.GC()
		return held.Value() == nil, nil
	})
	if err != nil {
		t.Error("it is still in memory")
	}
}

func base64Text(data []byte) string { return base64.StdEncoding.EncodeToString(data) }
