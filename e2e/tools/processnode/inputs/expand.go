package inputs

import "strings"

// Expand replaces $(NAME) by the variable's value. An unknown name stays as it is written, and $$ is an escaped $.
func Expand(s string, vars map[string]string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, "$")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		text, after := expandOne(rest, vars)
		b.WriteString(text)
		s = after
	}
}

// expandOne handles what follows a $, and returns its replacement and what is left.
func expandOne(rest string, vars map[string]string) (text, after string) {
	if after, ok := strings.CutPrefix(rest, "$"); ok {
		return "$", after
	}
	if !strings.HasPrefix(rest, "(") {
		return "$", rest
	}
	name, after, closed := strings.Cut(rest[1:], ")")
	if !closed {
		return "$(", rest[1:]
	}
	if v, known := vars[name]; known {
		return v, after
	}
	return "$(" + name + ")", after
}

// ExpandAll expands each string.
func ExpandAll(list []string, vars map[string]string) []string {
	var out []string
	for _, s := range list {
		out = append(out, Expand(s, vars))
	}
	return out
}
