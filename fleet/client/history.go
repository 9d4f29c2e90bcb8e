package client

import (
	"context"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
)

// ChangeQuery narrows changes as Filter does.
type ChangeQuery struct {
	Since       time.Time // zero: 24 h ago
	Until       time.Time // zero: now
	Cluster     string
	Environment string
	Team        string
	Service     string
	Kinds       []event.Kind
	OldestFirst bool
}

func (q ChangeQuery) values() url.Values {
	v := url.Values{}
	setTime(v, "since", q.Since)
	setTime(v, "until", q.Until)
	set(v, "cluster", q.Cluster)
	set(v, "environment", q.Environment)
	set(v, "team", q.Team)
	set(v, "service", q.Service)
	kinds := make([]string, len(q.Kinds))
	for i, k := range q.Kinds {
		kinds[i] = string(k)
	}
	set(v, "kind", strings.Join(kinds, ","))
	if q.OldestFirst {
		v.Set("order", "oldest")
	}
	return v
}

// Since reads what changed, page by page; every page has the summary of all of them. The iteration ends
// after the last page, or after the first error.
func (c *Client) Since(ctx context.Context, q ChangeQuery) iter.Seq2[*rest.Since, error] {
	return pages(ctx, c, "list changes", "since", q.values(), func(s *rest.Since) string { return s.Next })
}

// TimelineQuery selects a timeline. Around is an episode's id or a moment (RFC 3339). Without a filter,
// a timeline around an episode has what happened on its cluster and to its service.
type TimelineQuery struct {
	Around        string
	Before, After time.Duration // 0: 30 min
	Cluster       string
	Environment   string
	Team          string
	Service       string
	Kinds         []event.Kind
}

func (q TimelineQuery) values() url.Values {
	v := ChangeQuery{Cluster: q.Cluster, Environment: q.Environment, Team: q.Team, Service: q.Service, Kinds: q.Kinds}.values()
	v.Set("around", q.Around)
	if q.Before > 0 {
		v.Set("before", q.Before.String())
	}
	if q.After > 0 {
		v.Set("after", q.After.String())
	}
	return v
}

// Timeline reads everything around an episode or a moment, all pages of it, oldest first. IsNotFound
// when there is no such episode.
func (c *Client) Timeline(ctx context.Context, q TimelineQuery) (rest.Timeline, error) {
	var out rest.Timeline
	for page, err := range pages(ctx, c, "get timeline", "timeline", q.values(), func(t *rest.Timeline) string { return t.Next }) {
		if err != nil {
			return rest.Timeline{}, err
		}
		items := append(out.Items, page.Items...)
		if out.AsOf.IsZero() {
			out = *page
		}
		out.Items, out.Next = items, ""
	}
	return out, nil
}

// TimelineMarkdown is the timeline as the hub writes it for a post-mortem.
func (c *Client) TimelineMarkdown(ctx context.Context, q TimelineQuery) (string, error) {
	const op = "get timeline"
	resp, err := c.do(ctx, op, apiPath+"/timeline", q.values(), http.Header{"Accept": {"text/markdown, application/problem+json"}})
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return "", unreachable(op, err)
	}
	return string(text), nil
}
