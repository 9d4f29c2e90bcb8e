package main

import (
	"fmt"
	"io"
	"strings"
)

// node is a line of a tree, with lines of detail below it and children.
type node struct {
	glyph    string
	look     look
	title    string   // coloured
	text     string   // beside the title
	details  []string // below it, indented
	children []node
}

func (n node) write(w io.Writer, sh *shell) error {
	var b strings.Builder
	n.render(&b, sh, "", "")
	_, err := io.WriteString(w, b.String())
	return err
}

// render writes the node's own line after first, and every other line of it after rest.
func (n node) render(b *strings.Builder, sh *shell, first, rest string) {
	head := sentence(" ", n.glyph, clean(n.title))
	fmt.Fprintf(b, "%s%s\n", first, sentence("  ", sh.paint(n.look, head), oneLine(n.text)))
	bar := "   "
	if len(n.children) > 0 {
		bar = "│  "
	}
	for _, d := range n.details {
		for line := range strings.SplitSeq(strings.TrimRight(clean(d), "\n"), "\n") {
			b.WriteString(strings.TrimRight(rest+bar+line, " ") + "\n")
		}
	}
	for i, c := range n.children {
		if i == len(n.children)-1 {
			c.render(b, sh, rest+"└─ ", rest+"   ")
		} else {
			c.render(b, sh, rest+"├─ ", rest+"│  ")
		}
	}
}

func oneLine(text string) string { return strings.ReplaceAll(clean(text), "\n", " ") }
