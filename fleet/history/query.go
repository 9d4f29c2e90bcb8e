package history

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

// Query selects changes between two moments; all that it says has to hold, and an empty field says
// nothing.
type Query struct {
	From, Until                         time.Time // both included
	Team, Service, Cluster, Environment string
	Kinds                               []event.Kind
	// Either selects what is on Cluster or of Team and Service, instead of what is both.
	Either bool

	OldestFirst bool
	Limit       int    // most items; 0: 100
	Cursor      string // the next of the page before
}

const defaultLimit = 100

// ErrCursor is wrapped for a cursor that is not of this list.
var ErrCursor = errors.New("the cursor is not one of this list")

// place is where an item stands in a list: ordered by time, then seq.
type place struct{ at, seq int64 }

func (p place) cursor() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "%d/%d", p.at, p.seq))
}

func placeOf(cursor string) (p place, err error) {
	text, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		_, err = fmt.Sscanf(string(text), "%d/%d", &p.at, &p.seq)
	}
	if err != nil {
		return p, fmt.Errorf("%w: %w", ErrCursor, err)
	}
	return p, nil
}

func (q Query) limit() int { return cmp.Or(q.Limit, defaultLimit) }

// clause is a part of a WHERE with its arguments.
type clause struct {
	text []string
	args []any
}

func (c *clause) and(text string, args ...any) {
	c.text = append(c.text, text)
	c.args = append(c.args, args...)
}

func (c *clause) String() string { return strings.Join(c.text, " AND ") }

const (
	ofCluster = "cluster IN (SELECT id FROM clusters WHERE name = ?)"
	ofOwner   = "owner IN (SELECT id FROM owners WHERE (? = '' OR environment = ?) AND (? = '' OR team = ?) AND (? = '' OR service = ?))"
)

// events is the condition on rows of events.
func (q Query) events() *clause {
	c, types := q.scope(), q.types()
	c.and("type IN (SELECT id FROM types WHERE "+types.String()+")", types.args...)
	return c
}

// scope is the condition on rows of events without their types. The team comes first, as in the table: of one team,
// only its rows are read; of all, each team's rows of the time.
func (q Query) scope() *clause {
	c := &clause{}
	if q.Team != "" && !q.Either {
		c.and("team IN (SELECT id FROM teams WHERE name = ?)", q.Team)
	} else {
		c.and("team IN (SELECT id FROM teams)")
	}
	c.and("at BETWEEN ? AND ?", q.From.UnixMilli(), q.Until.UnixMilli())
	owner := []any{q.Environment, q.Environment, q.Team, q.Team, q.Service, q.Service}
	switch {
	case q.Either && q.Service != "":
		c.and("("+ofCluster+" OR "+ofOwner+")", append([]any{q.Cluster}, owner...)...)
	case q.Either:
		c.and(ofCluster, q.Cluster)
	default:
		if q.Cluster != "" {
			c.and(ofCluster, q.Cluster)
		}
		if q.Environment+q.Service != "" {
			c.and(ofOwner, owner...)
		}
	}
	return c
}

// types is the condition on types.
func (q Query) types() *clause {
	c := &clause{}
	c.and("quiet = 0")
	if len(q.Kinds) == 0 {
		return c
	}
	args := make([]any, len(q.Kinds))
	for i, k := range q.Kinds {
		args[i] = string(k)
	}
	c.and("kind IN (?"+strings.Repeat(", ?", len(args)-1)+")", args...)
	return c
}

// transitions is the condition on derived rows; nil when none of them is selected.
func (q Query) transitions() *clause {
	if (q.Team+q.Service != "" && !q.Either) || len(q.Kinds) > 0 && !slices.Contains(q.Kinds, event.KindCluster) {
		return nil
	}
	c := &clause{}
	c.and("at BETWEEN ? AND ?", q.From.UnixMilli(), q.Until.UnixMilli())
	if q.Cluster != "" {
		c.and(ofCluster, q.Cluster)
	}
	if q.Environment != "" {
		c.and("environment = ?", q.Environment)
	}
	return c
}

// count counts what the query selects, by type. The derived rows count as cluster.silent and
// cluster.connected.
func (f *file) count(ctx context.Context, q Query) (map[event.Type]int, error) {
	out, err := f.countEvents(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("count events: %w", err)
	}
	where := q.transitions()
	if where == nil {
		return out, nil
	}
	var typ event.Type
	var n int
	err = each(ctx, f.read, "SELECT iif(connected, '"+string(event.ClusterConnected)+"', '"+string(event.ClusterSilent)+"'), COUNT(*) FROM transitions WHERE "+
		where.String()+" GROUP BY connected", where.args, []any{&typ, &n}, func() error { out[typ] += n; return nil })
	if err != nil {
		return nil, fmt.Errorf("count transitions: %w", err)
	}
	return out, nil
}

