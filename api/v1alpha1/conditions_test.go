package v1alpha1_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	root    = "../.."
	sources = "conditions.go"
	shared  = "operator/steps" // its functions set reasons for whoever calls them
)

// reader reads conditions and reasons of every kind to people.
const reader = "cmd/fairway"

// setters are the packages that set a kind's conditions, or say its reasons, by the kind's page in docs. A package
// that is in none of them, and is not the reader, must not mention a reason.
var setters = map[string][]string{
	"environment.md":     {"operator/environment"},
	"fleet.md":           {"operator/fleet"},
	"release.md":         {"operator/release", "operator/policy", "clusters/preflight", "cmd/operator"},
	"releasepolicy.md":   {"operator/releasepolicy"},
	"workloadcluster.md": {"operator/workloadcluster", "clusters/flux", "clusters/inventory", "fleet/view"},
}

// kstatus are the conditions that every kind has, beside those declared here.
var kstatus = []string{"Ready", "Reconciling", "Stalled"}

// constant is a condition or a reason that this package declares.
type constant struct {
	name, value string
	of          string // what its group is of: a reason's condition, "" when there are several; a condition's kind
}

func (c constant) isReason() bool { return strings.HasPrefix(c.name, "Reason") }

var groupOf = regexp.MustCompile(`^(?:Reasons of (\w+)\.|Conditions of an? (\w+)\b)`)

