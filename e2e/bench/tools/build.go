package tools

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Options say what to build and where to keep it.
type Options struct {
	// Repository is the folder of Fairway's root module; found from the working folder when empty.
	Repository string
	// Cache is the folder that builds are kept in; fairway/tools in the user's cache folder when empty.
	Cache string
	// Progress gets a line for every build that has to be done, and how far it is. Nothing is
	// written when everything is there.
	Progress io.Writer
}

// Build builds those of the named tools that the cache does not hold, one after another, and
// returns them all. Without names it builds every tool that a fleet needs. An error of a build holds
// the end of its log and the log's path.
func Build(ctx context.Context, o Options, names ...string) (*Set, error) {
	b, err := newBuilder(ctx, o)
	if err != nil {
		return nil, err
	}
	selected, err := selectTools(names)
	if err != nil {
		return nil, err
	}
	return b.buildAll(ctx, selected)
}

func (b *builder) buildAll(ctx context.Context, selected []Tool) (*Set, error) {
	set := &Set{dirs: make(map[string]string, len(selected))}
	missing, err := b.find(selected, set)
	if err != nil {
		return nil, err
	}
	for i, job := range missing {
		job.step = fmt.Sprintf("%d/%d", i+1, len(missing))
		if err := b.build(ctx, job); err != nil {
			return nil, err
		}
	}
	return set, nil
}

func selectTools(names []string) ([]Tool, error) {
	all := All()
	if len(names) == 0 {
		return slices.DeleteFunc(all, func(t Tool) bool { return t.aside }), nil
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(t Tool) bool { return t.Name == name }) {
			return nil, fmt.Errorf("select tool %q: no such tool", name)
		}
	}
	return slices.DeleteFunc(all, func(t Tool) bool { return !slices.Contains(names, t.Name) }), nil
}

// builder is one call of Build.
type builder struct {
	repository, cache string
	goVersion         string
	progress          io.Writer
}

// job is one tool that has to be built into dir.
type job struct {
	tool    Tool
	dir     string
	ldflags string
	step    string // "2/7"
}

func newBuilder(ctx context.Context, o Options) (*builder, error) {
	b := &builder{repository: o.Repository, cache: o.Cache, progress: o.Progress}
	if b.repository == "" {
		var err error
		if b.repository, err = FindRepository("."); err != nil {
			return nil, err
		}
	}
	if b.cache == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find cache folder: %w", err)
		}
		b.cache = filepath.Join(user, "fairway", "tools")
	}
	if b.progress == nil {
		b.progress = io.Discard
	}
	version, err := goOutput(ctx, b.repository, "env", "GOVERSION", "GOOS", "GOARCH")
	if err != nil {
		return nil, err
	}
	b.goVersion = version
	return b, nil
}

// find puts every selected tool's folder into set and returns the jobs for those that are missing.
func (b *builder) find(selected []Tool, set *Set) ([]job, error) {
	var missing []job
	for _, tool := range selected {
		also := make([]string, len(tool.also))
		for i, path := range tool.also {
			also[i] = filepath.Join(b.repository, path)
		}
		sum, err := hash(filepath.Join(b.repository, tool.Dir), tool.skip, also,
			b.goVersion, tool.ldflags, strings.Join(tool.packages, " "))
		if err != nil {
			return nil, err
		}
		ldflags := tool.ldflags
		if tool.Name == Fairway {
			// The g keeps an all-digit hash with a leading zero from being an invalid semver.
			set.Version = "v0.1.0-dev.g" + sum[:8]
			ldflags = "-X main.version=" + set.Version
		}
		dir := filepath.Join(b.cache, tool.Name, sum)
		set.dirs[tool.Name] = dir
		if !touch(dir) {
			missing = append(missing, job{tool: tool, dir: dir, ldflags: ldflags})
		}
	}
	return missing, nil
}

