package history

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

// told is one change with what it is selected by.
type told struct {
	place
	cluster, environment, team, service string
	event                               event.Event
	stored                              time.Time
}

// readAll reads every change out of the file, one after the other, without any of what makes a page quick.
func readAll(t testing.TB, h *History) []told {
	t.Helper()
	f := h.opened()
	bodies := map[int64]stored{}
	var first, since int64
	var data []byte
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	check(each(t.Context(), f.read, "SELECT first, since, data FROM blocks", nil, []any{&first, &since, &data}, func() error {
		events, err := f.unpack.unpack(first, since, data)
		for _, s := range events {
			bodies[s.seq] = s
		}
		return err
	}))
	var out []told
	var c told
	check(each(t.Context(), f.read, `SELECT e.at, e.seq, c.name, o.environment, o.team, o.service FROM events e JOIN types t ON t.id = e.type
JOIN clusters c ON c.id = e.cluster JOIN owners o ON o.id = e.owner WHERE NOT t.quiet`, nil,
		[]any{&c.at, &c.seq, &c.cluster, &c.environment, &c.team, &c.service}, func() (err error) {
			c.stored = bodies[c.seq].at
			c.event, err = event.Decode(bodies[c.seq].data)
			out = append(out, c)
			return err
		}))
	c = told{}
	check(each(t.Context(), f.read, "SELECT t.at, -t.id, c.name, t.environment, t.event FROM transitions t JOIN clusters c ON c.id = t.cluster", nil,
		[]any{&c.at, &c.seq, &c.cluster, &c.environment, &data}, func() (err error) {
			c.event, err = event.Decode(slices.Clone(data))
			out = append(out, c)
			return err
		}))
	return out
}

// selects says whether the query selects a change.
func (q Query) selects(c told) bool {
	any := func(want, is string) bool { return want == "" || want == is }
	owned := any(q.Environment, c.environment) && any(q.Team, c.team) && any(q.Service, c.service)
	on := any(q.Cluster, c.cluster)
	if q.Either {
		on = c.cluster == q.Cluster
		owned = owned && c.seq > 0
	}
	selected := on && owned
	if q.Either {
		selected = on && (c.seq > 0 || any(q.Environment, c.environment)) || q.Service != "" && owned
	}
	return selected && c.at >= q.From.UnixMilli() && c.at <= q.Until.UnixMilli() && (len(q.Kinds) == 0 || slices.Contains(q.Kinds, c.event.Type.Kind()))
}

// plainly answers the query from all changes.
func plainly(all []told, q Query, asOf time.Time, sequence uint64) rest.Since {
	out := rest.Since{From: q.From.UTC(), Until: q.Until.UTC(), Items: []rest.Transition{}}
	counts := map[event.Type]int{}
	var selected []told
	for _, c := range all {
		if q.selects(c) {
			selected = append(selected, c)
			counts[c.event.Type]++
		}
	}
	slices.SortFunc(selected, func(a, b told) int {
		if q.OldestFirst {
			a, b = b, a
		}
		return cmp.Or(cmp.Compare(b.at, a.at), cmp.Compare(b.seq, a.seq))
	})
	out.Total, out.Summary, out.AsOf, out.Sequence = len(selected), summarise(counts), asOf.UTC(), sequence
	if q.Cursor != "" {
		i := slices.IndexFunc(selected, func(c told) bool { return c.cursor() == q.Cursor })
		selected = selected[i+1:]
	}
	if len(selected) > q.limit() {
		selected = selected[:q.limit()]
		out.Next = selected[len(selected)-1].cursor()
	}
	for _, c := range selected {
		t := rest.Transition{Cluster: c.cluster, Time: time.UnixMilli(c.at).UTC(), Stored: c.stored, Sequence: uint64(max(0, c.seq))}
		if at := c.event.Time.UTC(); at.UnixMilli() == c.at {
			t.Time = at
		}
		out.Items = append(out.Items, describe(t, &c.event))
	}
	return out
}

