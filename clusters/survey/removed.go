package survey

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// removal is an API version that Kubernetes stops, or has stopped, to serve.
type removal struct {
	version string // "policy/v1beta1"
	kinds   string // of it, apart by a space
	minor   int    // of the first Kubernetes 1.x that does not serve it
	use     string // instead; empty: there is nothing
}

// removals are those of https://kubernetes.io/docs/reference/using-api/deprecation-guide/, and of
// what it does not name yet, those that k8s.io/api declares for its types (APILifecycleRemoved), which
// a test holds this to.
var removals = []removal{
	{"extensions/v1beta1", "DaemonSet Deployment ReplicaSet", 16, "apps/v1"},
	{"extensions/v1beta1", "NetworkPolicy", 16, "networking.k8s.io/v1"},
	{"extensions/v1beta1", "PodSecurityPolicy", 16, "policy/v1beta1"},
	{"extensions/v1beta1", "Ingress", 22, "networking.k8s.io/v1"},
	{"apps/v1beta1", "ControllerRevision Deployment StatefulSet", 16, "apps/v1"},
	{"apps/v1beta2", "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet", 16, "apps/v1"},
	{"admissionregistration.k8s.io/v1beta1", "MutatingWebhookConfiguration ValidatingWebhookConfiguration", 22, "admissionregistration.k8s.io/v1"},
	{"admissionregistration.k8s.io/v1alpha1", "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding", 32, "admissionregistration.k8s.io/v1"},
	{"admissionregistration.k8s.io/v1beta1", "ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding", 34, "admissionregistration.k8s.io/v1"},
	{"admissionregistration.k8s.io/v1alpha1", "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding", 38, "admissionregistration.k8s.io/v1"},
	{"admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicy MutatingAdmissionPolicyBinding", 40, "admissionregistration.k8s.io/v1"},
	{"apiextensions.k8s.io/v1beta1", "CustomResourceDefinition", 22, "apiextensions.k8s.io/v1"},
	{"apiregistration.k8s.io/v1beta1", "APIService", 22, "apiregistration.k8s.io/v1"},
	{"autoscaling/v2beta1", "HorizontalPodAutoscaler", 25, "autoscaling/v2"},
	{"autoscaling/v2beta2", "HorizontalPodAutoscaler", 26, "autoscaling/v2"},
	{"batch/v1beta1", "CronJob", 25, "batch/v1"},
	{"certificates.k8s.io/v1beta1", "CertificateSigningRequest", 22, "certificates.k8s.io/v1"},
	{"certificates.k8s.io/v1alpha1", "ClusterTrustBundle", 37, "certificates.k8s.io/v1beta1"},
	{"certificates.k8s.io/v1beta1", "ClusterTrustBundle", 40, ""},
	{"certificates.k8s.io/v1beta1", "PodCertificateRequest", 41, ""},
	{"coordination.k8s.io/v1beta1", "Lease", 22, "coordination.k8s.io/v1"},
	{"coordination.k8s.io/v1alpha2", "LeaseCandidate", 38, "coordination.k8s.io/v1beta1"},
	{"coordination.k8s.io/v1beta1", "LeaseCandidate", 39, ""},
	{"discovery.k8s.io/v1beta1", "EndpointSlice", 25, "discovery.k8s.io/v1"},
	{"events.k8s.io/v1beta1", "Event", 25, "events.k8s.io/v1"},
	{"flowcontrol.apiserver.k8s.io/v1beta1", "FlowSchema PriorityLevelConfiguration", 26, "flowcontrol.apiserver.k8s.io/v1"},
	{"flowcontrol.apiserver.k8s.io/v1beta2", "FlowSchema PriorityLevelConfiguration", 29, "flowcontrol.apiserver.k8s.io/v1"},
	{"flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema PriorityLevelConfiguration", 32, "flowcontrol.apiserver.k8s.io/v1"},
	{"networking.k8s.io/v1beta1", "Ingress IngressClass", 22, "networking.k8s.io/v1"},
	{"networking.k8s.io/v1beta1", "IPAddress ServiceCIDR", 37, "networking.k8s.io/v1"},
	{"node.k8s.io/v1beta1", "RuntimeClass", 25, "node.k8s.io/v1"},
	{"policy/v1beta1", "PodDisruptionBudget", 25, "policy/v1"},
	{"policy/v1beta1", "PodSecurityPolicy", 25, ""},
	{"rbac.authorization.k8s.io/v1beta1", "ClusterRole ClusterRoleBinding Role RoleBinding", 22, "rbac.authorization.k8s.io/v1"},
	{"resource.k8s.io/v1alpha3", "DeviceTaintRule", 39, "resource.k8s.io/v1beta2"},
	{"resource.k8s.io/v1alpha3", "ResourcePoolStatusRequest", 42, ""},
	{"resource.k8s.io/v1beta1", "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice", 38, "resource.k8s.io/v1"},
	{"resource.k8s.io/v1beta2", "DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice", 39, "resource.k8s.io/v1"},
	{"resource.k8s.io/v1beta2", "DeviceTaintRule", 42, ""},
	{"scheduling.k8s.io/v1beta1", "PriorityClass", 22, "scheduling.k8s.io/v1"},
	{"storage.k8s.io/v1alpha1", "CSIStorageCapacity VolumeAttachment", 24, "storage.k8s.io/v1"},
	{"storage.k8s.io/v1alpha1", "VolumeAttributesClass", 35, "storage.k8s.io/v1"},
	{"storage.k8s.io/v1beta1", "CSIDriver CSINode StorageClass VolumeAttachment", 22, "storage.k8s.io/v1"},
	{"storage.k8s.io/v1beta1", "CSIStorageCapacity", 27, "storage.k8s.io/v1"},
	{"storage.k8s.io/v1beta1", "VolumeAttributesClass", 37, "storage.k8s.io/v1"},
	{"storagemigration.k8s.io/v1beta1", "StorageVersionMigration", 41, ""},
}

