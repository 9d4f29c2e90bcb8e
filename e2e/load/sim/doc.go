// Package sim runs any number of simulated clusters against a real event bus, for benchmarks and
// fault stories. What is simulated is Kubernetes: a World makes the objects of one cluster and
// changes them, from a seed. All else is the agent's own code: observer, outbox file, publisher,
// heartbeats, one connection with a user of its own.
//
//	fleet, err := sim.Start(ctx, sim.Options{Clusters: 1000, Dir: dir, URL: url, CA: ca, Keys: keys})
//	defer fleet.Close()
//	err = fleet.Traffic(ctx, 500, fleet.Clusters)
//
// A cluster can be cut off, its agent killed, its outbox deleted, its clock set wrong, its messages
// repeated and reordered. The Ledger keeps what was committed, to compare history with.
package sim
