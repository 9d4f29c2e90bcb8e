package history

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/fairway-dev/fairway/api/rest"
)

const (
	dateTime   = "2006-01-02 15:04:05"
	maxMessage = 200 // characters of a message in the table
)

// Markdown writes the timeline for a post-mortem: a table on one clock, in UTC, and below it the last
// lines of the containers that died. What clusters said is shown as text, whatever it contains.
func Markdown(t rest.Timeline) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", title(t))
	fmt.Fprintf(&b, "From %s to %s (UTC), %s.", t.From.UTC().Format(dateTime), t.Until.UTC().Format(dateTime), plural(t.Total, "change"))
	if t.Episode != nil {
		b.WriteString("\n\n" + episodeSentence(*t.Episode))
	}
	b.WriteString("\n\n| time (UTC) | what | where | revision | detail |\n|---|---|---|---|---|\n")
	for _, i := range t.Items {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", i.Time.UTC().Format(dateTime), cell(i.Kind+" "+i.What), cell(join(" ", i.Cluster, i.Object)),
			cell(join(" ", i.Artifact, shortRevision(i.Revision))), cell(detail(i)))
	}
	if more := t.Total - len(t.Items); more > 0 {
		fmt.Fprintf(&b, "\n%s more: narrow the window or the filters.\n", plural(more, "change"))
	}
	lines(&b, t.Items)
	return b.String()
}

func title(t rest.Timeline) string {
	if e := t.Episode; e != nil {
		return text(fmt.Sprintf("%s of %s on %s", e.Reason, e.Object, e.Cluster))
	}
	return "Timeline around " + t.Around.UTC().Format(dateTime) + " UTC"
}

func episodeSentence(e rest.Episode) string {
	out := fmt.Sprintf("Episode %s opened at %s", text(e.ID), e.OpenedAt.UTC().Format(dateTime))
	switch {
	case e.ResolvedAt.IsZero():
		return out + " and is not resolved."
	case !e.ResolvedAfter.IsZero():
		return fmt.Sprintf("%s and ended between %s and %s: no event says when, the snapshot lacks it.", out,
			e.ResolvedAfter.UTC().Format(dateTime), e.ResolvedAt.UTC().Format(dateTime))
	case e.ResolvedBy == "":
		return fmt.Sprintf("%s and was resolved at %s, after %s.", out, e.ResolvedAt.UTC().Format(dateTime), lasted(e))
	}
	return fmt.Sprintf("%s and was resolved at %s, after %s: %s.", out, e.ResolvedAt.UTC().Format(dateTime), lasted(e), text(e.ResolvedBy))
}

func lasted(e rest.Episode) time.Duration { return e.ResolvedAt.Sub(e.OpenedAt).Round(time.Second) }

func detail(i rest.Transition) string {
	return cutText(join(": ", join("/", i.Team, i.Service), i.Reason, i.Message), maxMessage)
}

// lines are the fenced last lines of every container that died in the window.
func lines(b *strings.Builder, items []rest.Transition) {
	first := true
	for _, i := range items {
		if len(i.Lines) == 0 {
			continue
		}
		if first {
			b.WriteString("\n## Last lines\n")
			first = false
		}
		what := []string{i.Cluster + " " + i.Object}
		if i.Container != "" {
			what = append(what, "container "+i.Container)
		}
		if i.ExitCode != nil {
			what = append(what, fmt.Sprintf("exit code %d", *i.ExitCode))
		}
		body := printable(strings.Join(i.Lines, "\n"))
		fence := fenceFor(body)
		fmt.Fprintf(b, "\n%s, %s\n\n%s\n%s\n%s\n", i.Time.UTC().Format(dateTime), text(strings.Join(what, ", ")), fence, body, fence)
	}
}

// fenceFor is a fence that the body cannot close.
func fenceFor(body string) string {
	longest, run := 2, 0
	for _, r := range body {
		if run++; r != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	return strings.Repeat("`", longest+1)
}

// cell is text within a table.
func cell(s string) string {
	return strings.ReplaceAll(text(s), "|", `\|`)
}

var escapes = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", "&", "&amp;", "\n", " ", "\r", " ", "\t", " ")

// text is text that Markdown takes for nothing else.
func text(s string) string { return printable(escapes.Replace(strings.TrimSpace(s))) }

// printable leaves out control and format characters, which reorder or hide text.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return -1
		}
		return r
	}, s)
}

func cutText(s string, most int) string {
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return s
}

func join(separator string, parts ...string) string {
	var have []string
	for _, p := range parts {
		if p != "" {
			have = append(have, p)
		}
	}
	return strings.Join(have, separator)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// shortRevision cuts the hash of a Flux revision to seven digits: main@sha1:4f1c9d2.
func shortRevision(revision string) string {
	i := strings.LastIndexByte(revision, ':')
	if hash := revision[i+1:]; len(hash) >= 40 && strings.Trim(hash, "0123456789abcdef") == "" {
		return revision[:i+1] + hash[:7]
	}
	return revision
}
