package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/go-logr/logr"
)

const (
	stopWithin    = 2 * time.Second
	headersWithin = 10 * time.Second
	maxHeader     = 64 << 10
	idle          = 2 * time.Minute
)

// serveAPI serves the API over TLS. Client certificates are asked for and left to the
// authentication to judge, since they are one way of several to be known.
func (h *hub) serveAPI(ctx context.Context) error {
	listener, err := net.Listen("tcp", h.options.listen)
	if err != nil {
		return fmt.Errorf("serve API: %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: h.secret.certificate,
		ClientAuth: tls.RequestClientCert, NextProtos: []string{"h2", "http/1.1"}}
	h.log.Info("serving the API", "address", listener.Addr().String())
	return serve(ctx, tls.NewListener(listener, config), h.server.Handler(), h.log, h.feed.Close)
}

func (h *hub) serveHealth(ctx context.Context) error {
	listener, err := net.Listen("tcp", h.options.health)
	if err != nil {
		return fmt.Errorf("serve health: %w", err)
	}
	return serve(ctx, listener, h.server.Health(), h.log, func() {})
}

// serve answers until ctx ends; then it lets requests end, and what does not end is cut. There is
// no write timeout: it would cut the event streams, whose writes have deadlines of their own.
func serve(ctx context.Context, listener net.Listener, handler http.Handler, log logr.Logger, stopping func()) error {
	s := &http.Server{
		Handler: handler, ReadHeaderTimeout: headersWithin, IdleTimeout: idle, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(logr.ToSlogHandler(log), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve on %s: %w", listener.Addr(), err)
	case <-ctx.Done():
	}
	stopping()
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	if err := s.Shutdown(bounded); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop serving: %w", err)
	}
	return s.Close()
}
