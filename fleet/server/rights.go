package server

import (
	"net/http"
	"strings"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// Group is the API group of the rights on the fleet view. Nothing is served under it by
// Kubernetes: it exists for roles to name.
const Group = "view.fleet.fairway.dev"

const groupVersion = "v1"

// right is what a route demands. The resource is one of Group, unless it names another group.
type right struct{ verb, resource string }

// rights of every route. The description of the API is for everybody who may list clusters.
var rights = map[string]right{
	"GET /api/v1/clusters":               {"list", "clusters"},
	"GET /api/v1/clusters/{id}":          {"get", "clusters"},
	"GET /api/v1/services":               {"list", "services"},
	"GET /api/v1/services/{team}/{name}": {"get", "services"},
	"GET /api/v1/episodes":               {"list", "episodes"},
	"GET /api/v1/episodes/{id}":          {"get", "episodes"},
	"GET /api/v1/unowned":                {"list", "clusters"}, // in no team's namespace; clusters show it too
	"GET /api/v1/events":                 {"list", "events"},
	"GET /api/v1/watch":                  {"watch", "events"},
	"GET /api/v1/since":                  {"list", "events"},
	"GET /api/v1/timeline":               {"list", "events"},
	"GET /api/v1/schemas":                {"list", "events"},
	"GET /api/v1/schemas/{type}":         {"list", "events"},
	"GET /api/v1/asyncapi":               {"list", "events"},

	"GET /api/v1/releases":                          {"list", "releases"},
	"GET /api/v1/releases/{team}/{name}":            {"get", "releases"},
	"POST /api/v1/releases":                         {"create", "releases"},
	"POST /api/v1/releases/{team}/{name}/approvals": {"approve", "releases." + fleetv1.GroupVersion.Group},
	"GET /api/v1/artifacts":                         {"list", "releases"},
	"GET /api/v1/audit":                             {"list", "releases"},
	"GET /api/v1/delivery":                          {"list", "releases"},

	"GET /openapi.json":     {"list", "clusters"},
	"GET /openapi.yaml":     {"list", "clusters"},
	"GET /openapi-3.0.json": {"list", "clusters"},
	"GET /openapi-3.0.yaml": {"list", "clusters"},
}

// attributes are the right as Kubernetes is asked for it. A team is a namespace: who asks for one
// team only, needs the right there only.
func (n right) attributes(who user.Info, r *http.Request) authorizer.AttributesRecord {
	a := authorizer.AttributesRecord{
		User: who, Verb: n.verb, APIGroup: Group, APIVersion: groupVersion, Resource: n.resource,
		Name: r.PathValue("id"), ResourceRequest: true, Path: r.URL.Path,
	}
	if resource, group, other := strings.Cut(n.resource, "."); other {
		a.Resource, a.APIGroup, a.APIVersion = resource, group, fleetv1.GroupVersion.Version
	}
	if n.resource == "clusters" {
		return a
	}
	a.Namespace = r.URL.Query().Get("team")
	if team := r.PathValue("team"); team != "" {
		a.Namespace, a.Name = team, r.PathValue("name")
	}
	if n.verb == "get" && n.resource == "episodes" {
		a.Namespace = "" // the episode's team is not known before it is read
	}
	return a
}
