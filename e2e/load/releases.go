package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing/fstest"
	"time"

	"golang.org/x/sync/errgroup"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/bench/gitserver"
	"github.com/fairway-dev/fairway/operator/gitrepo"
	"github.com/fairway-dev/fairway/operator/gitrepo/gittest"
	"github.com/fairway-dev/fairway/operator/pointers"
)

const (
	releaseBar      = 2000 // milliseconds
	releaseServices = 1000
	releaseFiles    = 16 // of an artifact: with four pointers, 20,000 files in all
	releaseTeams    = 50
	releasesAtOnce  = 50
	releaseRounds   = 20
	strangerEvery   = 200 * time.Millisecond
	betweenRounds   = time.Second // in which the stranger is back in its rhythm
	gitRounds       = 10
)

var releaseClusters = []string{"prod-aws-eu1", "prod-aws-us1", "prod-azure-eu1", "prod-azure-us1"}

// releases is how long a release takes from being asked for to its commit on the server, fifty at once of fifty services,
// while somebody else pushes to the same branch, beside git doing one commit and push of the same tree.
func releases(ctx context.Context, b *bench) (_ []Result, err error) {
	r, err := newReleasing(ctx, b)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	b.say("%d services and %d files; %d times %d releases at once", releaseServices, releaseServices*(releaseFiles+len(releaseClusters)), releaseRounds, releasesAtOnce)
	took, lasted, err := r.rounds(ctx, b)
	if err != nil {
		return nil, err
	}
	if err := r.check(ctx); err != nil {
		return nil, err
	}
	alone, err := r.alone(ctx)
	if err != nil {
		return nil, err
	}
	b.say("git's own: p50 %.0f ms, p99 %.0f", median(alone), quantile(alone, 0.99))
	p99 := atMost("release asked for to its commit pushed, 50 at once, p99", quantile(took, 0.99), "ms", releaseBar)
	p50 := figure("release asked for to its commit pushed, 50 at once, p50", median(took), "ms")
	for _, each := range []*Result{&p50, &p99} {
		each.Limit = median(alone)
		each.Ratio = each.Value / each.Limit
	}
	rate := figure("releases, each a commit of its own", float64(len(took))/lasted.Seconds(), "commits/s")
	rate.Limit = 1000 / median(alone)
	rate.Ratio = rate.Value / rate.Limit
	return []Result{p50, p99, rate}, nil
}

// releasing is a config repository on a Git server, and the operator's writer.
type releasing struct {
	dir        string
	server     *gitserver.Server
	repository *gitserver.Repository
	log        *os.File
	to         gitrepo.Remote
	writer     *gitrepo.Writer
	stop       context.CancelFunc
	ended      chan error

	current  []string // artifact of each service
	stranger gittest.Stranger
}

func newReleasing(ctx context.Context, b *bench) (_ *releasing, err error) {
	dir, err := b.folder()
	if err != nil {
		return nil, err
	}
	r := &releasing{dir: filepath.Join(dir, "releases"), current: make([]string, releaseServices), ended: make(chan error, 1)}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return nil, fmt.Errorf("create folder: %w", err)
	}
	if r.log, err = os.Create(filepath.Join(r.dir, "git.log")); err != nil {
		return nil, fmt.Errorf("create log: %w", err)
	}
	if r.server, err = gitserver.Start(ctx, filepath.Join(r.dir, "served"), r.log); err != nil {
		return nil, err
	}
	if r.repository, err = r.server.CreateRepository(ctx, "config", gitserver.Credentials{}); err != nil {
		return nil, err
	}
	if _, err := r.repository.Commit(ctx, "main", map[string]string{"README.md": "The fleet.\n"}, "first"); err != nil {
		return nil, err
	}
	r.to = gitrepo.Remote{URL: r.repository.URL, Branch: "main"}
	r.writer = gitrepo.NewWriter(gitrepo.NewMirror(), gitrepo.Identity{Name: "Fairway", Email: "fairway@fairway.dev"}, time.Now)
	working, stop := context.WithCancel(ctx)
	r.stop = stop
	go func() { r.ended <- r.writer.Start(working) }()
	return r, r.fill(ctx)
}

