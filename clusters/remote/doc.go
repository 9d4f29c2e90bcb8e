// Package remote connects to workload clusters: it reads kubeconfigs that others wrote, refuses
// what they must not contain, and keeps one connection a cluster until its kubeconfig turns.
//
// Nothing here watches: a connection costs nothing while it is not used, and a cluster that does
// not answer costs its own caller a bounded wait.
package remote
