package history

import (
	"fmt"
	"runtime/debug"
	"testing"
)

// Who asks for the newest changes of one team after the other unpacks once what all of them share: there is room for as many blocks as
// a page is spread over.
func TestPagesOfTeamsShareTheirBlocks(t *testing.T) {
	const teams = 100
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // until the garbage is collected
	p := newTape(t)
	for i := range 2 * defaultLimit * teams {
		p.roll("prod-aws-eu1", 3*i+2, teams) // one event of each team, in turn
	}
	now := p.messages[len(p.messages)-1].Stored
	r := run(t, p, path(t))
	r.add(t, p.messages...)
	for i := range 3 {
		q := Query{From: start, Until: now, Team: fmt.Sprintf("team-%d", i)}
		rows, _, err := r.opened().list(t.Context(), q)
		if err != nil || len(rows) != defaultLimit {
			t.Fatalf("%d changes, %v", len(rows), err)
		}
		missing := 0
		for _, row := range rows {
			if r.opened().recent.find(row.seq) == nil {
				missing++
			}
		}
		if i > 0 && missing > defaultLimit/20 {
			t.Errorf("%d of %d changes of %s are in blocks that are not here", missing, len(rows), q.Team)
		}
		if _, err := r.Since(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
}
