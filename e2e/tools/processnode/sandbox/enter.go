package sandbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// runInside joins the namespaces of the process pid and runs the command of the spec there, as a child, since only a child
// is inside a joined pid namespace. It returns the command's exit code.
func runInside(pid string) (int, error) {
	unix.CloseOnExec(errorFD)
	spec, err := readSpec()
	if err != nil {
		return 0, err
	}
	if err := join(pid); err != nil {
		return 0, err
	}
	if err := os.Chdir(workDir(spec)); err != nil {
		return 0, fmt.Errorf("change to working directory: %w", err)
	}
	program, err := find(spec)
	if err != nil {
		return 0, err
	}
	cmd := exec.Command(program, spec.Argv[1:]...)
	cmd.Env = spec.Env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if u := spec.User; !u.Keep {
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: uint32(u.UID), Gid: uint32(u.GID), Groups: unsigned(u.Groups)},
		}
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	killWhenAsked(cmd.Process)
	if err := unix.Close(errorFD); err != nil {
		return 0, err
	}
	return exitCode(cmd.Wait())
}

// killWhenAsked ends the command when this process is asked to end. The command gets no parent-death signal, since the parent
// is not seen from inside; when the node dies, the container's first process does, and takes everything in it along.
func killWhenAsked(p *os.Process) {
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	go func() {
		<-asked
		_ = p.Kill() // fails only when it has ended
	}()
}

// join moves this thread into the namespaces of a process. The mount namespace comes last: /proc is another one then.
func join(pid string) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil { // threads share root and working directory, which would forbid it
		return fmt.Errorf("unshare: %w", err)
	}
	for _, n := range []string{"ipc", "uts", "net", "pid", "mnt"} {
		file, err := os.Open(filepath.Join("/proc", pid, "ns", n))
		if err != nil {
			return err
		}
		if err := unix.Setns(int(file.Fd()), 0); err != nil {
			return fmt.Errorf("join %s namespace: %w", n, err)
		}
		if err := file.Close(); err != nil {
			return err
		}
	}
	return nil
}

func unsigned(in []int) []uint32 {
	out := make([]uint32, len(in))
	for i, v := range in {
		out[i] = uint32(v)
	}
	return out
}

// exitCode is the code that a shell or a container runtime gives to a finished process: 128 plus the signal that ended it.
func exitCode(waitErr error) (int, error) {
	var exit *exec.ExitError
	switch {
	case waitErr == nil:
		return 0, nil
	case !errors.As(waitErr, &exit):
		return 0, waitErr
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}
