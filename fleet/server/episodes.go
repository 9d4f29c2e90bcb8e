package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/history"
)

func (s *Server) registerEpisodes() {
	huma.Register(s.api, huma.Operation{
		OperationID: "list-episodes", Method: http.MethodGet, Path: "/api/v1/episodes", Tags: []string{"view"},
		Summary: "Open episodes, the newest first",
	}, s.listEpisodes)
	huma.Register(s.api, huma.Operation{
		OperationID: "get-episode", Method: http.MethodGet, Path: "/api/v1/episodes/{id}", Tags: []string{"view"},
		Summary: "One episode, and the same failure on other clusters or days", Errors: []int{http.StatusNotFound},
	}, s.getEpisode)
}

func (s *Server) listEpisodes(ctx context.Context, in *struct {
	ListInput
	Resolved bool `query:"resolved" doc:"Also those that were resolved in the last 24 h"`
}) (*body[rest.EpisodeList], error) {
	m, err := s.moment(ctx, in.Moment)
	if err != nil {
		return nil, err
	}
	f := in.filter()
	f.Resolved = in.Resolved
	all := m.Episodes(m.now, f)
	items, next, err := cut(all, in.Paging, func(e rest.Episode) string {
		return fmt.Sprintf("%020d/%s/%s", math.MaxInt64-e.OpenedAt.UnixNano(), e.Cluster, e.ID)
	})
	if err != nil {
		return nil, err
	}
	return &body[rest.EpisodeList]{rest.EpisodeList{Page: m.page(next, len(all)), Items: items}}, nil
}

func (s *Server) getEpisode(ctx context.Context, in *struct {
	ID string `path:"id" maxLength:"253"`
	Moment
}) (*body[rest.EpisodeDetail], error) {
	m, err := s.moment(ctx, in.Moment)
	if err != nil {
		return nil, err
	}
	e, err := s.findEpisode(ctx, m, in.ID)
	if err != nil {
		return nil, err
	}
	out := rest.EpisodeDetail{Episode: e, Similar: []rest.SimilarEpisode{}}
	if s.History == nil {
		return &body[rest.EpisodeDetail]{out}, nil
	}
	// An episode is worth telling also while the history does not answer.
	if similar, err := s.History.Similar(ctx, e.Signature, e.ID); err == nil {
		out.Similar = similar
	} else if !errors.Is(err, history.ErrNotOpen) {
		s.Logger.Error(err, "cannot look for similar episodes")
	}
	return &body[rest.EpisodeDetail]{out}, nil
}
