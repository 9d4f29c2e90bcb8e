package survey

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// About is what is known of a cluster from elsewhere.
type About struct {
	Cluster          string // its id
	Provider, Region string // empty: not known
}

// Assess makes a report of what was observed at now.
func Assess(seen Observed, about About, now time.Time) Report {
	seen.Objects = slices.Clone(seen.Objects)
	slices.SortFunc(seen.Objects, func(a, b Object) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Kind, b.Kind),
			strings.Compare(a.Name, b.Name), strings.Compare(a.APIVersion, b.APIVersion))
	})
	report := Report{
		Cluster: about.Cluster, Time: now.UTC().Truncate(time.Second), Kubernetes: kubernetes(seen, about),
		Objects: Counts{Total: len(seen.Objects) + seen.Controlled + seen.Uncounted, Controlled: seen.Controlled},
		Flux:    fluxOf(seen), ArgoCD: argoOf(seen),
		RemovedAPIs: removedAPIs(seen), MissingRights: missingRights(seen.Denied),
		NotTried: notTried(seen), Cut: []Cut{},
	}
	report.take(seen)
	report.TakeOver = TakeOverOf(seen)
	report.Conflicts = conflicts(seen, report.Flux, report.TakeOver)
	return report
}

func notTried(seen Observed) []string {
	out := slices.Clone(seen.NotTried)
	if seen.Uncounted > 0 {
		out = append(out, fmt.Sprintf("who keeps %d more objects: only the first %d are looked at", seen.Uncounted, len(seen.Objects)))
	}
	slices.Sort(out)
	if out = slices.Compact(out); out == nil {
		return []string{}
	}
	return out
}

func missingRights(denied []Right) []Right {
	out := append([]Right{}, denied...)
	slices.SortFunc(out, func(a, b Right) int {
		return cmp.Or(strings.Compare(a.For, b.For), strings.Compare(a.Group, b.Group), strings.Compare(a.Resource, b.Resource),
			strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Verb, b.Verb))
	})
	return slices.Compact(out)
}

// kubernetes says what the cluster is, by its version and the labels of its nodes.
func kubernetes(seen Observed, about About) Kubernetes {
	out := Kubernetes{Version: seen.Version, Provider: about.Provider, Region: about.Region, Distribution: byVersion(seen)}
	for _, o := range seen.Objects {
		if o.Kind != "Node" || o.APIVersion != "v1" {
			continue
		}
		out.Nodes++
		for label, name := range map[string]string{nodeEKS: "EKS", nodeAKS: "AKS", nodeGKE: "GKE"} {
			if _, ok := o.Labels[label]; ok && out.Distribution == "" {
				out.Distribution = name
			}
		}
	}
	out.Provider = cmp.Or(out.Provider, map[string]string{"EKS": "AWS", "AKS": "Azure", "GKE": "GCP"}[out.Distribution])
	return out
}

func byVersion(seen Observed) string {
	for _, kind := range seen.Served {
		if kind.Kind == "ClusterVersion" && strings.HasPrefix(kind.APIVersion, "config.openshift.io/") {
			return "OpenShift"
		}
	}
	for _, mark := range []struct{ text, name string }{{"-eks-", "EKS"}, {"-gke.", "GKE"}, {"+rke2", "RKE2"}, {"+k3s", "K3s"}} {
		if strings.Contains(seen.Version, mark.text) {
			return mark.name
		}
	}
	return ""
}

// take sorts the objects by who keeps them.
func (r *Report) take(seen Observed) {
	r.Unowned, r.Contested = []Unowned{}, []Contested{}
	managers := map[Owner]*Manager{}
	for _, m := range declared(seen) {
		managers[Owner{m.Tool, m.Name}] = &m
	}
	for _, o := range seen.Objects {
		claims := owners(o)
		owner := claims[0]
		r.Objects.count(owner.Tool)
		switch owner.Tool {
		case ToolKubernetes:
		case ToolKubectl, ToolUnknown:
			r.Unowned = append(r.Unowned, Unowned{Object: o.String(), By: owner.Name})
		default:
			if managers[owner] == nil {
				managers[owner] = &Manager{Tool: owner.Tool, Name: owner.Name}
			}
			managers[owner].Objects++
		}
		if len(claims) > 1 {
			contested := Contested{Object: o.String()}
			for _, claim := range claims {
				contested.Owners = append(contested.Owners, claim.String())
			}
			r.Contested = append(r.Contested, contested)
		}
	}
	r.Managers = sorted(managers)
}

