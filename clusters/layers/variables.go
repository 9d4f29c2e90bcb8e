package layers

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/fluxcd/pkg/envsubst/parse"
)

// Use is a place where manifests use a substitution variable, or what would not get as far as that.
type Use struct {
	Variable string // empty: Problem says what is wrong
	Default  bool   // the expression has a default, so that the variable need not be there
	File     string // from the root of the repository
	Line     int    // from 1; 0: all of the file
	Problem  string
}

func (u Use) String() string {
	where := u.File
	if u.Line > 0 {
		where += fmt.Sprintf(":%d", u.Line)
	}
	if u.Variable == "" {
		return where + ": " + u.Problem
	}
	return "${" + u.Variable + "} in " + where
}

// Missing are the uses that Flux's strict substitution refuses with these values: of variables that are
// not there and have no default, each variable once a file, and expressions that cannot be read.
func Missing(uses []Use, values map[string]string) []Use {
	var out []Use
	seen := map[[2]string]bool{}
	for _, use := range uses {
		_, there := values[use.Variable]
		key := [2]string{use.Variable, use.File}
		if use.Variable != "" && (use.Default || there || seen[key]) {
			continue
		}
		seen[key] = true
		out = append(out, use)
	}
	return out
}

// Uses are the uses of variables in what a folder's Kustomization applies, sorted by file and line. As
// Flux does, it follows kustomization files, takes every YAML file of a folder that has none, and leaves
// out comments and objects that are marked kustomize.toolkit.fluxcd.io/substitute: disabled. What a patch
// marks so is not seen as marked. What kustomize would fetch from elsewhere is not looked at.
func Uses(repository fs.FS, folder string) ([]Use, error) {
	w := &walk{repository: repository, seen: map[string]bool{}}
	if err := w.folder(folder); err != nil {
		return nil, fmt.Errorf("look for variables in %s: %w", folder, err)
	}
	slices.SortFunc(w.uses, func(a, b Use) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), strings.Compare(a.Variable, b.Variable))
	})
	return slices.Compact(w.uses), nil
}

// UsesIn are the uses of variables in a text of no known file.
func UsesIn(text string) []Use { return expressions(text, "", 1) }

// expressions finds the variables in a text, as Flux's substitution parses it. line is of the text's
// first line.
func expressions(text, file string, line int) []Use {
	if !strings.Contains(text, "${") {
		return nil
	}
	if err := affordable(text); err != nil {
		return []Use{{File: file, Line: line, Problem: err.Error()}}
	}
	tree, err := parse.Parse(text)
	if err != nil {
		at := line + strings.Count(text[:unreadableAt(text)], "\n")
		return []Use{{File: file, Line: at, Problem: fmt.Sprintf(
			"an expression that Flux's substitution cannot read (%v); write $${ for what it must leave alone", err)}}
	}
	var out []Use
	functions(tree.Root, func(f *parse.FuncNode) {
		out = append(out, Use{Variable: f.Param, Default: hasDefault(f.Name), File: file, Line: line + lineOf(text, f.Param)})
	})
	return out
}

// unreadableAt is where the last expression begins that cannot be read: what follows it can. Of a text
// that is long it is the first expression.
func unreadableAt(text string) int {
	const short = 64 << 10
	at := strings.Index(text, "${")
	if len(text) > short {
		return at
	}
	for next := at; next >= 0; {
		if _, err := parse.Parse(text[next:]); err == nil {
			break
		}
		at = next
		if next = strings.Index(text[at+1:], "${"); next >= 0 {
			next += at + 1
		}
	}
	return at
}

// maxWork bounds the bytes that the parser moves: it copies the rest of a text for every escape in it.
const maxWork = 256 << 20

func affordable(text string) error {
	if escapes := strings.Count(text, "$$") + strings.Count(text, `\`); len(text)*(escapes+1) > maxWork {
		return errors.New("too long, with too many escapes, to look for variables in; mark the object " + markName + ": disabled")
	}
	return nil
}

// lineOf is how many lines into a text the first expression is that has a name in it; 0 when none is found.
func lineOf(text, name string) int {
	for _, opening := range []string{"${" + name, "${#" + name} {
		for from := 0; ; {
			at := strings.Index(text[from:], opening)
			if at < 0 {
				break
			}
			at, from = at+from, at+from+len(opening)
			if (at == 0 || text[at-1] != '$') && (from == len(text) || !isNamePart(text[from])) {
				return strings.Count(text[:at], "\n")
			}
		}
	}
	return 0
}

func isNamePart(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
}

// functions visits every expression of a parsed text, those inside others, too: a default is evaluated
// whether it is needed or not.
func functions(node parse.Node, visit func(*parse.FuncNode)) {
	switch n := node.(type) {
	case *parse.ListNode:
		for _, each := range n.Nodes {
			functions(each, visit)
		}
	case *parse.FuncNode:
		visit(n)
		for _, each := range n.Args {
			functions(each, visit)
		}
	}
}

// hasDefault: the operators with which fluxcd/pkg/envsubst does without the variable, in strict mode, too.
func hasDefault(operator string) bool {
	return slices.Contains([]string{"-", "+", "=", "?", ":-", ":+", ":=", ":?"}, operator)
}
