package sim

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/fairway-dev/fairway/operator/natsauth"
)

// Options of a Fleet.
type Options struct {
	Clusters int            // how many
	Objects  int            // Flux objects and workloads on each; 0: 50
	Seed     uint64         // of everything that is random
	Dir      string         // of the outbox files, required
	URL      string         // of the bus, required
	CA       []byte         // PEM; empty: no TLS
	Keys     *natsauth.Keys // to make the agents' users with; required unless there is Creds
	// Creds are the credentials that an agent finds on its cluster, asked for when it starts. Nil: Keys makes them.
	Creds func(id string) ([]byte, error)
	// Heartbeat is the interval; 0: the agent's own default.
	Heartbeat   time.Duration
	OutboxBytes int     // 0: the outbox's own default
	Rate        float64 // events a second that one agent sends in the long run; 0: the agent's own default

	// Stepped is told of every step before the agent can know of it. It must be fast and safe for
	// concurrent use. May be nil.
	Stepped func(Step)
}

// Fleet is a number of simulated clusters on one bus.
type Fleet struct {
	Clusters []*Cluster
	Ledger   Ledger

	options Options
}

const defaultObjects = 50

// starting bounds how many agents start at once: a rollout of a fleet, not an avalanche.
const starting = 32

// New makes the clusters of a fleet, without agents.
func New(o Options) (*Fleet, error) {
	if o.Objects == 0 {
		o.Objects = defaultObjects
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("create folder of outboxes: %w", err)
	}
	f := &Fleet{options: o}
	for i := range o.Clusters {
		f.Clusters = append(f.Clusters, newCluster(f, Name(i), o.Seed+uint64(i))) //nolint:gosec // a count
	}
	return f, nil
}

// Start makes a fleet and starts its agents.
func Start(ctx context.Context, o Options) (*Fleet, error) {
	f, err := New(o)
	if err != nil {
		return nil, err
	}
	if err := f.Start(ctx); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Name is the id of the i-th cluster of every fleet.
func Name(i int) string { return fmt.Sprintf("prod-aws-%04d", i) }

// Start starts the agents that do not run.
func (f *Fleet) Start(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(starting)
	for _, c := range f.Clusters {
		g.Go(func() error {
			if c.runs() {
				return nil
			}
			return c.Start(ctx)
		})
	}
	return g.Wait()
}

// Close stops every agent.
func (f *Fleet) Close() error {
	var mu sync.Mutex
	var errs []error
	var all sync.WaitGroup
	for _, c := range f.Clusters {
		all.Go(func() {
			if err := c.Stop(); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

// Drained says which cluster still has events that the bus has not acknowledged, or whose agent has
// ended by itself; nil when there is none.
func (f *Fleet) Drained() error {
	for _, c := range f.Clusters {
		if err := c.Err(); err != nil {
			return err
		}
		if s, _ := c.State(); s.Waiting > 0 {
			return fmt.Errorf("%d events wait in the outbox of %s", s.Waiting, c.ID)
		}
	}
	return nil
}

func (f *Fleet) stepped(s Step) {
	f.Ledger.step(s)
	if f.options.Stepped != nil {
		f.options.Stepped(s)
	}
}

func (c *Cluster) runs() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.life != nil
}

// Traffic lets things happen on clusters chosen at random, so many a second, until ctx ends. What
// falls behind is caught up with.
func (f *Fleet) Traffic(ctx context.Context, rate float64, on []*Cluster) {
	random := newRandom(f.options.Seed)
	began, timer := time.Now(), time.NewTimer(0)
	defer timer.Stop()
	for n := 0; ; n++ {
		due := began.Add(time.Duration(float64(n) / rate * float64(time.Second)))
		timer.Reset(time.Until(due))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		on[random.IntN(len(on))].World.Step()
	}
}

func newRandom(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, ^seed)) }
