package survey

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var now = time.Date(2026, 11, 22, 8, 17, 0, 0, time.UTC)

// written makes an object that somebody wrote.
func by(o Object, writers ...string) Object {
	for _, name := range writers {
		o.Writers = append(o.Writers, Writer{Name: name, APIVersion: o.APIVersion})
	}
	return o
}

func deployment(namespace, name string) Object {
	return Object{APIVersion: "apps/v1", Kind: "Deployment", Namespace: namespace, Name: name}
}

func labelled(o Object, labels map[string]string) Object {
	o.Labels = labels
	return o
}

func annotated(o Object, annotations map[string]string) Object {
	o.Annotations = annotations
	return o
}

func TestOwners(t *testing.T) {
	cart := deployment("shop", "cart")
	helm := map[string]string{annotationHelm: "redis", annotationHelmHome: "shop"}
	for name, c := range map[string]struct {
		object Object
		want   string
	}{
		"what a Kustomization applied":                         {by(labelled(cart, map[string]string{labelKustomization: "apps", labelKustomizationHome: "flux-system"}), "kustomize-controller"), "Flux Kustomization/flux-system/apps"},
		"a person's edit does not take it from Flux":           {by(labelled(cart, map[string]string{labelKustomization: "apps", labelKustomizationHome: "flux-system"}), "kubectl-edit"), "Flux Kustomization/flux-system/apps"},
		"a HelmRelease's objects are not Helm's own":           {annotated(labelled(cart, map[string]string{labelHelmRelease: "redis", labelHelmReleaseHome: "shop", labelManagedBy: "Helm"}), helm), "Flux HelmRelease/shop/redis"},
		"what helm install made":                               {by(annotated(labelled(cart, map[string]string{labelManagedBy: "Helm"}), helm), "helm"), "Helm shop/redis"},
		"a chart that kubectl applied is a person's":           {by(labelled(cart, map[string]string{labelManagedBy: "Helm"}), "kubectl-client-side-apply"), "by hand (kubectl-client-side-apply)"},
		"an Argo CD application, by its tracking annotation":   {by(annotated(cart, map[string]string{annotationArgo: "shop:apps/Deployment:shop/cart"}), "argocd-controller"), "Argo CD shop"},
		"an Argo CD application, by its label":                 {labelled(cart, map[string]string{labelArgo: "shop"}), "Argo CD shop"},
		"an Argo CD application, by what everybody uses":       {by(labelled(cart, map[string]string{labelInstance: "shop"}), "argocd-controller"), "Argo CD shop"},
		"an instance label alone is nobody's":                  {by(labelled(cart, map[string]string{labelInstance: "shop"}), "kubectl"), "by hand (kubectl)"},
		"Fairway's own, by its label":                          {by(labelled(cart, map[string]string{labelManagedBy: "fairway"}), "fairway"), "Fairway"},
		"two tools that fight":                                 {annotated(labelled(cart, map[string]string{labelKustomization: "apps", labelKustomizationHome: "x"}), helm), "Flux Kustomization/x/apps, Helm shop/redis"},
		"a person's, that a controller wrote something into":   {by(cart, "cert-manager", "kubectl-create"), "by hand (kubectl-create)"},
		"Terraform's, that a person edited":                    {by(cart, "kubectl-edit", "HashiCorp"), "HashiCorp"},
		"another program's":                                    {by(cart, "istiod"), "istiod"},
		"one that only its label speaks of":                    {labelled(cart, map[string]string{labelManagedBy: "tool"}), "tool"},
		"one of which nothing is known":                        {cart, "nobody known"},
		"a writer without a name is nobody":                    {by(cart, ""), "nobody known"},
		"what the API server made":                             {by(Object{APIVersion: "v1", Kind: "Service", Namespace: "default", Name: "kubernetes"}, "kube-apiserver"), "Kubernetes"},
		"what the API server made, by its writer":              {by(cart, "kube-apiserver/v1.36"), "Kubernetes"},
		"a cloud's add-on":                                     {by(labelled(cart, map[string]string{"eks.amazonaws.com/component": "coredns"}), "kubectl"), "Kubernetes"},
		"a role that Kubernetes keeps":                         {annotated(Object{Kind: "ClusterRole", Name: "view"}, map[string]string{annotationAutoupdate: "true"}), "Kubernetes"},
		"a namespace that comes with Kubernetes":               {Object{APIVersion: "v1", Kind: "Namespace", Name: "kube-system"}, "Kubernetes"},
		"a namespace that a person made":                       {by(Object{APIVersion: "v1", Kind: "Namespace", Name: "shop"}, "kubectl-create"), "by hand (kubectl-create)"},
		"the certificate that every namespace has":             {by(Object{APIVersion: "v1", Kind: "ConfigMap", Namespace: "shop", Name: "kube-root-ca.crt"}, "kube-controller-manager"), "Kubernetes"},
		"a node, whoever labelled it":                          {by(Object{APIVersion: "v1", Kind: "Node", Name: "n1"}, "kubectl-label"), "Kubernetes"},
		"Flux from its command line: nothing brings it back":   {by(cart, "flux"), "by hand (flux)"},
		"Flux's own, which carries no label of what it is for": {by(cart, "helm-controller"), "Flux helm-controller"},
	} {
		t.Run(name, func(t *testing.T) {
			var have []string
			for _, owner := range owners(c.object) {
				have = append(have, owner.String())
			}
			if diff := cmp.Diff(c.want, strings.Join(have, ", ")); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

// acquired is a cluster with a bit of everything.
func acquired() Observed {
	fluxLabels := map[string]string{labelPartOf: "flux", labelVersion: "v2.3.0", labelKustomization: "flux-system", labelKustomizationHome: "flux-system"}
	return Observed{
		Version: "v1.34.2-eks-a1b2c3d",
		Served:  []Kind{{"apps/v1", "Deployment"}, {"flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema"}},
		Objects: []Object{
			by(labelled(deployment("flux-system", "source-controller"), fluxLabels), "kustomize-controller"),
			by(labelled(deployment("flux-system", "kustomize-controller"), fluxLabels), "kustomize-controller"),
			by(labelled(deployment("shop", "cart"), map[string]string{labelKustomization: "apps", labelKustomizationHome: "flux-system"}), "kustomize-controller"),
			by(deployment("shop", "forgotten"), "kubectl-create"),
			by(annotated(deployment("shop", "redis"), map[string]string{annotationHelm: "redis", annotationHelmHome: "shop"}), "helm"),
			by(annotated(labelled(deployment("shop", "both"), map[string]string{labelKustomization: "apps", labelKustomizationHome: "flux-system"}), map[string]string{annotationArgo: "shop:apps/Deployment:shop/both"}), "argocd-controller"),
			by(labelled(deployment("argocd", "argocd-server"), map[string]string{labelPartOf: "argocd", labelVersion: "v3.1.0"}), "kubectl-client-side-apply"),
			by(Object{APIVersion: "argoproj.io/v1alpha1", Kind: "Application", Namespace: "argocd", Name: "shop"}, "kubectl-client-side-apply"),
			labelled(Object{APIVersion: "v1", Kind: "Node", Name: "n1"}, map[string]string{nodeEKS: "main"}),
			{APIVersion: "batch/v1", Kind: "CronJob", Namespace: "shop", Name: "report", Writers: []Writer{{Name: "kubectl-client-side-apply", APIVersion: "batch/v1beta1"}, {Name: "kube-controller-manager", APIVersion: "batch/v1beta1"}}},
		},
		Controlled: 7,
		Charts:     []Chart{{Namespace: "shop", Name: "redis", Revision: 3, Status: "deployed"}, {Namespace: "shop", Name: "web", Revision: 1, Status: "deployed"}},
		Reconcilers: []Reconciler{
			{Kind: "Kustomization", Namespace: "flux-system", Name: "flux-system", SourceKind: "GitRepository", SourceNamespace: "flux-system", SourceName: "flux-system", Path: "./clusters/prod", Status: "Ready"},
			{Kind: "Kustomization", Namespace: "flux-system", Name: "apps", SourceKind: "GitRepository", SourceNamespace: "flux-system", SourceName: "flux-system", Path: "./apps", Status: "BuildFailed"},
			{Kind: "HelmRelease", Namespace: "shop", Name: "web", SourceKind: "HelmRepository", SourceNamespace: "shop", SourceName: "charts", Path: "web", Status: "suspended", Release: "shop/web"},
		},
		Sources:  []Source{{Kind: "GitRepository", Namespace: "flux-system", Name: "flux-system", URL: "https://git.example.com/acquired.git", Reference: "branch main", Status: "Ready"}},
		Denied:   []Right{{For: "flux", Verb: "create", Group: "apps", Resource: "deployments", Namespace: "flux-system"}, {For: ForSurvey, Verb: "list", Resource: "pods"}},
		NotTried: unreachable,
	}
}

func TestAssess(t *testing.T) {
	want := Report{
		Cluster: "acquired-1", Time: now,
		Kubernetes: Kubernetes{Version: "v1.34.2-eks-a1b2c3d", Distribution: "EKS", Provider: "AWS", Region: "eu-west-1", Nodes: 1},
		Objects:    Counts{Total: 17, Controlled: 7, Flux: 4, Helm: 1, Kubernetes: 1, Kubectl: 4},
		Flux: &Flux{
			Version: "v2.3.0", Namespace: "flux-system", Controllers: []string{"kustomize-controller", "source-controller"},
			Owner: "Flux Kustomization/flux-system/flux-system", Bootstrap: "https://git.example.com/acquired.git, path ./clusters/prod",
			Sources: acquired().Sources,
		},
		ArgoCD: &ArgoCD{Version: "v3.1.0", Namespace: "argocd", Applications: 1},
		Managers: []Manager{
			{Tool: ToolFlux, Name: "HelmRelease/shop/web", Source: "HelmRepository/shop/charts, chart web", Status: "suspended"},
			{Tool: ToolFlux, Name: "Kustomization/flux-system/apps", Objects: 2, Source: "GitRepository/flux-system/flux-system, path ./apps", Status: "BuildFailed"},
			{Tool: ToolFlux, Name: "Kustomization/flux-system/flux-system", Objects: 2, Source: "GitRepository/flux-system/flux-system, path ./clusters/prod", Status: "Ready"},
			{Tool: ToolHelm, Name: "shop/redis", Objects: 1, Status: "deployed, revision 3"},
		},
		Unowned: []Unowned{
			{"Application/argocd/shop", "kubectl-client-side-apply"}, {"Deployment/argocd/argocd-server", "kubectl-client-side-apply"},
			{"CronJob/shop/report", "kubectl-client-side-apply"}, {"Deployment/shop/forgotten", "kubectl-create"},
		},
		Contested: []Contested{{Object: "Deployment/shop/both", Owners: []string{"Flux Kustomization/flux-system/apps", "Argo CD shop"}}},
		Conflicts: []Conflict{},
		RemovedAPIs: []RemovedAPI{
			{APIVersion: "batch/v1beta1", Kind: "CronJob", RemovedIn: "1.25", Use: "batch/v1", Objects: 1, Managers: []string{"kubectl-client-side-apply"}, Examples: []string{"CronJob/shop/report"}},
			{APIVersion: "flowcontrol.apiserver.k8s.io/v1beta3", Kind: "FlowSchema", RemovedIn: "1.32", Use: "flowcontrol.apiserver.k8s.io/v1", Served: true, Managers: []string{}, Examples: []string{}},
		},
		MissingRights: []Right{{For: "flux", Verb: "create", Group: "apps", Resource: "deployments", Namespace: "flux-system"}, {For: ForSurvey, Verb: "list", Resource: "pods"}},
		NotTried:      unreachable,
		Cut:           []Cut{},
	}
	about := About{Cluster: "acquired-1", Region: "eu-west-1"}
	if diff := cmp.Diff(want, Assess(acquired(), about, now)); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
	t.Run("the order of what was seen does not matter", func(t *testing.T) {
		seen := acquired()
		for i, j := 0, len(seen.Objects)-1; i < j; i, j = i+1, j-1 {
			seen.Objects[i], seen.Objects[j] = seen.Objects[j], seen.Objects[i]
		}
		if diff := cmp.Diff(want, Assess(seen, about, now)); diff != "" {
			t.Errorf("(-want +have):\n%s", diff)
		}
	})
	t.Run("no list of an empty cluster's report is nil", func(t *testing.T) {
		text, err := Assess(Observed{}, about, now).JSON()
		if err != nil || strings.Contains(string(text), "null") {
			t.Errorf("%v: %s", err, text)
		}
	})
	t.Run("what was not looked at is told of", func(t *testing.T) {
		report := Assess(Observed{Uncounted: 12}, about, now)
		if report.Objects.Total != 12 || !strings.Contains(strings.Join(report.NotTried, "\n"), "12 more objects") {
			t.Errorf("%+v", report)
		}
	})
}

func TestDistribution(t *testing.T) {
	node := func(label string) []Object {
		return []Object{labelled(Object{APIVersion: "v1", Kind: "Node"}, map[string]string{label: "x"})}
	}
	for name, c := range map[string]struct {
		seen Observed
		want Kubernetes
	}{
		"EKS, by its version":          {Observed{Version: "v1.34.2-eks-a1b2c3d"}, Kubernetes{Distribution: "EKS", Provider: "AWS"}},
		"GKE, by its version":          {Observed{Version: "v1.34.2-gke.1200"}, Kubernetes{Distribution: "GKE", Provider: "GCP"}},
		"K3s, by its version":          {Observed{Version: "v1.34.2+k3s1"}, Kubernetes{Distribution: "K3s"}},
		"RKE2, by its version":         {Observed{Version: "v1.34.2+rke2r1"}, Kubernetes{Distribution: "RKE2"}},
		"AKS, by its nodes":            {Observed{Version: "v1.34.2", Objects: node(nodeAKS)}, Kubernetes{Distribution: "AKS", Provider: "Azure", Nodes: 1}},
		"OpenShift, by what it serves": {Observed{Version: "v1.34.2", Served: []Kind{{"config.openshift.io/v1", "ClusterVersion"}}}, Kubernetes{Distribution: "OpenShift"}},
		"none of these":                {Observed{Version: "v1.34.2"}, Kubernetes{}},
	} {
		t.Run(name, func(t *testing.T) {
			c.want.Version = c.seen.Version
			if diff := cmp.Diff(c.want, Assess(c.seen, About{}, now).Kubernetes); diff != "" {
				t.Errorf("(-want +have):\n%s", diff)
			}
		})
	}
}

func TestBare(t *testing.T) {
	for address, want := range map[string]string{
		"https://git.example.com/a.git":                         "https://git.example.com/a.git",
		"https://user:password@git.example.com/a.git":           "https://git.example.com/a.git",
		"https://ghp_0123456789@github.com/a/b":                 "https://github.com/a/b",
		"https://git.example.com/a.git?access_token=x#fragment": "https://git.example.com/a.git",
		"ssh://git@github.com/a/b":                              "ssh://git@github.com/a/b",
		"ssh://git:password@github.com/a/b":                     "ssh://git@github.com/a/b",
		"oci://token@ghcr.io/a/b":                               "oci://ghcr.io/a/b",
		"git@github.com:a/b":                                    "(an address that is no URL)",
		"https:token@host/x":                                    "(an address that is no URL)",
		"://":                                                   "(an address that is no URL)",
		"":                                                      "",
	} {
		if got := bare(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}

// FuzzBare looks for a password that gets through.
func FuzzBare(f *testing.F) {
	for _, scheme := range []string{"https", "ssh", "oci", "http", ""} {
		f.Add(scheme, "user")
	}
	f.Fuzz(func(t *testing.T, scheme, user string) {
		const secret = "s3cr3tPassw0rd"
		for _, address := range []string{
			scheme + "://" + user + ":" + secret + "@git.example.com/a.git", scheme + "://git.example.com/a.git?token=" + secret,
		} {
			got := bare(address)
			if !strings.Contains(scheme+user, "/") && !strings.ContainsAny(scheme+user, "?#") && strings.Contains(got, secret) {
				t.Errorf("%q: %q", address, got)
			}
		}
	})
}
