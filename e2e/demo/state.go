package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// state is which process runs the demo, in ~/.cache/fairway/demo/state.json. A process id alone would be somebody
// else's after a while, so it is kept with the time that the process started.
type state struct {
	PID     int    `json:"pid"`
	Started string `json:"started"` // in clock ticks after boot, from /proc/<pid>/stat

	dir string
}

func openState() (*state, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("find cache folder: %w", err)
	}
	s := &state{dir: filepath.Join(cache, "fairway", "demo")}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("create folder of the demo: %w", err)
	}
	data, err := os.ReadFile(s.path())
	if errors.Is(err, os.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("read state %s: %w", s.path(), err)
	}
	return s, nil
}

func (s *state) path() string { return filepath.Join(s.dir, "state.json") }

// running says whether the recorded process still runs.
func (s *state) running() bool { return s.PID > 0 && s.Started == startOf(s.PID) }

// claim records this process.
func (s *state) claim() error {
	s.PID, s.Started = os.Getpid(), startOf(os.Getpid())
	data, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := os.WriteFile(s.path(), data, 0o644); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// release forgets this process; a state that stays says nothing wrong, since the process is gone.
func (s *state) release() { _ = os.Remove(s.path()) }

// startOf is when a process started, "" when there is none.
func startOf(pid int) string {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	// The second field is the command's name in parentheses and may hold anything.
	_, rest, _ := strings.Cut(string(data[strings.LastIndexByte(string(data), ')'):]), " ")
	fields := strings.Fields(rest)
	if len(fields) < 20 || fields[0] == "Z" {
		return ""
	}
	return fields[19]
}