// touch says whether a build is there, and marks it as used now.
func touch(dir string) bool {
	now := time.Now()
	return os.Chtimes(dir, now, now) == nil
}

// build makes job.dir in a temporary folder beside it and renames it: it is there whole or not at
// all. A second process that wants the same tool waits for the lock and then finds it.
func (b *builder) build(ctx context.Context, job job) (err error) {
	parent := filepath.Dir(job.dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("create cache folder: %w", err)
	}
	unlock, err := lock(ctx, filepath.Join(parent, "lock"), func() {
		fmt.Fprintf(b.progress, "waiting for another process that builds %s\n", job.tool.Name)
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if touch(job.dir) {
		return nil
	}
	if err := prune(parent, time.Now()); err != nil {
		return err
	}
	out, err := os.MkdirTemp(parent, "unfinished-")
	if err != nil {
		return fmt.Errorf("create build folder: %w", err)
	}
	if err := b.compile(ctx, job, out); err != nil {
		return errors.Join(err, os.RemoveAll(out))
	}
	if err := os.Rename(out, job.dir); err != nil {
		return fmt.Errorf("keep build of %s: %w", job.tool.Name, err)
	}
	return nil
}

// compile runs go build and what comes after it, with all output in <cache>/<tool>/build.log.
func (b *builder) compile(ctx context.Context, job job, out string) (err error) {
	if err := os.Chmod(out, 0o755); err != nil {
		return fmt.Errorf("open build folder: %w", err)
	}
	path := filepath.Join(filepath.Dir(job.dir), "build.log")
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create build log: %w", err)
	}
	defer file.Close()
	report := b.report(job, file)
	defer func() { report.done(err) }()

	dir := filepath.Join(b.repository, job.tool.Dir)
	report.expect(countPackages(ctx, dir, job.tool.packages))
	args := []string{
		"build", "-v", "-buildvcs=false", "-o", out + string(filepath.Separator),
		"-ldflags", strings.TrimSpace("-s -w " + job.ldflags),
	}
	command := exec.CommandContext(ctx, "go", append(args, job.tool.packages...)...)
	command.Dir, command.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	command.Stdout, command.Stderr = report, report
	if err := command.Run(); err != nil {
		return fmt.Errorf("build %s: %w\n%s\nthe whole log: %s", job.tool.Name, err, report.tail(), path)
	}
	if job.tool.finish == nil {
		return nil
	}
	if err := job.tool.finish(ctx, b.repository, out, report); err != nil {
		return fmt.Errorf("build %s: %w\n%s\nthe whole log: %s", job.tool.Name, err, report.tail(), path)
	}
	return nil
}

// keep is how many builds of a tool stay beside those used within keepFor.
const (
	keep    = 2
	keepFor = 24 * time.Hour
)

// prune deletes what crashed builds left and builds that nobody used for a day, but for the newest.
// It is called with the tool's lock held.
func prune(parent string, now time.Time) error {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return fmt.Errorf("list builds: %w", err)
	}
	type build struct {
		path string
		used time.Time
	}
	var builds []build
	for _, entry := range entries {
		path := filepath.Join(parent, entry.Name())
		switch info, err := entry.Info(); {
		case err != nil:
			return fmt.Errorf("list builds: %w", err)
		case !entry.IsDir():
		case strings.HasPrefix(entry.Name(), "unfinished-"):
			if err := os.RemoveAll(path); err != nil {
				return fmt.Errorf("delete unfinished build: %w", err)
			}
		default:
			builds = append(builds, build{path: path, used: info.ModTime()})
		}
	}
	slices.SortFunc(builds, func(a, b build) int { return b.used.Compare(a.used) })
	for _, old := range builds[min(keep, len(builds)):] {
		if now.Sub(old.used) < keepFor {
			continue
		}
		if err := os.RemoveAll(old.path); err != nil {
			return fmt.Errorf("delete old build: %w", err)
		}
	}
	return nil
}
