package view

import "slices"

// span is a range of sequences, both ends included.
type span struct{ first, last uint64 }

// spans are ascending, with holes between them.
type spans []span

// find is the first span that ends at seq or later.
func (s spans) find(seq uint64) int {
	at, _ := slices.BinarySearchFunc(s, seq, func(s span, seq uint64) int {
		if s.last < seq {
			return -1
		}
		return 1
	})
	return at
}

func (s spans) has(seq uint64) bool {
	at := s.find(seq)
	return at < len(s) && s[at].first <= seq
}

// add is the spans with one more, which may cover and touch others.
func (s spans) add(more span) spans {
	if last := len(s) - 1; last >= 0 && more.first == s[last].last+1 { // nearly always
		s[last].last = more.last
		return s
	}
	from := s.find(more.first - min(1, more.first))
	to := from
	for to < len(s) && s[to].first <= more.last+1 {
		more.first, more.last = min(more.first, s[to].first), max(more.last, s[to].last)
		to++
	}
	return slices.Replace(s, from, to, more)
}

// count counts the sequences that are in (floor, ceiling].
func (s spans) count(floor, ceiling uint64) (n uint64) {
	for _, one := range s {
		n += one.within(floor, ceiling)
	}
	return n
}

// common counts the sequences in (floor, ceiling] that are in other as well.
func (s spans) common(other spans, floor, ceiling uint64) (n uint64) {
	for i, k := 0, 0; i < len(s) && k < len(other); {
		a, b := s[i], other[k]
		n += span{max(a.first, b.first), min(a.last, b.last)}.within(floor, ceiling)
		if a.last < b.last {
			i++
		} else {
			k++
		}
	}
	return n
}

// within counts the sequences that are in (floor, ceiling]. A span may be empty, its first beyond its last.
func (s span) within(floor, ceiling uint64) uint64 {
	first, last := max(s.first, floor+1), min(s.last, ceiling)
	if first > last {
		return 0
	}
	return last - first + 1
}
