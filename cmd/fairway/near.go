package main

import (
	"cmp"
	"slices"
	"strings"
)

// near is up to three of have that someone who wrote want may have meant, the closest first.
func near(want string, have []string) []string {
	const most = 3
	type match struct {
		name     string
		distance int
	}
	var found []match
	for _, name := range have {
		d := distance(want, name)
		if want != "" && (strings.Contains(name, want) || strings.Contains(want, name)) {
			d = min(d, 1)
		}
		if d <= max(2, len(want)/4) {
			found = append(found, match{name, d})
		}
	}
	slices.SortFunc(found, func(a, b match) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.name, b.name))
	})
	var names []string
	for _, m := range found[:min(len(found), most)] {
		names = append(names, m.name)
	}
	return names
}

// distance is the number of single-byte edits between a and b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
