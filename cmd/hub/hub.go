package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairway-dev/fairway/cmd/internal/memory"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/history"
	"github.com/fairway-dev/fairway/fleet/server"
	"github.com/fairway-dev/fairway/fleet/view"
)

// hub is the process: what its parts share.
type hub struct {
	options *options
	log     logr.Logger
	secret  *secret
	bus     *bus.Conn
	view    *view.View
	history *history.History
	feed    *server.Feed
	server  *server.Server
	target  atomic.Uint64 // stream position from which on the view is complete; 0: not known yet
	ready   atomic.Bool
}

// run is the life of a hub: it returns nil when ctx ends.
func run(ctx context.Context, o *options, log logr.Logger) error {
	h := &hub{options: o, log: log, feed: &server.Feed{}}
	var err error
	if h.secret, err = readSecret(o.configDir); err != nil {
		return err
	}
	if err := o.applySettings(h.secret); err != nil {
		return err
	}
	refused := &refusals{log: log}
	h.view = view.New(view.Options{MissesUntilUnknown: o.misses, Rejected: func(cluster string, err error) {
		refused.tell(time.Now(), cluster, err)
	}})
	h.history = history.New(history.Options{Path: o.historyPath(), MaxAge: o.retention, MaxBytes: o.historyBytes,
		View: view.Options{MissesUntilUnknown: o.misses}, Log: log.WithName("history")})
	embedded, url, err := h.startBus(ctx)
	if err != nil {
		return err
	}
	if embedded != nil {
		defer embedded.Close()
	}
	if h.bus, err = h.connect(ctx, url); err != nil {
		return err
	}
	defer h.bus.Close()
	if err := h.assemble(ctx); err != nil {
		return err
	}
	return h.work(ctx, embedded)
}

// startBus starts the embedded event bus, unless another is given.
func (h *hub) startBus(ctx context.Context) (*bus.Server, string, error) {
	if h.options.natsURL != "" {
		return nil, h.options.natsURL, nil
	}
	s, err := bus.StartServer(ctx, bus.ServerOptions{
		Listen: h.options.natsListen, StoreDir: filepath.Join(h.options.storeDir, "events"),
		OperatorJWT: h.secret.text("operator.jwt"), AccountJWT: h.secret.text("account.jwt"), SystemJWT: h.secret.text("system.jwt"),
		Certificate: h.secret.certificate, Log: h.log.WithName("bus"),
	})
	if err != nil {
		return nil, "", err
	}
	return s, ownURL(h.options.natsListen, s.Port()), nil
}

// ownURL is where the hub dials its own event bus: by a name that the certificate has.
func ownURL(listen string, port int) string {
	host, _, err := net.SplitHostPort(listen)
	if ip := net.ParseIP(host); err != nil || host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	return "tls://" + net.JoinHostPort(host, strconv.Itoa(port))
}

func (h *hub) connect(ctx context.Context, url string) (*bus.Conn, error) {
	conn, err := bus.Connect(ctx, bus.Options{
		URL: url, Name: "fairway-hub", CredentialsFile: h.secret.path("hub.creds"), CAFile: h.secret.path("ca.crt"),
		OnError: func(err error) { h.log.Info("event bus", "says", err.Error()) },
	})
	if err != nil {
		return nil, err
	}
	if err := conn.EnsureStreams(ctx, bus.Retention{MaxAge: h.options.retention, MaxBytes: h.options.maxBytes, Replicas: h.options.busReplicas}); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (h *hub) assemble(ctx context.Context) error {
	config, err := kubernetes(h.options.kubeconfig)
	if err != nil {
		return err
	}
	auth, err := server.Delegated(ctx, config, h.log.WithName("auth"))
	if err != nil {
		return err
	}
	releases, err := server.NewPlatformReleases(config)
	if err != nil {
		return err
	}
	h.server = server.New(server.Options{
		View: h.view, Log: h.bus, Feed: h.feed, History: h.history, Auth: auth, Releases: releases, Version: version, Logger: h.log.WithName("api"), Ready: h.caughtUp,
		Resources: h.options.resources,
	})
	return nil
}

func kubernetes(kubeconfig string) (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	config.UserAgent = "fairway-hub/" + version
	return config, nil
}

// work runs the parts until one fails or ctx ends.
func (h *hub) work(ctx context.Context, embedded *bus.Server) error {
	from, err := h.openHistory(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return h.history.Run(ctx, h.bus) })
	group.Go(func() error { return h.followSecret(ctx, embedded) })
	group.Go(func() error { return h.follow(ctx, from) })
	group.Go(func() error { return h.bus.FollowHeartbeats(ctx, h.heartbeat) })
	group.Go(func() error { return h.sweep(ctx, time.NewTicker(sweepEvery)) })
	// An idle hub of many clusters holds mostly their connections.
	group.Go(func() error { return memory.Save(ctx, 100, func() bool { return h.caughtUp() != nil }) })
	if h.options.replicas() {
		group.Go(func() error { return h.leaveSnapshots(ctx) })
	}
	group.Go(func() error { return h.serveAPI(ctx) })
	group.Go(func() error { return h.serveHealth(ctx) })
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	h.log.Info("hub stopped")
	return nil
}
