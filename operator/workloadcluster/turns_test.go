package workloadcluster

import "testing"

func TestTurns(t *testing.T) {
	s := turns{most: 2}
	for _, id := range []string{"a", "b"} {
		if !s.begin(id) {
			t.Fatalf("there is no place for %s", id)
		}
	}
	for _, id := range []string{"c", "d", "c"} {
		if s.begin(id) {
			t.Errorf("there is a place for %s", id)
		}
	}
	if next, ok := s.end(); next != "c" || !ok {
		t.Errorf("it is the turn of %q, %v; c came first", next, ok)
	}
	if !s.begin("d") {
		t.Error("a place that was given back is not free")
	}
	if next, ok := s.end(); ok {
		t.Errorf("it is the turn of %q, which has had it", next)
	}
	for _, id := range []string{"x", "y", "z"} {
		s.begin(id) // x has the place that is free
	}
	if next, ok := s.next(); ok {
		t.Errorf("it is the turn of %q, and there is no place", next)
	}
	if next, ok := s.end(); next != "y" || !ok {
		t.Errorf("it is the turn of %q, %v; y came first", next, ok)
	}
	if next, ok := s.next(); next != "z" || !ok {
		t.Errorf("y does not want it any more: it is the turn of %q, %v, want z", next, ok)
	}
	var free turns
	for range 100 {
		if !free.begin("a") {
			t.Fatal("without a bound there is no place")
		}
	}
}
