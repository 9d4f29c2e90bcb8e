package process

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// Spec says how to start a process and when it is ready.
type Spec struct {
	// Name is unique among the processes that run; it names the log file.
	Name string
	// Path of the program, and its arguments.
	Path string
	Args []string
	// Env is added to the supervisor's own environment.
	Env []string
	// NewUserNamespace runs the process as root of a user namespace of its own, in which the
	// supervisor's user is mapped to 0. For programs that need namespaces when the bench is not root.
	NewUserNamespace bool
	// Ready is asked again and again until it returns nil; nil: ready when started. Its error is
	// the state that is shown when the limit passes.
	Ready func(ctx context.Context) error
	// Limit is how long the process may take to be ready; 30 s when zero.
	Limit time.Duration
}

const (
	defaultLimit = 30 * time.Second
	probeEvery   = 50 * time.Millisecond
	probeLimit   = 2 * time.Second
)

func (spec Spec) command(log io.Writer) *exec.Cmd {
	command := exec.Command(spec.Path, spec.Args...)
	command.Env = append(os.Environ(), spec.Env...)
	command.Stdout, command.Stderr = log, log
	// A session of its own keeps the terminal's Ctrl-C from it: the supervisor decides who stops when.
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if spec.NewUserNamespace {
		command.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		command.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		command.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return command
}

// Process is a running or ended process of a run.
type Process struct {
	spec       Spec
	supervisor *Supervisor
	command    *exec.Cmd
	startTime  uint64 // clock ticks after boot, as in /proc/<pid>/stat
	logOffset  int64  // where in the log this process begins

	exited   chan struct{} // closed when it has ended; exit is set before
	exit     error
	ready    atomic.Bool
	stopping atomic.Bool
}

// Name of the process, as in its Spec.
func (p *Process) Name() string { return p.spec.Name }

// PID of the process.
func (p *Process) PID() int { return p.command.Process.Pid }

// Exited is closed when the process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err says how the process ended, with the end of its log; nil while it runs.
func (p *Process) Err() error {
	select {
	case <-p.exited:
		return fmt.Errorf("%s ended: %s\n%s", p.Name(), exitText(p.exit), p.logTail())
	default:
		return nil
	}
}

func exitText(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// Stop ends the process: TERM, and KILL after 3 s. It is safe to call it again.
func (p *Process) Stop() error { return stopAll([]*Process{p}) }

// StopAll ends processes together, in the order given, so that the waits do not add up.
func StopAll(processes ...*Process) error { return stopAll(processes) }

// Kill ends the process at once, as a crash would.
func (p *Process) Kill() error {
	p.signal(syscall.SIGKILL)
	<-p.exited
	return p.supervisor.remove(p)
}

// signal sends to the process and all its children in its session's first group.
func (p *Process) signal(signal syscall.Signal) {
	p.stopping.Store(true)
	select {
	case <-p.exited: // the pid may be somebody else's by now
	default:
		// The only error left is that it ended just now.
		_ = syscall.Kill(-p.PID(), signal)
	}
}

func (p *Process) wait() {
	p.exit = p.command.Wait()
	close(p.exited)
	p.report()
}

// markReady makes an end of the process from now on a failure of the run.
func (p *Process) markReady() {
	p.ready.Store(true)
	select {
	case <-p.exited:
		p.report()
	default:
	}
}

func (p *Process) report() {
	if !p.ready.Load() || p.stopping.Load() {
		return
	}
	select {
	case p.supervisor.failed <- p:
	default:
	}
}

func (p *Process) waitReady(ctx context.Context) error {
	if p.spec.Ready == nil {
		return nil
	}
	limit := p.spec.Limit
	if limit == 0 {
		limit = defaultLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for {
		state := p.probe(ctx)
		if state == nil {
			return nil
		}
		select {
		case <-p.exited:
			return p.Err()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready after %s (%w): %w\n%s", p.Name(), limit, ctx.Err(), state, p.logTail())
		case <-tick.C:
		}
	}
}

func (p *Process) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	return p.spec.Ready(ctx)
}

// Log returns what the process wrote, at most the last limit bytes.
func (p *Process) Log(limit int64) (string, error) {
	file, err := os.Open(p.supervisor.LogPath(p.Name()))
	if err != nil {
		return "", fmt.Errorf("read log of %s: %w", p.Name(), err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("read log of %s: %w", p.Name(), err)
	}
	from := max(p.logOffset, info.Size()-limit)
	data, err := io.ReadAll(io.NewSectionReader(file, from, info.Size()-from))
	if err != nil {
		return "", fmt.Errorf("read log of %s: %w", p.Name(), err)
	}
	return string(data), nil
}

const (
	tailBytes = 4 << 10
	tailLines = 15
)

// logTail is the end of the log for an error message, with where the rest is.
func (p *Process) logTail() string {
	text, err := p.Log(tailBytes)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	lines = lines[max(0, len(lines)-tailLines):]
	return fmt.Sprintf("last lines of %s:\n  %s", p.supervisor.LogPath(p.Name()), strings.Join(lines, "\n  "))
}