// countEvents counts rows of events by type. SQLite writes the types of all rows one after the other, and they are
// counted here: GROUP BY would sort the rows, which takes longer.
func (f *file) countEvents(ctx context.Context, q Query) (map[event.Type]int, error) {
	where := q.scope()
	var types []byte
	err := f.read.QueryRowContext(ctx, "SELECT group_concat(type) FROM events WHERE "+where.String(), where.args...).Scan(&types)
	if err != nil {
		return nil, err
	}
	rows := countNumbers(types)
	where = q.types()
	out := map[event.Type]int{}
	var id int
	var name event.Type
	err = each(ctx, f.read, "SELECT id, name FROM types WHERE "+where.String(), where.args, []any{&id, &name}, func() error {
		if n := rows[id]; n > 0 {
			out[name] += n
		}
		return nil
	})
	return out, err
}

// countNumbers says how often each number is in a list like "1,12,1".
func countNumbers(list []byte) map[int]int {
	out := map[int]int{}
	if len(list) == 0 {
		return out
	}
	n := 0
	for _, c := range list {
		if c == ',' {
			out[n]++
			n = 0
		} else {
			n = 10*n + int(c-'0')
		}
	}
	out[n]++
	return out
}

// row is one change as the tables have it.
type row struct {
	place
	cluster string
	event   *event.Event // of derived rows
}

// list reads one page of rows, and says where the next one begins; "" on the last one.
func (f *file) list(ctx context.Context, q Query) (rows []row, next string, err error) {
	order, beyond := "DESC", "<"
	if q.OldestFirst {
		order, beyond = "ASC", ">"
	}
	from := place{}
	if q.Cursor != "" {
		if from, err = placeOf(q.Cursor); err != nil {
			return nil, "", err
		}
	}
	page := func(c *clause, seq string) string {
		if q.Cursor != "" {
			c.and("(at, "+seq+") "+beyond+" (?, ?)", from.at, from.seq)
		}
		return fmt.Sprintf("%s ORDER BY at %s, %s %s LIMIT %d", c, order, seq, order, q.limit()+1)
	}
	var r row
	add := func() error { rows = append(rows, r); return nil }
	where := q.events()
	query := "SELECT at, seq, (SELECT name FROM clusters WHERE id = cluster) FROM events WHERE " + page(where, "seq")
	if err := each(ctx, f.read, query, where.args, []any{&r.at, &r.seq, &r.cluster}, add); err != nil {
		return nil, "", fmt.Errorf("list events: %w", err)
	}
	if where = q.transitions(); where != nil {
		query = "SELECT at, -id, (SELECT name FROM clusters WHERE id = cluster), event FROM transitions WHERE " + page(where, "-id")
		if err := f.derived(ctx, query, where.args, &rows); err != nil {
			return nil, "", fmt.Errorf("list transitions: %w", err)
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		order := cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.seq, b.seq))
		if q.OldestFirst {
			return order
		}
		return -order
	})
	if len(rows) > q.limit() {
		rows = rows[:q.limit()]
		next = rows[len(rows)-1].cursor()
	}
	return rows, next, nil
}

func (f *file) derived(ctx context.Context, query string, args []any, out *[]row) error {
	var r row
	var body []byte
	return each(ctx, f.read, query, args, []any{&r.at, &r.seq, &r.cluster, &body}, func() error {
		e, err := event.Decode(body)
		if err != nil {
			return err
		}
		kept := r
		kept.event = &e
		*out = append(*out, kept)
		return nil
	})
}

// read gives the rows their events, from the blocks that have them.
func (f *file) events(ctx context.Context, rows []row) ([]rest.Transition, error) {
	out := make([]rest.Transition, len(rows))
	blocks := reader{file: f}
	for i, r := range rows {
		t := rest.Transition{Cluster: r.cluster, Time: time.UnixMilli(r.at).UTC()}
		e := r.event
		if e == nil {
			s, err := blocks.find(ctx, r.seq)
			if err != nil {
				return nil, err
			}
			ev, err := event.Decode(s.data)
			if err != nil {
				return nil, fmt.Errorf("read event %d: %w", r.seq, err)
			}
			e, t.Stored, t.Sequence = &ev, s.at, uint64(max(0, r.seq-f.base))
		}
		if at := e.Time.UTC(); at.UnixMilli() == r.at {
			t.Time = at
		}
		out[i] = describe(t, e)
	}
	return out, nil
}
