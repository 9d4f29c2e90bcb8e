// Package platform runs the hub and the operator as they are deployed: the real binaries, the hub with the folder of its Secret, the
// operator with the rights of its account, and a kube-apiserver that knows both. Everything is on 127.0.0.1 and in one folder.
package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/fairway-dev/fairway/e2e/bench/kube"
	"github.com/fairway-dev/fairway/e2e/bench/process"
	"github.com/fairway-dev/fairway/e2e/bench/tools"
)

// Options of a Platform.
type Options struct {
	// Dir is the folder of the run; it must be empty or absent.
	Dir string
	// Progress is told what is being built; nil: nobody is.
	Progress io.Writer
}

// Platform is an API server, and what starts processes beside it.
type Platform struct {
	Dir        string
	Tools      *tools.Set
	Supervisor *process.Supervisor
	Kube       *kube.Cluster // etcd and kube-apiserver, no controllers
}

// Start builds Kubernetes and Fairway, when the cache does not hold them, and starts the API server.
// Stop ends everything.
func Start(ctx context.Context, o Options) (_ *Platform, err error) {
	built, err := tools.Build(ctx, tools.Options{Progress: o.Progress}, tools.Kube, tools.Fairway)
	if err != nil {
		return nil, err
	}
	supervisor, err := process.New(o.Dir)
	if err != nil {
		return nil, err
	}
	p := &Platform{Dir: supervisor.Dir(), Tools: built, Supervisor: supervisor}
	if p.Kube, err = p.StartKube(ctx, "platform"); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

// StartKube starts another API server.
func (p *Platform) StartKube(ctx context.Context, name string) (*kube.Cluster, error) {
	return kube.Start(ctx, p.Supervisor, p.Tools, kube.Options{Name: name, Dir: filepath.Join(p.Dir, "clusters", name), NoControllers: true})
}

// Stop ends every process.
func (p *Platform) Stop() error { return p.Supervisor.Stop() }

// FreeAddress is a port of 127.0.0.1 that nobody listens on.
func FreeAddress() (string, error) {
	port, err := kube.FreePort()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("127.0.0.1:%d", port), nil
}

func writeFiles(dir string, files map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("create %s: %w", dir, err)
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}
