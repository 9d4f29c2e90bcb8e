package tools

import "path/filepath"

// Names of the tools. Each is one Go module and one folder in the cache.
const (
	Kube             = "kube"             // etcd, kube-apiserver, kube-controller-manager, kube-scheduler, kubectl in one binary
	ProcessNode      = "processnode"      // the kubelet stand-in that runs pods as processes
	Podinfo          = "podinfo"          // a real app
	LastWords        = "lastwords"        // writes its arguments and dies
	Flux             = "flux"             // source-, kustomize- and helm-controller
	FluxNotification = "fluxnotification" // notification-controller, whose Flux packages are older than the others'
	FluxManifests    = "fluxmanifests"    // renders gotk-components.yaml
	ClusterAPI       = "capi"             // Cluster API core's reconcilers
	ProviderCRDs     = "providercrds"     // renders the CRDs of Cluster API, CAPA and CAPZ
	Fairway          = "fairway"          // Fairway's own operator, hub, agent and CLI
	NATS             = "natscli"          // NATS' own command line, nats
	Clusterctl       = "clusterctl"       // Cluster API's own command line
)

// Files that are made by a tool, beside its binaries.
const (
	FluxComponents = "gotk-components.yaml" // of FluxManifests
	ClusterAPICRDs = "crds.yaml"            // of ProviderCRDs
	kubeAssets     = "assets"               // of Kube: a folder for KUBEBUILDER_ASSETS
)

// KubernetesVersion is what the clusters of the bench say they run; it is stamped into the binary.
const KubernetesVersion = "v1.37.1"

// FluxVersion is the version of Flux that FluxComponents installs: flux2's in the module of
// FluxManifests.
const FluxVersion = "v2.9.5"

// Tool is one module that the bench builds.
type Tool struct {
	// Name of the tool, and of its folder in the cache.
	Name string
	// Dir is the module's folder, relative to the repository's.
	Dir string
	// Takes says how long the first build takes on two cores, for people: "about 10 minutes".
	Takes string

	packages []string // import paths of main packages; a binary is named after the last element
	ldflags  string
	skip     []string // folders of the module that are not part of the build
	also     []string // files outside the module that finish depends on, relative to the repository
	finish   finisher // makes more files from the binaries; nil when there are none
	aside    bool     // no fleet needs it: built only when it is named
}

// All lists every tool in the order in which they are built: what takes longest first.
func All() []Tool {
	return []Tool{
		{
			Name: Kube, Dir: toolDir(Kube), Takes: "about 10 minutes", packages: []string{"."},
			ldflags: kubeVersion, finish: linkAssets,
		},
		{
			Name: Flux, Dir: toolDir(Flux), Takes: "about 6 minutes",
			packages: []string{
				"github.com/fluxcd/source-controller",
				"github.com/fluxcd/kustomize-controller",
				"github.com/fluxcd/helm-controller",
			},
		},
		{
			Name: FluxNotification, Dir: toolDir(FluxNotification), Takes: "about 4 minutes",
			packages: []string{"github.com/fluxcd/notification-controller"},
		},
		{Name: ClusterAPI, Dir: toolDir(ClusterAPI), Takes: "about 2 minutes", packages: []string{"."}},
		{Name: Fairway, Dir: ".", Takes: "about 3 minutes", packages: fairwayPackages, skip: []string{"e2e", "docs", "bin"}},
		{Name: ProcessNode, Dir: toolDir(ProcessNode), Takes: "about 1 minute", packages: []string{"."}},
		{
			Name: Podinfo, Dir: toolDir(Podinfo), Takes: "about 1 minute",
			packages: []string{"github.com/stefanprodan/podinfo/cmd/podinfo"},
		},
		{Name: LastWords, Dir: toolDir(LastWords), Takes: "a moment", packages: []string{"."}},
		{
			Name: FluxManifests, Dir: toolDir(FluxManifests), Takes: "some seconds", packages: []string{"."}, finish: renderFlux,
			also: []string{finishSource, filepath.Join(toolDir(Flux), "go.mod"), filepath.Join(toolDir(FluxNotification), "go.mod")},
		},
		{
			Name: ProviderCRDs, Dir: toolDir(ProviderCRDs), Takes: "some seconds", packages: []string{"."}, finish: renderCRDs,
			also: []string{finishSource},
		},
		{Name: NATS, Dir: toolDir(NATS), Takes: "about 2 minutes", packages: []string{"github.com/nats-io/natscli/nats"}, aside: true},
		{Name: Clusterctl, Dir: toolDir(Clusterctl), Takes: "about 2 minutes", packages: []string{"sigs.k8s.io/cluster-api/cmd/clusterctl"}, aside: true},
	}
}

var fairwayPackages = []string{"./cmd/operator", "./cmd/hub", "./cmd/agent", "./cmd/fairway"}

// kubeVersion stamps KubernetesVersion: Helm and kubectl refuse to talk to an unstamped API server.
const kubeVersion = "-X k8s.io/component-base/version.gitVersion=" + KubernetesVersion +
	" -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=37" +
	" -X k8s.io/component-base/version.gitTreeState=clean -X k8s.io/component-base/version.gitCommit=bench" +
	" -X k8s.io/component-base/version.buildDate=2026-01-01T00:00:00Z"

// finishSource is where it is written what is rendered.
var finishSource = filepath.Join("e2e", "bench", "tools", "finish.go")

func toolDir(name string) string { return filepath.Join("e2e", "tools", name) }
