package faults

import "testing"

func TestAClusterThatFloodsKeepsNobodyElseWaiting(t *testing.T) {
	f := begin(t)
	flooding, others := site.fleet.Clusters[4], site.fleet.Clusters[:4]
	flooding.Flood(1500)
	for _, c := range others {
		c.Flood(20)
	}
	f.told(others...)
	if state, _ := flooding.State(); state.Waiting == 0 {
		t.Error("nothing of the flood waited any more when the others were told")
	}
	f.over()
}
