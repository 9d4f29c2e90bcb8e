package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"
)

// ErrStopped: the supervisor is stopped and starts nothing more.
var ErrStopped = errors.New("the run is being stopped")

// ErrInUse: processes that another supervisor recorded in the folder are still running.
var ErrInUse = errors.New("the run folder is in use")

// grace is how long a process has between TERM and KILL. kube-apiserver would drain open watches
// for up to a minute and hold its port.
const grace = 3 * time.Second

// Supervisor starts the processes of one run and stops them all. It is safe for concurrent use.
type Supervisor struct {
	dir    string
	start  chan startRequest
	stop   chan struct{}
	failed chan *Process

	mu        sync.Mutex
	stopped   bool
	processes []*Process // in the order of their start
}

type startRequest struct {
	command *exec.Cmd
	result  chan error
}

// New makes the folders of a run. It returns ErrInUse when processes of an earlier run in the same
// folder are alive: StopRecorded ends them.
func New(dir string) (*Supervisor, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find run folder: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o755); err != nil {
		return nil, fmt.Errorf("create run folder: %w", err)
	}
	recorded, err := readRecord(dir)
	if err != nil {
		return nil, err
	}
	if alive := recorded.alive(); len(alive) > 0 {
		return nil, fmt.Errorf("%w: %s, pid %d, of an earlier run in %s", ErrInUse, alive[0].Name, alive[0].PID, dir)
	}
	s := &Supervisor{
		dir: dir, start: make(chan startRequest), stop: make(chan struct{}),
		failed: make(chan *Process, 1),
	}
	go s.fork()
	return s, s.save()
}

// Dir is the run's folder.
func (s *Supervisor) Dir() string { return s.dir }

// Failed tells of processes that ended by themselves after they were ready. What nobody reads is
// dropped, but for the first.
func (s *Supervisor) Failed() <-chan *Process { return s.failed }

// fork starts processes from one thread: the kernel takes the parent-death signal from the thread
// that forked, not from its process, so this thread must live as long as the children may.
func (s *Supervisor) fork() {
	runtime.LockOSThread()
	for {
		select {
		case request := <-s.start:
			request.result <- request.command.Start()
		case <-s.stop:
			return
		}
	}
}

// Start starts a process and waits until it is ready. When it is not within the limit, or ends
// before, it is stopped, and the error says the last state and the end of its log.
func (s *Supervisor) Start(ctx context.Context, spec Spec) (*Process, error) {
	p, err := s.launch(ctx, spec)
	if err != nil {
		return nil, err
	}
	if err := p.waitReady(ctx); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	p.markReady()
	return p, nil
}

func (s *Supervisor) launch(ctx context.Context, spec Spec) (*Process, error) {
	log, err := os.OpenFile(s.LogPath(spec.Name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", spec.Name, err)
	}
	defer log.Close()
	offset, err := log.Seek(0, 2)
	if err != nil {
		return nil, fmt.Errorf("open log of %s: %w", spec.Name, err)
	}
	p := &Process{spec: spec, supervisor: s, logOffset: offset, exited: make(chan struct{}), command: spec.command(log)}
	request := startRequest{command: p.command, result: make(chan error, 1)}
	select {
	case s.start <- request:
		err = <-request.result
	case <-s.stop:
		return nil, fmt.Errorf("start %s: %w", spec.Name, ErrStopped)
	case <-ctx.Done():
		return nil, fmt.Errorf("start %s: %w", spec.Name, ctx.Err())
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	go p.wait()
	if err := s.add(p); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

// LogPath is the file that holds what the process of that name writes.
func (s *Supervisor) LogPath(name string) string {
	return filepath.Join(s.dir, "logs", name+".log")
}

// add records a process that was started.
func (s *Supervisor) add(p *Process) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return fmt.Errorf("start %s: %w", p.Name(), ErrStopped)
	}
	s.processes = append(s.processes, p)
	return s.saveLocked()
}

// remove forgets a process that has ended.
func (s *Supervisor) remove(p *Process) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.processes)
	s.processes = slices.DeleteFunc(s.processes, func(other *Process) bool { return other == p })
	if len(s.processes) == before {
		return nil
	}
	return s.saveLocked()
}

// Stop ends every process, the last started first: TERM to all, KILL after 3 s to those that are
// left. The supervisor starts nothing more. It is safe to call it again.
func (s *Supervisor) Stop() error {
	s.mu.Lock()
	s.stopped = true
	processes := slices.Clone(s.processes)
	s.mu.Unlock()
	slices.Reverse(processes)
	err := stopAll(processes)

	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.stop:
	default:
		close(s.stop)
		err = errors.Join(err, os.Remove(recordPath(s.dir)))
	}
	return err
}

// stopAll ends processes together, in the order given.
func stopAll(processes []*Process) error {
	for _, p := range processes {
		p.signal(syscall.SIGTERM)
	}
	deadline := time.NewTimer(grace)
	defer deadline.Stop()
	var errs []error
	for _, p := range processes {
		select {
		case <-p.exited:
		case <-deadline.C:
			deadline.Reset(0) // those after this one have had their time too
			p.signal(syscall.SIGKILL)
			<-p.exited
		}
		errs = append(errs, p.supervisor.remove(p))
	}
	return errors.Join(errs...)
}
