// Command load measures Fairway beside a limit that is taken in the same run, prints a table and writes it as JSON:
// `make bench`. Machines differ and are noisy, so a bar is on the ratio of the two; times are for the reader.
//
// A bar that does not hold is printed as NO; the command fails only when a measurement itself does. The others run even so.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// measurement is one benchmark, under the name that -only takes.
type measurement struct {
	name string
	run  func(ctx context.Context, b *bench) ([]Result, error)
}

// measurements in their order: what has this process and the machine to itself, then what runs on the whole fleet.
var measurements = []measurement{
	{"ingest", ingest},
	{"view-memory", viewMemory},
	{"agent-memory", agentMemory},
	{"operator", operator},
	{"releases", releases},
	{"onboarding", onboarding},
	{"hub-memory", hubMemory},
	{"latency", latency},
	{"dark", dark},
	{"since", since},
	{"restart", restart},
	{"exactly-once", exactlyOnce},
}

// size of the simulated fleet.
type size struct {
	clusters, events int
	rate             float64       // events a second
	lasting          time.Duration // of a load
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	path := flag.String("json", "bench.json", "file to write")
	only := flag.String("only", "", "measurements to run, separated by commas; empty: all of "+names())
	var n size
	flag.IntVar(&n.clusters, "clusters", 1000, "simulated clusters")
	flag.IntVar(&n.events, "events", 1_000_000, "events in the stream before the load begins")
	flag.Float64Var(&n.rate, "rate", 500, "events a second under load")
	flag.DurationVar(&n.lasting, "lasting", 30*time.Second, "how long a load lasts")
	flag.Parse()
	err := run(ctx, n, *only, *path, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func names() string {
	var out []string
	for _, m := range measurements {
		out = append(out, m.name)
	}
	return strings.Join(out, ", ")
}

// selected are the measurements that only names.
func selected(only string) ([]measurement, error) {
	if only == "" {
		return measurements, nil
	}
	var out []measurement
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(measurements, func(m measurement) bool { return m.name == strings.TrimSpace(name) })
		if i < 0 {
			return nil, fmt.Errorf("there is no measurement %q: they are %s", name, names())
		}
		out = append(out, measurements[i])
	}
	return out, nil
}

// run writes what was measured also when another measurement fails.
func run(ctx context.Context, n size, only, path string, out, progress io.Writer) (err error) {
	chosen, err := selected(only)
	if err != nil {
		return err
	}
	b := &bench{size: n, progress: progress}
	defer func() { err = errors.Join(err, b.close()) }()
	results := []Result{}
	defer func() { err = errors.Join(err, writeJSON(path, results), printTable(out, results)) }()
	for _, m := range chosen {
		began := time.Now()
		more, failed := m.run(ctx, b)
		results = append(results, more...)
		if failed == nil {
			b.say("%s took %s", m.name, time.Since(began).Round(time.Second))
			continue
		}
		b.say("%s failed after %s: %s", m.name, time.Since(began).Round(time.Second), failed)
		err = errors.Join(err, fmt.Errorf("%s: %w", m.name, failed))
		if ctx.Err() != nil {
			break
		}
	}
	return err
}
