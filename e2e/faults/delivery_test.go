package faults

import (
	"context"
	"fmt"
	"testing"
)

func TestEventsThatArriveAgainAndOutOfOrderAreToldOnce(t *testing.T) {
	const steps = 60
	f := begin(t)
	f.copies = true
	want := map[string]uint64{}
	for _, c := range site.fleet.Clusters {
		state, _ := c.State()
		want[c.ID] = state.Sequence + steps
		c.Disturb(0.3, 0.3)
		c.Flood(steps)
	}
	f.until("everything to be sent", func(context.Context) error {
		for _, c := range site.fleet.Clusters {
			if state, _ := c.State(); state.Sequence < want[c.ID] || state.Waiting > 0 {
				return fmt.Errorf("%s is at %+v, not yet at %d", c.ID, state, want[c.ID])
			}
		}
		return nil
	})
	for _, c := range site.fleet.Clusters { // the last one may be late
		f.check(c.Calm(t.Context()))
	}
	if r := f.over(); r.copies == 0 {
		t.Error("nothing arrived twice")
	}
}
