package faults

import "testing"

func TestAFleetThatIsCutOffTellsEverythingWhenItIsBack(t *testing.T) {
	f := begin(t)
	all := site.fleet.Clusters
	stop := f.traffic(100, all)
	for _, c := range all {
		c.Network.Cut()
		t.Cleanup(c.Network.Heal)
	}
	f.unknown(all...)
	f.waiting(20, all...)
	stop()
	for _, c := range all {
		c.Network.Heal()
	}
	f.over()
}

func TestConnectionsThatBreakUnderLoadLoseAndRepeatNothing(t *testing.T) {
	f := begin(t)
	for range 3 {
		for _, c := range site.fleet.Clusters {
			c.Flood(15)
			c.Network.Reset()
		}
		f.told(site.fleet.Clusters...)
	}
	f.over()
}
