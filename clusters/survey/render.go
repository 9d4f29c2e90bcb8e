package survey

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Keys of the ConfigMap that holds a report.
const (
	KeyJSON     = "report.json"
	KeyMarkdown = "report.md"
)

// ReportName is the name of the ConfigMap that holds a cluster's report.
func ReportName(cluster string) string { return cluster + "-survey" }

// maxRows of a table of the Markdown; the rest is in the JSON.
const maxRows = 50

// JSON is the report, indented.
func (r Report) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode report: %w", err)
	}
	return append(text, '\n'), nil
}

// Markdown is the report for people. The same report gives the same text.
func (r Report) Markdown() string {
	p := &page{}
	p.line("# Survey of %s\n", text(r.Cluster))
	p.line("As of %s. The survey wrote nothing.\n", r.Time.Format(time.RFC3339))
	p.summary(r)
	p.conflicts(r)
	p.takeOver(r.TakeOver)
	p.managers(r)
	p.unowned(r)
	p.apis(r)
	p.rights(r)
	p.list("Not tried", r.NotTried)
	for _, cut := range r.Cut {
		p.line("\nOf %s, %d of %d are kept here.", cut.List, cut.Kept, cut.Total)
	}
	return p.String()
}

// page is a Markdown page under way.
type page struct{ strings.Builder }

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

func (p *page) summary(r Report) {
	k := r.Kubernetes
	p.line("| | |\n|---|---|")
	p.line("| Kubernetes | %s |", joined(k.Version, k.Distribution, k.Provider, k.Region, count(k.Nodes, "node")))
	if f := r.Flux; f != nil {
		p.line("| Flux | %s in %s, kept by %s: %s |", known(f.Version), text(f.Namespace), text(f.Owner), joined(f.Controllers...))
		if f.Bootstrap != "" {
			p.line("| Flux comes from | %s |", text(f.Bootstrap))
		}
	} else {
		p.line("| Flux | none |")
	}
	if a := r.ArgoCD; a != nil {
		p.line("| Argo CD | %s in %s, %s |", known(a.Version), text(a.Namespace), count(a.Applications, "application"))
	} else {
		p.line("| Argo CD | none |")
	}
	c := r.Objects
	p.line("| Objects | %d: %d controlled by others, %d by Flux, %d by Argo CD, %d by Helm, %d by Fairway, %d Kubernetes' own, %d by other programs, %d by hand, %d nobody's |",
		c.Total, c.Controlled, c.Flux, c.ArgoCD, c.Helm, c.Fairway, c.Kubernetes, c.Other, c.Kubectl, c.Unknown)
}

func (p *page) conflicts(r Report) {
	p.heading("Conflicts", len(r.Conflicts), "nothing stands in the way of what Fairway would put there")
	p.table([]string{"kind", "for", "object", "owner", "what"}, len(r.Conflicts), func(i int) []string {
		c := r.Conflicts[i]
		return []string{string(c.Kind), c.Set, c.Object, c.Owner, c.Message}
	})
	if len(r.Contested) > 0 {
		p.heading("Claimed twice", len(r.Contested), "")
		p.table([]string{"object", "by"}, len(r.Contested), func(i int) []string {
			return []string{r.Contested[i].Object, strings.Join(r.Contested[i].Owners, "; ")}
		})
	}
}

// takeOver says what Flux would go through if it were to become Fairway's.
func (p *page) takeOver(t *TakeOver) {
	if t == nil {
		return
	}
	p.line("\n## Taking over Flux\n")
	p.line("With spec.flux.install TakeOver, Flux would become Fairway's in place, at %s. Who keeps it now: %s.", known(t.Version), joined(t.From...))
	p.line("\nNothing but %s would be changed, by labels, annotations and field managers, and where a controller is restarted: %s.", count(len(t.Objects), "object"), joined(t.Objects...))
	if len(t.New) > 0 {
		p.line("\nNew would be: %s.", joined(t.New...))
	}
	if len(t.Restarts) == 0 {
		p.line("\nNo controller would be restarted.")
	} else {
		p.line("\nRestarted would be:\n")
	}
	p.table([]string{"controller", "for"}, len(t.Restarts), func(i int) []string { return []string{t.Restarts[i].Object, t.Restarts[i].Why} })
	if len(t.Conflicts) == 0 {
		p.line("\nNothing is seen to stand in its way; the cluster is asked once more before anything is written.")
	} else {
		p.line("\nIn its way stands:\n")
	}
	p.table([]string{"object", "owner", "what"}, len(t.Conflicts), func(i int) []string {
		return []string{t.Conflicts[i].Object, t.Conflicts[i].Owner, t.Conflicts[i].Message}
	})
}

