package process_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fairway-dev/fairway/e2e/bench/process"
)

// childDir makes this test program a supervisor in that folder: see TestMain.
const childDir = "PROCESS_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		superviseForever(dir)
	}
	os.Exit(m.Run())
}

// superviseForever is a supervisor that somebody else has to end.
func superviseForever(dir string) {
	s, err := process.New(dir)
	if err == nil {
		var p *process.Process
		if p, err = s.Start(context.Background(), shell("child", "trap '' TERM; while :; do sleep 1; done")); err == nil {
			fmt.Println(p.PID())
			select {}
		}
	}
	fmt.Println(err)
	os.Exit(1)
}

func shell(name, script string) process.Spec {
	return process.Spec{Name: name, Path: "/bin/sh", Args: []string{"-c", script}}
}

func newSupervisor(t *testing.T) *process.Supervisor {
	t.Helper()
	s, err := process.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func start(t *testing.T, s *process.Supervisor, spec process.Spec) *process.Process {
	t.Helper()
	p, err := s.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// runs says whether a process is there and not only waiting for its parent.
func runs(pid int) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(data), ") Z ")
}

func waitGone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.NewTimer(5 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for runs(pid) {
		select {
		case <-deadline.C:
			t.Fatalf("process %d still runs", pid)
		case <-tick.C:
		}
	}
}

func TestStopEndsProcessesThatIgnoreTERMWithinTheGrace(t *testing.T) {
	s := newSupervisor(t)
	polite := start(t, s, shell("polite", "exec sleep 600"))
	armed := filepath.Join(t.TempDir(), "armed")
	deaf := shell("stubborn", "trap '' TERM; touch "+armed+"; while :; do sleep 1; done")
	deaf.Limit = 10 * time.Second
	deaf.Ready = func(context.Context) error {
		_, err := os.Stat(armed) // before it has its trap, it would end as asked
		return err
	}
	stubborn := start(t, s, deaf)
	began := time.Now()
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 2*time.Second || took > 6*time.Second {
		t.Errorf("Stop took %s, want the grace of 3 s", took)
	}
	for _, p := range []*process.Process{polite, stubborn} {
		if runs(p.PID()) {
			t.Errorf("%s still runs", p.Name())
		}
	}
	if _, err := s.Start(t.Context(), shell("late", "exit 0")); !errors.Is(err, process.ErrStopped) {
		t.Errorf("Start after Stop: %v, want ErrStopped", err)
	}
}

func TestAProcessThatIsNotReadyShowsItsStateAndItsLog(t *testing.T) {
	s := newSupervisor(t)
	spec := shell("slow", "echo I am still warming up; exec sleep 600")
	spec.Limit = 300 * time.Millisecond
	spec.Ready = func(context.Context) error { return errors.New("cold") }
	_, err := s.Start(t.Context(), spec)
	if err == nil || !strings.Contains(err.Error(), "cold") || !strings.Contains(err.Error(), "still warming up") {
		t.Errorf("got %v, want the last state and the log", err)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want a DeadlineExceeded", err)
	}
}

func TestAProcessThatEndsBeforeItIsReadyFailsAtOnce(t *testing.T) {
	s := newSupervisor(t)
	spec := shell("broken", "echo no such flag >&2; exit 3")
	spec.Ready = func(context.Context) error { return errors.New("cold") }
	_, err := s.Start(t.Context(), spec)
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "no such flag") {
		t.Errorf("got %v, want the exit status and the log", err)
	}
}

func TestTheDeathOfAReadyProcessIsNoticed(t *testing.T) {
	s := newSupervisor(t)
	p := start(t, s, shell("mortal", "exec sleep 600"))
	if err := syscall.Kill(p.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	select {
	case failed := <-s.Failed():
		if failed != p || !strings.Contains(failed.Err().Error(), "signal: killed") {
			t.Errorf("got %s: %v", failed.Name(), failed.Err())
		}
	case <-time.After(5 * time.Second):
		t.Error("nobody said so")
	}
}

func TestTheDeathOfAStoppedProcessIsNoFailure(t *testing.T) {
	s := newSupervisor(t)
	p := start(t, s, shell("mortal", "exec sleep 600"))
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	select {
	case failed := <-s.Failed():
		t.Errorf("failed: %v", failed.Err())
	default:
	}
}

// startSupervisor runs a supervisor in a process of its own, with one child that ignores TERM.
func startSupervisor(t *testing.T, dir string) (supervisor *exec.Cmd, child int) {
	t.Helper()
	supervisor = exec.Command(os.Args[0])
	supervisor.Env = append(os.Environ(), childDir+"="+dir)
	out, err := supervisor.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := supervisor.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if _, err := fmt.Sscan(line, &child); err != nil {
		t.Fatalf("the supervisor says %q", line)
	}
	return supervisor, child
}

func TestNothingOutlivesAKilledSupervisor(t *testing.T) {
	dir := t.TempDir()
	supervisor, child := startSupervisor(t, dir)
	if err := supervisor.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = supervisor.Wait() // it was killed
	waitGone(t, child)
	stopped, err := process.StopRecorded(dir)
	if len(stopped) > 0 || err != nil {
		t.Errorf("StopRecorded = %v, %v; want nothing", stopped, err)
	}
}

func TestStopRecordedEndsAnotherSupervisorAndItsProcesses(t *testing.T) {
	dir := t.TempDir()
	supervisor, child := startSupervisor(t, dir)
	if _, err := process.New(dir); !errors.Is(err, process.ErrInUse) {
		t.Errorf("New in the folder of a run: %v, want ErrInUse", err)
	}
	go func() { _ = supervisor.Wait() }() // or it stays a zombie
	stopped, err := process.StopRecorded(dir)
	if err != nil {
		t.Fatal(err)
	}
	if stopped[0] != "supervisor" {
		t.Errorf("stopped %v, want the supervisor first", stopped)
	}
	waitGone(t, child)
	if _, err := os.Stat(filepath.Join(dir, "pids.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the record is still there: %v", err)
	}
}

func TestStopRecordedNeverTouchesAProcessThatOnlyHasThePID(t *testing.T) {
	dir := t.TempDir()
	other := exec.Command("/bin/sleep", "600")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
	record := fmt.Sprintf(`{"supervisor":{"name":"supervisor","pid":%d,"start":1},"processes":[{"name":"etcd","pid":%[1]d,"start":1}]}`, other.Process.Pid)
	if err := os.WriteFile(filepath.Join(dir, "pids.json"), []byte(record), 0o644); err != nil {
		t.Fatal(err)
	}
	stopped, err := process.StopRecorded(dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string(nil), stopped); diff != "" {
		t.Errorf("stopped (-want +got):\n%s", diff)
	}
	if !runs(other.Process.Pid) {
		t.Error("somebody else's process was ended")
	}
}
