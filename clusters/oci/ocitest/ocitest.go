// Package ocitest runs a real OCI registry on loopback, in memory, for tests.
package ocitest

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
)

// Registry is a registry that ends with its test.
type Registry struct {
	server *httptest.Server
	real   http.Handler

	mu             sync.Mutex
	refuse         int
	user, password string
	asked          []string
}

// Start starts an empty registry.
func Start(t testing.TB) *Registry {
	t.Helper()
	r := &Registry{real: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

// Refusing starts a registry that answers everything with a status.
func Refusing(t testing.TB, status int) *Registry {
	t.Helper()
	r := Start(t)
	r.Refuse(status)
	return r
}

// Dead is a registry that nobody reaches.
func Dead(t testing.TB) *Registry {
	t.Helper()
	r := Start(t)
	r.Close()
	return r
}

// Host is where it listens, host:port.
func (r *Registry) Host() string { return strings.TrimPrefix(r.server.URL, "http://") }

// URL is the address of a repository: "oci://127.0.0.1:5000/<path>".
func (r *Registry) URL(path string) string { return "oci://" + r.Host() + "/" + path }

// Close makes it unreachable.
func (r *Registry) Close() { r.server.Close() }

// Refuse makes it answer everything with a status; 0: properly again.
func (r *Registry) Refuse(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refuse = status
}

// Want makes it want a user and a password.
func (r *Registry) Want(user, password string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.user, r.password = user, password
}

// Asked are the requests since it was last called, "GET /v2/…".
func (r *Registry) Asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.asked
	r.asked = nil
	return out
}

// ServeHTTP answers as the registry does, or as the test wants it.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	status := r.gate(req)
	if status == 0 {
		r.real.ServeHTTP(w, req)
		return
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="registry"`)
	}
	w.WriteHeader(status)
}

// gate notes a request and is the status to refuse it with; 0: it may pass.
func (r *Registry) gate(req *http.Request) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked = append(r.asked, req.Method+" "+req.URL.Path)
	if r.refuse != 0 {
		return r.refuse
	}
	if user, password, _ := req.BasicAuth(); user != r.user || password != r.password {
		return http.StatusUnauthorized
	}
	return 0
}
