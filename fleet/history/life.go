package history

import (
	"encoding/binary"
	"errors"
	"slices"
)

// maxHoles bounds what one life of an outbox can take. Beyond it the oldest hole counts as filled:
// what comes for it so late is taken for a duplicate.
const maxHoles = 16 << 10

// life knows which sequences of one epoch of a cluster are in the history: all up to last, without
// the holes.
type life struct {
	id      int64
	cluster int64
	last    uint64
	holes   []hole // ascending
	epoch   string
	// quiet is until when, in Unix milliseconds of the cluster, events are what the agent found, not what
	// happened: the first snapshot of a life that was seen from its first event ends it.
	quiet  int64
	used   int64 // day of the last event, Unix time over 24 h
	listed bool  // among those that the batch has to write
}

// hole is a run of sequences that did not come, both ends included.
type hole struct{ first, last uint64 }

// take marks the sequence; false when it is in the history already.
func (l *life) take(seq uint64) bool {
	switch {
	case seq > l.last:
		if seq > l.last+1 {
			l.holes = append(l.holes, hole{l.last + 1, seq - 1})
			if len(l.holes) > maxHoles {
				l.holes = slices.Delete(l.holes, 0, 1)
			}
		}
		l.last = seq
	case !l.fill(seq):
		return false
	}
	return true
}

// fill takes the sequence out of the hole that it is in.
func (l *life) fill(seq uint64) bool {
	at, found := slices.BinarySearchFunc(l.holes, seq, func(h hole, seq uint64) int {
		switch {
		case h.last < seq:
			return -1
		case h.first > seq:
			return 1
		}
		return 0
	})
	if !found {
		return false
	}
	switch h := &l.holes[at]; {
	case h.first == h.last:
		l.holes = slices.Delete(l.holes, at, at+1)
	case h.first == seq:
		h.first++
	case h.last == seq:
		h.last--
	default:
		rest := hole{seq + 1, h.last}
		h.last = seq - 1
		l.holes = slices.Insert(l.holes, at+1, rest)
	}
	return true
}

// encodeHoles writes the holes as distances, each as a variable number of bytes.
func encodeHoles(holes []hole) []byte {
	out, from := []byte{}, uint64(0)
	for _, h := range holes {
		out = binary.AppendUvarint(out, h.first-from)
		out = binary.AppendUvarint(out, h.last-h.first)
		from = h.last
	}
	return out
}

var errHoles = errors.New("the holes of a life cannot be read")

func decodeHoles(data []byte) ([]hole, error) {
	var out []hole
	for from := uint64(0); len(data) > 0; {
		first, n := binary.Uvarint(data)
		if n <= 0 {
			return nil, errHoles
		}
		length, m := binary.Uvarint(data[n:])
		if m <= 0 {
			return nil, errHoles
		}
		h := hole{from + first, from + first + length}
		out, from, data = append(out, h), h.last, data[n+m:]
	}
	return out, nil
}
