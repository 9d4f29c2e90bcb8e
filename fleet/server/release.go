package server

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/request"

	"github.com/fairway-dev/fairway/api/rest"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/view"
)

// Releases makes on the platform what callers ask for. PlatformReleases is one.
type Releases interface {
	// Create makes the Release and fills in its name.
	Create(ctx context.Context, r *fleetv1.Release) error
	// Approve adds the approval, unless the Release has one of the same person, and returns the Release.
	// Errors: ErrOwnRelease, ErrReleaseOver, and Kubernetes' own.
	Approve(ctx context.Context, namespace, name string, a fleetv1.Approval) (*fleetv1.Release, error)
}

// Errors of Approve.
var (
	ErrOwnRelease  = errors.New("who asked for a release cannot approve it")
	ErrReleaseOver = errors.New("the release is over")
)

func (s *Server) registerRelease() {
	huma.Register(s.api, huma.Operation{
		OperationID: "release", Method: http.MethodPost, Path: "/api/v1/releases", Tags: []string{"releases"}, DefaultStatus: http.StatusCreated,
		Summary: "Ask for a release, as the caller",
		Description: "Give an artifact, or a branch for its newest one. Without both, a promotion takes what was released to from, and a " +
			"rollback what ran before. The operator decides whether it may go there; watch the release for what comes of it.",
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusServiceUnavailable},
	}, s.createRelease)
	huma.Register(s.api, huma.Operation{
		OperationID: "approve-release", Method: http.MethodPost, Path: "/api/v1/releases/{team}/{name}/approvals", Tags: []string{"releases"},
		Summary:     "Approve a release, as the caller",
		Description: "Approving again changes nothing. Who asked for a release cannot approve it.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusServiceUnavailable},
	}, s.approveRelease)
}

// created is the answer to a request that made something.
type created[T any] struct {
	Location string `header:"Location"`
	Body     T
}

func (s *Server) createRelease(ctx context.Context, in *struct {
	Team string `query:"team" required:"true" minLength:"1" maxLength:"63" doc:"Namespace of the team"`
	Body rest.ReleaseRequest
}) (*created[rest.Release], error) {
	if s.Releases == nil {
		return nil, noReleases()
	}
	ask := in.Body
	intent := fleetv1.Intent(or(ask.Intent, string(fleetv1.IntentRelease)))
	if intent == fleetv1.IntentAutoRelease {
		return nil, badRequest("a policy alone asks for an auto-release", "leave intent out")
	}
	artifact, err := s.choose(in.Team, intent, ask)
	if err != nil {
		return nil, err
	}
	who, _ := request.UserFrom(ctx)
	r := &fleetv1.Release{
		ObjectMeta: metav1.ObjectMeta{Namespace: in.Team, GenerateName: ask.Service + "-"},
		Spec: fleetv1.ReleaseSpec{Service: ask.Service, Artifact: artifact, Environment: ask.Environment, Intent: intent, From: ask.From,
			RequestedBy: who.GetName(), Message: ask.Message},
	}
	if err := s.Releases.Create(ctx, r); err != nil {
		return nil, s.platformProblem(err, "the release is not made")
	}
	s.Logger.Info("release asked for", "release", r.Namespace+"/"+r.Name, "artifact", artifact, "environment", ask.Environment, "by", who.GetName())
	return &created[rest.Release]{Location: "/api/v1/releases/" + r.Namespace + "/" + r.Name, Body: asked(r)}, nil
}

func (s *Server) approveRelease(ctx context.Context, in *struct {
	Team string `path:"team" maxLength:"63"`
	Name string `path:"name" maxLength:"253"`
	Body rest.ApprovalRequest
}) (*body[rest.Release], error) {
	if s.Releases == nil {
		return nil, noReleases()
	}
	who, _ := request.UserFrom(ctx)
	r, err := s.Releases.Approve(ctx, in.Team, in.Name, fleetv1.Approval{By: who.GetName(), At: metav1.NewTime(s.Clock()), Message: in.Body.Message})
	name := in.Team + "/" + in.Name
	switch {
	case errors.Is(err, ErrOwnRelease):
		return nil, problem(rest.Problem{Status: http.StatusForbidden, Detail: who.GetName() + " asked for " + name + " and cannot approve it",
			Fix: "somebody else has to: four eyes see more than two"})
	case errors.Is(err, ErrReleaseOver):
		return nil, problem(rest.Problem{Status: http.StatusConflict, Detail: name + " is over: " + string(r.Status.Phase), Fix: "ask for the release again"})
	case apierrors.IsNotFound(err):
		return nil, noRelease(name)
	case err != nil:
		return nil, s.platformProblem(err, "the approval is not given")
	}
	s.Logger.Info("release approved", "release", name, "by", who.GetName())
	return &body[rest.Release]{asked(r)}, nil
}

