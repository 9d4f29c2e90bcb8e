// Package preflight finds out whether clusters would run an artifact, before anything is written: it builds what Flux would
// build of it (Render, Build), and has a cluster's API server try that out (Check).
//
// What it builds is what kustomize-controller makes of the pointer to an artifact: the artifact's own kustomization.yaml or a
// generated one, spec.targetNamespace the team's, the labels of spec.commonMetadata, and variables filled in strictly. It
// reads nothing but the artifact's files, asks no network and runs no program. What would need that, or would lead out of
// the artifact, is a problem that names it.
package preflight
