package survey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	authorizationv1client "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// Bounds of one survey. A page of metadata with its managedFields is a few hundred KiB.
const (
	pageSize   = 250    // objects of a list of metadata
	fullPage   = 25     // objects of a list of whole objects: Kustomizations hold inventories
	maxPages   = 200    // of one kind
	maxObjects = 20_000 // kept; more are counted
	maxFlux    = 2_000  // Flux objects of one kind
	maxWanted  = 1_000  // objects of the plan that are looked for
	maxRights  = 400    // questions about rights
)

// Connection is a connection to a cluster.
type Connection struct {
	Config *rest.Config
	HTTP   *http.Client // that carries the credentials of Config
}

// Look observes a cluster. It sends nothing that changes anything. What the account may not see, and
// what does not answer, is in Observed.Denied and NotTried; an error is for a cluster that does not
// answer at all, or a context that ended.
func Look(ctx context.Context, c Connection, plan Plan) (Observed, error) {
	l, err := newLook(c)
	if err != nil {
		return Observed{}, err
	}
	l.seen.NotTried = append(l.seen.NotTried, plan.Open...)
	for _, step := range []func(context.Context, Plan) error{
		l.discover, l.listAll, l.listCharts, l.listFlux, l.compare, l.review,
	} {
		if err := step(ctx, plan); err != nil {
			return Observed{}, err
		}
		if err := ctx.Err(); err != nil {
			return Observed{}, fmt.Errorf("survey the cluster: %w", err)
		}
	}
	l.seen.NotTried = append(l.seen.NotTried, unreachable...)
	return l.seen, nil
}

// unreachable is what nothing outside of the cluster can find out.
var unreachable = []string{
	"the way from the cluster to the config repository: it takes a pod there; Flux tells, by the condition Synced",
	"the way from the cluster to the event bus: it takes a pod there; the agent tells, by the condition AgentConnected",
}

// look is one survey under way.
type look struct {
	discovery *discovery.DiscoveryClient
	metadata  metadata.Interface
	objects   dynamic.Interface
	rights    authorizationv1client.SelfSubjectAccessReviewInterface

	resources []resource        // those that are listed, each at the version that the server prefers
	byKind    map[Kind]resource // all versions
	denied    map[string]bool   // resources that may not be listed
	seen      Observed
}

// resource is a kind as it is asked for.
type resource struct {
	schema.GroupVersionResource
	kind       string
	namespaced bool
	lists      bool
}

func (r resource) String() string {
	return schema.GroupResource{Group: r.Group, Resource: r.Resource}.String()
}

func newLook(c Connection) (*look, error) {
	fail := func(err error) (*look, error) { return nil, fmt.Errorf("make clients: %w", err) }
	l := &look{byKind: map[Kind]resource{}, denied: map[string]bool{}}
	var err error
	if l.discovery, err = discovery.NewDiscoveryClientForConfigAndClient(c.Config, c.HTTP); err != nil {
		return fail(err)
	}
	if l.metadata, err = metadata.NewForConfigAndClient(metadata.ConfigFor(c.Config), c.HTTP); err != nil {
		return fail(err)
	}
	if l.objects, err = dynamic.NewForConfigAndClient(dynamic.ConfigFor(c.Config), c.HTTP); err != nil {
		return fail(err)
	}
	reviews, err := authorizationv1client.NewForConfigAndClient(c.Config, c.HTTP)
	if err != nil {
		return fail(err)
	}
	l.rights = reviews.SelfSubjectAccessReviews()
	return l, nil
}

// discover learns what the cluster serves.
func (l *look) discover(context.Context, Plan) error {
	version, err := l.discovery.ServerVersion()
	if err != nil {
		return fmt.Errorf("read the version: %w", err)
	}
	l.seen.Version = version.GitVersion
	groups, lists, err := l.discovery.ServerGroupsAndResources()
	var partly *discovery.ErrGroupDiscoveryFailed
	switch {
	case errors.As(err, &partly):
		for version := range partly.Groups {
			l.skip("kinds of %s: the cluster does not say which there are", version)
		}
	case err != nil:
		return fmt.Errorf("read what is served: %w", err)
	}
	preferred := map[string]string{}
	for _, group := range groups {
		preferred[group.Name] = group.PreferredVersion.Version
	}
	l.read(lists, preferred)
	return nil
}

// read sorts what discovery answered into kinds, and into resources to list.
func (l *look) read(lists []*metav1.APIResourceList, preferred map[string]string) {
	at := map[schema.GroupResource]int{} // in l.resources
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			l.skip("kinds of %q: that is no API version", list.GroupVersion)
			continue
		}
		for _, r := range list.APIResources {
			if strings.Contains(r.Name, "/") {
				continue // a subresource
			}
			one := resource{version.WithResource(r.Name), r.Kind, r.Namespaced, slices.Contains(r.Verbs, "list")}
			kind := Kind{list.GroupVersion, r.Kind}
			l.byKind[kind] = one
			l.seen.Served = append(l.seen.Served, kind)
			if !one.lists || passing(one) {
				continue
			}
			group := schema.GroupResource{Group: version.Group, Resource: r.Name}
			have, known := at[group]
			switch {
			case !known:
				at[group] = len(l.resources)
				l.resources = append(l.resources, one)
			case version.Version == preferred[version.Group]:
				l.resources[have] = one
			}
		}
	}
	slices.SortFunc(l.seen.Served, compareKinds)
	slices.SortFunc(l.resources, func(a, b resource) int { return strings.Compare(a.String(), b.String()) })
}

