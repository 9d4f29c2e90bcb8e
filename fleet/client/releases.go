package client

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
)

// ReleaseQuery narrows releases as Filter does.
type ReleaseQuery struct {
	Team, Service, Environment string
	Cluster                    string    // id of one that is to run it
	Phase                      string    // "Releasing", "Failed", …
	Since                      time.Time // asked for since then; zero: the newest few of every service and environment
	At                         time.Time // as it was at a moment that has been; zero: now
}

func (q ReleaseQuery) values() url.Values {
	v := url.Values{}
	set(v, "team", q.Team)
	set(v, "service", q.Service)
	set(v, "environment", q.Environment)
	set(v, "cluster", q.Cluster)
	set(v, "phase", q.Phase)
	setTime(v, "since", q.Since)
	setTime(v, "at", q.At)
	return v
}

// Releases lists the releases that match, all pages of them, the newest first.
func (c *Client) Releases(ctx context.Context, q ReleaseQuery) (rest.ReleaseList, error) {
	return gather(ctx, c, "list releases", "releases", q.values(), func(l *rest.ReleaseList) (*rest.Page, *[]rest.Release) { return &l.Page, &l.Items })
}

// Release is one release; IsNotFound when the hub knows of no such release.
func (c *Client) Release(ctx context.Context, team, name string) (rest.Release, error) {
	var out rest.Release
	err := c.getJSON(ctx, "get release "+team+"/"+name, releasePath(team, name), nil, &out)
	return out, err
}

func releasePath(team, name string) string {
	return apiPath + "/releases/" + url.PathEscape(team) + "/" + url.PathEscape(name)
}

// Artifacts lists what can be released of the team's services, or of one of them, all pages of it, the newest
// first. An empty name or branch says nothing.
func (c *Client) Artifacts(ctx context.Context, team, service, branch string) (rest.ArtifactList, error) {
	q := url.Values{}
	set(q, "team", team)
	set(q, "service", service)
	set(q, "branch", branch)
	return gather(ctx, c, "list artifacts", "artifacts", q, func(l *rest.ArtifactList) (*rest.Page, *[]rest.Artifact) { return &l.Page, &l.Items })
}

// AuditQuery narrows an audit as Filter does.
type AuditQuery struct{ Artifact, Cluster, Team, Service, Environment string }

// Audit tells how artifacts came to clusters, all pages of it, the newest first.
func (c *Client) Audit(ctx context.Context, q AuditQuery) (rest.AuditList, error) {
	v := url.Values{}
	set(v, "artifact", q.Artifact)
	set(v, "cluster", q.Cluster)
	set(v, "team", q.Team)
	set(v, "service", q.Service)
	set(v, "environment", q.Environment)
	return gather(ctx, c, "read audit", "audit", v, func(l *rest.AuditList) (*rest.Page, *[]rest.AuditEntry) { return &l.Page, &l.Items })
}

// DeliveryQuery selects deployments that ended between two moments. By is what their figures are grouped by: "team",
// "service", "environment", "cloud"; none: service and environment.
type DeliveryQuery struct {
	Since, Until                      time.Time // zero: 30 days ago, now
	Team, Service, Environment, Cloud string
	By                                []string
}

// Delivery measures deployments.
func (c *Client) Delivery(ctx context.Context, q DeliveryQuery) (rest.Delivery, error) {
	v := url.Values{}
	setTime(v, "since", q.Since)
	setTime(v, "until", q.Until)
	set(v, "team", q.Team)
	set(v, "service", q.Service)
	set(v, "environment", q.Environment)
	set(v, "cloud", q.Cloud)
	set(v, "by", strings.Join(q.By, ","))
	var out rest.Delivery
	err := c.getJSON(ctx, "measure delivery", apiPath+"/delivery", v, &out)
	return out, err
}

// CreateRelease asks for a release, as the caller.
func (c *Client) CreateRelease(ctx context.Context, team string, ask rest.ReleaseRequest) (rest.Release, error) {
	var out rest.Release
	err := c.postJSON(ctx, "release "+team+"/"+ask.Service, apiPath+"/releases", url.Values{"team": {team}}, ask, &out)
	return out, err
}

// ApproveRelease approves a release, as the caller; IsNotFound when there is none.
func (c *Client) ApproveRelease(ctx context.Context, team, name, message string) (rest.Release, error) {
	var out rest.Release
	err := c.postJSON(ctx, "approve release "+team+"/"+name, releasePath(team, name)+"/approvals", nil, rest.ApprovalRequest{Message: message}, &out)
	return out, err
}

// gather reads all pages of a list into one; of tells the parts of a page.
func gather[L, T any](ctx context.Context, c *Client, op, name string, q url.Values, of func(*L) (*rest.Page, *[]T)) (L, error) {
	all := new(L)
	head, items := of(all)
	*items = []T{}
	next := func(l *L) string { page, _ := of(l); return page.Next }
	for page, err := range pages(ctx, c, op, name, q, next) {
		if err != nil {
			return *new(L), err
		}
		more, found := of(page)
		*head, *items = joined(*head, *more, len(*items)), append(*items, *found...)
	}
	return *all, nil
}
