package main

import (
	"fmt"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fairway-dev/fairway/fleet/agent"
	"github.com/fairway-dev/fairway/fleet/observe"
	"github.com/fairway-dev/fairway/fleet/outbox"
	"github.com/fairway-dev/fairway/fleet/redact"
)

// settings are the flags.
type settings struct {
	options     agent.Options
	eventsURL   string
	credentials string
	ca          string
	kubeconfig  string
	outboxDir   string
	outbox      outbox.Options
	aliases     []string // alias=team
	redact      []string // name=pattern
	logLevel    slog.Level
}

func command() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:           "agent",
		Short:         "Reports one workload cluster to the fleet's event bus",
		Args:          cobra.NoArgs,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return run(cmd.Context(), s) },
	}
	o, f := &s.options, cmd.Flags()
	f.StringVar(&o.Cluster, "cluster", "", "id of the cluster (required)")
	f.StringVar(&o.Environment, "environment", "", "environment that the cluster belongs to")
	f.StringVar(&o.Cloud, "cloud", "", "cloud provider, as it is shown")
	f.StringVar(&o.Region, "region", "", "region, in the provider's words")
	f.StringVar(&s.eventsURL, "events-url", "", "where the event bus is: tls://host:4222 (required)")
	f.StringVar(&s.credentials, "credentials", "", "NATS credentials file; read again when it turns")
	f.StringVar(&s.ca, "ca", "", "PEM file with the authority of the event bus's certificate; empty: the system's")
	f.StringVar(&s.outboxDir, "outbox-dir", "/var/lib/fairway", "folder of the outbox: events wait here until the event bus has them")
	f.IntVar(&s.outbox.Bytes, "outbox-bytes", outbox.DefaultBytes, "of events that may wait; beyond, the least severe are dropped, and told in a gap")
	f.DurationVar(&s.outbox.Age, "outbox-age", outbox.DefaultAge, "how long an event may wait")
	f.Float64Var(&o.Rate, "publish-rate", agent.DefaultRate, "events a second that are sent in the long run")
	f.IntVar(&o.Burst, "publish-burst", agent.DefaultBurst, "events that may be sent at once")
	f.DurationVar(&o.Heartbeat, "heartbeat", agent.DefaultHeartbeat, "between two heartbeats")
	f.StringVar(&o.Health, "health", "127.0.0.1:8081", "address of /healthz, /readyz and /metrics")
	f.StringVar(&s.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster; empty: the pod's service account")
	f.TextVar(&s.logLevel, "log-level", slog.LevelInfo, "debug, info, warn or error")
	labels := &o.Observe.Labels
	f.StringSliceVar(&labels.Team, "team-label", nil, "labels that name the team, before the usual ones")
	f.StringSliceVar(&labels.Service, "service-label", nil, "labels that name the service, before the usual ones")
	f.StringSliceVar(&labels.Artifact, "artifact-label", nil, "labels that name the artifact, before the usual ones")
	f.StringArrayVar(&s.aliases, "team-alias", nil, "another name of a team, as alias=team; repeat for each")
	f.StringVar(&o.Observe.Platform.Team, "platform-team", "", "team of what carries no label in --platform-namespaces")
	f.StringSliceVar(&o.Observe.Platform.Namespaces, "platform-namespaces", nil, "namespaces of the cluster's own software")
	f.StringArrayVar(&s.redact, "redact", nil, "what else to take out of log lines and messages, as name=pattern (RE2); repeat for each")
	f.StringVar(&o.Observe.Default.Team, "default-team", "", "team of what carries no label")
	for _, name := range []string{"cluster", "events-url"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err) // a flag that is not declared above
		}
	}
	return cmd
}

// observe completes the options of the observer with what flags hold as pairs.
func (s settings) observe() (observe.Options, error) {
	o := s.options.Observe
	o.Labels.Aliases = map[string]string{}
	for _, pair := range s.aliases {
		at := strings.LastIndexByte(pair, '=') // teams have none in their names
		if at < 1 || at == len(pair)-1 {
			return o, fmt.Errorf("--team-alias %q is not alias=team", pair)
		}
		o.Labels.Aliases[pair[:at]] = pair[at+1:]
	}
	var rules []redact.Rule
	for _, pair := range s.redact {
		name, pattern, ok := strings.Cut(pair, "=")
		if !ok {
			return o, fmt.Errorf("--redact %q is not name=pattern", pair)
		}
		rules = append(rules, redact.Rule{Name: name, Pattern: pattern})
	}
	var err error
	if o.Redact, err = redact.New(rules...); err != nil {
		return o, fmt.Errorf("read --redact: %w", err)
	}
	return o, nil
}