func compareKinds(a, b Kind) int {
	if order := strings.Compare(a.APIVersion, b.APIVersion); order != 0 {
		return order
	}
	return strings.Compare(a.Kind, b.Kind)
}

// passing are kinds whose objects come and go, or are another's view of what is listed already; and
// Secrets, of which only Helm's are looked at.
func passing(r resource) bool {
	switch r.Group {
	case "":
		return slices.Contains([]string{"secrets", "events", "endpoints", "componentstatuses"}, r.Resource)
	case "apps":
		return r.Resource == "controllerrevisions"
	case "storage.k8s.io":
		return r.Resource == "csinodes" || r.Resource == "volumeattachments" || r.Resource == "csistoragecapacities"
	case "networking.k8s.io":
		return r.Resource == "ipaddresses"
	case "events.k8s.io", "coordination.k8s.io", "discovery.k8s.io", "extensions", "apidiscovery.k8s.io":
		return true
	}
	return strings.HasSuffix(r.Group, "metrics.k8s.io")
}

// skip notes what the report will say nothing of.
func (l *look) skip(format string, args ...any) {
	l.seen.NotTried = append(l.seen.NotTried, fmt.Sprintf(format, args...))
}

// trouble sorts an error of one request: what the account may not do is a right that is missing, and
// what the server answers in other words is not tried. Of a server that does not answer, or one that
// no longer knows the account, err comes back.
func (l *look) trouble(ctx context.Context, r resource, err error) error {
	var answer apierrors.APIStatus
	switch {
	case err == nil:
		return nil
	case apierrors.IsForbidden(err):
		if !l.denied[r.String()] {
			l.denied[r.String()] = true
			l.seen.Denied = append(l.seen.Denied, Right{For: ForSurvey, Verb: "list", Group: r.Group, Resource: r.Resource})
		}
		return nil
	case ctx.Err() == nil && errors.As(err, &answer) && !apierrors.IsUnauthorized(err):
		l.skip("%s: the cluster answers %q", r, answer.Status().Reason)
		return nil
	}
	return fmt.Errorf("list %s: %w", r, err)
}

// ForSurvey is what a right is for that only the survey needs.
const ForSurvey = "survey"

// listAll lists the metadata of every kind.
func (l *look) listAll(ctx context.Context, _ Plan) error {
	for _, r := range l.resources {
		if err := l.trouble(ctx, r, l.list(ctx, r)); err != nil {
			return err
		}
	}
	return nil
}

// list goes through the pages of one kind.
func (l *look) list(ctx context.Context, r resource) error {
	options := metav1.ListOptions{Limit: pageSize}
	for range maxPages {
		page, err := l.metadata.Resource(r.GroupVersionResource).List(ctx, options)
		if err != nil {
			return err
		}
		for i := range page.Items {
			l.keep(r, &page.Items[i])
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return nil
		}
	}
	l.skip("%s beyond the first %d", r, maxPages*pageSize)
	return nil
}

// keep keeps what a survey needs of an object.
func (l *look) keep(r resource, meta *metav1.PartialObjectMetadata) {
	switch {
	case metav1.GetControllerOfNoCopy(meta) != nil:
		l.seen.Controlled++
	case len(l.seen.Objects) >= maxObjects:
		l.seen.Uncounted++
	default:
		l.seen.Objects = append(l.seen.Objects, objectOf(r, meta))
	}
}

// listCharts reads Helm's own records: the newest of each release. Their labels say all.
func (l *look) listCharts(ctx context.Context, _ Plan) error {
	secrets := resource{schema.GroupVersionResource{Version: "v1", Resource: "secrets"}, "Secret", true, true}
	options := metav1.ListOptions{Limit: pageSize, LabelSelector: "owner=helm"}
	newest := map[string]Chart{}
	for range maxPages {
		page, err := l.metadata.Resource(secrets.GroupVersionResource).List(ctx, options)
		if err := l.trouble(ctx, secrets, err); err != nil {
			return err
		}
		if err != nil {
			break
		}
		for i := range page.Items {
			chart := chartOf(&page.Items[i])
			if key := chart.Namespace + "/" + chart.Name; chart.Revision >= newest[key].Revision {
				newest[key] = chart
			}
		}
		if options.Continue = page.Continue; options.Continue == "" {
			break
		}
	}
	for _, chart := range newest {
		l.seen.Charts = append(l.seen.Charts, chart)
	}
	slices.SortFunc(l.seen.Charts, func(a, b Chart) int {
		return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
	})
	return nil
}

// decode reads an object's fields into a type of a few of them.
func decode(obj *unstructured.Unstructured, into any) error {
	text, err := json.Marshal(obj.Object)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", reference(obj.GetKind(), obj.GetNamespace(), obj.GetName()), err)
	}
	return nil
}
