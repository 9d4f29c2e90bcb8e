package history

import (
	"context"
	"strings"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

// Since tells what changed: counts, and one page of the changes themselves. Errors: ErrNotOpen, ErrCursor, and SQLite's.
func (h *History) Since(ctx context.Context, q Query) (rest.Since, error) {
	out := rest.Since{From: q.From.UTC(), Until: q.Until.UTC()}
	f := h.opened()
	if f == nil {
		return out, ErrNotOpen
	}
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
	out.Summary, out.Next = summarise(counts), next
	for _, n := range counts {
		out.Total += n
	}
	out.AsOf, out.Sequence = h.o.Clock().UTC(), h.Stats().Position
	return out, nil
}

func summarise(counts map[event.Type]int) rest.Summary {
	s := rest.Summary{ByType: map[string]int{}}
	to := map[event.Type]*int{
		event.ReleaseSucceeded: &s.Releases, event.ReleaseFailed: &s.Releases, event.WorkloadAvailable: &s.Rollouts, event.WorkloadSucceeded: &s.Rollouts,
		event.FluxFailed: &s.Failures, event.FluxStalled: &s.Failures, event.WorkloadDegraded: &s.Failures, event.WorkloadFailed: &s.Failures,
		event.EpisodeOpened: &s.EpisodesOpened, event.EpisodeResolved: &s.EpisodesResolved, event.AgentGap: &s.Gaps,
		event.ClusterRegistered: &s.ClustersJoined, event.ClusterDeregistered: &s.ClustersLeft,
		event.ClusterSilent: &s.ClustersSilent, event.ClusterConnected: &s.ClustersConnected,
	}
	for typ, n := range counts {
		if count := to[typ]; count != nil {
			*count += n
		}
		s.ByType[strings.Trim(string(typ.Kind())+"."+typ.What(), ".")] += n
	}
	return s
}
