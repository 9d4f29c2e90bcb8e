package survey

import "time"

// Report is the result of a survey. Lists are sorted, so that the same cluster gives the same
// report; none is nil.
type Report struct {
	Cluster    string     `json:"cluster"`
	Time       time.Time  `json:"time"`
	Kubernetes Kubernetes `json:"kubernetes"`
	Objects    Counts     `json:"objects"`
	Flux       *Flux      `json:"flux,omitempty"`   // nil: there is none
	ArgoCD     *ArgoCD    `json:"argoCD,omitempty"` // nil: there is none
	// TakeOver is what it would come to to make the Flux that is there Fairway's; nil: there is none, it is
	// Fairway's already, or it is to be left as it is.
	TakeOver *TakeOver `json:"takeOver,omitempty"`

	Managers      []Manager    `json:"managers"`
	Unowned       []Unowned    `json:"unowned"`
	Contested     []Contested  `json:"contested"`
	Conflicts     []Conflict   `json:"conflicts"`
	RemovedAPIs   []RemovedAPI `json:"removedAPIs"`
	MissingRights []Right      `json:"missingRights"`
	NotTried      []string     `json:"notTried"` // what the report says nothing of, and why
	Cut           []Cut        `json:"cut"`      // what Bounded took out
}

// Kubernetes is what a cluster is.
type Kubernetes struct {
	Version      string `json:"version"`                // "v1.34.2-eks-a1b2c3d"
	Distribution string `json:"distribution,omitempty"` // EKS, AKS, GKE, OpenShift, RKE2 or K3s; empty: none of these
	Provider     string `json:"provider,omitempty"`     // AWS, Azure, GCP or another name
	Region       string `json:"region,omitempty"`
	Nodes        int    `json:"nodes"`
}

// Counts are objects by who keeps them as they are. Events, leases, endpoints and the like count
// nowhere.
type Counts struct {
	Total      int `json:"total"`
	Controlled int `json:"controlled"` // by another object, such as the pods of a Deployment
	Flux       int `json:"flux"`
	ArgoCD     int `json:"argoCD"`
	Helm       int `json:"helm"` // installed by Helm itself, not through Flux
	Fairway    int `json:"fairway"`
	Kubernetes int `json:"kubernetes"` // the cluster's own
	Other      int `json:"other"`      // another program
	Kubectl    int `json:"kubectl"`    // applied by hand
	Unknown    int `json:"unknown"`    // nothing says who made them
}

// Flux is the Flux on a cluster.
type Flux struct {
	Version     string   `json:"version,omitempty"` // "v2.9.5"; empty when its objects do not say
	Namespace   string   `json:"namespace"`
	Controllers []string `json:"controllers"`
	Owner       string   `json:"owner"`               // who keeps the controllers as they are
	Bootstrap   string   `json:"bootstrap,omitempty"` // the source that Flux installs itself from: "URL, path ./clusters/prod"
	Sources     []Source `json:"sources"`
}

// TakeOver is what taking over a Flux comes to.
type TakeOver struct {
	From      []string   `json:"from"`      // who keeps it now
	Version   string     `json:"version"`   // that it would be then: "v2.9.5"
	Objects   []string   `json:"objects"`   // that are there and become Fairway's
	New       []string   `json:"new"`       // that are not there yet
	Restarts  []Restart  `json:"restarts"`  // controllers whose pods are replaced
	Conflicts []Conflict `json:"conflicts"` // what stands in the way of it
}

// Restart is a controller whose pods are replaced.
type Restart struct {
	Object string `json:"object"`
	Why    string `json:"why"` // what changes
}

// Source is a Flux source. Its URL carries no credentials and no query.
type Source struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	URL       string `json:"url"`
	Reference string `json:"reference,omitempty"` // "branch main", "tag v1", "semver 1.x"
	Revision  string `json:"revision,omitempty"`  // of its last artifact
	Status    string `json:"status"`              // "Ready", "suspended", "unknown", or why it is not ready, in one word
}

// ArgoCD is the Argo CD on a cluster.
type ArgoCD struct {
	Version      string `json:"version,omitempty"`
	Namespace    string `json:"namespace"`
	Applications int    `json:"applications"`
}

// Manager is one thing that keeps objects as they are.
type Manager struct {
	Tool    Tool   `json:"tool"`
	Name    string `json:"name"` // "Kustomization/flux-system/apps", "shop/redis", "terraform"
	Objects int    `json:"objects"`
	Source  string `json:"source,omitempty"` // what it applies: "GitRepository/flux-system/apps, path ./prod"
	Status  string `json:"status,omitempty"` // as of a Source; of a Helm release "deployed, revision 3"
}

// Unowned is an object that nothing would bring back.
type Unowned struct {
	Object string `json:"object"` // "Deployment/shop/cart"
	By     string `json:"by"`     // the field manager that wrote it last known: "kubectl-edit"; empty: not known
}

// Contested is an object that more than one tool claims.
type Contested struct {
	Object string   `json:"object"`
	Owners []string `json:"owners"`
}

// Conflict is something that stands in the way of what Fairway would put on the cluster.
type Conflict struct {
	Kind    ConflictKind `json:"kind"`
	Set     string       `json:"set"`             // whose: "flux", "sync" or "agent"
	Object  string       `json:"object"`          // that clashes: "Deployment/flux-system/source-controller"
	Owner   string       `json:"owner,omitempty"` // who has it now
	Message string       `json:"message"`         // what would happen, and what to do
}

// ConflictKind is a sort of conflict.
type ConflictKind string

// Sorts of conflicts.
const (
	ConflictFlux       ConflictKind = "Flux"       // a Flux runs that Fairway did not install
	ConflictObject     ConflictKind = "Object"     // an object of the same name belongs to somebody else
	ConflictDefinition ConflictKind = "Definition" // a CustomResourceDefinition of the same name is another one
	ConflictVersion    ConflictKind = "Version"    // API versions that are in use and would go, or are needed and not there
)

// RemovedAPI is an API version that coming, or past, Kubernetes versions do not serve.
type RemovedAPI struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	RemovedIn  string   `json:"removedIn"`     // "1.25"
	Use        string   `json:"use,omitempty"` // instead; empty: there is nothing
	Served     bool     `json:"served"`        // by this cluster, now
	Objects    int      `json:"objects"`       // written at this version; 0: it is served, and nobody is seen to use it
	Managers   []string `json:"managers"`      // who wrote them at it: a field manager each
	Examples   []string `json:"examples"`      // a few of the objects
}

// Right is something that the account of the kubeconfig may not do.
type Right struct {
	For       string `json:"for"` // "survey", or the set that needs it
	Verb      string `json:"verb"`
	Group     string `json:"group"`
	Resource  string `json:"resource"`
	Namespace string `json:"namespace,omitempty"` // empty: cluster-wide
}

// Cut is a list that was shortened.
type Cut struct {
	List  string `json:"list"`
	Kept  int    `json:"kept"`
	Total int    `json:"total"`
}