// served is where the repository lies on the server.
func (r *releasing) served() string { return filepath.Join(r.dir, "served", "config.git") }

// fill makes the repository what the services run at first.
func (r *releasing) fill(ctx context.Context) error {
	_, err := r.writer.Submit(ctx, r.to, gitrepo.Change{
		Message: gitrepo.Message{Subject: "all services"},
		Edit: func(fs.FS) ([]gitrepo.Edit, error) {
			var out []gitrepo.Edit
			for service := range releaseServices {
				edits, err := pointers.Edits(fstest.MapFS{}, r.move(service, 0))
				if err != nil {
					return nil, err
				}
				out = append(out, edits...)
				r.current[service] = r.move(service, 0).Artifact
			}
			return out, nil
		},
	})
	return err
}

// move is a service's release of an artifact of a generation.
func (r *releasing) move(service, generation int) pointers.Move {
	id := fmt.Sprintf("main-%07x-%04x", generation, service)
	files := map[string][]byte{}
	for n := range releaseFiles {
		files[fmt.Sprintf("object-%02d.yaml", n)] = manifest(service, generation, n)
	}
	team, name := releaseService(service)
	return pointers.Move{Team: team, Service: name, Artifact: id, Release: fmt.Sprintf("%s/%s-%d", team, name, generation),
		Clusters: releaseClusters, Files: files}
}

func releaseService(n int) (team, name string) {
	return fmt.Sprintf("team-%02d", n%releaseTeams), fmt.Sprintf("service-%03d", n)
}

