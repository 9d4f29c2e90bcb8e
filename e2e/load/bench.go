package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/fairway-dev/fairway/e2e/bench/kube"
	"github.com/fairway-dev/fairway/e2e/load/platform"
)

// bench is one run: what its measurements share is made by the first that needs it.
type bench struct {
	size     size
	progress io.Writer

	dir      string
	platform *platform.Platform
	scene    *scene
}

// say tells on the progress what is done.
func (b *bench) say(format string, args ...any) { fmt.Fprintf(b.progress, format+"\n", args...) }

// folder is the run's, made anew.
func (b *bench) folder() (string, error) {
	if b.dir != "" {
		return b.dir, nil
	}
	dir, err := os.MkdirTemp("", "fairway-bench-")
	if err != nil {
		return "", fmt.Errorf("create folder: %w", err)
	}
	b.dir = dir
	return dir, nil
}

// usePlatform starts the API server, once.
func (b *bench) usePlatform(ctx context.Context) (*platform.Platform, error) {
	if b.platform != nil {
		return b.platform, nil
	}
	dir, err := b.folder()
	if err != nil {
		return nil, err
	}
	b.say("starting an API server")
	b.platform, err = platform.Start(ctx, platform.Options{Dir: filepath.Join(dir, "platform"), Progress: b.progress})
	return b.platform, err
}

// useScene makes the fleet, once.
func (b *bench) useScene(ctx context.Context) (*scene, error) {
	if b.scene != nil {
		return b.scene, nil
	}
	p, err := b.usePlatform(ctx)
	if err != nil {
		return nil, err
	}
	s, err := newScene(ctx, b, p)
	if err != nil {
		return nil, err
	}
	b.scene = s
	return s, nil
}

// close ends everything. After a failure the logs stay.
func (b *bench) close() error {
	var errs []error
	if b.scene != nil {
		errs = append(errs, b.scene.close())
	}
	if b.platform != nil {
		errs = append(errs, b.platform.Stop())
	}
	if b.dir != "" {
		errs = append(errs, os.RemoveAll(b.dir))
	}
	return errors.Join(errs...)
}

// wait asks until done returns nil.
func wait(ctx context.Context, what string, limit time.Duration, done func(ctx context.Context) error) error {
	return kube.Wait(ctx, what, limit, done)
}

// waitEvery is wait for what is work to ask.
func waitEvery(ctx context.Context, every time.Duration, what string, limit time.Duration, done func(ctx context.Context) error) error {
	var asked time.Time
	var last error
	return wait(ctx, what, limit, func(ctx context.Context) error {
		if last == nil || time.Since(asked) >= every {
			last, asked = done(ctx), time.Now()
		}
		return last
	})
}
