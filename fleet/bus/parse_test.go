package bus

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/api/event"
)

func TestFiltersAreSubjectsOfTheServer(t *testing.T) {
	var many []string
	for i := range maxSubjects + 1 {
		many = append(many, fmt.Sprintf("c%d", i))
	}
	for name, test := range map[string]struct {
		filter Filter
		want   []string
	}{
		"no filter is no subject":               {Filter{}, nil},
		"a cluster":                             {Filter{Clusters: []string{"a"}}, []string{"fleet.v1.evt.a.*"}},
		"a kind":                                {Filter{Kinds: []event.Kind{"flux"}}, []string{"fleet.v1.evt.*.flux"}},
		"both, each once":                       {Filter{Clusters: []string{"b", "a", "b"}, Kinds: []event.Kind{"flux"}}, []string{"fleet.v1.evt.a.flux", "fleet.v1.evt.b.flux"}},
		"too many clusters are left to Match":   {Filter{Clusters: many}, nil},
		"too many clusters leave the kinds":     {Filter{Clusters: many, Kinds: []event.Kind{"flux"}}, []string{"fleet.v1.evt.*.flux"}},
		"clusters times kinds may be too many":  {Filter{Clusters: many[:40], Kinds: []event.Kind{"agent", "flux"}}, []string{"fleet.v1.evt.*.agent", "fleet.v1.evt.*.flux"}},
		"as many clusters as are worth it pass": {Filter{Clusters: []string{"a", "b"}}, []string{"fleet.v1.evt.a.*", "fleet.v1.evt.b.*"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, test.filter.subjects()); diff != "" {
				t.Errorf("subjects (-want +got):\n%s", diff)
			}
		})
	}
}

// What an agent can make the bus store on another's subject, by asking for the answer there, is the
// bus's answer. It must be no heartbeat.
func TestTheBusOwnAnswersAreNoHeartbeats(t *testing.T) {
	if h, err := decodeHeartbeat([]byte(`{"stream":"FLEET_HEARTBEATS","seq":7}`)); err == nil {
		t.Errorf("decodeHeartbeat() = %+v, want it refused", h)
	}
}

func FuzzDecodeHeartbeat(f *testing.F) {
	seed, err := json.Marshal(event.Heartbeat{Epoch: "e", Sequence: 1, Time: time.Unix(1, 0), Interval: event.Duration(time.Second)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Fuzz(func(t *testing.T, data []byte) {
		if h, err := decodeHeartbeat(data); err == nil && (h.Epoch == "" || h.Interval <= 0 || h.Time.IsZero()) {
			t.Errorf("%q is taken as %+v", data, h)
		}
	})
}