// choose is the artifact that is asked for, by its id or by what is known of the service.
func (s *Server) choose(team string, intent fleetv1.Intent, ask rest.ReleaseRequest) (string, error) {
	where := "service " + team + "/" + ask.Service
	switch {
	case ask.Artifact != "" && ask.Branch != "":
		return "", badRequest("artifact and branch are given", "give one of them")
	case ask.Artifact != "":
		return ask.Artifact, nil
	case ask.Branch != "":
		for _, a := range s.View.Artifacts(team, ask.Service) {
			if a.Source.Branch == ask.Branch {
				return a.ID, nil
			}
		}
		return "", unknownArtifact("no artifact of branch "+ask.Branch+" of "+where+" is known", "push one with fairway artifact push, or give its id")
	case intent == fleetv1.IntentPromote:
		return s.promotable(where, s.released(team, ask.Service, ask.From), ask.From)
	case intent == fleetv1.IntentRollback:
		return previous(where, s.released(team, ask.Service, ask.Environment), ask.Environment)
	}
	return "", badRequest("neither artifact nor branch is given", "give one of them")
}

// released are the releases of a service to an environment that were written to Git, the newest first.
func (s *Server) released(team, service, environment string) []rest.Release {
	out := []rest.Release{}
	for _, r := range s.View.Releases(view.ReleaseFilter{Team: team, Service: service, Environment: environment}) {
		if !r.StartedAt.IsZero() {
			out = append(out, r)
		}
	}
	return out
}

// promotable is what the environment was released to last, if that went well.
func (s *Server) promotable(where string, released []rest.Release, from string) (string, error) {
	if len(released) == 0 {
		return "", unknownArtifact("no release of "+where+" to "+or(from, "the environment that from names")+" is known", "name the artifact")
	}
	if last := released[0]; last.Phase != string(fleetv1.PhaseSucceeded) {
		return "", unknownArtifact(last.Name+", the newest release of "+where+" to "+from+", is "+last.Phase, "wait until it has succeeded, or name the artifact")
	}
	return released[0].Artifact, nil
}

// previous is the artifact of the newest release that went well, of another one than is to run now.
func previous(where string, released []rest.Release, environment string) (string, error) {
	now := ""
	for _, r := range released {
		switch {
		case r.Phase == string(fleetv1.PhaseRolledBack):
		case now == "":
			now = r.Artifact
		case r.Artifact != now && r.Phase == string(fleetv1.PhaseSucceeded):
			return r.Artifact, nil
		}
	}
	return "", unknownArtifact("no release of "+where+" to "+environment+" before the present one is known that went well", "name the artifact")
}

func unknownArtifact(detail, fix string) error {
	return problem(rest.Problem{Status: http.StatusConflict, Detail: detail, Fix: fix})
}

func noReleases() error {
	return problem(rest.Problem{Status: http.StatusServiceUnavailable, Detail: "this hub makes no releases", Fix: "use fairway release, or kubectl create"})
}

// asked is a Release as the platform has it now.
func asked(r *fleetv1.Release) rest.Release {
	out := rest.Release{
		Name: r.Namespace + "/" + r.Name, Team: r.Namespace, Service: r.Spec.Service, Artifact: r.Spec.Artifact, Environment: r.Spec.Environment,
		Intent: string(r.Spec.Intent), From: r.Spec.From, RequestedBy: r.Spec.RequestedBy, RequestedAt: r.CreationTimestamp.UTC(), Comment: r.Spec.Message,
		Approvals: []rest.Approval{}, Phase: or(string(r.Status.Phase), string(fleetv1.PhasePending)), UpdatedAt: r.CreationTimestamp.UTC(), Clusters: []rest.ReleaseCluster{},
	}
	for _, a := range r.Spec.Approvals {
		out.Approvals = append(out.Approvals, rest.Approval{By: a.By, At: a.At.UTC()})
	}
	return out
}

// platformProblem tells a caller why the platform did not do it. What the API server says to the caller
// about the request is passed on; what it says of the hub's own rights is for the log.
func (s *Server) platformProblem(err error, what string) error {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		s.Logger.Error(err, "the platform's API server does not answer")
		return problem(rest.Problem{Status: http.StatusServiceUnavailable, Detail: what + ": the platform's API server does not answer", Fix: "try again"})
	}
	detail := what + ": " + status.Status().Message
	switch {
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		return problem(rest.Problem{Status: http.StatusUnprocessableEntity, Detail: detail, Fix: "correct what is named"})
	case apierrors.IsNotFound(err):
		return problem(rest.Problem{Status: http.StatusNotFound, Detail: detail, Fix: "a team is a namespace of the platform: see that it exists, and that Fairway is installed there"})
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return problem(rest.Problem{Status: http.StatusConflict, Detail: detail, Fix: "try again"})
	case apierrors.IsForbidden(err) && strings.Contains(status.Status().Message, "ValidatingAdmissionPolicy"):
		return problem(rest.Problem{Status: http.StatusForbidden, Detail: detail, Fix: "the policy that refuses it is named; it says what would satisfy it"})
	}
	s.Logger.Error(err, "the platform refuses the hub")
	return problem(rest.Problem{Status: http.StatusServiceUnavailable, Detail: what + ": the platform refuses the hub",
		Fix: "a platform engineer finds the reason in the hub's log; its rights are those of the ClusterRole fairway-hub"})
}
