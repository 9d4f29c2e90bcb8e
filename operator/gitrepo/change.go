package gitrepo

import (
	"fmt"
	"io/fs"
	"strings"
	"time"
	"unicode"
)

// Change is what one commit is to do.
type Change struct {
	Author  Identity // zero: who commits
	Message Message
	// Edit says what is to be written, seeing the files as they are then. It is asked again each time
	// the branch has moved, so that it can refuse what no longer holds: its error goes to who submitted
	// the change, and nothing of it is written. Edits that change nothing make no commit.
	Edit func(files fs.FS) ([]Edit, error)
}

// Edit is a file to be written, or to be deleted.
type Edit struct {
	Path    string // with slashes, from the root of the repository
	Content []byte
	Delete  bool // one that is not there is no error
}

// Identity is who made a commit.
type Identity struct{ Name, Email string }

// Message is a commit's message.
type Message struct {
	Subject  string // one line
	Body     string // may be empty
	Trailers []Trailer
}

// Trailer is a line "Key: value" at the end of a message, as git interpret-trailers reads it.
type Trailer struct{ Key, Value string }

// String is the message as Git stores it. Values stay on their line, so that none can pass for
// another trailer.
func (m Message) String() string {
	var out strings.Builder
	out.WriteString(oneLine(m.Subject))
	out.WriteByte('\n')
	if body := strings.TrimSpace(m.Body); body != "" {
		out.WriteString("\n" + body + "\n")
	}
	for i, trailer := range m.Trailers {
		if i == 0 {
			out.WriteByte('\n')
		}
		fmt.Fprintf(&out, "%s: %s\n", trailer.Key, oneLine(trailer.Value))
	}
	return out.String()
}

// oneLine makes line ends and other control characters spaces.
func oneLine(text string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text))
}

// header is an identity as Git can store it: without what ends a name or a line.
func (i Identity) header() (name, email string) {
	clean := strings.NewReplacer("<", "", ">", "")
	return clean.Replace(oneLine(i.Name)), clean.Replace(oneLine(i.Email))
}

// now is a time as Git stores it, to the second.
func (w *Writer) now() time.Time { return w.Clock().UTC().Truncate(time.Second) }