// Whatever is asked, every page is byte for byte what a plain reading of all events gives.
func TestSinceIsWhatAPlainReadingGives(t *testing.T) {
	p := newTape(t)
	r := run(t, p, path(t))
	rapid.Check(t, func(rt *rapid.T) {
		sent := len(p.messages)
		for range rapid.IntRange(0, 60).Draw(rt, "events") {
			drawEvent(rt, p)
		}
		if sent < len(p.messages) {
			r.add(t, p.messages[sent:]...)
		}
		if rapid.IntRange(0, 3).Draw(rt, "transition") == 0 {
			r.connect(t, drawName(rt, "a", "b", "c"), rapid.Bool().Draw(rt, "connected"), p.now)
		}
		all, q := readAll(t, r.History), drawQuery(rt, p)
		for page := 0; page == 0 || q.Cursor != "" && page < 5; page++ {
			got, err := r.Since(t.Context(), q)
			if err != nil {
				rt.Fatal(err)
			}
			want := plainly(all, q, p.now, r.Stats().Position)
			if diff := gocmp.Diff(encoded(rt, want), encoded(rt, got)); diff != "" {
				rt.Fatalf("page %d of %+v (-plainly +got):\n%s", page, q, diff)
			}
			q.Cursor = got.Next
		}
	})
}

func encoded(t *rapid.T, v any) string {
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func drawName(t *rapid.T, names ...string) string { return rapid.SampledFrom(names).Draw(t, "name") }

// drawEvent lets something happen, perhaps on the clock of a cluster that was cut off and tells of it later.
func drawEvent(t *rapid.T, p *tape) {
	cluster, epoch := drawName(t, "a", "b", "c"), drawName(t, epoch1, epoch2)
	service := event.Object{Kind: "Deployment", Namespace: drawName(t, "payments", "shop"), Name: drawName(t, "web", "ledger")}
	typ := rapid.SampledFrom(event.Types).Draw(t, "type")
	own := func(e *event.Event) {
		e.Team, e.Service, e.Environment = service.Namespace, service.Name, drawName(t, "prod", "staging")
		e.Time = e.Time.Add(-time.Duration(rapid.IntRange(0, 40_000).Draw(t, "late")) * time.Millisecond)
	}
	switch typ.Kind() {
	case event.KindFlux:
		p.publish(cluster, epoch, typ, service, event.Flux{Reason: "R", Message: "<&>", AppliedRevision: fmt.Sprint(len(p.messages))}, own)
	case event.KindWorkload:
		p.publish(cluster, epoch, typ, service, event.Workload{Desired: 2, Ready: int32(rapid.IntRange(0, 2).Draw(t, "ready"))}, own)
	case event.KindEpisode:
		p.publish(cluster, epoch, typ, service, event.Episode{ID: fmt.Sprint("e", len(p.messages)), Lines: []string{"a", "b"}, OpenedAt: p.now}, own)
	case event.KindAgent:
		p.publish(cluster, epoch, typ, event.Object{}, event.Snapshot{ID: "s", Part: 1, Parts: 1})
	default:
		p.publish(event.Platform, "", typ, event.Object{Kind: "WorkloadCluster", Namespace: "clusters", Name: cluster},
			event.Registration{Cluster: cluster, Environment: drawName(t, "prod", "staging")})
	}
}

func drawQuery(t *rapid.T, p *tape) Query {
	from := rapid.Int64Range(start.UnixMilli(), p.now.UnixMilli()).Draw(t, "from")
	q := Query{From: time.UnixMilli(from), Until: time.UnixMilli(rapid.Int64Range(from, p.now.UnixMilli()).Draw(t, "until")),
		Cluster: drawName(t, "", "", "a", "z"), Team: drawName(t, "", "payments", "shop", "nobody"), Service: drawName(t, "", "", "web"),
		Environment: drawName(t, "", "", "prod"), OldestFirst: rapid.Bool().Draw(t, "oldest"), Limit: rapid.IntRange(1, 40).Draw(t, "limit"),
		Kinds: rapid.SliceOfNDistinct(rapid.SampledFrom(event.Kinds), 0, 2, rapid.ID).Draw(t, "kinds")}
	if q.Cluster != "" && rapid.IntRange(0, 3).Draw(t, "either") == 0 {
		q.Either = true
	}
	return q
}
