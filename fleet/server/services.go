package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/view"
)

func (s *Server) registerServices() {
	huma.Register(s.api, huma.Operation{
		OperationID: "list-services", Method: http.MethodGet, Path: "/api/v1/services", Tags: []string{"view"},
		Summary: "Services over all clusters, ordered by team and name",
	}, s.listServices)
	huma.Register(s.api, huma.Operation{
		OperationID: "get-service", Method: http.MethodGet, Path: "/api/v1/services/{team}/{name}", Tags: []string{"view"},
		Summary: "One service on every cluster that runs it", Errors: []int{http.StatusNotFound},
	}, s.getService)
}

func (s *Server) listServices(ctx context.Context, in *ListInput) (*body[rest.ServiceList], error) {
	m, err := s.moment(ctx, in.Moment)
	if err != nil {
		return nil, err
	}
	all := m.Services(m.now, in.filter())
	items, next, err := cut(all, in.Paging, func(v rest.Service) string { return v.Team + "\x00" + v.Name })
	if err != nil {
		return nil, err
	}
	return &body[rest.ServiceList]{rest.ServiceList{Page: m.page(next, len(all)), Items: items}}, nil
}

func (s *Server) getService(ctx context.Context, in *struct {
	Team string `path:"team" maxLength:"63"`
	Name string `path:"name" maxLength:"253"`
	Moment
}) (*body[rest.Service], error) {
	m, err := s.moment(ctx, in.Moment)
	if err != nil {
		return nil, err
	}
	found := m.Services(m.now, view.Filter{Team: in.Team, Service: in.Name})
	if len(found) == 0 {
		return nil, problem(rest.Problem{Status: http.StatusNotFound, Detail: "no cluster runs a service " + in.Team + "/" + in.Name,
			Fix: "fairway get services lists those that run; a workload belongs to a service by its labels"})
	}
	return &body[rest.Service]{found[0]}, nil
}
