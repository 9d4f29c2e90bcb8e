package main

import (
	"fmt"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

// cluster is the one whose changes are told: an acquired one, which needs no cloud.
const cluster = fleet.Acquired

// layout adds the plan's Kustomizations to the root of the cluster.
func (p plan) layout() fleet.Files {
	dir := "clusters/" + cluster + "/"
	var list strings.Builder
	for i := range p.Services {
		fmt.Fprintf(&list, kustomization, service(i))
	}
	return fleet.Files{dir + "compare.yaml": list.String(), dir + "kustomization.yaml": root}
}

// round is what the n-th commit writes: something new for every Kustomization. The 0th, the layout's own, breaks nothing.
func (p plan) round(n int) fleet.Files {
	files := fleet.Files{}
	for i := range p.Services {
		value := fmt.Sprintf("%q", fmt.Sprint(n))
		if p.broken(n) == i {
			value = fmt.Sprint(n) // a number is no value of a ConfigMap: the API server refuses it
		}
		files["compare/"+service(i)+"/round.yaml"] = fmt.Sprintf(configMap, service(i), value)
	}
	return files
}

// broken is the Kustomization that the n-th commit breaks, another one each time; -1 for none.
func (p plan) broken(n int) int {
	if n == 0 || p.Break == 0 || n%p.Break != 0 {
		return -1
	}
	return n / p.Break % p.Services
}

// ends is how many changes a commit brings: the source has it, and each Kustomization comes to an end with it.
func (p plan) ends() int { return 1 + p.Services }

// counted are the objects that each commit changes. The cluster has more Kustomizations, which get every revision without
// anything to apply: of that notification-controller tells NATS nothing.
func (p plan) counted(obj event.Object) bool {
	if obj.Namespace != fleetv1.FluxNamespace {
		return false
	}
	switch obj.Kind {
	case sourcev1.GitRepositoryKind:
		return obj.Name == fleetv1.RootName
	case kustomizev1.KustomizationKind:
		return strings.HasPrefix(obj.Name, servicePrefix)
	}
	return false
}

const servicePrefix = "compare-"

func service(i int) string { return fmt.Sprint(servicePrefix, i) }

const root = `apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [namespace.yaml, platform.yaml, demo/podinfo.yaml, compare.yaml]
`

const kustomization = `---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: %[1]s, namespace: flux-system}
spec:
  interval: 10m
  retryInterval: 10s
  timeout: 1m
  path: ./compare/%[1]s
  prune: true
  wait: true
  sourceRef: {kind: GitRepository, name: fairway}
`

const configMap = `apiVersion: v1
kind: ConfigMap
metadata: {name: %s, namespace: default}
data: {round: %s}
`
