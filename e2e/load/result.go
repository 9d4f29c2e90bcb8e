package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"
)

// Result is one measured figure beside its limit.
type Result struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	// Limit is what the same machine does in the same run without Fairway; 0 when there is none.
	Limit float64 `json:"limit"`
	// Ratio is Value over Limit.
	Ratio float64 `json:"ratio"`
	Bar   string  `json:"bar"`
	Holds bool    `json:"holds"`
}

// atMost is a figure whose bar is on itself.
func atMost(name string, value float64, unit string, bar float64) Result {
	return Result{Name: name, Value: value, Unit: unit, Bar: fmt.Sprintf("<= %s %s", number(bar), unit), Holds: value <= bar}
}

// figure is one without a bar.
func figure(name string, value float64, unit string) Result {
	return Result{Name: name, Value: value, Unit: unit, Bar: "none", Holds: true}
}

// delayAtMost is a delay in milliseconds whose bar is on how often it is as long as the limit.
func delayAtMost(name string, value, limit, bar float64) Result {
	return Result{Name: name, Value: value, Unit: "ms", Limit: limit, Ratio: value / limit,
		Bar: fmt.Sprintf("ratio <= %.2f", bar), Holds: value/limit <= bar}
}

// rateAtLeast is a rate in events a second whose bar is on the share of the limit that it reaches.
func rateAtLeast(name string, value, limit, bar float64) Result {
	return Result{Name: name, Value: value, Unit: "events/s", Limit: limit, Ratio: value / limit,
		Bar: fmt.Sprintf("ratio >= %.2f", bar), Holds: value/limit >= bar}
}

func writeJSON(path string, results []Result) error {
	data, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

func printTable(out io.Writer, results []Result) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "WHAT\tVALUE\tUNIT\tLIMIT\tRATIO\tBAR\tHOLDS")
	for _, r := range results {
		limit, ratio := "-", "-"
		if r.Limit != 0 {
			limit, ratio = number(r.Limit), fmt.Sprintf("%.2f", r.Ratio)
		}
		holds := "yes"
		if !r.Holds {
			holds = "NO"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, number(r.Value), r.Unit, limit, ratio, r.Bar, holds)
	}
	return w.Flush()
}

// number writes large figures without and small ones with decimals.
func number(v float64) string {
	switch {
	case v == math.Trunc(v) || math.Abs(v) >= 1000:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case math.Abs(v) >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile is the value below which that share of the values lies; NaN of none.
func quantile(values []float64, share float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)-1, int(share*float64(len(sorted))))]
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

const mebibyte = 1 << 20
