package client

import (
	"net/url"
	"strconv"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

// Filter narrows clusters, services and episodes: all that it says has to hold, and an empty field
// says nothing.
type Filter struct {
	Cluster     string // id
	Environment string
	Cloud       string // whatever the case of its letters
	Team        string
	Service     string // name within the team
	Status      rest.Status
	Text        string // in names, reasons and messages
	Resolved    bool   // of episodes: also those that were resolved in the last 24 h
	// At asks for the state at a moment that has been; zero: now.
	At time.Time
}

func (f Filter) values() url.Values {
	q := url.Values{}
	set(q, "cluster", f.Cluster)
	set(q, "environment", f.Environment)
	set(q, "cloud", f.Cloud)
	set(q, "team", f.Team)
	set(q, "service", f.Service)
	set(q, "status", string(f.Status))
	set(q, "q", f.Text)
	if f.Resolved {
		q.Set("resolved", "true")
	}
	setTime(q, "at", f.At)
	return q
}

// EventQuery narrows events as Filter does.
type EventQuery struct {
	Since       time.Time // when the bus had it; zero: 24 h ago. A watch begins elsewhere
	Until       time.Time // zero: now
	Cluster     string    // id, or event.Platform
	Environment string
	Team        string
	Service     string
	Kind        event.Kind
}

func (q EventQuery) values() url.Values {
	v := url.Values{}
	set(v, "cluster", q.Cluster)
	set(v, "environment", q.Environment)
	set(v, "team", q.Team)
	set(v, "service", q.Service)
	set(v, "kind", string(q.Kind))
	setTime(v, "since", q.Since)
	setTime(v, "until", q.Until)
	return v
}

// watched is what of the query a watch takes: it has a beginning of its own and no end.
func (q EventQuery) watched() EventQuery {
	q.Since, q.Until = time.Time{}, time.Time{}
	return q
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

func setTime(q url.Values, name string, at time.Time) {
	if !at.IsZero() {
		q.Set(name, at.UTC().Format(time.RFC3339Nano))
	}
}

func withPage(q url.Values, cursor string, limit int) url.Values {
	set(q, "cursor", cursor)
	q.Set("limit", strconv.Itoa(limit))
	return q
}
