package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
	"k8s.io/client-go/rest"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/observe"
	"github.com/fairway-dev/fairway/fleet/outbox"
)

// Publisher stores one event and returns when the bus has acknowledged it. While there is no bus it waits,
// as long as ctx lets it; an acknowledgement that does not come is an error after a while of its own.
type Publisher interface {
	Publish(ctx context.Context, cluster string, e *event.Event) error
}

// Heartbeater sends one heartbeat.
type Heartbeater interface {
	Heartbeat(ctx context.Context, cluster string, h event.Heartbeat) error
}

// Commands calls fn for every command that the platform sends to the cluster, until stop.
type Commands interface {
	OnCommand(cluster string, fn func(name string)) (stop func(), err error)
}

// Bus is what the agent needs of the event bus.
type Bus interface {
	Publisher
	Heartbeater
	Commands
}

// commandResync asks for a new snapshot.
const commandResync = "resync"

// Defaults of Options.
const (
	DefaultHeartbeat = 15 * time.Second
	DefaultDiscovery = 5 * time.Second

	// DefaultRate and DefaultBurst bound what one cluster sends, in events a second. A cluster whose
	// Deployments all roll at once stays below the burst; one in lasting trouble has a few events a
	// second. So only a runaway is slowed down, which then fills its own outbox. The 1,800 events of
	// an hour without the bus are sent in 16 s, a full outbox in 20 minutes.
	DefaultRate  = 50
	DefaultBurst = 1000
)

// Options of an Agent.
type Options struct {
	Cluster                    string // id, required
	Environment, Cloud, Region string // on every event; empty: not known
	Version                    string // of the agent

	Config *rest.Config // of the cluster's API server, required unless there is a Source
	Source Source       // of the cluster's objects in place of its API server; nil: that

	// Connect dials the bus until it is connected or ctx ends. onError is told of all that goes
	// wrong beside the calls. Required.
	Connect func(ctx context.Context, onError func(error)) (Bus, error)
	// Denied says whether an error of the bus is a lack of rights. Nil: none is.
	Denied func(error) bool

	Outbox    *outbox.Outbox // required; open until Run has returned
	Rate      float64        // events a second that are sent; 0: DefaultRate
	Burst     int            // events that may be sent at once; 0: DefaultBurst
	Heartbeat time.Duration  // 0: DefaultHeartbeat
	Discovery time.Duration  // between two looks for Flux's kinds; 0: DefaultDiscovery
	Health    string         // address of the health and metrics endpoints; empty: none
	Observe   observe.Options
	Logger    *slog.Logger // nil: silent
}

// Agent reports one cluster. Make it with New, start it with Run, once.
type Agent struct {
	opts    Options
	log     *slog.Logger
	obs     *observe.Observer
	outbox  *outbox.Outbox
	limit   *rate.Limiter
	health  *health
	cluster *clusterClient
	logs    lineReader
	started time.Time

	changes chan change
	resync  chan struct{}
	beats   chan event.Heartbeat
}

// New makes an agent. It does not talk to anybody yet.
func New(o Options) (*Agent, error) {
	if !event.ValidCluster(o.Cluster) {
		return nil, fmt.Errorf("cluster id %q is not 1 to 63 lower-case letters, digits and dashes", o.Cluster)
	}
	o.Heartbeat = cmp.Or(o.Heartbeat, DefaultHeartbeat)
	o.Discovery = cmp.Or(o.Discovery, DefaultDiscovery)
	o.Observe.Cluster = o.Cluster
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Denied == nil {
		o.Denied = func(error) bool { return false }
	}
	if o.Outbox == nil {
		return nil, errors.New("no outbox")
	}
	o.Rate, o.Burst = cmp.Or(o.Rate, DefaultRate), cmp.Or(o.Burst, DefaultBurst)
	a := &Agent{
		opts: o, log: o.Logger, obs: observe.New(o.Observe), outbox: o.Outbox, started: time.Now(),
		limit:   rate.NewLimiter(rate.Limit(o.Rate), o.Burst),
		changes: make(chan change, changeBuffer), resync: make(chan struct{}, 1),
		beats: make(chan event.Heartbeat, 1),
	}
	a.health = newHealth(o.Logger, o.Outbox, o.Denied)
	if err := a.connectCluster(); err != nil {
		return nil, err
	}
	return a, nil
}

// connectCluster makes what the objects and the logs come from.
func (a *Agent) connectCluster() (err error) {
	if a.opts.Source != nil {
		a.logs = sourceLogs{a.opts.Source}
		return nil
	}
	if a.cluster, err = newClusterClient(a.opts.Config); err != nil {
		return err
	}
	a.logs = newLogReader(a.cluster.core)
	return nil
}

// changeBuffer is how many changes may wait for the loop before the reflectors do.
const changeBuffer = 256

// Run works until ctx ends, which is no error, or something fails that no retry mends.
func (a *Agent) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.serve(ctx) })
	g.Go(func() error { return a.watch(ctx) })
	g.Go(func() error { return newLoop(a).run(ctx) })
	g.Go(func() error { return a.talk(ctx) })
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// Handler serves /healthz, /readyz and /metrics.
func (a *Agent) Handler() http.Handler { return a.health.handler() }

// talk connects to the bus, and then sends events and heartbeats until ctx ends.
func (a *Agent) talk(ctx context.Context) error {
	bus, err := a.opts.Connect(ctx, a.health.busError)
	if err != nil {
		return fmt.Errorf("connect to the event bus: %w", err)
	}
	a.health.setConnected()
	stop, err := bus.OnCommand(a.opts.Cluster, a.command)
	if err != nil {
		return fmt.Errorf("listen for commands: %w", err)
	}
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.publish(ctx, bus) })
	g.Go(func() error { return a.beat(ctx, bus) })
	return g.Wait()
}

func (a *Agent) command(name string) {
	if name != commandResync {
		a.log.Error("the platform sent a command that is not known", "command", name)
		return
	}
	a.askSnapshot()
}

// askSnapshot asks the loop for a new snapshot. Several requests at once are one.
func (a *Agent) askSnapshot() {
	select {
	case a.resync <- struct{}{}:
	default:
	}
}
