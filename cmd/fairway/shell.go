package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/fairway-dev/fairway/fleet/client"
)

// shell is what every verb shares: how the program was called, its clock and how output looks.
type shell struct {
	name    string // "fairway" or "kubectl fairway", as usage strings say it
	version string
	server  string                   // the hub's address where no flag says one
	env     func(name string) string // the environment; nil: it is empty
	now     func() time.Time
	zone    *time.Location // for times that people read
	colour  bool
	columns func() int // of the terminal that stderr is; nil: it is none
}

func (s *shell) getenv(name string) string {
	if s.env == nil {
		return ""
	}
	return s.env(name)
}

// look is how a piece of text stands out. It only ever repeats what the text says.
type look int

const (
	plain look = iota
	good
	warn
	bad
	faint
)

func (s *shell) paint(l look, text string) string {
	code := map[look]string{good: "32", warn: "33", bad: "31", faint: "2"}[l]
	if !s.colour || code == "" || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// hint, done and caution write to stderr, for people; tables on stdout stay clean.
func hint(w io.Writer, format string, args ...any)    { fmt.Fprintf(w, "► "+format+"\n", args...) }
func done(w io.Writer, format string, args ...any)    { fmt.Fprintf(w, "✔ "+format+"\n", args...) }
func caution(w io.Writer, format string, args ...any) { fmt.Fprintf(w, "⚠ "+format+"\n", args...) }

// explain parts an error into what failed and what to do about it.
func explain(err error) (message, fix string) {
	fix = client.Fix(err)
	message = err.Error()
	if fix != "" {
		message = strings.Replace(message, " ("+fix+")", "", 1)
	}
	return clean(message), clean(fix)
}

// usage is an error in how the command was called.
func (s *shell) usage(command, format string, args ...any) error {
	return &client.Error{
		Op:  command,
		Err: fmt.Errorf(format, args...),
		Fix: fmt.Sprintf("see: %s %s --help", s.name, command),
	}
}

// missing is the error for a name that is not there, with names that are and look like it.
func (s *shell) missing(kind, name, list string, have []string) error {
	return s.missingFrom(kind, name, s.name+" "+list, have)
}

// missingFrom is missing, where another program lists the names.
func (s *shell) missingFrom(kind, name, list string, have []string) error {
	fix := "list them: " + list
	if close := near(name, have); len(close) > 0 {
		fix = "did you mean " + strings.Join(close, " or ") + "? Or " + fix
	}
	return &client.Error{Op: fmt.Sprintf("find %s %q", kind, name), Err: errors.New("there is none of that name"), Fix: fix}
}

// examples writes example calls with the program's name, for a command's help.
func (s *shell) examples(calls ...string) string {
	return "  " + s.name + " " + strings.Join(calls, "\n  "+s.name+" ")
}
