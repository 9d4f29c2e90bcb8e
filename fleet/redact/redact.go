// Package redact makes text of a cluster fit to leave it: secrets taken out, of bounded size, free of
// what drives terminals. It also says whether two texts tell of the same failure. It is pure, and
// knows nothing of Kubernetes.
package redact

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Rule finds one more kind of secret than the built-in rules do.
type Rule struct {
	Name string // of what it finds; for people
	// Pattern is a regular expression in Go's syntax (RE2). What its first named group that took
	// part matched is replaced; without named groups, the whole match is.
	Pattern string
}

// ErrRule is wrapped by New and Check for a rule that cannot be used.
var ErrRule = errors.New("the rule cannot be used")

// Check says why a rule cannot be used: it has no name, its pattern does not compile, or it finds
// the empty text, and so something everywhere.
func (r Rule) Check() error {
	_, err := r.compile()
	return err
}

func (r Rule) compile() (rule, error) {
	if r.Name == "" {
		return rule{}, fmt.Errorf("%w: it has no name", ErrRule)
	}
	pattern, err := regexp.Compile(r.Pattern)
	if err != nil {
		return rule{}, fmt.Errorf("%w: %s: %w", ErrRule, r.Name, err)
	}
	if pattern.MatchString("") {
		return rule{}, fmt.Errorf("%w: %s: the pattern finds the empty text", ErrRule, r.Name)
	}
	return rule{name: r.Name, find: matches(pattern)}, nil
}

// Redactor takes secrets out of text. Nil is one with the built-in rules only.
type Redactor struct{ rules []rule }

// New makes a Redactor that applies the built-in rules, then added ones. Errors wrap ErrRule.
func New(added ...Rule) (*Redactor, error) {
	out := &Redactor{rules: builtin[:len(builtin):len(builtin)]}
	for _, a := range added {
		r, err := a.compile()
		if err != nil {
			return nil, err
		}
		out.rules = append(out.rules, r)
	}
	return out, nil
}

// maxRounds bounds how often the rules are applied to one text. What one rule leaves may complete a
// match of another; a text made to keep them going for ever is no text worth sending.
const maxRounds = 16

// stars stand for a secret; a shorter one has fewer, so that text never grows.
const stars = "***"

// Redact takes secrets out of text. The result is never longer than the text, and redacting it
// again changes nothing.
func (r *Redactor) Redact(text string) string {
	for range maxRounds {
		next := r.round(text)
		if next == text {
			return text
		}
		text = next
	}
	return stars[:min(len(stars), len(text))]
}

// round replaces what any of the rules finds in the text as it is: what one rule takes out may be what
// another one knows its own secret by.
func (r *Redactor) round(text string) string {
	lower, rules := lowered(text), builtin
	if r != nil {
		rules = r.rules
	}
	var found []span
	for i := range rules {
		if rules[i].mayFind(lower) {
			found = append(found, rules[i].find(text)...)
		}
	}
	return replaced(text, found)
}

// replaced is the text with stars for the spans; those that overlap are one.
func replaced(text string, found []span) string {
	if len(found) == 0 {
		return text
	}
	slices.SortFunc(found, func(a, b span) int { return cmp.Or(a.from-b.from, a.to-b.to) })
	var out strings.Builder
	last := 0
	for i := 0; i < len(found); {
		s := found[i]
		for i++; i < len(found) && found[i].from < s.to; i++ {
			s.to = max(s.to, found[i].to)
		}
		out.WriteString(text[last:s.from])
		out.WriteString(stars[:min(len(stars), s.to-s.from)])
		last = s.to
	}
	out.WriteString(text[last:])
	return out.String()
}

// span is a part of a text, in bytes.
type span struct{ from, to int }

// rule finds one kind of secret.
type rule struct {
	name string
	find func(text string) []span // in their order, none overlapping another
	// hints are lower-case words: where none of them is, the rule finds nothing. Looking for them
	// first makes the usual case, no secret at all, a hundred times faster.
	hints []string
}

func (r *rule) mayFind(lower string) bool {
	for _, hint := range r.hints {
		if strings.Contains(lower, hint) {
			return true
		}
	}
	return len(r.hints) == 0
}

// matches finds what the pattern's first named group that took part matched, else the whole match.
// Groups without a name only group: (live|test)_key is a secret as a whole.
func matches(pattern *regexp.Regexp) func(string) []span {
	var named []int
	for i, name := range pattern.SubexpNames() {
		if name != "" {
			named = append(named, i)
		}
	}
	return func(text string) []span {
		var out []span
		for _, m := range pattern.FindAllStringSubmatchIndex(text, -1) {
			found := span{m[0], m[1]}
			for _, i := range named {
				if m[2*i] >= 0 {
					found = span{m[2*i], m[2*i+1]}
					break
				}
			}
			out = append(out, found)
		}
		return out
	}
}
