package faults

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/fairway-dev/fairway/e2e/load/sim"
)

// off is how wrong a clock is, tolerance how well the hub has to know it.
const (
	off       = 5 * time.Minute
	tolerance = 5 * time.Second
)

func TestAClockThatIsOffIsShownAndLosesNothing(t *testing.T) {
	f := begin(t)
	early, late := site.fleet.Clusters[0], site.fleet.Clusters[1]
	early.Skew(off)
	late.Skew(-off)
	t.Cleanup(func() {
		early.Skew(0)
		late.Skew(0)
	})
	f.skewed(early, off)
	f.skewed(late, -off)
	for _, c := range site.fleet.Clusters {
		c.Flood(40)
	}
	f.told(site.fleet.Clusters...)
	f.over()
	early.Skew(0)
	late.Skew(0)
	f.skewed(early, 0)
	f.skewed(late, 0)
	f.over()
}

// skewed waits until the hub says how wrong the clock of a cluster is.
func (f *fault) skewed(c *sim.Cluster, want time.Duration) {
	f.Helper()
	f.until(fmt.Sprintf("%s to be off by %s", c.ID, want), func(ctx context.Context) error {
		seen, err := site.client.Cluster(ctx, c.ID)
		if err == nil && math.Abs(seen.Freshness.ClockSkew-want.Seconds()) > tolerance.Seconds() {
			err = fmt.Errorf("the hub says %.1f s", seen.Freshness.ClockSkew)
		}
		return err
	})
}
