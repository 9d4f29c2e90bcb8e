package members

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// aggregated is how clients ask for all of discovery at once.
const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"

// discovery is what members say of their kinds: those of a real API server, and those that were defined.
type discovery struct {
	version      []byte // the answer of /version
	core, groups *apidiscoveryv2.APIGroupDiscoveryList

	mu      sync.Mutex
	answers map[string][]byte // to /api and /apis, by the kinds that were defined
	kinds   map[string]string // by version and resource
}

// own are groups of the platform that no member has.
func own(group string) bool {
	return group == "fleet.fairway.dev" || strings.HasSuffix(group, ".cluster.x-k8s.io") || group == "cluster.x-k8s.io" || strings.HasSuffix(group, ".toolkit.fluxcd.io")
}

func readDiscovery(ctx context.Context, like *http.Client, url string) (*discovery, error) {
	d := &discovery{answers: map[string][]byte{}, kinds: map[string]string{}}
	var err error
	if d.version, err = fetch(ctx, like, url+"/version", "application/json"); err != nil {
		return nil, err
	}
	if d.core, err = fetchGroups(ctx, like, url+"/api"); err != nil {
		return nil, err
	}
	if d.groups, err = fetchGroups(ctx, like, url+"/apis"); err != nil {
		return nil, err
	}
	d.groups.Items = slices.DeleteFunc(d.groups.Items, func(g apidiscoveryv2.APIGroupDiscovery) bool { return own(g.Name) })
	d.learn(d.core)
	d.learn(d.groups)
	return d, nil
}

// learn notes the kinds of resources. Every member that has a resource has it of the same kind.
func (d *discovery) learn(list *apidiscoveryv2.APIGroupDiscoveryList) {
	for _, group := range list.Items {
		for _, version := range group.Versions {
			for _, r := range version.Resources {
				if r.ResponseKind != nil {
					d.kinds[group.Name+"/"+version.Version+"/"+r.Resource] = r.ResponseKind.Kind
				}
			}
		}
	}
}

func (d *discovery) kindOf(at address) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kinds[at.group+"/"+at.version+"/"+at.resource]
}

func fetch(ctx context.Context, like *http.Client, url, accept string) (_ []byte, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", url, err)
	}
	request.Header.Set("Accept", accept)
	response, err := like.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", url, err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	data, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(response.Status)
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", url, err)
	}
	return data, nil
}

func fetchGroups(ctx context.Context, like *http.Client, url string) (*apidiscoveryv2.APIGroupDiscoveryList, error) {
	data, err := fetch(ctx, like, url, aggregated)
	if err != nil {
		return nil, err
	}
	var list apidiscoveryv2.APIGroupDiscoveryList
	if err := json.Unmarshal(data, &list); err != nil || list.Kind != "APIGroupDiscoveryList" {
		return nil, fmt.Errorf("ask %s: it answers a %s: %w", url, list.Kind, err)
	}
	return &list, nil
}

// verbs of the kinds that are defined.
var verbs = []string{"delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"}

// with is the list of groups that a member with these definitions has.
func (d *discovery) with(defined []*kind) *apidiscoveryv2.APIGroupDiscoveryList {
	list := d.groups.DeepCopy()
	for _, k := range defined {
		scope := apidiscoveryv2.ScopeCluster
		if k.namespaced {
			scope = apidiscoveryv2.ScopeNamespace
		}
		resource := apidiscoveryv2.APIResourceDiscovery{Resource: k.plural, SingularResource: k.singular, Scope: scope, Verbs: verbs,
			ResponseKind: &metav1.GroupVersionKind{Group: k.group, Version: k.version, Kind: k.kind}}
		group := groupOf(list, k.group)
		at := slices.IndexFunc(group.Versions, func(v apidiscoveryv2.APIVersionDiscovery) bool { return v.Version == k.version })
		if at < 0 {
			group.Versions = append(group.Versions, apidiscoveryv2.APIVersionDiscovery{Version: k.version, Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent})
			at = len(group.Versions) - 1
		}
		group.Versions[at].Resources = append(group.Versions[at].Resources, resource)
	}
	return list
}

func groupOf(list *apidiscoveryv2.APIGroupDiscoveryList, name string) *apidiscoveryv2.APIGroupDiscovery {
	at := slices.IndexFunc(list.Items, func(g apidiscoveryv2.APIGroupDiscovery) bool { return g.Name == name })
	if at < 0 {
		list.Items = append(list.Items, apidiscoveryv2.APIGroupDiscovery{ObjectMeta: metav1.ObjectMeta{Name: name}})
		at = len(list.Items) - 1
	}
	return &list.Items[at]
}

// answer is to a request for discovery: /api, /apis, or one version of a group; nil when there is none.
func (d *discovery) answer(path string, defined []*kind) ([]byte, error) {
	key := path
	for _, k := range defined {
		key += " " + k.plural + "." + k.group
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if have, ok := d.answers[key]; ok {
		return have, nil
	}
	list := d.core
	if strings.HasPrefix(path, "/apis") {
		list = d.with(defined)
		d.learn(list)
	}
	var out any = list
	if path != "/api" && path != "/apis" {
		resources := resourcesOf(list, path)
		if resources == nil {
			return nil, nil
		}
		out = resources
	}
	data, err := json.Marshal(out)
	if err != nil {
		return nil, fmt.Errorf("encode discovery: %w", err)
	}
	d.answers[key] = data
	return data, nil
}

// resourcesOf is one version of a group, as clients ask for that find it missing; nil when there is none.
func resourcesOf(list *apidiscoveryv2.APIGroupDiscoveryList, path string) *metav1.APIResourceList {
	version := strings.TrimPrefix(strings.TrimPrefix(path, "/apis/"), "/api/")
	for _, group := range list.Items {
		for _, v := range group.Versions {
			if (metav1.GroupVersion{Group: group.Name, Version: v.Version}).String() != version {
				continue
			}
			out := &metav1.APIResourceList{TypeMeta: metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"}, GroupVersion: version}
			for _, r := range v.Resources {
				if r.ResponseKind != nil {
					out.APIResources = append(out.APIResources, metav1.APIResource{Name: r.Resource, SingularName: r.SingularResource,
						Namespaced: r.Scope == apidiscoveryv2.ScopeNamespace, Kind: r.ResponseKind.Kind, Verbs: r.Verbs})
				}
			}
			return out
		}
	}
	return nil
}
