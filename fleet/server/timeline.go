package server

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/history"
)

const (
	markdown = "text/markdown"
	// mostMarkdown bounds a timeline that is not read in pages.
	mostMarkdown = 2000
)

type timelineInput struct {
	ChangeFilter
	Paging
	Around string `query:"around" required:"true" minLength:"1" maxLength:"253" doc:"An episode's id, or a moment: RFC 3339, or how long ago: 2h"`
	Before string `query:"before" default:"30m" maxLength:"32" doc:"How long before it the timeline begins"`
	After  string `query:"after" default:"30m" maxLength:"32" doc:"How long after it, or after the end of the episode, it ends"`
	Format string `query:"format" enum:"json,markdown" doc:"As the Accept header, which also takes text/markdown"`
	Accept string `header:"Accept" hidden:"true"`
}

type timelineOutput struct {
	ContentType string `header:"Content-Type"`
	Body        any
}

func (s *Server) registerTimeline() {
	schema := huma.SchemaFromType(s.api.OpenAPI().Components.Schemas, reflect.TypeFor[rest.Timeline]())
	huma.Register(s.api, huma.Operation{
		OperationID: "timeline", Method: http.MethodGet, Path: "/api/v1/timeline", Tags: []string{"history"},
		Summary: "Everything around an episode or a moment, on one clock, oldest first",
		Description: "Around an episode and without filters: what happened on its cluster, and to its service anywhere. " +
			"As Markdown it is for a post-mortem and has no pages.",
		Errors: []int{http.StatusNotFound},
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
			"application/json": {Schema: schema},
			markdown:           {Schema: &huma.Schema{Type: huma.TypeString}},
		}}},
	}, s.timeline)
}

func (s *Server) timeline(ctx context.Context, in *timelineInput) (*timelineOutput, error) {
	if s.History == nil {
		return nil, s.historyProblem(history.ErrNotOpen)
	}
	q, around, err := s.window(ctx, in)
	if err != nil {
		return nil, err
	}
	asMarkdown := in.Format == "markdown" || in.Format == "" && strings.HasPrefix(in.Accept, markdown)
	q.Limit, q.Cursor = in.Limit, in.Cursor
	if asMarkdown {
		q.Limit, q.Cursor = mostMarkdown, ""
	}
	out, err := s.History.Timeline(ctx, q, around.at)
	if err != nil {
		return nil, s.historyProblem(err)
	}
	out.Episode = around.episode
	if asMarkdown {
		return &timelineOutput{ContentType: markdown + "; charset=utf-8", Body: []byte(history.Markdown(out))}, nil
	}
	return &timelineOutput{ContentType: "application/json", Body: out}, nil
}

// around is what a timeline is around: a moment, or an episode from its beginning to its end.
type around struct {
	at, end time.Time
	episode *rest.Episode
}

// window is the query of a timeline. Around an episode it selects what could have to do with it, unless
// the caller selects.
func (s *Server) window(ctx context.Context, in *timelineInput) (history.Query, around, error) {
	q, now := in.query(), s.Clock()
	a, err := s.around(ctx, in.Around, in.Team, now)
	if err != nil {
		return q, a, err
	}
	before, err := length("before", in.Before)
	if err != nil {
		return q, a, err
	}
	after, err := length("after", in.After)
	if err != nil {
		return q, a, err
	}
	q.From, q.Until = a.at.Add(-before), a.end.Add(after)
	if e := a.episode; e != nil && in.empty() {
		q.Cluster, q.Team, q.Service, q.Either = e.Cluster, e.Team, e.Service, true
	}
	return q, a, nil
}

func (s *Server) around(ctx context.Context, text, team string, now time.Time) (around, error) {
	if at, err := parseTime("around", text, now); err == nil {
		return around{at: at, end: at}, nil
	}
	e, err := s.findEpisode(ctx, moment{s.View, now}, text)
	if err != nil {
		return around{}, err
	}
	if team != "" && team != e.Team { // whose episodes the caller may not see
		return around{}, noEpisode(text)
	}
	a := around{at: e.OpenedAt, end: e.ResolvedAt, episode: &e}
	if a.end.IsZero() {
		a.end = e.OpenedAt
	}
	return a, nil
}

func length(name, text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, badRequest(name+" is not a length of time", "write it as 30m or 2h")
	}
	return d, nil
}

// findEpisode looks in the view, then in the history, which has also those that were resolved long ago.
func (s *Server) findEpisode(ctx context.Context, m moment, id string) (rest.Episode, error) {
	if e, ok := m.Episode(m.now, id); ok {
		return e, nil
	}
	if s.History == nil || m.View != s.View {
		return rest.Episode{}, noEpisode(id)
	}
	e, err := s.History.Episode(ctx, id)
	switch {
	case errors.Is(err, history.ErrNoEpisode), errors.Is(err, history.ErrNotOpen):
		return e, noEpisode(id)
	case err != nil:
		return e, s.historyProblem(err)
	}
	e.Known = !e.ResolvedAt.IsZero()
	return e, nil
}

func noEpisode(id string) error {
	return problem(rest.Problem{Status: http.StatusNotFound, Detail: "there is no episode " + id,
		Fix: "fairway get episodes --resolved lists those of the last 24 h; older ones are found by fairway since --kind episode"})
}
