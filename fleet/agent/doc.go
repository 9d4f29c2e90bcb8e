// Package agent is the process on every workload cluster: it watches what fleet/observe
// understands, and sends what that says, in order and acknowledged, to the bus.
//
// One goroutine (loop) owns the observer and decides; the others only carry: a reflector per kind
// brings changes, the log reader brings last lines, the publisher empties the outbox, and
// heartbeats go beside it. Nothing is kept twice: the observer is the reflectors' only store.
//
// What is observed in one turn is committed to the outbox (fleet/outbox) in one transaction before
// it counts as seen. A process that finds the outbox of the one before goes on with its epoch: after
// the first lists it sends agent.started and what it missed. Without one it begins a new epoch:
// agent.started, the full state as a snapshot that notifies nobody, then live events.
package agent
