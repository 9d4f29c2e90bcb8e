package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/history"
	"github.com/fairway-dev/fairway/fleet/view"
)

func (s *Server) registerReleases() {
	huma.Register(s.api, huma.Operation{
		OperationID: "list-releases", Method: http.MethodGet, Path: "/api/v1/releases", Tags: []string{"releases"},
		Summary:     "Releases, the newest first",
		Description: "Without since: the newest few of every service and environment. With it: all that were asked for since then.",
	}, s.listReleases)
	huma.Register(s.api, huma.Operation{
		OperationID: "get-release", Method: http.MethodGet, Path: "/api/v1/releases/{team}/{name}", Tags: []string{"releases"},
		Summary: "One release, and how far its clusters are", Errors: []int{http.StatusNotFound},
	}, s.getRelease)
	huma.Register(s.api, huma.Operation{
		OperationID: "list-artifacts", Method: http.MethodGet, Path: "/api/v1/artifacts", Tags: []string{"releases"},
		Summary: "What can be released: the newest few artifacts of every service, the newest first",
	}, s.listArtifacts)
}

type releasesInput struct {
	Team        string `query:"team" maxLength:"63"`
	Service     string `query:"service" maxLength:"63" doc:"Name within the team"`
	Environment string `query:"environment" maxLength:"63"`
	Cluster     string `query:"cluster" maxLength:"63" doc:"Id of a cluster that is to run it"`
	Phase       string `query:"phase" enum:"Pending,Checking,Refused,Releasing,Succeeded,Failed,RolledBack,Superseded"`
	Since       string `query:"since" maxLength:"64" doc:"RFC 3339, or how long ago: 24h"`
	Paging
	Moment
}

func (in *releasesInput) filter() view.ReleaseFilter {
	return view.ReleaseFilter{Team: in.Team, Service: in.Service, Environment: in.Environment, Cluster: in.Cluster, Phase: in.Phase}
}

func (s *Server) listReleases(ctx context.Context, in *releasesInput) (*body[rest.ReleaseList], error) {
	m, err := s.moment(ctx, in.Moment)
	if err != nil {
		return nil, err
	}
	all, err := s.releases(ctx, m, in)
	if err != nil {
		return nil, err
	}
	items, next, err := cut(all, in.Paging, releaseKey)
	if err != nil {
		return nil, err
	}
	return &body[rest.ReleaseList]{rest.ReleaseList{Page: m.page(next, len(all)), Items: items}}, nil
}

// releaseKey orders the newest first.
func releaseKey(r rest.Release) string { return newestFirst(r.RequestedAt) + "/" + r.Name }

func newestFirst(at time.Time) string {
	return fmt.Sprintf("%020d", math.MaxInt64-max(0, at.UnixNano()))
}

// releases are those of the view, which has the newest few of everything; since a moment, those of the
// history, which has all. Where the hub keeps none, the view has to do.
func (s *Server) releases(ctx context.Context, m moment, in *releasesInput) ([]rest.Release, error) {
	f := in.filter()
	if in.Since == "" {
		return m.Releases(f), nil
	}
	var err error
	if f.Since, err = parseTime("since", in.Since, m.now); err != nil {
		return nil, err
	}
	if s.History == nil || in.At != "" {
		return m.Releases(f), nil
	}
	out, err := s.History.Releases(ctx, f)
	if err != nil {
		return nil, s.historyProblem(err)
	}
	return out, nil
}

func (s *Server) getRelease(ctx context.Context, in *struct {
	Team string `path:"team" maxLength:"63"`
	Name string `path:"name" maxLength:"253"`
	Moment
}) (*body[rest.Release], error) {
	m, err := s.moment(ctx, in.Moment)
	if err != nil {
		return nil, err
	}
	name := in.Team + "/" + in.Name
	if r, ok := m.Release(name); ok {
		return &body[rest.Release]{r}, nil
	}
	if s.History != nil && in.At == "" { // the view holds the newest few
		r, err := s.History.Release(ctx, name)
		if err == nil {
			return &body[rest.Release]{r}, nil
		}
		if !errors.Is(err, history.ErrNoRelease) {
			return nil, s.historyProblem(err)
		}
	}
	return nil, noRelease(name)
}

func noRelease(name string) error {
	return problem(rest.Problem{Status: http.StatusNotFound, Detail: "no release " + name + " is known",
		Fix: "GET /api/v1/releases lists those that are; a new one is known as soon as the operator has looked at it"})
}

func (s *Server) listArtifacts(ctx context.Context, in *struct {
	Team    string `query:"team" maxLength:"63"`
	Service string `query:"service" maxLength:"63" doc:"Name within the team"`
	Branch  string `query:"branch" maxLength:"255"`
	Paging
	Moment
}) (*body[rest.ArtifactList], error) {
	m, err := s.moment(ctx, in.Moment)
	if err != nil {
		return nil, err
	}
	all := []rest.Artifact{}
	for _, a := range m.Artifacts(in.Team, in.Service) {
		if in.Branch == "" || in.Branch == a.Source.Branch {
			all = append(all, a)
		}
	}
	items, next, err := cut(all, in.Paging, func(a rest.Artifact) string {
		return newestFirst(a.Source.Created) + "/" + a.Team + "/" + a.Service + "/" + a.ID
	})
	if err != nil {
		return nil, err
	}
	return &body[rest.ArtifactList]{rest.ArtifactList{Page: m.page(next, len(all)), Items: items}}, nil
}
