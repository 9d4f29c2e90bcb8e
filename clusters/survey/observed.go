package survey

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Plan is what Fairway would put on the cluster, to be held against what is there.
type Plan struct {
	Sets []Set
	// TakeOver says that a Flux that is there is to become Fairway's.
	TakeOver bool
	// Open is what of the plan is not known, and why.
	Open []string
}

// Set is a set of objects that are applied together.
type Set struct {
	Name    string // in conflicts and rights
	Objects []*unstructured.Unstructured
}

// Observed is what Look saw.
type Observed struct {
	Version     string // of the API server
	Served      []Kind // every version of every kind, sorted
	Objects     []Object
	Controlled  int // objects that another object controls, by their owner reference
	Uncounted   int // objects beyond what Look keeps
	Charts      []Chart
	Reconcilers []Reconciler
	Sources     []Source
	Wanted      []Wanted
	TakeOver    bool    // as of the Plan
	Denied      []Right // what the account may not do, of what was tried or asked for
	NotTried    []string
}

// Kind is a kind at one version.
type Kind struct{ APIVersion, Kind string }

// Object is what says whose an object is.
type Object struct {
	APIVersion, Kind, Namespace, Name string

	Labels, Annotations map[string]string // those of ownerLabels and ownerAnnotations only
	Writers             []Writer          // of anything but its status
}

// Writer is an entry of managedFields.
type Writer struct {
	Name       string
	APIVersion string
	Apply      bool // by server-side apply
}

// String is "Deployment/shop/cart", or "Namespace/shop".
func (o Object) String() string { return reference(o.Kind, o.Namespace, o.Name) }

// Chart is Helm's own record of a release, the newest of it.
type Chart struct {
	Namespace, Name string
	Revision        int
	Status          string // "deployed", "failed", …
}

// Reconciler is a Flux object that applies others: a Kustomization or a HelmRelease.
type Reconciler struct {
	Kind, Namespace, Name string
	SourceKind            string // of what it applies; empty: it does not say
	SourceNamespace       string
	SourceName            string
	Path                  string // in the source
	Status                string // as of a Source
	Release               string // of a HelmRelease: Helm's "namespace/name"
}

// Wanted is an object of the plan, and what stands in its place.
type Wanted struct {
	Set    string
	Kind   Kind
	Served bool    // the cluster serves the kind
	Found  *Object // nil: there is none
	Object string  // "Deployment/flux-system/source-controller"

	// Of a CustomResourceDefinition: as the plan has it and as it is on the cluster; nil where it is
	// neither.
	Defines, Defined *Definition

	// Of a controller of Flux: as the plan has it and as it runs; nil where it is neither.
	Runs, Running *Controller
}

// Controller is what a Deployment of Flux runs.
type Controller struct {
	Version string   // "v2.9.5", by its label; empty: it does not say
	Images  []string // of its containers
	Args    []string // of its containers
}

// Definition is what a CustomResourceDefinition defines.
type Definition struct {
	Group, Kind, Plural, Scope string
	Served                     []string // versions
	Stored                     []string // versions that objects in etcd may have; of the plan: none
}

func reference(kind, namespace, name string) string {
	if namespace == "" {
		return kind + "/" + name
	}
	return strings.Join([]string{kind, namespace, name}, "/")
}
