package faults

import "testing"

func TestClustersInTheDarkKeepNobodyElseWaiting(t *testing.T) {
	f := begin(t)
	dark, others := site.fleet.Clusters[:2], site.fleet.Clusters[2:]
	for _, c := range dark {
		c.Network.Cut()
		t.Cleanup(c.Network.Heal)
	}
	f.unknown(dark...)
	for _, c := range site.fleet.Clusters {
		c.Flood(50)
	}
	f.waiting(50, dark...)
	f.told(others...)
	f.unknown(dark...) // they still are
	for _, c := range dark {
		c.Network.Heal()
	}
	f.over()
}
