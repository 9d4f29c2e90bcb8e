package v1alpha1

// Finalizer is held on every object whose deletion Fairway has work for. It always goes: each
// kind's deletion has a deadline.
const Finalizer = "fleet.fairway.dev/finalizer"

// FleetName is the name of the only Fleet.
const FleetName = "default"

// SystemNamespace is where Fairway's own processes run, on the platform and on every cluster.
const SystemNamespace = "fairway-system"

// FluxNamespace is where Flux and Fairway's Flux objects are on every workload cluster.
const FluxNamespace = "flux-system"

// Labels on Cluster API Clusters and WorkloadClusters.
const (
	// LabelRegister "true" on a Cluster API Cluster makes it join the fleet by itself, unless the
	// Fleet selects by other labels.
	LabelRegister = "fleet.fairway.dev/register"
	// LabelEnvironment on a Cluster API Cluster names the environment that it joins.
	LabelEnvironment = "fleet.fairway.dev/environment"
	// LabelCluster is the cluster's id, on what Fairway makes for one cluster.
	LabelCluster = "fleet.fairway.dev/cluster"
)

// LabelMove on a Secret in the operator's namespace is for `clusterctl move`, which takes it along.
const LabelMove = "clusterctl.cluster.x-k8s.io/move"

// AnnotationKeys on the Fleet notes whose keys its event bus has: "<UID of the Fleet>/<public key of the account>". A Fleet
// that came from another platform has another UID, and waits for these keys instead of making new ones.
const AnnotationKeys = "fleet.fairway.dev/keys"

// Labels of the Cluster Inventory API, and what they say of Fairway's ClusterProfiles.
const (
	// LabelClusterManager on a ClusterProfile names who keeps it.
	LabelClusterManager = "x-k8s.io/cluster-manager"
	// ClusterManager is Fairway's name there.
	ClusterManager = "fairway"
)

// AnnotationFluxFailed on a WorkloadCluster remembers that a version of Flux failed there: the version, a
// space, when, a space, and why. It halts the fleet's upgrade to that version until the cluster is healthy
// on the version that it should have, or somebody takes the annotation off. It is no status, which
// clusterctl move would lose.
const AnnotationFluxFailed = "fleet.fairway.dev/flux-failed"

// Labels that say whom an object on a workload cluster belongs to. They are looked for on the
// object, then on its pod template, then on the Flux object that applied it.
const (
	LabelTeam     = "fleet.fairway.dev/team"
	LabelService  = "fleet.fairway.dev/service"
	LabelArtifact = "fleet.fairway.dev/artifact"
)

// Annotations on the Kustomization that tells a cluster which artifact of a service to run.
const (
	// AnnotationRelease is the Release that put the artifact there: "<namespace>/<name>".
	AnnotationRelease = "fleet.fairway.dev/release"
	// AnnotationDigest is the artifact's digest in the registry: "sha256:…".
	AnnotationDigest = "fleet.fairway.dev/digest"
)

// Names of what the operator makes on every workload cluster, in FluxNamespace.
const (
	// RootName is the name of the GitRepository and of the root Kustomization.
	RootName = "fairway"
	// ValuesName is the ConfigMap of the cluster's substitution variables.
	ValuesName = "fairway-cluster-values"
)

// Keys of the cluster's values. They are on every cluster: a contract with every manifest.
const (
	ValueName        = "CLUSTER_NAME"
	ValueEnvironment = "CLUSTER_ENVIRONMENT"
	ValueCloud       = "CLUSTER_CLOUD"
	ValueRegion      = "CLUSTER_REGION"
	ValueAccount     = "CLUSTER_ACCOUNT"
)
