// Package gitserver serves Git repositories over smart HTTP on 127.0.0.1, by git's own
// http-backend, and commits to them.
package gitserver

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// maxBody bounds a push whose length is not known beforehand.
const maxBody = 256 << 20

// Server serves the bare repositories of one folder. It is safe for concurrent use.
type Server struct {
	dir     string
	backend string // git-http-backend
	address string
	http    *http.Server

	mu    sync.Mutex
	repos map[string]Credentials
	locks map[string]*sync.Mutex // one commit a repository at a time
}

// Credentials are what a client must give for a repository; zero: nothing.
type Credentials struct{ Username, Password string }

// Repository is one repository of a server.
type Repository struct {
	Name string
	// URL is what to clone: http://127.0.0.1:port/<name>.git
	URL string

	server *Server
}

// Start serves the repositories in dir on a free port until Close. What http-backend complains of
// goes to log.
func Start(ctx context.Context, dir string, log io.Writer) (*Server, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find repositories: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create folder of repositories: %w", err)
	}
	execPath, err := exec.CommandContext(ctx, "git", "--exec-path").Output()
	if err != nil {
		return nil, fmt.Errorf("find git: %w", err)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for git: %w", err)
	}
	s := &Server{
		dir: dir, backend: filepath.Join(strings.TrimSpace(string(execPath)), "git-http-backend"),
		address: listener.Addr().String(),
		repos:   map[string]Credentials{}, locks: map[string]*sync.Mutex{},
	}
	logger := slog.NewLogLogger(slog.NewTextHandler(log, nil), slog.LevelWarn)
	s.http = &http.Server{Handler: s.handler(log), ErrorLog: logger, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			logger.Printf("serve git: %v", err)
		}
	}()
	return s, nil
}

// Address is where the server listens, host:port.
func (s *Server) Address() string { return s.address }

// Close ends the server and every request.
func (s *Server) Close() error { return s.http.Close() }

// CreateRepository makes an empty bare repository whose branch is main. Clients need the
// credentials; Commit does not.
func (s *Server) CreateRepository(ctx context.Context, name string, credentials Credentials) (*Repository, error) {
	path := s.path(name)
	if _, err := git(ctx, path, nil, nil, "init", "--quiet", "--bare", "--initial-branch=main", path); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[name], s.locks[name] = credentials, &sync.Mutex{}
	return &Repository{Name: name, URL: "http://" + s.address + "/" + name + ".git", server: s}, nil
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name+".git") }

// SetCredentials changes what clients of the repository must give from now on.
func (r *Repository) SetCredentials(credentials Credentials) {
	r.server.mu.Lock()
	defer r.server.mu.Unlock()
	r.server.repos[r.Name] = credentials
}

// handler asks for credentials and hands the request to http-backend.
func (s *Server) handler(log io.Writer) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), ".git/")
		s.mu.Lock()
		want, known := s.repos[name]
		s.mu.Unlock()
		if !known {
			http.NotFound(w, r)
			return
		}
		if !allowed(r, want) {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "credentials are missing or wrong", http.StatusUnauthorized)
			return
		}
		if err := knowLength(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		(&cgi.Handler{Path: s.backend, Root: "/", Env: s.env(r, want), Stderr: log}).ServeHTTP(w, r)
	})
}

func allowed(r *http.Request, want Credentials) bool {
	if want == (Credentials{}) {
		return true
	}
	user, password, _ := r.BasicAuth()
	same := subtle.ConstantTimeCompare([]byte(user), []byte(want.Username)) +
		subtle.ConstantTimeCompare([]byte(password), []byte(want.Password))
	return same == 2
}

// knowLength reads a chunked body whole: net/http/cgi refuses it otherwise, and git sends large
// packs that way.
func knowLength(r *http.Request) error {
	if r.ContentLength >= 0 || r.Body == nil {
		return nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxBody))
	if err != nil {
		return fmt.Errorf("read body: %w", err)
	}
	r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	return nil
}

func (s *Server) env(r *http.Request, c Credentials) []string {
	env := []string{
		"GIT_PROJECT_ROOT=" + s.dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=" + c.Username,
		"GIT_CONFIG_COUNT=3", "GIT_CONFIG_KEY_0=http.receivepack", "GIT_CONFIG_VALUE_0=true",
		"GIT_CONFIG_KEY_1=receive.autogc", "GIT_CONFIG_VALUE_1=false", // hosts tidy at other times
		"GIT_CONFIG_KEY_2=core.fsync", "GIT_CONFIG_VALUE_2=none", // it need not outlive a power cut
	}
	if protocol := r.Header.Get("Git-Protocol"); protocol != "" {
		env = append(env, "GIT_PROTOCOL="+protocol)
	}
	return env
}
