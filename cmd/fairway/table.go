package main

import (
	"fmt"
	"io"
	"strings"
)

// table is columns and rows; every row has a cell a column.
type table struct {
	columns []column
	rows    []row
}

type column struct {
	title string
	wide  bool // printed with -o wide only
	most  int  // characters printed, unless -o wide; 0: all
}

// row is one line; key tells the same row in another table.
type row struct {
	key   string
	cells []cell
}

type cell struct {
	text string
	look look
	live bool // changes by itself, such as an age: no reason to print the row again
}

func text(s string) cell  { return cell{text: s} }
func clock(s string) cell { return cell{text: s, live: true} }

// number is the count, which stands out when it should be 0.
func number(n int) cell {
	c := text(fmt.Sprint(n))
	if n > 0 {
		c.look = bad
	}
	return c
}

// write prints the table with columns as wide as their widest cell.
func (t table) write(w io.Writer, sh *shell, wide, head bool) error {
	return t.writeRows(w, sh, wide, head, t.widths(wide, head))
}

// writeRows prints the table with columns that are at least as wide as given.
func (t table) writeRows(w io.Writer, sh *shell, wide, head bool, widths []int) error {
	if head && len(t.rows) > 0 {
		titles := make([]cell, len(t.columns))
		for i, c := range t.columns {
			titles[i] = text(c.title)
		}
		if err := t.line(w, sh, wide, widths, titles); err != nil {
			return err
		}
	}
	for _, r := range t.rows {
		if err := t.line(w, sh, wide, widths, r.cells); err != nil {
			return err
		}
	}
	return nil
}

func (t table) widths(wide, head bool) []int {
	out := make([]int, len(t.columns))
	for i, c := range t.columns {
		if head {
			out[i] = width(c.title)
		}
		for _, r := range t.rows {
			out[i] = max(out[i], width(c.show(r.cells[i].text, wide)))
		}
	}
	return out
}

func (t table) line(w io.Writer, sh *shell, wide bool, widths []int, cells []cell) error {
	var b strings.Builder
	padding := 0
	for i, c := range t.columns {
		if c.wide && !wide {
			continue
		}
		shown := c.show(cells[i].text, wide)
		if shown == "" && i < len(t.columns)-1 {
			shown = "-" // so that every line has as many words
		}
		b.WriteString(strings.Repeat(" ", padding))
		b.WriteString(sh.paint(cells[i].look, shown))
		padding = max(0, widths[i]-width(shown)) + 3
	}
	_, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " "))
	return err
}

func (c column) show(s string, wide bool) string {
	s = clean(s)
	if c.most > 0 && !wide {
		return cut(s, c.most)
	}
	return strings.ReplaceAll(s, "\n", " ")
}
