package faults

import (
	"context"
	"testing"
)

func TestAnAgentThatIsKilledBetweenCommitAndPublishTellsItLater(t *testing.T) {
	f := begin(t)
	c := site.fleet.Clusters[0]
	before, _ := c.State()
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), limit)
		err := c.Kill(ctx)
		cancel()
		f.check(err)
		f.check(c.Start(t.Context()))
		f.told(c) // what happens before the agent looks again is told by its end only
		c.Flood(10)
		f.told(c)
	}
	f.over()
	if after, _ := c.State(); after.Epoch != before.Epoch {
		t.Errorf("the outbox began a new epoch: %s after %s", after.Epoch, before.Epoch)
	}
}
