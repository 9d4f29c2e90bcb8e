package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/netns"
)

// outputDelay bounds how long the output of an ended process is waited for.
const outputDelay = 2 * time.Second

// StartError says why a container's program could not be started: the container was made and has ended with code 128.
type StartError struct{ Message string }

func (e *StartError) Error() string { return e.Message }

// Spawner starts all processes from one thread, since the kernel sends the parent-death signal when the thread that started
// a child ends, and since a child begins in the network namespace of that thread.
type Spawner struct {
	work chan func()
}

// NewSpawner starts the thread. It lives as long as this process.
func NewSpawner() *Spawner {
	s := &Spawner{work: make(chan func())}
	go func() {
		runtime.LockOSThread()
		for f := range s.work {
			f()
		}
	}()
	return s
}

// Process is a started process.
type Process struct {
	cmd   *exec.Cmd
	ended chan struct{}
	code  int
	err   error
}

// Start runs a container. It returns when the program runs, or with a *StartError when it could not.
func (s *Spawner) Start(spec Spec, network *netns.Namespace, stdout, stderr io.Writer) (*Process, error) {
	cmd := exec.Command("/proc/self/exe", initCommand)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = stdout, stderr, outputDelay
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true, Pdeathsig: syscall.SIGKILL,
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	}
	return s.start(cmd, spec, network)
}

// Streams are those of a command that runs inside a container; any may be nil.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Enter runs the command of spec inside the container whose first process is pid.
func (s *Spawner) Enter(pid int, spec Spec, network *netns.Namespace, streams Streams) (*Process, error) {
	cmd := exec.Command("/proc/self/exe", enterCommand, strconv.Itoa(pid))
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = streams.In, streams.Out, streams.Err, outputDelay
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	return s.start(cmd, spec, network)
}

func (s *Spawner) start(cmd *exec.Cmd, spec Spec, network *netns.Namespace) (*Process, error) {
	specRead, specWrite, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make pipe: %w", err)
	}
	defer specWrite.Close()
	errRead, errWrite, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("make pipe: %w", err), specRead.Close())
	}
	defer errRead.Close()
	cmd.ExtraFiles = []*os.File{specRead, errWrite} // specFD, errorFD
	err = s.fork(cmd, network)
	if err := errors.Join(err, specRead.Close(), errWrite.Close()); err != nil {
		return nil, fmt.Errorf("start process: %w", err)
	}
	p := &Process{cmd: cmd, ended: make(chan struct{})}
	go p.wait()
	return p, p.handOver(spec, specWrite, errRead)
}

// fork starts cmd from the one thread, inside the network namespace.
func (s *Spawner) fork(cmd *exec.Cmd, network *netns.Namespace) error {
	done := make(chan error)
	s.work <- func() {
		if err := network.Enter(); err != nil {
			done <- err
			return
		}
		done <- cmd.Start()
	}
	return <-done
}

// handOver gives the helper its spec and waits until it has become the program.
func (p *Process) handOver(spec Spec, to io.WriteCloser, errs io.Reader) error {
	sent := json.NewEncoder(to).Encode(spec)
	if err := to.Close(); sent == nil {
		sent = err
	}
	message, err := io.ReadAll(errs)
	if len(message) > 0 {
		<-p.ended
		return &StartError{Message: string(message)}
	}
	if err := errors.Join(sent, err); err != nil {
		p.Kill()
		<-p.ended
		return fmt.Errorf("hand over container spec: %w", err)
	}
	return nil
}

func (p *Process) wait() {
	p.code, p.err = exitCode(p.cmd.Wait())
	close(p.ended)
}

// PID is the process on the host.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the process has ended and all its output is written.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// ExitCode is the code of a process that has ended; 128 plus the signal when one ended it.
func (p *Process) ExitCode() (int, error) {
	<-p.ended
	return p.code, p.err
}

// Terminate asks the process to end.
func (p *Process) Terminate() { p.signal(syscall.SIGTERM) }

// Kill ends the process, and with it all that it has started.
func (p *Process) Kill() { p.signal(syscall.SIGKILL) }

func (p *Process) signal(s syscall.Signal) {
	_ = p.cmd.Process.Signal(s) // fails only when the process has ended
}
