package main

import (
	"slices"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/event"
)

// Indices of those that are compared.
const (
	flux = iota
	fairway
)

// record collects what happened to the counted objects, and what was told of them. It is safe for concurrent use.
type record struct {
	counted func(event.Object) bool

	mu      sync.Mutex
	truth   truth
	tellers [2]teller
}

func newRecord(counted func(event.Object) bool) *record {
	return &record{counted: counted, tellers: [2]teller{
		flux:    {Name: "notification-controller"},
		fairway: {Name: "Fairway's agent", Once: true},
	}}
}

// see takes an object from the cluster's API.
func (r *record) see(obj client.Object, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := ended(obj); ok && r.counted(c.Object) {
		r.truth.see(obj, at)
	}
}

// hear takes a message that one of them told.
func (r *record) hear(who int, t told) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counted(t.Object) {
		r.tellers[who].Told = append(r.tellers[who].Told, t)
	}
}

// ends counts the changes that a Git commit has brought so far.
func (r *record) ends(commit string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, h := range r.truth.changes {
		if h.commit() == commit {
			n++
		}
	}
	return n
}

// missing counts the changes since a time that one of them has not told.
func (r *record) missing(who int, since time.Time) (n int) {
	changes, tellers := r.now()
	m := match(changes, tellers[who])
	for i, h := range changes {
		if !h.At.Before(since) && m.first[i] == nil {
			n++
		}
	}
	return n
}

// now is a copy of everything so far.
func (r *record) now() ([]happened, [2]teller) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tellers := r.tellers
	for i := range tellers {
		tellers[i].Told = slices.Clone(tellers[i].Told)
	}
	return slices.Clone(r.truth.changes), tellers
}
