// Package observe turns Kubernetes objects into events: rollouts of workloads, states of Flux
// objects, episodes of failure, the cluster as a whole. It is pure: it has no client and reads no
// clock. The same objects in the same order, with the same times, give the same drafts.
//
// An Observer remembers what it said last about every object. Apply, Remove and Recheck compare
// that with what is now and answer with drafts of the events that tell the difference. Only
// changes of meaning are told: a new state, another revision, another failure; never a mere
// resourceVersion, a retry, or a count inside a message.
//
// Decisions about one object are functions on values (readFlux, readDeployment, podFailures, …);
// the Observer only remembers and relates: pods to the workload at the top, workloads to the Flux
// object that applied them, failures to their episode.
package observe