func (p *page) managers(r Report) {
	p.heading("Who keeps what", len(r.Managers), "no tool keeps anything")
	p.table([]string{"tool", "name", "objects", "source", "status"}, len(r.Managers), func(i int) []string {
		m := r.Managers[i]
		return []string{string(m.Tool), m.Name, fmt.Sprint(m.Objects), m.Source, m.Status}
	})
	if r.Flux == nil {
		return
	}
	p.heading("Flux's sources", len(r.Flux.Sources), "there are none")
	p.table([]string{"source", "URL", "reference", "revision", "status"}, len(r.Flux.Sources), func(i int) []string {
		s := r.Flux.Sources[i]
		return []string{reference(s.Kind, s.Namespace, s.Name), s.URL, s.Reference, s.Revision, s.Status}
	})
}

func (p *page) unowned(r Report) {
	p.heading("Without an owner", len(r.Unowned), "a tool keeps every object")
	p.table([]string{"object", "last written by"}, len(r.Unowned), func(i int) []string {
		return []string{r.Unowned[i].Object, r.Unowned[i].By}
	})
}

func (p *page) apis(r Report) {
	p.heading("API versions that Kubernetes removes", len(r.RemovedAPIs), "none is in use, and none is served")
	p.table([]string{"API", "removed in", "use", "served here", "objects", "written by", "such as"}, len(r.RemovedAPIs), func(i int) []string {
		a := r.RemovedAPIs[i]
		served := "no"
		if a.Served {
			served = "yes"
		}
		return []string{a.APIVersion + " " + a.Kind, a.RemovedIn, a.Use, served, fmt.Sprint(a.Objects), strings.Join(a.Managers, ", "), strings.Join(a.Examples, ", ")}
	})
}

func (p *page) rights(r Report) {
	p.heading("Missing rights", len(r.MissingRights), "the account may do all that was asked for")
	p.table([]string{"for", "verb", "resource", "namespace"}, len(r.MissingRights), func(i int) []string {
		m := r.MissingRights[i]
		return []string{m.For, m.Verb, strings.TrimSuffix(m.Resource+"."+m.Group, "."), m.Namespace}
	})
}

func (p *page) list(title string, texts []string) {
	p.heading(title, len(texts), "all was tried")
	for _, each := range texts {
		p.line("- %s", text(each))
	}
}

// heading opens a part; of one that is empty it says what that means.
func (p *page) heading(title string, rows int, empty string) {
	p.line("\n## %s\n", title)
	if rows == 0 {
		p.line("None: %s.", empty)
	}
}

// table writes rows without the columns that are empty in all of them.
func (p *page) table(columns []string, rows int, row func(int) []string) {
	if rows == 0 {
		return
	}
	shown := min(rows, maxRows)
	all := make([][]string, shown)
	used := make([]bool, len(columns))
	for i := range shown {
		all[i] = row(i)
		for c, cell := range all[i] {
			used[c] = used[c] || cell != ""
		}
	}
	narrow := func(cells []string) string {
		var out []string
		for c, cell := range cells {
			if used[c] {
				out = append(out, text(cell))
			}
		}
		return "| " + strings.Join(out, " | ") + " |"
	}
	p.line("%s", narrow(columns))
	p.line("|%s", strings.Repeat("---|", strings.Count(narrow(columns), " |")))
	for _, cells := range all {
		p.line("%s", narrow(cells))
	}
	if rows > shown {
		p.line("\nAnd %d more: see the JSON.", rows-shown)
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func known(version string) string {
	if version == "" {
		return "of an unknown version"
	}
	return text(version)
}

func joined(parts ...string) string {
	return text(strings.Join(slices.DeleteFunc(slices.Clone(parts), func(part string) bool { return part == "" }), ", "))
}

// text makes what a cluster says of itself safe in a table: it stays in its cell and on its line, and
// is nothing but text.
func text(from string) string {
	return escaper.Replace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, from))
}

var escaper = strings.NewReplacer(`\`, `\\`, "|", `\|`, "<", "&lt;", "`", "'", "[", `\[`, "]", `\]`)