// declared are the conditions and reasons of this package, by name.
func declared(t *testing.T) map[string]constant {
	t.Helper()
	out := map[string]constant{}
	for _, decl := range parse(t, sources).Decls {
		group, ok := decl.(*ast.GenDecl)
		if !ok || group.Tok != token.CONST {
			continue
		}
		var of string
		if match := groupOf.FindStringSubmatch(group.Doc.Text()); match != nil {
			of = match[1] + match[2]
		}
		for _, spec := range group.Specs {
			spec := spec.(*ast.ValueSpec)
			for i, name := range spec.Names {
				value, err := strconv.Unquote(spec.Values[i].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				out[name.Name] = constant{name: name.Name, value: value, of: of}
			}
		}
	}
	return out
}

func parse(t *testing.T, path string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// mentions are the selectors of a package's name in a piece of code: for "fleetv1", ReasonSuspended.
func mentions(code ast.Node, of string) map[string]bool {
	out := map[string]bool{}
	ast.Inspect(code, func(n ast.Node) bool {
		if selector, ok := n.(*ast.SelectorExpr); ok {
			if name, ok := selector.X.(*ast.Ident); ok && name.Name == of {
				out[selector.Sel.Name] = true
			}
		}
		return true
	})
	return out
}

// said are the constants that each package mentions, by its folder; a function of the shared package
// speaks for who calls it.
func said(t *testing.T, constants map[string]constant) map[string][]constant {
	t.Helper()
	helpers := map[string]map[string]bool{}
	for _, file := range files(t, shared) {
		for _, decl := range file.Decls {
			if function, ok := decl.(*ast.FuncDecl); ok {
				helpers[function.Name.Name] = mentions(function, "fleetv1")
			}
		}
	}
	out := map[string][]constant{}
	for _, dir := range packages(t) {
		all := map[string]bool{}
		for _, file := range files(t, dir) {
			for name := range mentions(file, "fleetv1") {
				all[name] = true
			}
			for helper := range mentions(file, "steps") {
				for name := range helpers[helper] {
					all[name] = true
				}
			}
		}
		for name := range all {
			if c, ok := constants[name]; ok {
				out[dir] = append(out[dir], c)
			}
		}
	}
	return out
}

// packages are the folders of Fairway's code, relative to the repository.
func packages(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, top := range []string{"operator", "clusters", "fleet", "cmd"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return err
			}
			relative, err := filepath.Rel(root, path)
			out = append(out, filepath.ToSlash(relative))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func files(t *testing.T, dir string) []*ast.File {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var out []*ast.File
	for _, path := range paths {
		if !strings.HasSuffix(path, "_test.go") {
			out = append(out, parse(t, path))
		}
	}
	return out
}

// page is what a page says of conditions and reasons.
type page struct {
	sections map[string]string          // what is under a heading of the third level, by each name in it
	reasons  map[string]map[string]bool // the headings under which a reason has a row
	problems []string
}

const (
	tableHead = "| reason | meaning | what to do |"
	asAbove   = "as above"
)

var quoted = regexp.MustCompile("`([^`]*)`")

func readPage(text string) page {
	p := page{sections: map[string]string{}, reasons: map[string]map[string]bool{}}
	var names []string
	inside := false
	for number, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
			names = nil
			if title, ok := strings.CutPrefix(line, "### "); ok {
				names = strings.Split(title, " and ")
			}
			inside = false
		case line == tableHead:
			inside = true
		case !strings.HasPrefix(line, "|"):
			inside = false
		case inside && !strings.HasPrefix(line, "|---"):
			p.row(number+1, line, names)
		}
		if !strings.HasPrefix(line, "#") {
			for _, name := range names {
				p.sections[name] += line
			}
		}
	}
	return p
}

func (p *page) row(number int, line string, names []string) {
	cells := strings.Split(strings.Trim(line, "|"), "|")
	if len(cells) != 3 || slices.ContainsFunc(cells, func(cell string) bool { return strings.TrimSpace(cell) == "" }) {
		p.problems = append(p.problems, fmt.Sprintf("line %d says not all of: which reason, what it means, what to do", number))
		return
	}
	for _, match := range quoted.FindAllStringSubmatch(cells[0], -1) {
		reason := match[1]
		if p.reasons[reason] == nil {
			p.reasons[reason] = map[string]bool{}
			if strings.TrimSpace(cells[1]) == asAbove || strings.TrimSpace(cells[2]) == asAbove {
				p.problems = append(p.problems, fmt.Sprintf("line %d: %s is nowhere above", number, reason))
			}
		}
		for _, name := range names {
			p.reasons[reason][name] = true
		}
	}
}

func TestEveryConditionAndReasonIsOnItsKindsPage(t *testing.T) {
	constants := declared(t)
	byPackage := said(t, constants)
	onSomePage := map[string]bool{}
	for name, dirs := range setters {
		text, err := os.ReadFile(filepath.Join(root, "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		p := readPage(string(text))
		for _, problem := range p.problems {
			t.Errorf("docs/%s %s", name, problem)
		}
		for _, c := range slices.Concat(checkConditions(t, name, p, constants), checkReasons(t, name, p, byPackage)) {
			onSomePage[c.name] = true
		}
		for _, dir := range dirs {
			delete(byPackage, dir)
		}
	}
	delete(byPackage, shared)
	delete(byPackage, reader) // what it mentions is declared, and so on some page
	for dir, left := range byPackage {
		t.Errorf("%s sets %s and others, and no page is named for it: see setters", dir, left[0].name)
	}
	for name := range constants {
		if !onSomePage[name] {
			t.Errorf("%s is declared; nothing sets it, or no page is of its kind", name)
		}
	}
}

// checkConditions looks for those of the page's kind, and returns them.
func checkConditions(t *testing.T, name string, p page, constants map[string]constant) (seen []constant) {
	t.Helper()
	wanted := slices.Clone(kstatus)
	for _, c := range constants {
		if !c.isReason() && strings.ToLower(c.of)+".md" == name {
			seen, wanted = append(seen, c), append(wanted, c.value)
		}
	}
	for _, condition := range wanted {
		if strings.TrimSpace(p.sections[condition]) == "" {
			t.Errorf("docs/%s has nothing under ### %s", name, condition)
		}
	}
	return seen
}

// checkReasons looks for those that the page's packages set, and for no others, and returns them.
func checkReasons(t *testing.T, name string, p page, byPackage map[string][]constant) (seen []constant) {
	t.Helper()
	wanted := map[string]bool{}
	for _, dir := range setters[name] {
		for _, c := range byPackage[dir] {
			if !c.isReason() {
				continue
			}
			seen, wanted[c.value] = append(seen, c), true
			switch under := p.reasons[c.value]; {
			case len(under) == 0:
				t.Errorf("docs/%s has no row for %s, which %s sets", name, c.value, dir)
			case p.sections[c.of] != "" && !under[c.of]:
				t.Errorf("docs/%s has no row for %s under ### %s", name, c.value, c.of)
			}
		}
	}
	for reason := range p.reasons {
		if !wanted[reason] {
			t.Errorf("docs/%s has %s, which none of %v sets", name, reason, setters[name])
		}
	}
	return seen
}

func TestPagesAreReadStrictly(t *testing.T) {
	p := readPage(strings.Join([]string{
		"### Reachable", tableHead, "|---|---|---|", "| `Gone` | it went | bring it back |", "| `Odd` | it is | |", "",
		"### Ready and Stalled", tableHead, "|---|---|---|", "| `Gone`, `New` | as above | as above |", "",
		"| field | default | meaning |", "| `Other` | a | b |",
	}, "\n"))
	want := map[string]map[string]bool{
		"Gone": {"Reachable": true, "Ready": true, "Stalled": true}, "New": {"Ready": true, "Stalled": true},
	}
	if diff := cmp.Diff(want, p.reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	problems := []string{"line 5 says not all of: which reason, what it means, what to do", "line 10: New is nowhere above"}
	if diff := cmp.Diff(problems, p.problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}
