package faults

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/e2e/bench/kube"
	"github.com/fairway-dev/fairway/e2e/load/sim"
	"github.com/fairway-dev/fairway/fleet/client"
)

// fault is one test, from a whole site to a whole site.
type fault struct {
	*testing.T
	steps    int    // that happened before
	sequence uint64 // of the stream, before
	copies   bool   // it puts events into the stream again

	// excused says of steps that no event tells why that is all right; nil: it never is.
	excused func(untold []sim.Step, r *record) error
}

// begin waits until the site is whole.
func begin(t *testing.T) *fault {
	t.Helper()
	f := &fault{T: t}
	f.until("a whole fleet", func(ctx context.Context) error {
		f.steps = len(site.fleet.Ledger.Steps())
		list, err := site.client.Clusters(ctx, client.Filter{})
		if err != nil {
			return err
		}
		f.sequence = list.Sequence
		return whole(ctx)
	})
	return f
}

func (f *fault) until(what string, done func(ctx context.Context) error) {
	f.Helper()
	f.check(kube.Wait(f.Context(), what, limit, done))
}

func (f *fault) check(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// over is called when the fault has ended: it waits until the site is whole and everything accounted for.
func (f *fault) over() *record {
	f.Helper()
	began := time.Now()
	var r *record
	var a sim.Account
	f.until("everything to be accounted for", func(ctx context.Context) (err error) {
		if err := whole(ctx); err != nil {
			return err
		}
		if r, err = read(ctx, f.sequence); err != nil {
			return err
		}
		a = site.fleet.Account(r.seen, r.named)
		return f.judge(a, r)
	})
	steps := len(site.fleet.Ledger.Steps()) - f.steps
	f.Logf("%d steps, %d events, %d more copies of them, %d gap events; of %d events since the beginning %d in gaps; whole %s after the fault",
		steps, r.events, r.copies, r.gaps, a.Committed, a.InGaps, time.Since(began).Round(time.Millisecond))
	return r
}

func (f *fault) judge(a sim.Account, r *record) error {
	if len(a.Lost) > 0 {
		return fmt.Errorf("%d events are lost, such as %+v", len(a.Lost), a.Lost[0])
	}
	if r.copies > 0 && !f.copies {
		return fmt.Errorf("%d events are in the stream again", r.copies)
	}
	if err := r.compare(); err != nil {
		return err
	}
	untold := sim.Untold(site.fleet.Ledger.Steps()[f.steps:], r.kept)
	if f.excused != nil {
		return f.excused(untold, r)
	}
	if len(untold) > 0 {
		return fmt.Errorf("%d steps are in no row of the history, such as %+v", len(untold), untold[0])
	}
	return nil
}

// traffic lets things happen on some clusters, so many a second, until stop.
func (f *fault) traffic(rate float64, on []*sim.Cluster) (stop func()) {
	ctx, cancel := context.WithCancel(f.Context())
	var running sync.WaitGroup
	running.Go(func() { site.fleet.Traffic(ctx, rate, on) })
	stop = func() {
		cancel()
		running.Wait()
	}
	f.Cleanup(stop)
	return stop
}

// waiting waits until so many events wait in the outbox of each of some clusters.
func (f *fault) waiting(n int, on ...*sim.Cluster) {
	f.Helper()
	f.until(fmt.Sprintf("%d events to wait in outboxes", n), func(context.Context) error {
		for _, c := range on {
			if state, _ := c.State(); state.Waiting < n {
				return fmt.Errorf("%d do on %s", state.Waiting, c.ID)
			}
		}
		return nil
	})
}

// told waits until the view has all that has happened on some clusters, whatever the others do.
func (f *fault) told(on ...*sim.Cluster) {
	f.Helper()
	f.until(fmt.Sprintf("the view to have %d clusters as they are", len(on)), func(ctx context.Context) error { return asTheyAre(ctx, on) })
}

// whole says how the site is not: every agent runs and has sent everything, the view is as the clusters are.
func whole(ctx context.Context) error {
	if err := site.fleet.Drained(); err != nil {
		return err
	}
	return asTheyAre(ctx, site.fleet.Clusters)
}

func asTheyAre(ctx context.Context, on []*sim.Cluster) error {
	list, err := site.client.Clusters(ctx, client.Filter{})
	if err != nil {
		return err
	}
	known := map[string]*rest.Cluster{}
	for i := range list.Items {
		known[list.Items[i].ID] = &list.Items[i]
	}
	for _, c := range on {
		if err := asItIs(c, known[c.ID]); err != nil {
			return fmt.Errorf("%s: %w", c.ID, err)
		}
	}
	return nil
}

// asItIs compares a cluster with what the view says of it. The digest is of every object and open episode.
func asItIs(c *sim.Cluster, seen *rest.Cluster) error {
	state, runs := c.State()
	switch {
	case !runs:
		return fmt.Errorf("its agent does not run")
	case state.Unwritten > 0:
		return fmt.Errorf("%d events wait for its disk", state.Unwritten)
	case seen == nil:
		return fmt.Errorf("it is not in the view")
	}
	switch fresh := seen.Freshness; {
	case !fresh.Known:
		return fmt.Errorf("it is unknown since %s", fresh.LastHeartbeat.Format(time.TimeOnly))
	case fresh.Missing > 0 || fresh.Gaps > 0:
		return fmt.Errorf("%d events are missing, %d gaps are open", fresh.Missing, fresh.Gaps)
	case fresh.Digest != state.Digest:
		return fmt.Errorf("its digest is %x, the view's %x", state.Digest, fresh.Digest)
	case fresh.Diverged:
		return fmt.Errorf("the view says that it has diverged")
	case seen.Objects != c.World.Objects():
		return fmt.Errorf("it has %d objects, the view %d", c.World.Objects(), seen.Objects)
	}
	return nil
}

// unknown waits until the hub says of exactly these clusters that it does not hear them.
func (f *fault) unknown(want ...*sim.Cluster) {
	f.Helper()
	f.until(fmt.Sprintf("%d clusters to be unknown", len(want)), func(ctx context.Context) error {
		list, err := site.client.Clusters(ctx, client.Filter{Status: rest.Unknown})
		if err != nil {
			return err
		}
		silent := map[string]bool{}
		for i := range list.Items {
			silent[list.Items[i].ID] = true
		}
		for _, c := range want {
			if !silent[c.ID] {
				return fmt.Errorf("%s is not, %d are", c.ID, len(silent))
			}
		}
		return nil
	})
}
