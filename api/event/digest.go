package event

import "github.com/cespare/xxhash/v2"

// Sum is a 64-bit hash of what an entry says: type, subject, ownership, revision and data as they
// are on the wire, but not its time.
//
// The digest of an inventory (Heartbeat.Digest) is the sum, modulo 2^64, of the Sums of the last
// entry that was told of each of its members: of every Flux object and workload that is not
// removed, by subject, and of every episode that is open, by Episode.ID. It depends on no order, and a change costs one
// subtraction and one addition. Sender and reader compute it from the same bytes: an event that the
// reader missed, or folded wrongly, makes them differ.
func (e *Entry) Sum() uint64 {
	var room [1 << 10]byte // most entries are smaller
	all := room[:0]
	for _, text := range [...]string{string(e.Type), e.Subject, e.Team, e.Service, e.Artifact, e.Revision} {
		all = append(append(all, text...), 0)
	}
	return xxhash.Sum64(append(all, e.Data...))
}
