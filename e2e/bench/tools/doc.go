// Package tools builds the programs that the bench runs and keeps them: real Kubernetes, Flux,
// Cluster API, the process node, and Fairway itself, each from a Go module in this repository.
//
// A build is kept in a folder named after a hash of everything that it is made of (go.mod, go.sum,
// sources, Go version, flags), so it is done once and never goes stale:
//
//	<cache>/<tool>/<hash>/<file>
//
// Any number of processes may build at once.
package tools
