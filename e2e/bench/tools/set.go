package tools

import (
	"fmt"
	"path/filepath"
	"slices"
)

// Set is a number of built tools.
type Set struct {
	// Version is what the Fairway binaries call themselves, and the tag of their images:
	// v0.1.0-dev.g<hash of the sources>. Empty when Fairway was not built.
	Version string

	dirs map[string]string // by tool
}

// File returns the path of a file that a tool made: a binary (named after its package), or one of
// FluxComponents, ClusterAPICRDs. It panics when the tool is not in the set, which is a mistake in
// the caller.
func (s *Set) File(tool, name string) string {
	dir, ok := s.dirs[tool]
	if !ok {
		panic(fmt.Sprintf("tool %q was not built", tool))
	}
	return filepath.Join(dir, name)
}

// Has says whether a tool is in the set.
func (s *Set) Has(tool string) bool { return s.dirs[tool] != "" }

// Assets returns a folder for KUBEBUILDER_ASSETS: etcd, kube-apiserver and kubectl.
func (s *Set) Assets() string { return s.File(Kube, kubeAssets) }

// Image is a repository of container images that the process node runs as one program of this
// machine. It covers the repositories below it too: "ghcr.io/x" stands for "ghcr.io/x/y:v1".
type Image struct {
	Prefix     string            `json:"prefix"`
	Binary     string            `json:"binary"`               // absolute path
	Entrypoint string            `json:"entrypoint,omitempty"` // in the container; /usr/local/bin/<name of Binary> when empty
	Env        map[string]string `json:"env,omitempty"`        // what the image brings along; the pod's own wins
	Tags       []string          `json:"tags,omitempty"`       // the only tags that exist; every tag when empty
}

// Images lists the images of everything in the set: Flux's controllers, podinfo, lastwords, and
// Fairway's operator, hub and agent.
func (s *Set) Images() []Image {
	var images []Image
	for _, image := range []struct{ prefix, tool, binary string }{
		{"ghcr.io/fluxcd/source-controller", Flux, "source-controller"},
		{"ghcr.io/fluxcd/kustomize-controller", Flux, "kustomize-controller"},
		{"ghcr.io/fluxcd/helm-controller", Flux, "helm-controller"},
		{"ghcr.io/fluxcd/notification-controller", FluxNotification, "notification-controller"},
		{"ghcr.io/stefanprodan/podinfo", Podinfo, "podinfo"},
		{"ghcr.io/fairway-dev/lastwords", LastWords, "lastwords"},
		{"ghcr.io/fairway-dev/operator", Fairway, "operator"},
		{"ghcr.io/fairway-dev/hub", Fairway, "hub"},
		{"ghcr.io/fairway-dev/agent", Fairway, "agent"},
	} {
		if s.Has(image.tool) {
			images = append(images, Image{Prefix: image.prefix, Binary: s.File(image.tool, image.binary)})
		}
	}
	return slices.Clip(images)
}
