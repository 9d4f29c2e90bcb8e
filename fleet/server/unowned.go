package server

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/view"
)

func (s *Server) registerUnowned() {
	huma.Register(s.api, huma.Operation{
		OperationID: "list-unowned", Method: http.MethodGet, Path: "/api/v1/unowned", Tags: []string{"view"},
		Summary: "Workloads and Flux objects that belong to no team, ordered by cluster and object",
	}, s.listUnowned)
}

func (s *Server) listUnowned(_ context.Context, in *struct {
	Cluster     string `query:"cluster" maxLength:"63" doc:"Cluster id"`
	Environment string `query:"environment" maxLength:"63"`
	Cloud       string `query:"cloud" maxLength:"63" doc:"AWS, Azure, …; case does not matter"`
	Status      string `query:"status" enum:"Ready,Progressing,Suspended,Degraded,Unknown"`
	Text        string `query:"q" maxLength:"253" doc:"Text in names, images and reasons"`
	Paging
}) (*body[rest.UnownedList], error) {
	all := s.View.Unowned(s.Clock(), view.Filter{Cluster: in.Cluster, Environment: in.Environment, Cloud: in.Cloud,
		Status: rest.Status(in.Status), Text: in.Text})
	items, next, err := cut(all, in.Paging, func(o rest.Unowned) string { return o.Cluster + "\x00" + o.Object })
	if err != nil {
		return nil, err
	}
	return &body[rest.UnownedList]{rest.UnownedList{Page: s.page(next, len(all)), Items: items}}, nil
}
