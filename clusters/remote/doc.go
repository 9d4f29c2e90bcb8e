// Package remote connects to workload clusters: it reads kubeconfigs that others wrote, refuses
// what they must not contain, and keeps one connection a cluster until its kubeconfig turns or many
// others were used since.
//
// Nothing here watches. A cluster that does not answer costs its caller no longer a wait than the
// caller has patience; after that it is waited for in the background, which costs a connection.
package remote
