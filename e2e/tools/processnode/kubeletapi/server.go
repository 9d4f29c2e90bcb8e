// Package kubeletapi is the part of a kubelet's HTTP API that the API server needs: logs, port-forward and exec.
package kubeletapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/virtual-kubelet/virtual-kubelet/errdefs"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/sandbox"
)

// Pods is what the API shows of a node.
type Pods interface {
	Log(namespace, pod, container string, previous bool) (file string, ended <-chan struct{}, err error)
	Dial(ctx context.Context, namespace, pod string, port int32) (net.Conn, error)
	Exec(ctx context.Context, namespace, pod, container string, command []string, streams sandbox.Streams) error
}

// Files are the TLS files of a server, in PEM.
type Files struct {
	Cert, Key string
	// ClientCA signs the certificate that the API server must show.
	ClientCA string
}

// Listen opens the server's address, for clients with a certificate only.
func Listen(ctx context.Context, address string, files Files) (net.Listener, error) {
	cert, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		return nil, fmt.Errorf("load serving certificate: %w", err)
	}
	ca, err := os.ReadFile(files.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("read client CA: %w", err)
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("read client CA %s: no certificate in it", files.ClientCA)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for the API server: %w", err)
	}
	return tls.NewListener(l, &tls.Config{
		Certificates: []tls.Certificate{cert}, ClientCAs: clients,
		ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"}, // streams take the connection over, which HTTP/2 does not allow
	}), nil
}

// Serve answers on l until ctx ends.
func Serve(ctx context.Context, l net.Listener, pods Pods) error {
	server := &http.Server{
		Handler: Handler(pods), ReadHeaderTimeout: 30 * time.Second,
		ErrorLog:    slog.NewLogLogger(slog.Default().Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })() // nothing is left to do about its error
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve kubelet API: %w", err)
	}
	return nil
}

// Handler routes the API. The last part of the paths of port-forward and exec may be preceded by the pod's UID.
func Handler(pods Pods) http.Handler {
	h := handler{pods: pods}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { reply(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /containerLogs/{namespace}/{pod}/{container}", h.logs)
	mux.HandleFunc("/portForward/{namespace}/{pod}", h.portForward)
	mux.HandleFunc("/portForward/{namespace}/{pod}/{uid}", h.portForward)
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", h.exec)
	mux.HandleFunc("/exec/{namespace}/{pod}/{uid}/{container}", h.exec)
	mux.HandleFunc("/attach/", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, http.StatusNotImplemented, "a process node cannot attach to a running process: read its logs, or exec")
	})
	return mux
}

type handler struct {
	pods Pods
}

func reply(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	if _, err := io.WriteString(w, text); err != nil {
		slog.Debug("Answer not sent", "error", err)
	}
}

// refuse answers with an error of Pods.
func refuse(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	switch {
	case errdefs.IsNotFound(err):
		code = http.StatusNotFound
	case errdefs.IsInvalidInput(err):
		code = http.StatusBadRequest
	}
	reply(w, code, err.Error())
}
