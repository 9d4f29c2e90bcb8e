package redact

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/fairway-dev/fairway/api/event"
)

// cutMark stands where a text was cut.
const cutMark = "…"

// MaxRead is how much of a text is looked at, in bytes: so much more than what is sent that a secret
// which is cut in two does not show.
const MaxRead = 64 << 10

// Clean makes a message fit to be sent: redacted, valid UTF-8, at most event.MaxMessage bytes.
func (r *Redactor) Clean(message string) string {
	return cut(r.Redact(printable(cut(message, MaxRead))), event.MaxMessage)
}

// MaxWord is the longest word that Word lets through, in bytes; of a longer one wordRead is looked at.
const (
	MaxWord  = 253
	wordRead = 4 << 10
)

// Word makes a name, or the value of a label or annotation, fit to be an attribute of an event: on one
// line, redacted, at most MaxWord bytes.
func (r *Redactor) Word(value string) string {
	value = strings.Join(strings.Fields(printable(cut(value, wordRead))), " ")
	return strings.TrimSpace(cut(r.Redact(value), MaxWord))
}

// Lines makes the end of a container's log fit to be looked at: redacted, valid UTF-8 without terminal
// colours, of the last MaxRead bytes. Lines are redacted together: a key is one secret, however many
// lines it takes.
func (r *Redactor) Lines(raw []byte) []string {
	partial := len(raw) > MaxRead
	raw = raw[max(0, len(raw)-MaxRead):]
	text := strings.TrimRight(printable(string(bytes.ReplaceAll(raw, []byte("\r"), nil))), "\n\t ")
	if text == "" {
		return nil
	}
	lines := strings.Split(r.Redact(text), "\n")
	switch {
	case partial && len(lines) > 1: // where it was cut, half a secret may stand
		return lines[1:]
	case partial:
		lines[0] = cutFront(lines[0], event.MaxLog-1)
	}
	return lines
}

// Last keeps the last lines, at most event.MaxLogLines of them and event.MaxLog bytes.
func Last(lines []string) []string {
	if extra := len(lines) - event.MaxLogLines; extra > 0 {
		lines = lines[extra:]
	}
	size, from := 0, len(lines)
	for from > 0 {
		n := len(lines[from-1]) + 1
		if size+n > event.MaxLog {
			break
		}
		size += n
		from--
	}
	if from == len(lines) && from > 0 { // one line is longer than all that may be sent
		return []string{cut(lines[from-1], event.MaxLog-1)}
	}
	return lines[from:]
}

// terminal matches what colours text, moves the cursor and sets titles.
var terminal = regexp.MustCompile(`\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?)`)

// printable replaces what is no UTF-8, and drops terminal sequences and control characters but line
// ends and tabs.
func printable(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if strings.IndexByte(text, '\x1b') >= 0 {
		text = terminal.ReplaceAllString(text, "")
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, text)
}

// cut shortens text to at most limit bytes without splitting a character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	end := limit - len(cutMark)
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + cutMark
}

// cutFront is cut that keeps the end.
func cutFront(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	begin := len(text) - limit + len(cutMark)
	for begin < len(text) && !utf8.RuneStart(text[begin]) {
		begin++
	}
	return cutMark + text[begin:]
}
