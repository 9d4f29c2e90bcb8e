package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"
)

// The names under which the node's program starts itself again, as its first argument.
const (
	initCommand  = "container-init"
	enterCommand = "container-enter"
)

// startFailed is the exit code of a container whose program could not be started, as container runtimes report it.
const startFailed = 128

// Main does the work of a helper process when args say that this is one, and does not return then. Call it first in main.
func Main(args []string) {
	if len(args) < 2 || (args[1] != initCommand && args[1] != enterCommand) {
		return
	}
	runtime.LockOSThread() // namespaces and the parent-death signal belong to a thread
	if args[1] == initCommand {
		fail(becomeContainer())
	}
	if len(args) != 3 {
		fail(errors.New("want the process to join"))
	}
	code, err := runInside(args[2])
	if err != nil {
		fail(err)
	}
	os.Exit(code)
}

// fail reports to the node, which reads the error from its pipe, and ends.
func fail(err error) {
	if _, werr := fmt.Fprint(os.NewFile(errorFD, "error"), err); werr != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(startFailed)
}

// becomeContainer sets up the container around this process and turns it into the program. It returns only on failure.
func becomeContainer() error {
	unix.CloseOnExec(errorFD)
	spec, err := readSpec()
	if err != nil {
		return err
	}
	if err := unix.Sethostname([]byte(spec.Hostname)); err != nil {
		return fmt.Errorf("set host name: %w", err)
	}
	if err := buildRoot(spec); err != nil {
		return err
	}
	if err := os.Chdir(workDir(spec)); err != nil {
		return fmt.Errorf("change to working directory: %w", err)
	}
	if err := become(spec.User); err != nil {
		return err
	}
	if err := dieWithParent(); err != nil {
		return err
	}
	program, err := find(spec)
	if err != nil {
		return err
	}
	return fmt.Errorf("exec: %q: %w", program, unix.Exec(program, spec.Argv, spec.Env))
}

func workDir(spec Spec) string {
	if spec.Dir == "" {
		return "/"
	}
	return spec.Dir
}

func become(u User) error {
	if u.Keep {
		return nil
	}
	if err := unix.Setgroups(u.Groups); err != nil {
		return fmt.Errorf("set groups: %w", err)
	}
	if err := unix.Setresgid(u.GID, u.GID, u.GID); err != nil {
		return fmt.Errorf("set group: %w", err)
	}
	if err := unix.Setresuid(u.UID, u.UID, u.UID); err != nil {
		return fmt.Errorf("set user: %w", err)
	}
	return nil
}

// dieWithParent asks again for the death signal, which a change of user has cleared, and makes sure that the node was still
// there to be watched: it holds the other end of the error pipe.
func dieWithParent() error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("set parent-death signal: %w", err)
	}
	fds := []unix.PollFd{{Fd: errorFD}}
	if _, err := unix.Poll(fds, 0); err == nil && fds[0].Revents&unix.POLLERR != 0 {
		os.Exit(startFailed)
	}
	return nil
}

// find looks for the program the way a container runtime does: in the container's root, by its own PATH.
func find(spec Spec) (string, error) {
	os.Clearenv()
	for _, e := range spec.Env {
		for i := range e {
			if e[i] == '=' {
				if err := os.Setenv(e[:i], e[i+1:]); err != nil {
					return "", fmt.Errorf("set environment: %w", err)
				}
				break
			}
		}
	}
	program, err := exec.LookPath(spec.Argv[0])
	if err != nil && !errors.Is(err, exec.ErrDot) {
		return "", err
	}
	return program, nil
}
