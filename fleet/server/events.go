package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/bus"
)

// maxScan bounds what one request reads of the stream: when little of it is selected, a page may
// have few items and still a next.
const maxScan = 20_000

const defaultSince = "24h"

// EventFilter are the parameters that select events.
type EventFilter struct {
	Cluster     string `query:"cluster" maxLength:"63" doc:"Cluster id, _platform for the platform itself"`
	Kind        string `query:"kind" enum:"cluster,flux,workload,episode,release,artifact,agent"`
	Team        string `query:"team" maxLength:"63"`
	Service     string `query:"service" maxLength:"253" doc:"Name within the team"`
	Environment string `query:"environment" maxLength:"63"`
}

// subjects is the part of the filter that the stream itself can apply.
func (f EventFilter) subjects() bus.Filter {
	var out bus.Filter
	if f.Cluster != "" {
		out.Clusters = []string{f.Cluster}
	}
	if f.Kind != "" {
		out.Kinds = []event.Kind{event.Kind(f.Kind)}
	}
	return out
}

func (f EventFilter) match(i *Item) bool {
	e := i.Event
	return (f.Cluster == "" || f.Cluster == i.Cluster) && (f.Kind == "" || f.Kind == string(e.Type.Kind())) &&
		(f.Team == "" || f.Team == e.Team) && (f.Service == "" || f.Service == e.Service) &&
		(f.Environment == "" || f.Environment == e.Environment)
}

// valid refuses what would be no subject.
func (f EventFilter) valid() error {
	if f.Cluster == "" || f.Cluster == event.Platform || event.ValidCluster(f.Cluster) {
		return nil
	}
	return badRequest("cluster "+strconv.Quote(f.Cluster)+" cannot be a cluster's id", "use an id that fairway get clusters lists")
}

type eventsInput struct {
	EventFilter
	Since  string `query:"since" maxLength:"64" doc:"RFC 3339, or how long ago: 24h; default 24h"`
	Until  string `query:"until" maxLength:"64" doc:"RFC 3339, or how long ago; default now"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"100"`
	Cursor string `query:"cursor" maxLength:"20" doc:"The next of the page before"`
}

func (s *Server) registerEvents() {
	huma.Register(s.api, huma.Operation{
		OperationID: "list-events", Method: http.MethodGet, Path: "/api/v1/events", Tags: []string{"events"},
		Summary: "Stored events, oldest first",
		Description: "A page may be short, or empty, and still have a next: follow it. total is -1 " +
			"where there is more than one page, since nobody counts a stream.",
	}, s.listEvents)
}

func (s *Server) listEvents(ctx context.Context, in *eventsInput) (*body[rest.EventList], error) {
	q, err := s.query(in)
	if err != nil {
		return nil, err
	}
	if err := s.Log.Read(ctx, q.from, in.subjects(), q.take); err != nil {
		s.Logger.Error(err, "cannot read events")
		return nil, problem(rest.Problem{Status: http.StatusServiceUnavailable, Detail: "the event stream does not answer",
			Fix: "try again; /readyz on the hub's health port says what it waits for"})
	}
	total := len(q.items)
	if q.next != "" || in.Cursor != "" {
		total = -1
	}
	return &body[rest.EventList]{rest.EventList{Page: s.page(q.next, total), Items: q.items}}, nil
}

// query is one page of events in the making.
type query struct {
	filter  EventFilter
	from    bus.Start
	until   time.Time
	limit   int
	scanned int
	items   []rest.StoredEvent
	next    string
}

func (s *Server) query(in *eventsInput) (*query, error) {
	if err := in.valid(); err != nil {
		return nil, err
	}
	now := s.Clock()
	q := &query{filter: in.EventFilter, limit: in.Limit, items: []rest.StoredEvent{}, until: now.Add(time.Hour)}
	since := in.Since
	if since == "" {
		since = defaultSince
	}
	var err error
	if q.from.Time, err = parseTime("since", since, now); err != nil {
		return nil, err
	}
	if in.Until != "" {
		if q.until, err = parseTime("until", in.Until, now); err != nil {
			return nil, err
		}
	}
	if in.Cursor != "" {
		if q.from.Sequence, err = strconv.ParseUint(in.Cursor, 10, 64); err != nil || q.from.Sequence == 0 {
			return nil, badCursor()
		}
	}
	return q, nil
}

// take looks at one message; false ends the page.
func (q *query) take(m bus.Message) bool {
	if m.Stored.After(q.until) {
		return false
	}
	if q.scanned++; len(q.items) == q.limit || q.scanned > maxScan {
		q.next = strconv.FormatUint(m.Sequence, 10)
		return false
	}
	if item, err := NewItem(m); err == nil && q.filter.match(item) {
		q.items = append(q.items, item.stored())
	}
	return true
}

// parseTime reads a moment, or how long ago it was.
func parseTime(name, text string, now time.Time) (time.Time, error) {
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return at, badRequest(name+" is "+strconv.Quote(text), "write a moment as 2026-11-22T08:00:00Z, or how long ago it was as 24h")
	}
	return at, nil
}

func badRequest(detail, fix string) error {
	return problem(rest.Problem{Status: http.StatusBadRequest, Detail: detail, Fix: fix})
}

// stored is the item as the API shows it.
func (i *Item) stored() rest.StoredEvent {
	return rest.StoredEvent{Sequence: i.Sequence, Stored: i.Stored.UTC(), Cluster: i.Cluster, Derived: i.Derived,
		Event: json.RawMessage(i.data)}
}
