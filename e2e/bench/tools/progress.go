package tools

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

const (
	reportEvery = 15 * time.Second
	tailLines   = 20
)

// report is where a build writes to. It passes everything on to the log, keeps the last lines for an
// error, and says from time to time how many packages are compiled: go build -v writes a line for
// each.
type report struct {
	name     string
	log      io.Writer
	progress io.Writer
	started  time.Time
	stop     chan struct{}

	mu    sync.Mutex
	total int // packages that the binaries are made of; 0 when unknown
	count int
	lines []string
	rest  []byte // an unfinished line
}

func (b *builder) report(job job, log io.Writer) *report {
	r := &report{name: job.tool.Name, log: log, progress: b.progress, started: time.Now(), stop: make(chan struct{})}
	fmt.Fprintf(b.progress, "building %s (%s, takes %s the first time)\n", job.tool.Name, job.step, job.tool.Takes)
	go r.tick()
	return r
}

func (r *report) tick() {
	ticker := time.NewTicker(reportEvery)
	defer ticker.Stop()
	for {
		select {
		case <-r.stop:
			return
		case <-ticker.C:
			fmt.Fprintf(r.progress, "building %s: %s after %s\n", r.name, r.compiled(), r.age())
		}
	}
}

func (r *report) compiled() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.count == 0 && r.total > 0:
		return "downloading or linking" // go build names a package only when it has to compile it
	case r.total == 0:
		return fmt.Sprintf("%d packages compiled", r.count)
	default:
		return fmt.Sprintf("%d of at most %d packages compiled", r.count, r.total)
	}
}

func (r *report) expect(total int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.total = total
}

func (r *report) age() time.Duration { return time.Since(r.started).Round(time.Second) }

func (r *report) done(err error) {
	close(r.stop)
	if err == nil {
		fmt.Fprintf(r.progress, "built %s in %s\n", r.name, r.age())
	}
}

// Write implements io.Writer.
func (r *report) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rest = append(r.rest, p...)
	for {
		line, rest, found := bytes.Cut(r.rest, []byte("\n"))
		if !found {
			break
		}
		r.rest = rest
		r.count++
		r.lines = append(r.lines, string(line))
		if len(r.lines) > tailLines {
			r.lines = r.lines[1:]
		}
	}
	return r.log.Write(p)
}

func (r *report) tail() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(append(r.lines, string(r.rest)), "\n")
}

// countPackages returns how many packages the named ones are made of, 0 when that cannot be said:
// the build itself then says why.
func countPackages(ctx context.Context, dir string, packages []string) int {
	out, err := goOutput(ctx, dir, append([]string{"list", "-deps"}, packages...)...)
	if err != nil {
		return 0
	}
	return strings.Count(out, "\n") + 1
}
