package history

import (
	"context"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
)

// Timeline tells everything that the query selects, on one clock.
func (h *History) Timeline(ctx context.Context, q Query, around time.Time) (rest.Timeline, error) {
	out := rest.Timeline{From: q.From.UTC(), Until: q.Until.UTC(), Around: around.UTC()}
	f := h.opened()
	if f == nil {
		return out, ErrNotOpen
	}
	q.OldestFirst = true
	counts, err := f.count(ctx, q)
	if err != nil {
		return out, err
	}
	rows, next, err := f.list(ctx, q)
	if err != nil {
		return out, err
	}
	if out.Items, err = f.events(ctx, rows); err != nil {
		return out, err
	}
	for _, n := range counts {
		out.Total += n
	}
	out.Next, out.AsOf, out.Sequence = next, h.o.Clock().UTC(), h.Stats().Position
	return out, nil
}
