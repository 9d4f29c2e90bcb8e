// Package artifact keeps artifacts in an OCI registry: immutable bundles of one service's manifests, with what they say of
// where they come from. Push stores one, Resolve and List find them, Pull reads their files.
//
// An artifact is an OCI manifest with one layer, in the media types of Flux, so that Flux's own tools read it. The same
// files and metadata give the same manifest. The registry has a repository for each service, and a tag for each artifact: its
// id. What is read from there may be anybody's: it is bounded, and it is checked against its id, its digests and its service.
package artifact
