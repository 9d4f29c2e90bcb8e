package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/fairway-dev/fairway/api/rest"
	"k8s.io/apimachinery/pkg/util/duration"
)

// clean makes text from a cluster safe to print: control characters, which could drive a terminal,
// are shown and not obeyed.
func clean(text string) string {
	if !strings.ContainsFunc(text, unsafeRune) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\t':
			b.WriteString("    ")
		case unsafeRune(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// unsafeRune is true for what is no single visible character: controls, and the format characters
// that reorder text.
func unsafeRune(r rune) bool { return r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) }

func width(text string) int { return utf8.RuneCountInString(text) }

// cut keeps at most n characters of the first line of text.
func cut(text string, n int) string {
	line, _, more := strings.Cut(strings.TrimSpace(text), "\n")
	runes := []rune(line)
	switch {
	case len(runes) > n:
		return string(runes[:n-1]) + "…"
	case more:
		return line + " …"
	}
	return line
}

// age is how long ago at was, "12m"; "" for no time. A clock that is ahead counts as now.
func age(now, at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return duration.HumanDuration(max(0, now.Sub(at)))
}

// span is a length of time, "10m".
func span(d time.Duration) string { return duration.HumanDuration(d) }

// ago is age for a sentence.
func ago(now, at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return age(now, at) + " ago"
}

// count is "1 object", "3 objects"; kinds that end in y become ies.
func count(n int, noun string) string {
	if n != 1 {
		noun = plural(noun)
	}
	return fmt.Sprintf("%d %s", n, noun)
}

func plural(noun string) string {
	if stem, ok := strings.CutSuffix(noun, "y"); ok && !strings.HasSuffix(stem, "a") && !strings.HasSuffix(stem, "e") {
		return stem + "ies"
	}
	return noun + "s"
}

// shortRevision cuts the hash of a Flux revision to seven digits: main@sha1:4f1c9d2.
func shortRevision(revision string) string {
	i := strings.LastIndexByte(revision, ':')
	hash := revision[i+1:]
	if len(hash) < 40 || strings.ContainsFunc(hash, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) }) {
		return revision
	}
	return revision[:i+1] + hash[:7]
}

// sentence joins the parts that are not empty.
func sentence(separator string, parts ...string) string {
	var have []string
	for _, p := range parts {
		if p != "" {
			have = append(have, p)
		}
	}
	return strings.Join(have, separator)
}

func statusLook(s rest.Status) look {
	switch s {
	case rest.Ready:
		return good
	case rest.Degraded:
		return bad
	case rest.Unknown, rest.Progressing:
		return warn
	}
	return plain
}

// glyph stands beside the word, never alone.
func glyph(s rest.Status) string {
	switch s {
	case rest.Ready:
		return "✔"
	case rest.Degraded:
		return "✗"
	case rest.Progressing:
		return "◐"
	case rest.Suspended:
		return "‖"
	}
	return "⚠"
}

// freshness says what is wrong with how a cluster is known; "" when nothing is.
func freshness(now time.Time, f rest.Freshness) string {
	const skewShown = 5 // seconds, as the design has it
	var stale, missing, gap, diverged, skew string
	switch {
	case f.Known:
	case f.LastHeartbeat.IsZero():
		stale = "never heard"
	default:
		stale = "as of " + ago(now, f.LastHeartbeat)
	}
	if f.Missing > 0 {
		missing = count(int(f.Missing), "event") + " missing"
	}
	if f.Gaps > 0 {
		gap = count(f.Gaps, "open gap")
	}
	if f.Diverged {
		diverged = "differs from the agent's count"
	}
	if f.ClockSkew > skewShown || f.ClockSkew < -skewShown {
		skew = fmt.Sprintf("its clock is %+.0f s off", f.ClockSkew)
	}
	return sentence(", ", stale, missing, gap, diverged, skew)
}

// clusterFacts is the versions on a cluster and its nodes, as far as they are known.
func clusterFacts(kubernetes, flux, agent string, nodesReady, nodesTotal int) string {
	named := func(name, version string) string {
		if version == "" {
			return ""
		}
		return name + " " + version
	}
	nodes := ""
	if nodesTotal > 0 {
		nodes = fmt.Sprintf("%d/%d nodes ready", nodesReady, nodesTotal)
	}
	return sentence(", ", named("Kubernetes", kubernetes), named("Flux", flux), named("agent", agent), nodes)
}

// unique keeps each name once, in order.
func unique(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
