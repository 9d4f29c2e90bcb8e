// Command hub follows the events of every cluster into the fleet view and serves it: REST,
// server-sent events, metrics. It runs the event bus itself unless it is given the address of one.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"

	"github.com/fairway-dev/fairway/fleet/server"
)

// version is set by the linker.
var version = "dev"

// options are the flags.
type options struct {
	configDir, storeDir, kubeconfig     string
	natsListen, natsURL, listen, health string
	retention                           time.Duration
	maxBytes                            int64
	history                             string
	historyBytes                        int64
	snapshotEvery                       time.Duration
	busReplicas                         int
	misses, resources                   int
	logLevel                            slog.Level
}

func flags() *options {
	o := &options{}
	flag.StringVar(&o.configDir, "config-dir", "/etc/fairway/hub", "folder of the Secret fairway-hub: keys, credentials, certificate")
	flag.StringVar(&o.storeDir, "store-dir", "/var/lib/fairway", "folder of the embedded event bus and of the history")
	flag.StringVar(&o.history, "history", "", "file of the history; empty: history.db in the store-dir")
	flag.Int64Var(&o.historyBytes, "history-max-bytes", 0, "bytes of compressed events that the history keeps, 0: all of the retention; the oldest go first")
	flag.DurationVar(&o.snapshotEvery, "history-snapshots", time.Hour, "with --nats-url: how often the replicas leave the history for new ones; 0: never")
	flag.StringVar(&o.natsListen, "nats-listen", ":4222", "address of the embedded event bus")
	flag.StringVar(&o.natsURL, "nats-url", "", "an event bus to use instead of the embedded one, as tls://host:port")
	flag.IntVar(&o.busReplicas, "nats-replicas", 1, "with --nats-url: how many of its servers keep the events; 3 on a cluster")
	flag.StringVar(&o.listen, "listen", ":8443", "address of the API, TLS only")
	flag.StringVar(&o.health, "health", ":8080", "address of probes and metrics, without TLS")
	flag.DurationVar(&o.retention, "retention", 30*24*time.Hour, "how long events are kept")
	flag.Int64Var(&o.maxBytes, "max-bytes", 4<<30, "bytes of events that are kept; the oldest go first")
	flag.IntVar(&o.misses, "heartbeat-misses", 3, "heartbeats that a cluster may miss before it is unknown")
	flag.IntVar(&o.resources, "metrics-resources", server.DefaultResources, "Flux objects that the metrics show one by one; -1 shows none")
	flag.StringVar(&o.kubeconfig, "kubeconfig", "", "of the platform cluster; empty: that of the pod")
	flag.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "debug or info")
	showVersion := flag.Bool("version", false, "print the version and exit")
	flag.Parse()
	if *showVersion {
		fmt.Println(version)
		os.Exit(0)
	}
	return o
}

func main() {
	o := flags()
	log := logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: o.logLevel}))
	klog.SetLogger(log.WithName("kubernetes"))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, log); err != nil {
		log.Error(err, "hub ends")
		os.Exit(1)
	}
}
