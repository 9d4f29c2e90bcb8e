package pod

import (
	"bytes"
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/exec"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/inputs"
	"github.com/fairway-dev/fairway/e2e/tools/processnode/sandbox"
)

// Exec runs a command inside a running container until it ends or ctx does. A command that ran and failed gives an
// exec.CodeExitError.
func (p *Pod) Exec(ctx context.Context, name string, command []string, streams sandbox.Streams) error {
	c, ok := p.container(name)
	p.mu.Lock()
	r, runs := p.running[name]
	p.mu.Unlock()
	if !ok || !runs {
		return fmt.Errorf("container %q in pod %q is not running", name, p.created.Name)
	}
	spec, err := c.enterSpec(ctx, command)
	if err != nil {
		return err
	}
	process, err := p.node.Spawner.Enter(r.PID(), spec, p.Network().Namespace, streams)
	if err != nil {
		return fmt.Errorf("exec in container: %w", err)
	}
	defer context.AfterFunc(ctx, process.Terminate)()
	code, err := process.ExitCode()
	if err != nil {
		return fmt.Errorf("exec in container: %w", err)
	}
	if code != 0 {
		return exec.CodeExitError{Err: fmt.Errorf("command terminated with exit code %d", code), Code: code}
	}
	return nil
}

// enterSpec gives a command the environment, user and folder of its container.
func (c container) enterSpec(ctx context.Context, command []string) (sandbox.Spec, error) {
	img, _ := c.pod.node.Images.Find(c.spec.Image)
	spec, err := c.sandboxSpec(ctx, img)
	return sandbox.Spec{Argv: command, Env: spec.Env, User: spec.User, Dir: spec.Dir}, err
}

// output runs a command of a probe or hook.
func (p *Pod) output(ctx context.Context, container string, command []string) ([]byte, error) {
	var b bytes.Buffer
	err := p.Exec(ctx, container, inputs.ExpandAll(command, nil), sandbox.Streams{Out: &b, Err: &b})
	return b.Bytes(), err
}

func (p *Pod) container(name string) (container, bool) {
	find := func(list []corev1.Container, init bool) (container, bool) {
		for i := range list {
			if list[i].Name == name {
				return container{pod: p, spec: &list[i], init: init}, true
			}
		}
		return container{}, false
	}
	if c, ok := find(p.created.Spec.Containers, false); ok {
		return c, true
	}
	return find(p.created.Spec.InitContainers, true)
}
