// Command compare sets Flux's notification-controller, with its nats provider, beside Fairway's agent: `make compare`. Both
// tell of the same changes on the same cluster, and both lose their way to NATS for a while. What each told is held to what
// the cluster's own API says has happened, and printed as a table. See docs/compare-notification-controller.md.
//
// Whatever the figures are, the command succeeds; it fails only when it could not measure.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// plan is what happens in a run.
type plan struct {
	Commits  int           // before the cut, and again after it
	Every    time.Duration // a commit
	Cut      time.Duration
	Patience time.Duration // how long after the cut, and after the last commit, what is missing is waited for
	Services int           // Kustomizations that each commit changes
	Break    int           // every so many commits one of them is broken until the next; 0: none
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var p plan
	path := flag.String("json", "", "file to write the figures to; empty: none")
	flag.IntVar(&p.Commits, "commits", 12, "commits before the cut, and as many after it")
	flag.DurationVar(&p.Every, "every", 5*time.Second, "how often there is a commit, during the cut too")
	flag.DurationVar(&p.Cut, "cut", time.Minute, "how long NATS cannot be reached")
	flag.DurationVar(&p.Patience, "patience", 30*time.Second, "how long to wait for what is missing, after the cut and at the end")
	flag.IntVar(&p.Services, "services", 4, "Kustomizations that each commit changes")
	flag.IntVar(&p.Break, "break", 3, "every so many commits one Kustomization is broken until the next commit; 0: never")
	flag.Parse()
	if err := run(ctx, p, *path, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

// commitsInCut is how many fit into the cut, the first when it begins.
func (p plan) commitsInCut() int { return max(1, int(p.Cut/p.Every)) }

func (p plan) check() error {
	if p.Commits < 1 || p.Services < 1 || p.Break < 0 || p.Every <= 0 || p.Cut <= 0 || p.Patience <= 0 {
		return fmt.Errorf("this cannot be run: %+v", p)
	}
	return nil
}

func run(ctx context.Context, p plan, path string, out, progress io.Writer) (err error) {
	if err := p.check(); err != nil {
		return err
	}
	ctx, fail := context.WithCancelCause(ctx)
	s, err := setUp(ctx, fail, p, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	report, err := s.measure(ctx)
	if err != nil {
		return fmt.Errorf("%w\nlogs of every process and container are in %s", err, s.fleet.Dir)
	}
	if path != "" {
		err = writeJSON(path, report)
	}
	return errors.Join(err, report.print(out))
}

func writeJSON(path string, report Report) error {
	data, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("encode figures: %w", err)
	}
	if err := os.WriteFile(path, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("write figures: %w", err)
	}
	return nil
}
