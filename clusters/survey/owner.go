package survey

import (
	"cmp"
	"slices"
	"strings"
)

// Tool is what keeps objects as they are.
type Tool string

// Tools.
const (
	ToolFlux       Tool = "Flux"
	ToolArgoCD     Tool = "Argo CD"
	ToolHelm       Tool = "Helm"
	ToolFairway    Tool = "Fairway"
	ToolKubernetes Tool = "Kubernetes" // the cluster's own and its cloud's
	ToolOther      Tool = "other"      // a program that this package does not know
	ToolKubectl    Tool = "kubectl"    // a person: nothing brings it back
	ToolUnknown    Tool = "unknown"    // nothing says who made it
)

// tools in the order of reports.
var tools = []Tool{ToolFlux, ToolArgoCD, ToolHelm, ToolFairway, ToolKubernetes, ToolOther, ToolKubectl, ToolUnknown}

// Owner is who keeps an object as it is.
type Owner struct {
	Tool Tool
	Name string // as of a Manager; of kubectl and others the field manager; empty: not known
}

// String is "Flux Kustomization/flux-system/apps", "by hand (kubectl-edit)" or "terraform".
func (o Owner) String() string {
	switch o.Tool {
	case ToolKubectl:
		return "by hand (" + o.Name + ")"
	case ToolOther:
		return o.Name
	case ToolUnknown:
		return "nobody known"
	}
	return strings.TrimSpace(string(o.Tool) + " " + o.Name)
}

// reconciles says whether the owner undoes what others do to the object.
func (o Owner) reconciles() bool {
	return o.Tool == ToolFlux || o.Tool == ToolArgoCD || o.Tool == ToolHelm || o.Tool == ToolOther
}

// Labels and annotations by which tools mark what is theirs.
const (
	labelManagedBy          = "app.kubernetes.io/managed-by"
	labelPartOf             = "app.kubernetes.io/part-of"
	labelVersion            = "app.kubernetes.io/version"
	labelInstance           = "app.kubernetes.io/instance"
	labelKustomization      = "kustomize.toolkit.fluxcd.io/name"
	labelKustomizationHome  = "kustomize.toolkit.fluxcd.io/namespace"
	labelHelmRelease        = "helm.toolkit.fluxcd.io/name"
	labelHelmReleaseHome    = "helm.toolkit.fluxcd.io/namespace"
	labelArgo               = "argocd.argoproj.io/instance"
	labelInstanceOfFlux     = "fluxcd.controlplane.io/name"
	labelInstanceOfFluxHome = "fluxcd.controlplane.io/namespace"
	annotationArgo          = "argocd.argoproj.io/tracking-id"
	annotationHelm          = "meta.helm.sh/release-name"
	annotationHelmHome      = "meta.helm.sh/release-namespace"
	annotationAutoupdate    = "rbac.authorization.kubernetes.io/autoupdate"
)

// systemLabels are on what a cluster or its cloud installs by itself.
var systemLabels = []string{
	"kubernetes.io/bootstrapping", "kubernetes.io/cluster-service", "addonmanager.kubernetes.io/mode",
	"eks.amazonaws.com/component", "kubernetes.azure.com/managedby",
}

// Labels of nodes, by the distribution that puts them there.
const (
	nodeEKS = "eks.amazonaws.com/nodegroup"
	nodeAKS = "kubernetes.azure.com/cluster"
	nodeGKE = "cloud.google.com/gke-nodepool"
)

// ownerLabels and ownerAnnotations are all that is kept of an object. Other annotations may hold
// its whole content (kubectl.kubernetes.io/last-applied-configuration).
var (
	ownerLabels = append([]string{
		labelManagedBy, labelPartOf, labelVersion, labelInstance, labelKustomization, labelKustomizationHome,
		labelHelmRelease, labelHelmReleaseHome, labelInstanceOfFlux, labelInstanceOfFluxHome, labelArgo, nodeEKS, nodeAKS, nodeGKE, "app",
	}, systemLabels...)
	ownerAnnotations = []string{annotationArgo, annotationHelm, annotationHelmHome, annotationAutoupdate}
)

// owners are those who claim an object, the one that has it first; at least one.
func owners(o Object) []Owner {
	if claims := marked(o); len(claims) > 0 {
		return claims
	}
	if system(o) {
		return []Owner{{Tool: ToolKubernetes}}
	}
	writer, ok := lead(o.Writers)
	if !ok {
		return []Owner{byLabel(o)}
	}
	owner := byWriter(writer.Name)
	if owner.Tool == ToolArgoCD {
		owner.Name = o.Labels[labelInstance]
	}
	return []Owner{owner}
}

