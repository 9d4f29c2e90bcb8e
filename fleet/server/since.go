package server

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/history"
)

// ChangeFilter are the parameters that select changes.
type ChangeFilter struct {
	Cluster     string   `query:"cluster" maxLength:"63" doc:"Cluster id"`
	Kinds       []string `query:"kind" enum:"cluster,flux,workload,episode,release,artifact,agent" doc:"Several are separated by commas"`
	Team        string   `query:"team" maxLength:"63"`
	Service     string   `query:"service" maxLength:"253" doc:"Name within the team"`
	Environment string   `query:"environment" maxLength:"63"`
}

func (f ChangeFilter) query() history.Query {
	q := history.Query{Cluster: f.Cluster, Team: f.Team, Service: f.Service, Environment: f.Environment}
	for _, k := range f.Kinds {
		q.Kinds = append(q.Kinds, event.Kind(k))
	}
	return q
}

func (f ChangeFilter) empty() bool {
	return f.Cluster+f.Team+f.Service+f.Environment == "" && len(f.Kinds) == 0
}

type sinceInput struct {
	ChangeFilter
	Paging
	Since string `query:"since" maxLength:"64" doc:"RFC 3339, or how long ago: 24h; default 24h"`
	Until string `query:"until" maxLength:"64" doc:"RFC 3339, or how long ago; default now"`
	Order string `query:"order" enum:"newest,oldest" default:"newest" doc:"Which change is first"`
}

func (s *Server) registerSince() {
	huma.Register(s.api, huma.Operation{
		OperationID: "since", Method: http.MethodGet, Path: "/api/v1/since", Tags: []string{"history"},
		Summary: "What changed since a moment: counts, and the changes themselves",
		Description: "What a cluster had when it joined, and what a snapshot repeats, did not change. " +
			"The summary counts all pages.",
	}, s.since)
}

func (s *Server) since(ctx context.Context, in *sinceInput) (*body[rest.Since], error) {
	now := s.Clock()
	q := in.query()
	q.Limit, q.Cursor, q.OldestFirst = in.Limit, in.Cursor, in.Order == "oldest"
	var err error
	if q.From, err = parseTime("since", or(in.Since, defaultSince), now); err != nil {
		return nil, err
	}
	if q.Until, err = until(in.Until, now); err != nil {
		return nil, err
	}
	if s.History == nil {
		return nil, s.historyProblem(history.ErrNotOpen)
	}
	out, err := s.History.Since(ctx, q)
	if err != nil {
		return nil, s.historyProblem(err)
	}
	return &body[rest.Since]{out}, nil
}

func until(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	return parseTime("until", text, now)
}

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
