package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/delivery"
	"github.com/fairway-dev/fairway/fleet/history"
	"github.com/fairway-dev/fairway/fleet/view"
)

func (s *Server) registerDelivery() {
	huma.Register(s.api, huma.Operation{
		OperationID: "audit", Method: http.MethodGet, Path: "/api/v1/audit", Tags: []string{"releases"},
		Summary: "How artifacts came to clusters: commit, author, who asked, who approved, and when they ran in health there",
	}, s.audit)
	huma.Register(s.api, huma.Operation{
		OperationID: "delivery", Method: http.MethodGet, Path: "/api/v1/delivery", Tags: []string{"releases"},
		Summary: "Lead time, frequency, failure rate and time to restore of the deployments that ended in a window",
	}, s.delivery)
}

func (s *Server) audit(ctx context.Context, in *struct {
	Artifact    string `query:"artifact" maxLength:"63" doc:"Id of an artifact"`
	Cluster     string `query:"cluster" maxLength:"63" doc:"Id of a cluster"`
	Team        string `query:"team" maxLength:"63"`
	Service     string `query:"service" maxLength:"63" doc:"Name within the team"`
	Environment string `query:"environment" maxLength:"63"`
	Paging
}) (*body[rest.AuditList], error) {
	if s.History == nil {
		return nil, s.historyProblem(history.ErrNotOpen)
	}
	all, err := s.History.Audit(ctx, history.AuditQuery{Artifact: in.Artifact,
		ReleaseFilter: view.ReleaseFilter{Cluster: in.Cluster, Team: in.Team, Service: in.Service, Environment: in.Environment}})
	if err != nil {
		return nil, s.historyProblem(err)
	}
	items, next, err := cut(all, in.Paging, func(e rest.AuditEntry) string { return newestFirst(e.RequestedAt) + "/" + e.Release + "/" + e.Cluster })
	if err != nil {
		return nil, err
	}
	return &body[rest.AuditList]{rest.AuditList{Page: s.page(next, len(all)), Items: items}}, nil
}

func (s *Server) delivery(ctx context.Context, in *struct {
	Since       string   `query:"since" maxLength:"64" default:"720h" doc:"RFC 3339, or how long ago"`
	Until       string   `query:"until" maxLength:"64" doc:"RFC 3339, or how long ago; default now"`
	Team        string   `query:"team" maxLength:"63"`
	Service     string   `query:"service" maxLength:"63" doc:"Name within the team"`
	Environment string   `query:"environment" maxLength:"63"`
	Cloud       string   `query:"cloud" maxLength:"63" doc:"AWS, Azure, …; case does not matter"`
	By          []string `query:"by" enum:"team,service,environment,cloud" default:"service,environment" doc:"What the figures are grouped by; several are separated by commas"`
}) (*body[rest.Delivery], error) {
	now := s.Clock()
	q := delivery.Query{Team: in.Team, Service: in.Service, Environment: in.Environment, Cloud: in.Cloud, By: in.By}
	var err error
	if q.From, err = parseTime("since", in.Since, now); err != nil {
		return nil, err
	}
	if q.Until, err = until(in.Until, now); err != nil {
		return nil, err
	}
	if s.History == nil {
		return nil, s.historyProblem(history.ErrNotOpen)
	}
	facts, err := s.History.Deliveries(ctx, view.ReleaseFilter{Team: q.Team, Service: q.Service, Environment: q.Environment, Since: q.From})
	if err != nil {
		return nil, s.historyProblem(err)
	}
	facts.Clouds = map[string]string{}
	for _, c := range s.View.Clusters(now, view.Filter{}) {
		facts.Clouds[c.ID] = c.Cloud
	}
	out := delivery.Measure(facts, q)
	out.AsOf = now.UTC()
	return &body[rest.Delivery]{out}, nil
}