// declared are the managers that say themselves that they are there, whatever they keep.
func declared(seen Observed) []Manager {
	var out []Manager
	byFlux := map[string]bool{}
	for _, r := range seen.Reconcilers {
		m := Manager{Tool: ToolFlux, Name: reference(r.Kind, r.Namespace, r.Name), Status: r.Status}
		if r.SourceName != "" {
			m.Source = reference(r.SourceKind, r.SourceNamespace, r.SourceName)
			if r.Path != "" {
				m.Source += ", " + map[string]string{"Kustomization": "path ", "HelmRelease": "chart "}[r.Kind] + r.Path
			}
		}
		byFlux[r.Release] = true
		out = append(out, m)
	}
	for _, c := range seen.Charts {
		if name := c.Namespace + "/" + c.Name; !byFlux[name] {
			out = append(out, Manager{Tool: ToolHelm, Name: name, Status: fmt.Sprintf("%s, revision %d", cmp.Or(c.Status, "unknown"), c.Revision)})
		}
	}
	return out
}

func sorted(managers map[Owner]*Manager) []Manager {
	out := make([]Manager, 0, len(managers))
	for _, m := range managers {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b Manager) int {
		return cmp.Or(cmp.Compare(slices.Index(tools, a.Tool), slices.Index(tools, b.Tool)), strings.Compare(a.Name, b.Name))
	})
	return out
}

func (c *Counts) count(tool Tool) {
	switch tool {
	case ToolFlux:
		c.Flux++
	case ToolArgoCD:
		c.ArgoCD++
	case ToolHelm:
		c.Helm++
	case ToolFairway:
		c.Fairway++
	case ToolKubernetes:
		c.Kubernetes++
	case ToolKubectl:
		c.Kubectl++
	case ToolUnknown:
		c.Unknown++
	default:
		c.Other++
	}
}

// fluxOf finds Flux by its controllers, as labelled by Flux itself, or, in charts and old versions,
// by name.
func fluxOf(seen Observed) *Flux {
	var out *Flux
	var owner Owner
	for _, o := range seen.Objects {
		if o.Kind != kindDeployment || !strings.HasPrefix(o.APIVersion, "apps/") || !isController(o) {
			continue
		}
		if out == nil {
			owner = owners(o)[0]
			out = &Flux{Namespace: o.Namespace, Controllers: []string{}, Owner: owner.String(), Sources: []Source{}}
		}
		out.Controllers = append(out.Controllers, o.Name)
		out.Version = cmp.Or(out.Version, o.Labels[labelVersion])
	}
	if out == nil {
		return nil
	}
	out.Sources = append(out.Sources, seen.Sources...)
	slices.SortFunc(out.Sources, func(a, b Source) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Name, b.Name))
	})
	out.Bootstrap = bootstrap(seen, owner)
	return out
}

func isController(o Object) bool {
	if o.Labels[labelPartOf] == "flux" {
		return true
	}
	return o.Labels["app"] == "source-controller" || o.Labels["app"] == "kustomize-controller"
}

// bootstrap is the source that Flux's own controllers come from.
func bootstrap(seen Observed, owner Owner) string {
	for _, r := range seen.Reconcilers {
		if owner.Tool != ToolFlux || reference(r.Kind, r.Namespace, r.Name) != owner.Name {
			continue
		}
		for _, s := range seen.Sources {
			if s.Kind == r.SourceKind && s.Namespace == r.SourceNamespace && s.Name == r.SourceName {
				return strings.TrimSuffix(s.URL+", path "+r.Path, ", path ")
			}
		}
	}
	return ""
}

func argoOf(seen Observed) *ArgoCD {
	var out *ArgoCD
	applications := 0
	for _, o := range seen.Objects {
		switch {
		case o.Kind == "Application" && strings.HasPrefix(o.APIVersion, "argoproj.io/"):
			applications++
		case o.Labels[labelPartOf] == "argocd" && (o.Kind == kindDeployment || o.Kind == "StatefulSet"):
			if out == nil {
				out = &ArgoCD{Namespace: o.Namespace}
			}
			out.Version = cmp.Or(out.Version, o.Labels[labelVersion])
		}
	}
	if out != nil {
		out.Applications = applications
	}
	return out
}
