package pointers

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/gitrepo"
)

// Cause is what a commit is made for: who wants what where, and why.
type Cause struct {
	Team, Service, Environment string
	Targets                    []Target
	SourceCommit               string // of the artifact's source code; may be empty
	Intent                     fleetv1.Intent
	From                       string // the environment that a promotion comes from
	RequestedBy                string
	ApprovedBy                 []string
	Release                    string // "<namespace>/<name>"
	Note                       string // for people, as who asked wrote it; may be empty
	Failure                    *Failure
}

// Target is a cluster whose pointer the commit moves.
type Target struct {
	Cluster  string
	Artifact string // that it runs from now on; empty: none
}

// Failure is why a release is taken back without anybody having asked.
type Failure struct {
	Artifact string // that failed
	Cluster  string
	Object   string // "Deployment/payments/ledger"; may be empty
	Reason   string
	Message  string
	Since    time.Time
	Lines    []string // last lines of the container that failed, without secrets
}

// Engine is who asks when a release is taken back because it failed.
const Engine = "fairway"

const (
	maxLines = 30
	maxLine  = 500 // letters
	none     = "none"
)

// Message is the commit's message. Its trailers are a contract with who reads the log.
func Message(c Cause) gitrepo.Message {
	clusters := make([]string, len(c.Targets))
	for i, target := range c.Targets {
		clusters[i] = target.Cluster
	}
	intent, by := c.Intent, c.RequestedBy
	if c.Failure != nil {
		intent, by = fleetv1.IntentRollback, Engine
	}
	out := gitrepo.Message{Subject: c.subject(intent), Body: c.body()}
	add := func(key, value string) {
		if value != "" {
			out.Trailers = append(out.Trailers, gitrepo.Trailer{Key: key, Value: value})
		}
	}
	add("Service", c.Team+"/"+c.Service)
	add("Environment", c.Environment)
	add("Clusters", strings.Join(clusters, ", "))
	for _, artifact := range c.artifacts() {
		add("Artifact", artifact)
	}
	if c.Failure != nil {
		add("Failed-Artifact", c.Failure.Artifact)
	}
	add("Source-Commit", c.SourceCommit)
	add("Intent", string(intent))
	add("From", c.From)
	add("Requested-By", by)
	for _, person := range c.ApprovedBy {
		add("Approved-By", person)
	}
	add("Release", c.Release)
	return out
}

func (c Cause) subject(intent fleetv1.Intent) string {
	verb, place := "release", "to"
	if intent == fleetv1.IntentRollback {
		verb, place = "roll back", "in"
	}
	what := c.Team + "/" + c.Service
	if id, same := c.same(); same && id != "" {
		if intent == fleetv1.IntentRollback {
			what += " to"
		}
		what += " " + id
	}
	clusters := "1 cluster"
	if n := len(c.Targets); n != 1 {
		clusters = fmt.Sprintf("%d clusters", n)
	}
	return fmt.Sprintf("%s %s %s %s (%s)", verb, what, place, c.Environment, clusters)
}

// same is the artifact of all targets, if it is one.
func (c Cause) same() (id string, same bool) {
	for i, target := range c.Targets {
		if i > 0 && target.Artifact != id {
			return "", false
		}
		id = target.Artifact
	}
	return id, true
}

// artifacts are what the targets run from now on: one, or each with its cluster.
func (c Cause) artifacts() []string {
	if id, same := c.same(); same {
		return []string{orNone(id)}
	}
	var out []string
	for _, target := range c.Targets {
		out = append(out, fmt.Sprintf("%s (%s)", orNone(target.Artifact), target.Cluster))
	}
	return out
}

func orNone(id string) string {
	if id == "" {
		return none
	}
	return id
}

func (c Cause) body() string {
	var parts []string
	if c.Failure != nil {
		parts = append(parts, c.Failure.paragraphs()...)
	}
	if note := clean(c.Note); note != "" {
		parts = append(parts, note)
	}
	return strings.Join(parts, "\n\n")
}

// paragraphs are what failed, and the lines that show it.
func (f Failure) paragraphs() []string {
	what := fmt.Sprintf("%s failed on %s", f.Artifact, f.Cluster)
	if f.Object != "" {
		what += " (" + f.Object + ")"
	}
	if !f.Since.IsZero() {
		what += " at " + f.Since.UTC().Format(time.RFC3339)
	}
	what += ": " + f.Reason
	if message := clean(f.Message); message != "" {
		what += "\n" + message
	}
	out := []string{what}
	lines := f.Lines[max(0, len(f.Lines)-maxLines):]
	if len(lines) > 0 {
		out = append(out, "Last lines:\n"+indented(lines))
	}
	return out
}

// indented sets lines apart, so that none of them means anything to Git.
func indented(lines []string) string {
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = strings.TrimRight("    "+strings.ReplaceAll(clean(line), "\n", " "), " ")
	}
	return strings.Join(out, "\n")
}

// clean is a text without control characters, with lines that are not too long. A line of dashes, which would end the message
// for some of Git's tools, is moved in.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r == '\t':
			return ' '
		case unicode.IsControl(r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, text)
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i, line := range lines {
		if letters := []rune(line); len(letters) > maxLine {
			line = string(letters[:maxLine]) + "…"
		}
		if strings.HasPrefix(line, "---") {
			line = " " + line
		}
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(slices.CompactFunc(lines, func(a, b string) bool { return a == "" && b == "" }), "\n")
}
