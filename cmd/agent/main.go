// Command agent reports one workload cluster to the fleet's event bus.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/agent"
	"github.com/fairway-dev/fairway/fleet/bus"
)

// version is set when a release is built.
var version = "dev"

// gcPercent trades a little processor time for memory: an agent has to fit beside everything else.
const gcPercent = 50

func main() {
	debug.SetGCPercent(gcPercent)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := command().ExecuteContext(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
}

// run wires the agent to its cluster and to the bus.
func run(ctx context.Context, s settings) error {
	logger := slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: s.logLevel}))
	klog.SetSlogLogger(logger)
	cfg, err := clusterConfig(s.kubeconfig)
	if err != nil {
		return fmt.Errorf("read cluster configuration: %w", err)
	}
	cfg.UserAgent = "fairway-agent/" + version
	opts := s.options
	if opts.Observe, err = s.observe(); err != nil {
		return err
	}
	opts.Config, opts.Logger, opts.Version = cfg, logger, version
	if opts.Outbox, err = openOutbox(s, logger); err != nil {
		return err
	}
	opts.Denied = func(err error) bool { return errors.Is(err, bus.ErrDenied) }
	opts.Connect = func(ctx context.Context, onError func(error)) (agent.Bus, error) {
		conn, err := bus.Connect(ctx, bus.Options{
			URL: s.eventsURL, Name: "fairway-agent " + opts.Cluster, CredentialsFile: s.credentials, CAFile: s.ca,
			InboxPrefix: event.InboxPrefix(opts.Cluster), OnError: onError,
		})
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, conn.Close)
		return conn, nil
	}
	a, err := agent.New(opts)
	if err != nil {
		return errors.Join(fmt.Errorf("make agent: %w", err), opts.Outbox.Close())
	}
	return errors.Join(a.Run(ctx), opts.Outbox.Close())
}

// clusterConfig reads a kubeconfig, or without one what Kubernetes gives to every pod.
func clusterConfig(path string) (*rest.Config, error) {
	if path == "" {
		return rest.InClusterConfig()
	}
	return clientcmd.BuildConfigFromFlags("", path)
}
