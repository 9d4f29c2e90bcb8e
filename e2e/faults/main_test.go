// Package faults breaks what is between clusters and the hub, one file a fault: simulated clusters with
// the agent's own code, a hub process with its event bus and its history. After each fault all that
// happened is in the history exactly once, or stands in a gap that names it.
package faults

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/fairway-dev/fairway/e2e/load/platform"
	"github.com/fairway-dev/fairway/e2e/load/sim"
	"github.com/fairway-dev/fairway/fleet/client"
)

const (
	clusters  = 5
	objects   = 20
	heartbeat = time.Second
	limit     = 90 * time.Second // of everything that is waited for
)

// site is the hub and the fleet that all faults share. Each fault leaves it whole.
var site struct {
	began  time.Time
	hub    *platform.Hub
	client *client.Client
	fleet  *sim.Fleet
	// lost are the first events of lives that ended with their outbox: from there on a gap stands for them.
	lost map[sim.Life]uint64
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "fairway-faults-")
	if err != nil {
		return 1, fmt.Errorf("create folder: %w", err)
	}
	defer func() {
		if code != 0 || err != nil {
			fmt.Fprintln(os.Stderr, "logs of every process are in", dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	p, err := platform.Start(ctx, platform.Options{Dir: dir, Progress: os.Stderr})
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	if err := start(ctx, p); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, site.fleet.Close(), site.client.Close()) }()
	return m.Run(), nil
}

func start(ctx context.Context, p *platform.Platform) (err error) {
	site.began, site.lost = time.Now(), map[sim.Life]uint64{}
	if site.hub, err = p.NewHub("hub"); err != nil {
		return err
	}
	if err := site.hub.Start(ctx); err != nil {
		return err
	}
	if site.client, err = site.hub.Client(); err != nil {
		return err
	}
	site.fleet, err = sim.Start(ctx, sim.Options{
		Clusters: clusters, Objects: objects, Seed: 1, Dir: filepath.Join(p.Dir, "outboxes"),
		URL: site.hub.Bus, CA: site.hub.CA, Keys: site.hub.Keys, Heartbeat: heartbeat,
	})
	return err
}
