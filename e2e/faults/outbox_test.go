package faults

import (
	"context"
	"fmt"
	"testing"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/e2e/load/sim"
)

func TestALostOutboxIsAGapThatCountsWhatWasInIt(t *testing.T) {
	f := begin(t)
	c := site.fleet.Clusters[1]
	before, _ := c.State()
	c.Hold()
	t.Cleanup(c.Release)
	c.Flood(40)
	f.waiting(40, c)
	last, _ := c.State()
	lost := last.Sequence - before.Sequence
	f.until("the hub to hear of what waits", func(ctx context.Context) error {
		seen, err := site.client.Cluster(ctx, c.ID)
		if err == nil && seen.Freshness.Missing != lost {
			err = fmt.Errorf("it misses %d of %d", seen.Freshness.Missing, lost)
		}
		return err
	})
	f.check(c.Stop())
	f.check(c.DeleteOutbox())
	c.Release()
	f.check(c.Start(t.Context()))
	var gap rest.Gap
	f.until("a gap that counts what was lost", func(ctx context.Context) (err error) {
		gap, err = epochGap(ctx, c)
		if err == nil && gap.Events != lost {
			err = fmt.Errorf("%d events were lost, the gap is %+v", lost, gap)
		}
		return err
	})
	site.lost[sim.Life{Cluster: c.ID, Epoch: last.Epoch}] = before.Sequence + 1
	f.excused = func(untold []sim.Step, _ *record) error { return within(untold, c, gap) }
	f.over()
}

// epochGap is the newest gap of a cluster that a snapshot closed because the outbox was lost.
func epochGap(ctx context.Context, c *sim.Cluster) (rest.Gap, error) {
	seen, err := site.client.Cluster(ctx, c.ID)
	if err != nil {
		return rest.Gap{}, err
	}
	for _, g := range seen.Gaps {
		if g.Reason == rest.GapEpoch && g.ClosedBy == rest.BySnapshot {
			return g, nil
		}
	}
	return rest.Gap{}, fmt.Errorf("no gap that a snapshot closed is among %+v", seen.Gaps)
}

// within says which steps the gap does not stand for: of another cluster, or more than it counts.
func within(untold []sim.Step, c *sim.Cluster, gap rest.Gap) error {
	for _, s := range untold {
		if s.Cluster != c.ID || s.At.After(gap.Closed) {
			return fmt.Errorf("%+v is in no row of the history and outside of the gap %+v", s, gap)
		}
	}
	if uint64(len(untold)) > gap.Events {
		return fmt.Errorf("%d steps are in no row of the history, the gap counts %d", len(untold), gap.Events)
	}
	return nil
}
