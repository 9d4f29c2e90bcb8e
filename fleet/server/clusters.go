package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/view"
)

// Selection are the parameters that the lists of the view share. Exported for
// huma to see into where they are embedded.
type Selection struct {
	Cluster     string `query:"cluster" maxLength:"63" doc:"Cluster id"`
	Environment string `query:"environment" maxLength:"63"`
	Cloud       string `query:"cloud" maxLength:"63" doc:"AWS, Azure, …; case does not matter"`
	Team        string `query:"team" maxLength:"63"`
	Service     string `query:"service" maxLength:"253" doc:"Name within the team"`
	Status      string `query:"status" enum:"Ready,Progressing,Suspended,Degraded,Unknown"`
	Text        string `query:"q" maxLength:"253" doc:"Text in names, reasons and messages"`
}

func (i Selection) filter() view.Filter {
	return view.Filter{Cluster: i.Cluster, Environment: i.Environment, Cloud: i.Cloud, Team: i.Team,
		Service: i.Service, Status: rest.Status(i.Status), Text: i.Text}
}

// ListInput are the parameters of a list of the view.
type ListInput struct {
	Selection
	Paging
	Moment
}

type body[T any] struct{ Body T }

func (s *Server) registerClusters() {
	huma.Register(s.api, huma.Operation{
		OperationID: "list-clusters", Method: http.MethodGet, Path: "/api/v1/clusters", Tags: []string{"view"},
		Summary: "Clusters of the fleet, ordered by id",
	}, s.listClusters)
	huma.Register(s.api, huma.Operation{
		OperationID: "get-cluster", Method: http.MethodGet, Path: "/api/v1/clusters/{id}", Tags: []string{"view"},
		Summary: "One cluster and every object on it", Errors: []int{http.StatusNotFound},
	}, s.getCluster)
}

func (s *Server) listClusters(ctx context.Context, in *ListInput) (*body[rest.ClusterList], error) {
	m, err := s.moment(ctx, in.Moment)
	if err != nil {
		return nil, err
	}
	all := m.Clusters(m.now, in.filter())
	items, next, err := cut(all, in.Paging, func(c rest.Cluster) string { return c.ID })
	if err != nil {
		return nil, err
	}
	return &body[rest.ClusterList]{rest.ClusterList{Page: m.page(next, len(all)), Items: items}}, nil
}

func (s *Server) getCluster(ctx context.Context, in *struct {
	ID string `path:"id" maxLength:"63"`
	Moment
}) (*body[rest.ClusterDetail], error) {
	m, err := s.moment(ctx, in.Moment)
	if err != nil {
		return nil, err
	}
	c, ok := m.Cluster(m.now, in.ID)
	if !ok {
		return nil, problem(rest.Problem{Status: http.StatusNotFound, Detail: "no cluster " + in.ID + " is in the fleet",
			Fix: "fairway get clusters lists those that are"})
	}
	return &body[rest.ClusterDetail]{c}, nil
}
