package main

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// Report is what a run found.
type Report struct {
	CutSeconds float64 `json:"cutSeconds"`
	Commits    int     `json:"commits"` // in all phases
	Scores     []Score `json:"scores"`
}

// print writes a table with a column for each of those that are compared.
func (r Report) print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	r.row(w, "WHAT", func(s Score) string { return s.Name })
	for i, name := range phaseNames {
		if i == cutPhase {
			name = fmt.Sprintf("%s (%.0f s)", name, r.CutSeconds)
		}
		r.row(w, name+": changes", func(s Score) string { return fmt.Sprint(s.Phases[i].Happened) })
		r.row(w, "  told", func(s Score) string { return fmt.Sprint(s.Phases[i].Told) })
		r.row(w, "  lost", func(s Score) string { return fmt.Sprint(s.Phases[i].Lost) })
		r.row(w, "  told twice", func(s Score) string { return fmt.Sprint(s.Phases[i].Twice) })
	}
	r.row(w, "told and did not happen", func(s Score) string { return fmt.Sprint(s.Strange) })
	r.row(w, "all of the cut told, after its end", func(s Score) string {
		if s.CaughtUpSeconds == nil {
			return "never"
		}
		return fmt.Sprintf("%.1f s", *s.CaughtUpSeconds)
	})
	for _, what := range []string{latencyFetched, latencyApplied, latencyFailed, latencyCommit} {
		r.row(w, "outside the cut, p50 / p99: "+what, func(s Score) string { return s.latency(what) })
	}
	return w.Flush()
}

func (r Report) row(w io.Writer, what string, cell func(Score) string) {
	fmt.Fprint(w, what)
	for _, s := range r.Scores {
		fmt.Fprint(w, "\t", cell(s))
	}
	fmt.Fprintln(w)
}

// latency writes one kind; "-" when nothing of it was told.
func (s Score) latency(what string) string {
	for _, l := range s.Latencies {
		if l.What == what {
			return fmt.Sprintf("%.0f / %.0f ms of %d", l.P50, l.P99, l.Count)
		}
	}
	return "-"
}
