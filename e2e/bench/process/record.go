package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopSupervisor is how long a living supervisor gets to end its run by itself.
const stopSupervisor = 15 * time.Second

// record is pids.json.
type record struct {
	Supervisor entry   `json:"supervisor"`
	Processes  []entry `json:"processes"`
}

// entry is one process. The pid alone may be somebody else's later; with the start time it may not.
type entry struct {
	Name  string `json:"name"`
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks after boot
}

func recordPath(dir string) string { return filepath.Join(dir, "pids.json") }

// readRecord returns an empty record when there is none.
func readRecord(dir string) (record, error) {
	data, err := os.ReadFile(recordPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, nil
	}
	if err != nil {
		return record{}, fmt.Errorf("read recorded processes: %w", err)
	}
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return record{}, fmt.Errorf("parse %s: %w", recordPath(dir), err)
	}
	return r, nil
}

// alive lists what still runs, the supervisor last.
func (r record) alive() []entry {
	return slices.DeleteFunc(append(slices.Clone(r.Processes), r.Supervisor), func(e entry) bool { return !e.runs() })
}

func (e entry) runs() bool {
	start, err := startTime(e.PID)
	return err == nil && start == e.Start
}

func (s *Supervisor) save() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.saveLocked()
}

// saveLocked writes pids.json whole or not at all.
func (s *Supervisor) saveLocked() error {
	self, err := startTime(os.Getpid())
	if err != nil {
		return err
	}
	r := record{Supervisor: entry{Name: "supervisor", PID: os.Getpid(), Start: self}, Processes: []entry{}}
	for _, p := range s.processes {
		if p.startTime == 0 {
			// A process that has ended already has none, and needs none.
			p.startTime, _ = startTime(p.PID())
		}
		r.Processes = append(r.Processes, entry{Name: p.Name(), PID: p.PID(), Start: p.startTime})
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("record processes: %w", err)
	}
	temporary := recordPath(s.dir) + ".new"
	if err := os.WriteFile(temporary, append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("record processes: %w", err)
	}
	if err := os.Rename(temporary, recordPath(s.dir)); err != nil {
		return fmt.Errorf("record processes: %w", err)
	}
	return nil
}

// startTime reads when a process was started, in clock ticks after boot; an error when there is no
// such process, or it has ended and only waits for its parent.
func startTime(pid int) (uint64, error) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, fmt.Errorf("read start time of process %d: %w", pid, err)
	}
	// The second field is the name in parentheses, which may hold anything. State is the third
	// field, the start time the twenty-second (proc_pid_stat(5)).
	_, after, _ := cutLast(string(data), ") ")
	fields := strings.Fields(after)
	if len(fields) < 20 || fields[0] == "Z" {
		return 0, fmt.Errorf("read start time of process %d: it has ended", pid)
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read start time of process %d: %w", pid, err)
	}
	return start, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// StopRecorded ends what is left of the run in dir: its supervisor, which gets TERM and 15 s to
// stop its processes itself, then every process that it recorded. Processes are known by pid and
// start time, so nobody else's is ever touched. It returns the names of what it stopped; none when
// nothing was left.
func StopRecorded(dir string) (stopped []string, err error) {
	r, err := readRecord(dir)
	if err != nil {
		return nil, err
	}
	if r.Supervisor.PID != os.Getpid() && r.Supervisor.runs() {
		stopped = append(stopped, r.Supervisor.Name)
		if err := end([]entry{r.Supervisor}, func(e entry) int { return e.PID }, stopSupervisor); err != nil {
			return stopped, err
		}
	}
	left := slices.DeleteFunc(slices.Clone(r.Processes), func(e entry) bool { return !e.runs() })
	slices.Reverse(left)
	for _, e := range left {
		stopped = append(stopped, e.Name)
	}
	// Each is the leader of its own group.
	if err := end(left, func(e entry) int { return -e.PID }, grace); err != nil {
		return stopped, err
	}
	if err := os.Remove(recordPath(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return stopped, fmt.Errorf("forget recorded processes: %w", err)
	}
	return stopped, nil
}

// end sends TERM, and KILL after wait, until no entry runs.
func end(entries []entry, target func(entry) int, wait time.Duration) error {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for _, e := range entries {
			if err := syscall.Kill(target(e), signal); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("stop %s, pid %d: %w", e.Name, e.PID, err)
			}
		}
		if entries = waitGone(entries, wait); len(entries) == 0 {
			return nil
		}
		wait = grace
	}
	return fmt.Errorf("stop %s, pid %d: it does not end after KILL", entries[0].Name, entries[0].PID)
}

// waitGone returns what still runs after the wait.
func waitGone(entries []entry, wait time.Duration) []entry {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		entries = slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return !e.runs() })
		if len(entries) == 0 {
			return nil
		}
		select {
		case <-deadline.C:
			return entries
		case <-tick.C:
		}
	}
}
