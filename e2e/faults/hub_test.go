package faults

import (
	"context"
	"fmt"
	"testing"

	"github.com/fairway-dev/fairway/fleet/client"
)

func TestAHubThatIsKilledUnderLoadComesBackWithEverything(t *testing.T) {
	f := begin(t)
	stop := f.traffic(200, site.fleet.Clusters)
	f.until("the hub to be in the middle of it", func(ctx context.Context) error {
		list, err := site.client.Clusters(ctx, client.Filter{})
		if err == nil && list.Sequence < f.sequence+100 {
			err = fmt.Errorf("it is at %d, it was at %d", list.Sequence, f.sequence)
		}
		return err
	})
	f.check(site.hub.Kill())
	f.waiting(10, site.fleet.Clusters...)
	f.check(site.hub.Start(t.Context()))
	stop()
	f.over()
}