// manifest is about as long as a Deployment. One in four differs between two artifacts of a service.
func manifest(service, generation, n int) []byte {
	if n%4 != 0 {
		generation = 0
	}
	out := fmt.Appendf(nil, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: service-%03d-%02d\ndata:\n", service, n)
	for line := range 20 {
		out = fmt.Appendf(out, "  key-%02d: value %08x of generation %d\n", line, (service+1)*2654435761*(line+n+1), generation)
	}
	return out
}

func (r *releasing) close() error {
	var errs []error
	if r.stop != nil {
		r.stop()
		errs = append(errs, <-r.ended)
	}
	if r.server != nil {
		errs = append(errs, r.server.Close())
	}
	if r.log != nil {
		errs = append(errs, r.log.Close())
	}
	return errors.Join(errs...)
}

// rounds asks for releases of other services each time, and returns in milliseconds what each took, and how long they lasted
// together.
func (r *releasing) rounds(ctx context.Context, b *bench) (took []float64, lasted time.Duration, err error) {
	r.stranger.Dir = filepath.Join(r.dir, "stranger.git")
	if _, err := gittest.Run(ctx, r.dir, "", "clone", "--quiet", "--bare", r.to.URL, r.stranger.Dir); err != nil {
		return nil, 0, err
	}
	working, stop := context.WithCancel(ctx)
	group := errgroup.Group{}
	group.Go(func() error { return r.stranger.Work(working, strangerEvery) })
	first := time.Now()
	for round := range releaseRounds {
		select {
		case <-time.After(betweenRounds):
		case <-ctx.Done():
		}
		began := time.Now()
		more, failed := r.atOnce(ctx, round)
		took, lasted = append(took, more...), lasted+time.Since(began)
		if err = failed; err != nil {
			break
		}
	}
	stop()
	err = errors.Join(err, group.Wait())
	b.say("somebody else pushed %d commits in %s, and %d in vain; the bursts were %s of them",
		r.stranger.Commits, time.Since(first).Round(time.Second), r.stranger.Lost, lasted.Round(time.Second))
	return took, lasted, err
}

func (r *releasing) atOnce(ctx context.Context, round int) ([]float64, error) {
	var mu sync.Mutex
	var took []float64
	group, ctx := errgroup.WithContext(ctx)
	for n := range releasesAtOnce {
		service := (round*releasesAtOnce + n) % releaseServices
		change := r.change(service, round+1)
		group.Go(func() error {
			began := time.Now()
			if _, err := r.writer.Submit(ctx, r.to, change); err != nil {
				return fmt.Errorf("release %s: %w", change.Message.Subject, err)
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, milliseconds(time.Since(began)))
			r.current[service] = r.move(service, round+1).Artifact
			return nil
		})
	}
	err := group.Wait()
	return took, err
}

func (r *releasing) change(service, generation int) gitrepo.Change {
	move := r.move(service, generation)
	cause := pointers.Cause{Team: move.Team, Service: move.Service, Environment: "prod", Intent: fleetv1.IntentRelease,
		RequestedBy: "dev@example.com", Release: move.Release}
	for _, cluster := range move.Clusters {
		cause.Targets = append(cause.Targets, pointers.Target{Cluster: cluster, Artifact: move.Artifact})
	}
	return gitrepo.Change{Message: pointers.Message(cause), Edit: func(files fs.FS) ([]gitrepo.Edit, error) { return pointers.Edits(files, move) }}
}

// check holds the branch against what was asked for: every release is there, each a commit, and nothing of anybody is lost.
func (r *releasing) check(ctx context.Context) error {
	files, err := gitrepo.NewMirror().Fetch(ctx, r.to)
	if err != nil {
		return err
	}
	all, err := pointers.ListPointers(files, pointers.Filter{})
	if err != nil {
		return err
	}
	if want := releaseServices * len(releaseClusters); len(all) != want {
		return fmt.Errorf("%d pointers, not %d", len(all), want)
	}
	for _, each := range all {
		var service int
		if _, err := fmt.Sscanf(each.Service, "service-%d", &service); err != nil {
			return fmt.Errorf("read name of service: %w", err)
		}
		if each.State != pointers.Ours || each.Artifact != r.current[service] {
			return fmt.Errorf("%s is on %s (%s), not on %s", pointers.PointerPath(each.Cluster, each.Team, each.Service), each.Artifact, each.State, r.current[service])
		}
		if _, err := pointers.Edits(files, pointers.Move{Team: each.Team, Service: each.Service, Artifact: each.Artifact}); err != nil {
			return err
		}
	}
	commits, err := gittest.Run(ctx, r.served(), "", "rev-list", "--count", "main")
	if want := fmt.Sprint(2 + releaseRounds*releasesAtOnce + r.stranger.Commits); err == nil && commits != want {
		err = fmt.Errorf("%s commits, not %s", commits, want)
	}
	return err
}

// alone is how long git takes, in milliseconds, to commit a release and push it from a clone, with nobody else around.
func (r *releasing) alone(ctx context.Context) ([]float64, error) {
	dir := filepath.Join(r.dir, "clone")
	if _, err := gittest.Run(ctx, r.dir, "", "clone", "--quiet", r.to.URL, dir); err != nil {
		return nil, err
	}
	var out []float64
	for n := range gitRounds {
		edits, err := pointers.Edits(os.DirFS(dir), r.move(n, releaseRounds+1))
		if err != nil {
			return nil, err
		}
		paths, err := write(dir, edits)
		if err != nil {
			return nil, err
		}
		began := time.Now()
		for _, args := range [][]string{append([]string{"add", "--"}, paths...), {"commit", "--quiet", "-m", "a release"}, {"push", "--quiet", "origin", "main"}} {
			if _, err := gittest.Run(ctx, dir, "", args...); err != nil {
				return nil, err
			}
		}
		out = append(out, milliseconds(time.Since(began)))
	}
	return out, nil
}

// write makes edits in a work tree, and lists their paths.
func write(dir string, edits []gitrepo.Edit) ([]string, error) {
	var out []string
	for _, edit := range edits {
		path := filepath.Join(dir, edit.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, fmt.Errorf("create folder: %w", err)
		}
		if err := os.WriteFile(path, edit.Content, 0o644); err != nil {
			return nil, fmt.Errorf("write file: %w", err)
		}
		out = append(out, edit.Path)
	}
	return out, nil
}