// marked are the tools that marked an object as theirs.
func marked(o Object) []Owner {
	var out []Owner
	if o.Labels[labelManagedBy] == "fairway" {
		out = append(out, Owner{Tool: ToolFairway})
	}
	if name := o.Labels[labelKustomization]; name != "" {
		out = append(out, Owner{ToolFlux, reference("Kustomization", o.Labels[labelKustomizationHome], name)})
	}
	if name := o.Labels[labelInstanceOfFlux]; name != "" {
		out = append(out, Owner{ToolFlux, reference("FluxInstance", o.Labels[labelInstanceOfFluxHome], name)})
	}
	if name := o.Labels[labelHelmRelease]; name != "" {
		out = append(out, Owner{ToolFlux, reference("HelmRelease", o.Labels[labelHelmReleaseHome], name)})
	} else if name := o.Annotations[annotationHelm]; name != "" { // a HelmRelease's objects have it, too
		out = append(out, Owner{ToolHelm, strings.TrimPrefix(o.Annotations[annotationHelmHome]+"/"+name, "/")})
	}
	// "<application>:<group>/<kind>:<namespace>/<name>"
	tracking, _, _ := strings.Cut(o.Annotations[annotationArgo], ":")
	if name := cmp.Or(tracking, o.Labels[labelArgo]); name != "" {
		out = append(out, Owner{ToolArgoCD, name})
	}
	return out
}

// byLabel is the owner of an object that no field manager is known of.
func byLabel(o Object) Owner {
	switch by := o.Labels[labelManagedBy]; by {
	case "":
		return Owner{Tool: ToolUnknown}
	case "Helm":
		return Owner{ToolHelm, o.Labels[labelInstance]}
	default:
		return Owner{ToolOther, by}
	}
}

// system says whether an object is the cluster's own, by its name or labels.
func system(o Object) bool {
	for _, label := range systemLabels {
		if o.Labels[label] != "" {
			return true
		}
	}
	switch {
	case o.Annotations[annotationAutoupdate] != "":
		return true
	case o.Kind == "Namespace":
		return o.Name == "default" || strings.HasPrefix(o.Name, "kube-")
	case o.Kind == "ServiceAccount":
		return o.Name == "default"
	case o.Kind == "ConfigMap":
		return o.Name == "kube-root-ca.crt"
	case o.Kind == "Service":
		return o.Namespace == "default" && o.Name == "kubernetes"
	}
	return o.Kind == "Node"
}

// lead is the writer that an object is put down to: a tool that is known to keep objects before a
// person that touched it; a person before other programs, since controllers write a little into what
// people made; and of several the first by name.
func lead(writers []Writer) (Writer, bool) {
	if len(writers) == 0 {
		return Writer{}, false
	}
	rank := func(w Writer) int {
		owner := byWriter(w.Name)
		if owner.Tool == ToolOther && applies(owner.Name) {
			return -1
		}
		return slices.Index(leading, owner.Tool)
	}
	return slices.MinFunc(writers, func(a, b Writer) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.Name, b.Name))
	}), true
}

// leading are the tools in the order in which one writer is believed before another.
var leading = []Tool{ToolFairway, ToolFlux, ToolArgoCD, ToolHelm, ToolKubectl, ToolOther, ToolKubernetes, ToolUnknown}

// applies says whether a field manager is one of a tool that keeps what it made.
func applies(writer string) bool {
	return slices.ContainsFunc(applyingWriters, func(name string) bool { return strings.HasPrefix(strings.ToLower(writer), name) })
}

// byWriter is the owner that the name of a field manager stands for.
func byWriter(name string) Owner {
	first, _, _ := strings.Cut(name, "/")
	switch {
	case first == "":
		return Owner{Tool: ToolUnknown}
	case slices.Contains(fairwayWriters, first):
		return Owner{Tool: ToolFairway}
	case slices.Contains(fluxWriters, first):
		return Owner{ToolFlux, first}
	case strings.HasPrefix(first, "argocd-"), first == "argocd":
		return Owner{Tool: ToolArgoCD}
	case strings.EqualFold(first, "helm"):
		return Owner{Tool: ToolHelm}
	case strings.HasPrefix(first, "kubectl"), first == "flux":
		return Owner{ToolKubectl, first}
	}
	for _, prefix := range systemWriters {
		if strings.HasPrefix(first, prefix) {
			return Owner{Tool: ToolKubernetes}
		}
	}
	return Owner{ToolOther, first}
}

var (
	fairwayWriters = []string{"fairway", "fairway-operator"}
	fluxWriters    = []string{
		"gotk-source-controller", "gotk-kustomize-controller", "gotk-helm-controller", "gotk-notification-controller",
		"source-controller", "kustomize-controller", "helm-controller", "notification-controller",
		"image-reflector-controller", "image-automation-controller", "source-watcher", "flux-operator",
	}
	// HashiCorp is what Terraform calls itself by default.
	applyingWriters = []string{"terraform", "hashicorp", "pulumi", "crossplane", "fleetagent", "kapp", "ansible", "sveltos"}
	systemWriters   = []string{
		"kube-", "kubelet", "kubeadm", "cloud-controller-manager", "api-priority-and-fairness", "cluster-bootstrap",
		"eks", "aks-", "acs-", "gke-", "gcp-", "k3s", "rke2", "deploy@", "csi-provisioner", "external-provisioner",
	}
)