// removedByKind is removals by kind.
var removedByKind = func() map[Kind]removal {
	out := map[Kind]removal{}
	for _, r := range removals {
		for kind := range strings.FieldsSeq(r.kinds) {
			out[Kind{r.version, kind}] = r
		}
	}
	return out
}()

// removedAPIs are the API versions that objects were written at, or that are served, and that
// Kubernetes removes. What the cluster itself writes is its own to migrate.
func removedAPIs(seen Observed) []RemovedAPI {
	found := map[Kind]*RemovedAPI{}
	entry := func(kind Kind, r removal) *RemovedAPI {
		if found[kind] == nil {
			found[kind] = &RemovedAPI{
				APIVersion: kind.APIVersion, Kind: kind.Kind, RemovedIn: fmt.Sprintf("1.%d", r.minor), Use: r.use,
				Managers: []string{}, Examples: []string{},
			}
		}
		return found[kind]
	}
	for _, kind := range seen.Served {
		if r, ok := removedByKind[kind]; ok {
			entry(kind, r).Served = true
		}
	}
	for i := range seen.Objects {
		o := &seen.Objects[i]
		for _, version := range written(o) {
			kind := Kind{version, o.Kind}
			if r, ok := removedByKind[kind]; ok {
				entry(kind, r).count(o, version)
			}
		}
	}
	out := make([]RemovedAPI, 0, len(found))
	for _, each := range found {
		out = append(out, *each)
	}
	slices.SortFunc(out, func(a, b RemovedAPI) int {
		return cmp.Or(cmp.Compare(minorOf(a.RemovedIn), minorOf(b.RemovedIn)), strings.Compare(a.APIVersion, b.APIVersion), strings.Compare(a.Kind, b.Kind))
	})
	return out
}

// maxExamples of objects that use an API version.
const maxExamples = 5

// count adds an object that was written at a version.
func (a *RemovedAPI) count(o *Object, version string) {
	a.Objects++
	if len(a.Examples) < maxExamples {
		a.Examples = append(a.Examples, o.String())
	}
	for _, w := range o.Writers {
		if w.APIVersion == version && byWriter(w.Name).Tool != ToolKubernetes && !slices.Contains(a.Managers, w.Name) {
			a.Managers = append(a.Managers, w.Name)
		}
	}
	slices.Sort(a.Managers)
}

// written are the versions that an object was written at by others than the cluster itself, each
// once.
func written(o *Object) []string {
	var out []string
	for _, w := range o.Writers {
		if byWriter(w.Name).Tool != ToolKubernetes && !slices.Contains(out, w.APIVersion) {
			out = append(out, w.APIVersion)
		}
	}
	return out
}

// minorOf is 25 for "1.25" and for "v1.25.3-eks"; 0 for what is no version.
func minorOf(version string) int {
	_, rest, _ := strings.Cut(version, ".")
	rest, _, _ = strings.Cut(rest, ".")
	minor, err := strconv.Atoi(strings.TrimRight(rest, "+"))
	if err != nil {
		return 0
	}
	return minor
}
