// Command operator reconciles the fleet: it makes the event bus's keys, registers clusters, and
// brings Flux and the agent onto each of them. It follows the bus to know which agents are connected.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// version is set by the linker.
var version = "dev"

// options are the flags.
type options struct {
	agentImage, eventsURL, namespace, kubeconfig string
	health, metrics, profile                     string
	leaderElect                                  bool
	concurrency                                  int
	credentialsLife                              time.Duration
	logLevel                                     slog.Level
}

func flags() *options {
	o := &options{}
	// A set of its own: controller-runtime puts a flag --kubeconfig into the global one.
	f := flag.NewFlagSet("operator", flag.ExitOnError)
	f.StringVar(&o.agentImage, "agent-image", "", "image of the agent that clusters get (required)")
	f.StringVar(&o.eventsURL, "events-url", "tls://fairway-hub.fairway-system.svc:4222", "where the operator itself reaches the event bus")
	f.StringVar(&o.namespace, "namespace", podNamespace(), "namespace of Fairway's own Secrets")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", "of the platform cluster; empty: that of the pod")
	f.StringVar(&o.health, "health", ":8081", "address of probes")
	f.StringVar(&o.metrics, "metrics", ":8080", "address of metrics; 0: none")
	f.StringVar(&o.profile, "profile", "", "address of /debug/pprof, for who looks into the operator's memory or CPU; empty: none")
	f.BoolVar(&o.leaderElect, "leader-elect", false, "work only while this process holds the lease fairway-operator")
	f.IntVar(&o.concurrency, "concurrency", 20, "clusters that are worked on at the same time")
	f.DurationVar(&o.credentialsLife, "credentials-ttl", 30*24*time.Hour, "life of an agent's credentials; they are renewed when a third is left")
	f.TextVar(&o.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	showVersion := f.Bool("version", false, "print the version and exit")
	_ = f.Parse(os.Args[1:]) // it exits on an error
	if *showVersion {
		fmt.Println(version)
		os.Exit(0)
	}
	return o
}

// podNamespace is the namespace of the pod that this process runs in.
func podNamespace() string {
	text, err := os.ReadFile("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
	if err != nil {
		return fleetv1.SystemNamespace
	}
	return strings.TrimSpace(string(text))
}

func main() {
	o := flags()
	log := logr.FromSlogHandler(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: o.logLevel}))
	ctrl.SetLogger(log)
	klog.SetLogger(log.WithName("kubernetes"))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		log.Error(err, "operator ends")
		os.Exit(1)
	}
}
