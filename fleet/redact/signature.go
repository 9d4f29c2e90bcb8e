package redact

import (
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"strings"

	"github.com/fairway-dev/fairway/api/event"
)

// signatureLines is how many lines make the signature: enough to tell failures apart, few enough to
// leave out what a process did before it failed.
const signatureLines = 10

// shortestName is the length from which a name is looked for in lines; a shorter one may be a part of
// any word.
const shortestName = 5

// Signature is equal for the same failure on another cluster or another day: a hash of reason,
// container and the lines that tell of the failure, without what differs from one time to the next.
// names are those of this one time: of the pod, the node, the cluster. 16 hex digits.
func Signature(reason, container string, lines []string, names ...string) string {
	h := sha256.New()
	h.Write([]byte(reason + "\n" + container))
	last := ""
	for _, line := range telling(lines) {
		for _, name := range names {
			if len(name) >= shortestName {
				line = strings.ReplaceAll(line, name, "<name>")
			}
		}
		line = Normalise(line)
		if line == "" || line == last { // how often it was tried again is chance
			continue
		}
		last = line
		h.Write([]byte("\n" + line))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// head matches a line that tells of an error, rather than of what went on before, or of where in the
// program it was.
var head = regexp.MustCompile(`(?i)(?:^|[^a-z0-9])(?:panic|fatal|[a-z0-9_.$]*(?:error|exception)|caused by|fail(?:ed|ure)|cannot|can't|could not|` +
	`unable to|abort(?:ed|ing)|segmentation fault|assertion)(?:$|[^a-z0-9_])`)

// frame matches a line of a stack: it is indented, or names a place in a file.
var frame = regexp.MustCompile(`^(?:[ \t]+|goroutine \d)|^\S+\(.*\)$|^\S+\.\w+:\d+\)?$`)

// telling are the lines that tell of the failure: from the last one that speaks of an error on, with the
// stack above it where that comes first, as Python's does. Without such a line, the last ones.
func telling(lines []string) []string {
	from := -1
	for i := len(lines) - 1; i >= 0; i-- {
		if head.MatchString(lines[i]) && !frame.MatchString(lines[i]) {
			from = i
			break
		}
	}
	if from < 0 {
		return lines[max(0, len(lines)-signatureLines):]
	}
	end := min(len(lines), from+signatureLines)
	for from > 0 && end-from < signatureLines && strings.HasPrefix(lines[from-1], " ") {
		from--
	}
	return lines[from:end]
}

const month = `(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*`

// variable parts of messages and log lines, in the order in which they are taken out.
var variable = []struct {
	pattern *regexp.Regexp
	with    string
}{
	{regexp.MustCompile(`(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b`), "<id>"},
	{regexp.MustCompile(`\b\d{4}[-/]\d{2}[-/]\d{2}(?:[T ]\d{2}:\d{2}:\d{2}(?:[.,]\d+)?)?(?: ?(?:Z|[+-]\d{2}:?\d{2}))?`), "<time>"},
	{regexp.MustCompile(`\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? +)?\d{1,2}[ /-]` + month + `[ /-]\d{4}\b`), "<time>"},
	{regexp.MustCompile(`\b(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? +)?` + month + ` +\d{1,2}\b(?:,? \d{4}\b)?`), "<time>"},
	{regexp.MustCompile(`\b\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?\b(?: ?[AP]M\b)?`), "<time>"},
	{regexp.MustCompile(`<time>[:T ]+<time>`), "<time>"},
	{regexp.MustCompile(`(?i)\b(?:sha1|sha256|sha512|md5):[0-9a-f]+`), "<id>"},
	{regexp.MustCompile(`(?i)\b0x[0-9a-f]+\b`), "<id>"},
	{regexp.MustCompile(`(?i)\b(?:[0-9a-f]{0,4}:){3,7}[0-9a-f]{1,4}\b`), "<address>"},
	{regexp.MustCompile(`\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b`), "<address>"},
	// The suffixes that ReplicaSets and their pods get, in Kubernetes' own alphabet.
	{regexp.MustCompile(`-[bcdfghjklmnpqrstvwxz2456789]{6,10}-[bcdfghjklmnpqrstvwxz2456789]{5}\b`), "-<id>"},
	{regexp.MustCompile(`\b(?:[0-9a-f]*\d[0-9a-f]*[a-f][0-9a-f]*|[0-9a-f]*[a-f][0-9a-f]*\d[0-9a-f]*)\b`), "<id>"},
	{regexp.MustCompile(`\d+`), "#"},
	{regexp.MustCompile(`#(?:[.,]#)+`), "#"},
	{regexp.MustCompile(`(?:#(?:ns|µs|us|ms|s|m|h|d))+\b`), "#"},
	{regexp.MustCompile(`\s+`), " "},
}

// Alike says whether two messages are the same, but for what differs each time. Of long ones the first
// event.MaxMessage bytes count.
func Alike(a, b string) bool {
	a, b = a[:min(len(a), event.MaxMessage)], b[:min(len(b), event.MaxMessage)]
	return a == b || Normalise(a) == Normalise(b)
}

// Normalise takes out of text what differs each time: numbers, durations, times, addresses, ids,
// the random part of pod names.
func Normalise(text string) string {
	for _, v := range variable {
		text = v.pattern.ReplaceAllString(text, v.with)
	}
	return strings.TrimSpace(text)
}
