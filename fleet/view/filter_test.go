package view

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

func TestFilters(t *testing.T) {
	v := newView(t)
	connected(t, v, "aws-1", func(a *agent) {
		a.object(event.WorkloadAvailable, ledger, event.Workload{})
		a.episode(event.EpisodeOpened, ledger, crash("e1"))
	})
	platform(v, 1, event.ClusterRegistered, event.Registration{Cluster: "azure-1", Environment: "staging", Cloud: "Azure"})
	now := start.Add(5 * time.Second)
	for name, test := range map[string]struct {
		filter                       Filter
		clusters, services, episodes int
	}{
		"nothing asked, everything shown":        {Filter{}, 2, 1, 1},
		"by cluster":                             {Filter{Cluster: "azure-1"}, 1, 0, 0},
		"by environment":                         {Filter{Environment: "prod"}, 1, 1, 1},
		"by cloud, whatever the case":            {Filter{Cloud: "aws"}, 1, 1, 1},
		"by team":                                {Filter{Team: "payments"}, 1, 1, 1},
		"by a team that has nothing":             {Filter{Team: "search"}, 0, 0, 0},
		"by service":                             {Filter{Service: "ledger"}, 1, 1, 1},
		"by status":                              {Filter{Status: rest.Degraded}, 1, 1, 1},
		"by another status":                      {Filter{Status: rest.Unknown}, 1, 0, 0},
		"by text, whatever the case":             {Filter{Text: "CRASHLOOP"}, 1, 1, 1},
		"by text that is nowhere":                {Filter{Text: "nowhere"}, 0, 0, 0},
		"by several, of which one does not hold": {Filter{Team: "payments", Cloud: "Azure"}, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := []int{len(v.Clusters(now, test.filter)), len(v.Services(now, test.filter)), len(v.Episodes(now, test.filter))}
			if diff := cmp.Diff([]int{test.clusters, test.services, test.episodes}, got); diff != "" {
				t.Errorf("clusters, services, episodes (-want +got):\n%s", diff)
			}
		})
	}
}
