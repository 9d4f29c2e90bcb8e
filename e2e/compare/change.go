package main

import (
	"strings"
	"time"

	"github.com/fairway-dev/fairway/api/event"
)

// outcome is how a revision ended on an object.
type outcome string

// Outcomes. A source that has fetched a revision has applied it.
const (
	applied outcome = "applied"
	failed  outcome = "failed"
)

// change is that an object has come to an end with a revision.
type change struct {
	Object   event.Object
	Revision string // as Flux writes it: main@sha1:<commit>
	Outcome  outcome
}

// commit is the Git commit of the revision.
func (c change) commit() string { return c.Revision[strings.LastIndexByte(c.Revision, ':')+1:] }

// happened is a change that the cluster's API told, and when.
type happened struct {
	change
	At time.Time
}

// told is a message that says so, and when it was received. Messages of the same ID say the same.
type told struct {
	change
	ID string
	At time.Time
}
