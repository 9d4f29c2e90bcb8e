package client

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/url"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

// pageSize is how many items are asked for at once, the most that the hub gives.
const pageSize = 500

// Event is rest.StoredEvent with its event decoded.
type Event struct {
	Sequence uint64      // stream position
	Stored   time.Time   // when the bus had it
	Cluster  string      // by the subject that it was published on
	Event    event.Event // as published
	// Derived is true for what the hub's view came to by itself, such as cluster.silent. It has no
	// place in the stream: its Sequence is 0.
	Derived bool
	raw     json.RawMessage
}

// MarshalJSON writes a rest.StoredEvent, whose event has every attribute that the hub sent.
func (e Event) MarshalJSON() ([]byte, error) {
	return json.Marshal(rest.StoredEvent{Sequence: e.Sequence, Stored: e.Stored, Cluster: e.Cluster, Event: e.raw, Derived: e.Derived})
}

// UnmarshalJSON reads a rest.StoredEvent.
func (e *Event) UnmarshalJSON(data []byte) error {
	raw := json.RawMessage{}
	stored := rest.StoredEvent{Event: &raw}
	if err := json.Unmarshal(data, &stored); err != nil {
		return err
	}
	var ce event.Event
	if err := json.Unmarshal(raw, &ce); err != nil {
		return fmt.Errorf("decode event %d: %w", stored.Sequence, err)
	}
	*e = Event{Sequence: stored.Sequence, Stored: stored.Stored, Cluster: stored.Cluster, Event: ce, Derived: stored.Derived, raw: raw}
	return nil
}

// Clusters lists the clusters that match, all pages of them.
func (c *Client) Clusters(ctx context.Context, f Filter) (rest.ClusterList, error) {
	out := rest.ClusterList{Items: []rest.Cluster{}}
	for page, err := range pages(ctx, c, "list clusters", "clusters", f.values(), func(l *rest.ClusterList) string { return l.Next }) {
		if err != nil {
			return rest.ClusterList{}, err
		}
		out.Page, out.Items = joined(out.Page, page.Page, len(out.Items)), append(out.Items, page.Items...)
	}
	return out, nil
}

// Cluster is one cluster with every object on it; IsNotFound when the view has no such cluster.
func (c *Client) Cluster(ctx context.Context, id string) (rest.ClusterDetail, error) {
	var out rest.ClusterDetail
	err := c.getJSON(ctx, "get cluster "+id, apiPath+"/clusters/"+url.PathEscape(id), nil, &out)
	return out, err
}

// Services lists the services that match, all pages of them.
func (c *Client) Services(ctx context.Context, f Filter) (rest.ServiceList, error) {
	out := rest.ServiceList{Items: []rest.Service{}}
	for page, err := range pages(ctx, c, "list services", "services", f.values(), func(l *rest.ServiceList) string { return l.Next }) {
		if err != nil {
			return rest.ServiceList{}, err
		}
		out.Page, out.Items = joined(out.Page, page.Page, len(out.Items)), append(out.Items, page.Items...)
	}
	return out, nil
}

// Service is one service over all clusters that run it; IsNotFound when the view has no such
// service.
func (c *Client) Service(ctx context.Context, team, name string) (rest.Service, error) {
	var out rest.Service
	path := apiPath + "/services/" + url.PathEscape(team) + "/" + url.PathEscape(name)
	err := c.getJSON(ctx, "get service "+team+"/"+name, path, nil, &out)
	return out, err
}

// Episodes lists the episodes that match, all pages of them: the open ones, unless f.Resolved.
func (c *Client) Episodes(ctx context.Context, f Filter) (rest.EpisodeList, error) {
	out := rest.EpisodeList{Items: []rest.Episode{}}
	for page, err := range pages(ctx, c, "list episodes", "episodes", f.values(), func(l *rest.EpisodeList) string { return l.Next }) {
		if err != nil {
			return rest.EpisodeList{}, err
		}
		out.Page, out.Items = joined(out.Page, page.Page, len(out.Items)), append(out.Items, page.Items...)
	}
	return out, nil
}

// Unowned lists the workloads and Flux objects that belong to no team, all pages of them. The filter's
// Team and Service say nothing here.
func (c *Client) Unowned(ctx context.Context, f Filter) (rest.UnownedList, error) {
	f.Team, f.Service, f.Resolved = "", "", false
	out := rest.UnownedList{Items: []rest.Unowned{}}
	for page, err := range pages(ctx, c, "list what nobody owns", "unowned", f.values(), func(l *rest.UnownedList) string { return l.Next }) {
		if err != nil {
			return rest.UnownedList{}, err
		}
		out.Page, out.Items = joined(out.Page, page.Page, len(out.Items)), append(out.Items, page.Items...)
	}
	return out, nil
}

// Episode is one episode, open or resolved, with those like it; IsNotFound when the hub knows of no such
// episode.
func (c *Client) Episode(ctx context.Context, id string) (rest.EpisodeDetail, error) {
	var out rest.EpisodeDetail
	err := c.getJSON(ctx, "get episode "+id, apiPath+"/episodes/"+url.PathEscape(id), nil, &out)
	return out, err
}

// EventPage is one page of events, oldest first.
type EventPage struct {
	rest.Page
	Items []Event `json:"items"`
}

// Events reads what the stream has, oldest first, page by page; a page may be empty and still have
// another after it. The iteration ends after the last
// page, or after the first error. The Sequence of the last page is where a Watch goes on.
func (c *Client) Events(ctx context.Context, q EventQuery) iter.Seq2[*EventPage, error] {
	return pages(ctx, c, "list events", "events", q.values(), func(p *EventPage) string { return p.Next })
}

// pages reads a list page by page; next is the cursor that a page carries.
func pages[L any](ctx context.Context, c *Client, op, name string, q url.Values, next func(*L) string) iter.Seq2[*L, error] {
	return func(yield func(*L, error) bool) {
		for cursor := ""; ; {
			page := new(L)
			if err := c.getJSON(ctx, op, apiPath+"/"+name, withPage(q, cursor, pageSize), page); err != nil {
				yield(nil, err)
				return
			}
			following := next(page)
			if following != "" && following == cursor {
				yield(nil, unreachable(op, fmt.Errorf("the hub repeats page %q", cursor)))
				return
			}
			if !yield(page, nil) || following == "" {
				return
			}
			cursor = following
		}
	}
}

// joined is the head of several pages shown as one: as old as the first.
func joined(all, page rest.Page, have int) rest.Page {
	if have == 0 && all.AsOf.IsZero() {
		all = page
	}
	all.Next = ""
	return all
}
