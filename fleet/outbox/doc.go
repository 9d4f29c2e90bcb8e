// Package outbox keeps a cluster's events on disk until the bus has acknowledged them, and what was
// told last of every object, so that an agent that was killed goes on where it was.
//
// One bbolt file holds the queue (sequence -> event), the state (member of the inventory -> the last
// entry that was told of it) and where the epoch stands. A commit writes all three in one synced
// transaction: an event that has a sequence is on disk, and so is what it says.
//
// The queue is bounded. What has to be dropped is the oldest of the least severe kinds, and is told:
// the next message is one agent.gap that says which sequences will never come.
package outbox
