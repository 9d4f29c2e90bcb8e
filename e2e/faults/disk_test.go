package faults

import (
	"context"
	"fmt"
	"testing"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/e2e/load/sim"
)

func TestAFullDiskDropsNothingThatNoGapNames(t *testing.T) {
	f := begin(t)
	c := site.fleet.Clusters[2]
	f.restart(c, 200<<10, 256<<10)
	c.Network.Cut()
	t.Cleanup(c.Network.Heal)
	f.until("a disk and a memory that are full", func(context.Context) error {
		c.Flood(100)
		if state, _ := c.State(); state.Unwritten == 0 || state.Dropped[event.KindWorkload] == 0 {
			return fmt.Errorf("%+v", state)
		}
		return nil
	})
	c.Network.Heal()
	f.excused = func(untold []sim.Step, r *record) error { return dropped(untold, c, r) }
	f.over()
	f.restart(c, 0, 0)
}

// restart gives a cluster's outbox another disk.
func (f *fault) restart(c *sim.Cluster, events, file int) {
	f.Helper()
	f.check(c.Stop())
	c.Bound(events, file)
	f.check(c.Start(f.Context()))
	f.told(c)
}

// dropped says which steps no gap stands for: of another cluster, or more of a kind than gaps say were dropped.
func dropped(untold []sim.Step, c *sim.Cluster, r *record) error {
	n := map[event.Kind]int{}
	for _, s := range untold {
		if s.Cluster != c.ID {
			return fmt.Errorf("%+v is in no row of the history", s)
		}
		n[s.Type.Kind()]++
	}
	for kind, lacking := range n {
		if lacking > r.dropped[c.ID][kind] {
			return fmt.Errorf("%d %s steps are in no row of the history, gaps name %d", lacking, kind, r.dropped[c.ID][kind])
		}
	}
	return nil
}
