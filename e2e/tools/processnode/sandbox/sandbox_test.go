package sandbox

import (
	"errors"
	"os"
	"os/exec"
	"testing"
)

func TestSingleUser(t *testing.T) {
	for name, tc := range map[string]struct {
		uidMap string
		want   bool
	}{
		"the host's own namespace has all users":      {"         0          0 4294967295\n", false},
		"unshare --map-root-user maps one":            {"         0       1000          1\n", true},
		"rootless containers map a range beside root": {"0 1000 1\n1 100000 65536\n", false},
		"what cannot be read counts as many":          {"?", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := SingleUser(tc.uidMap); got != tc.want {
				t.Errorf("SingleUser = %v", got)
			}
		})
	}
}

func TestExitCode(t *testing.T) {
	run := func(script string) error { return exec.Command("/bin/sh", "-c", script).Run() }
	for name, tc := range map[string]struct {
		err  error
		want int
	}{
		"a clean end":                        {run("true"), 0},
		"the program's own code":             {run("exit 7"), 7},
		"a kill is 128 plus the signal":      {run("kill -9 $$"), 137},
		"so is a signal that asked politely": {run("kill -15 $$"), 143},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := exitCode(tc.err); got != tc.want || err != nil {
				t.Errorf("exitCode = %d, %v, want %d", got, err, tc.want)
			}
		})
	}
	if _, err := exitCode(errors.New("no such child")); err == nil {
		t.Error("an error of waiting is not a code")
	}
}

func TestMemory(t *testing.T) {
	if n, err := Memory(os.Getpid()); err != nil || n < 1<<16 || n > 1<<40 {
		t.Errorf("Memory = %d, %v", n, err)
	}
	if _, err := Memory(1 << 30); err == nil {
		t.Error("a process that does not exist has no memory")
	}
}
