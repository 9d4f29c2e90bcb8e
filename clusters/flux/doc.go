// Package flux puts Flux on a cluster and reads back how it does: which version an OCI artifact
// offers (Catalog), what of it is applied (Options), whose Flux is already there (Detect), the
// objects that make a cluster follow the config repository (Sync), and whether they work
// (ReadSync).
//
// Applier, which applies them, serves any set of objects that Fairway owns on a cluster.
package flux
