package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/fairway-dev/fairway/e2e/bench/process"
)

// stopLimit is how long a demo has to end everything; its processes get 3 s each, side by side.
const stopLimit = 30 * time.Second

func newDown() *cobra.Command {
	return &cobra.Command{Use: "down", Short: "End the fleet", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			state, err := openState()
			if err != nil {
				return err
			}
			return state.stop(cmd.Context(), cmd.OutOrStdout())
		}}
}

// detach starts `demo up` in a session of its own and shows what it says until the fleet is Ready.
func detach(ctx context.Context, state *state, out io.Writer) error {
	program, err := keepProgram(state.dir)
	if err != nil {
		return err
	}
	path := filepath.Join(state.dir, "demo.log")
	log, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("create log: %w", err)
	}
	defer log.Close()
	child := exec.Command(program, "up") // it outlives ctx by design
	child.Stdout, child.Stderr = log, log
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := child.Start(); err != nil {
		return fmt.Errorf("start in the background: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- child.Wait() }()
	if err := follow(ctx, path, out, ended); err != nil {
		_ = child.Process.Signal(syscall.SIGTERM) // it may have ended already
		<-time.After(time.Second)
		return err
	}
	return nil
}

// keepProgram copies this program: `go run` deletes its own when it returns.
func keepProgram(dir string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find this program: %w", err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		return "", fmt.Errorf("read this program: %w", err)
	}
	path := filepath.Join(dir, "demo")
	if err := os.RemoveAll(path); err != nil {
		return "", fmt.Errorf("replace program: %w", err)
	}
	if err := os.WriteFile(path, data, 0o755); err != nil {
		return "", fmt.Errorf("keep program: %w", err)
	}
	return path, nil
}

// follow copies the log to out until readyMark, or until the child ends.
func follow(ctx context.Context, path string, out io.Writer, ended <-chan error) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer file.Close()
	lines := bufio.NewReader(file)
	part, over := "", false
	for {
		text, err := lines.ReadString('\n')
		part += text
		if err == nil {
			fmt.Fprint(out, part)
			if strings.HasPrefix(part, readyMark) {
				return nil
			}
			part = ""
			continue
		}
		if over {
			return errors.New("the demo ended before it was ready")
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ended:
			over = true // once more, for the last lines
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// stop ends the demo that the state names, and what crashed ones left.
func (s *state) stop(ctx context.Context, out io.Writer) error {
	if s.running() {
		fmt.Fprintf(out, "► ending the demo (process %d)\n", s.PID)
		if err := syscall.Kill(s.PID, syscall.SIGTERM); err != nil {
			return fmt.Errorf("end process %d: %w", s.PID, err)
		}
		deadline := time.After(stopLimit)
		for s.running() {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-deadline:
				return fmt.Errorf("process %d has not ended within %s", s.PID, stopLimit)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	runs, err := filepath.Glob(filepath.Join(filepath.Dir(s.dir), "runs", "demo-*"))
	if err != nil {
		return fmt.Errorf("list runs: %w", err)
	}
	for _, run := range runs {
		left, err := process.StopRecorded(run)
		if err != nil {
			return err
		}
		if len(left) > 0 {
			fmt.Fprintf(out, "► ended what a crash left: %s\n", strings.Join(left, ", "))
		}
	}
	fmt.Fprintln(out, "✔ nothing of a demo is running")
	return nil
}
