// Package members is a stand-in for the API servers of many workload clusters, for benchmarks of the operator: one HTTPS listener
// answers for all of them, each under a name of its own (TLS server name) and a token of its own. Nothing else of the operator's
// surroundings is stood in for.
//
// A member knows what the operator asks of a cluster: version, discovery (as a real API server answered it, with the kinds of the
// definitions that were applied), get, list, server-side apply (also as dry run), merge patch, create and delete. There is one
// writer, so an apply is what was applied before or it is all of the object. What takes time on a cluster takes none here:
// Deployments are available, definitions established and Flux's objects Ready once they are applied. Nobody watches, and a watch is
// refused.
//
// Objects that members have in common are kept once, by the hash of what was applied: a thousand members take some tens of MiB.
//
// A member can hang: it accepts connections and never answers, neither a handshake nor a request; or it says its version, and answers
// nothing else.
package members
