package server

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/history"
	"github.com/fairway-dev/fairway/fleet/view"
)

// Moment is the parameter of what can be asked of the past.
type Moment struct {
	At string `query:"at" maxLength:"64" doc:"The state at this moment: RFC 3339, or how long ago: 24h; default now"`
}

// moment is a view and the now to ask it with.
type moment struct {
	*view.View
	now time.Time
}

// moment is the hub's own view, or the one that it had at the moment.
func (s *Server) moment(ctx context.Context, in Moment) (moment, error) {
	now := s.Clock()
	if in.At == "" {
		return moment{s.View, now}, nil
	}
	at, err := parseTime("at", in.At, now)
	if err != nil {
		return moment{}, err
	}
	if at.After(now) {
		return moment{}, badRequest("at is "+strconv.Quote(in.At)+", which is in the future", "ask for a moment that has been")
	}
	if s.History == nil {
		return moment{}, s.historyProblem(history.ErrNotOpen)
	}
	v, err := s.History.At(ctx, at)
	if err != nil {
		return moment{}, s.historyProblem(err)
	}
	return moment{v, at}, nil
}

// historyProblem tells a caller why the history does not answer.
func (s *Server) historyProblem(err error) error {
	switch {
	case errors.Is(err, history.ErrTooOld):
		return problem(rest.Problem{Status: http.StatusNotFound, Detail: err.Error(),
			Fix: "ask for a later moment; the hub's flag --retention and the Fleet's spec.events.retention say how long it reaches back"})
	case errors.Is(err, history.ErrCursor):
		return badCursor()
	case errors.Is(err, history.ErrBehind):
		return problem(rest.Problem{Status: http.StatusServiceUnavailable, Detail: err.Error(),
			Fix: "ask for an earlier moment, or try again; /readyz on the hub's health port says what it waits for"})
	case errors.Is(err, history.ErrNotOpen):
		return problem(rest.Problem{Status: http.StatusServiceUnavailable, Detail: "the hub's history is not open",
			Fix: "/readyz on the hub's health port says why; the present is answered as ever"})
	}
	s.Logger.Error(err, "the history does not answer")
	return problem(rest.Problem{Status: http.StatusServiceUnavailable, Detail: "the hub's history does not answer",
		Fix: "try again; the hub's log says why, and the present is answered as ever"})
}
