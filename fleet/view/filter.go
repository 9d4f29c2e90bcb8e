package view

import (
	"strings"

	"github.com/fairway-dev/fairway/api/rest"
)

// Filter selects what a list shows; its zero value selects everything. Text is looked for in
// names, reasons and messages, whatever the case of its letters.
type Filter struct {
	Cluster, Environment, Cloud string
	Team, Service               string
	Status                      rest.Status
	Text                        string
	Resolved                    bool // of episodes: also those that were resolved in the last 24 h
}

// place says whether anything on the cluster can be selected.
func (f Filter) place(c *cluster) bool {
	where := c.where()
	return is(f.Cluster, c.id) && is(f.Environment, where.environment) && isFold(f.Cloud, where.cloud)
}

// cluster also asks for the team and the service, which a cluster has when an object of it has.
func (f Filter) cluster(c rest.Cluster, objects objects) bool {
	if f.Status != "" && f.Status != c.Status || !f.text(c.ID, c.Environment, c.Cloud, c.Region, c.Reason, c.Message) {
		return false
	}
	if f.Team == "" && f.Service == "" {
		return true
	}
	for i := range objects {
		if from := objects[i].origin.Value(); is(f.Team, from.team) && is(f.Service, from.service) {
			return true
		}
	}
	return false
}

func (f Filter) service(s rest.Service) bool {
	if f.Status != "" && f.Status != s.Status {
		return false
	}
	if f.text(s.Team, s.Name) {
		return true
	}
	for _, on := range s.Clusters {
		if f.text(on.Cluster, on.Reason, on.Artifact, on.Revision) {
			return true
		}
	}
	return false
}

// episode has the status Degraded while it is open, Unknown on a silent cluster and Ready when it
// is resolved.
func (f Filter) episode(e rest.Episode) bool {
	status := rest.Degraded
	switch {
	case !e.ResolvedAt.IsZero():
		status = rest.Ready
	case !e.Known:
		status = rest.Unknown
	}
	return (f.Resolved || e.ResolvedAt.IsZero()) && (f.Status == "" || f.Status == status) &&
		is(f.Team, e.Team) && is(f.Service, e.Service) &&
		f.text(e.ID, e.Cluster, e.Object, e.Owner, e.Team, e.Service, e.Reason, e.Message, e.Signature)
}

func is(want, have string) bool { return want == "" || want == have }

func isFold(want, have string) bool { return want == "" || strings.EqualFold(want, have) }

func (f Filter) text(in ...string) bool {
	if f.Text == "" {
		return true
	}
	want := strings.ToLower(f.Text)
	for _, text := range in {
		if strings.Contains(strings.ToLower(text), want) {
			return true
		}
	}
	return false
}
