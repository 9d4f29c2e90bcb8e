package platform

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Memory of a process, in bytes.
type Memory struct {
	Resident  int64 // VmRSS
	Anonymous int64 // RssAnon: without the program's own text and mapped files
	Peak      int64 // VmHWM
}

// MemoryOf reads the memory of a process.
func MemoryOf(pid int) (Memory, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Memory{}, fmt.Errorf("read memory: %w", err)
	}
	return parseMemory(string(data))
}

func parseMemory(status string) (Memory, error) {
	var m Memory
	fields := map[string]*int64{"VmRSS": &m.Resident, "RssAnon": &m.Anonymous, "VmHWM": &m.Peak}
	found := 0
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		field := fields[name]
		if field == nil {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return Memory{}, fmt.Errorf("read memory: %w", err)
		}
		*field = kib << 10
		found++
	}
	if found != len(fields) {
		return Memory{}, fmt.Errorf("read memory: the kernel tells %d of %d figures", found, len(fields))
	}
	return m, nil
}

const (
	settleEvery  = time.Second
	settleFor    = 10   // readings in a row
	settleWithin = 0.01 // of each other
)

// Settled waits until the memory of a process stops changing, limit at most, and returns it: Go
// hands back over some seconds what a collection has freed.
func Settled(ctx context.Context, pid int, limit time.Duration) (Memory, error) {
	end := time.NewTimer(limit)
	defer end.Stop()
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	var from Memory
	for steady := 0; ; {
		m, err := MemoryOf(pid)
		if err != nil {
			return Memory{}, err
		}
		if diff := float64(m.Resident - from.Resident); diff < settleWithin*float64(from.Resident) && -diff < settleWithin*float64(from.Resident) {
			steady++
		} else {
			steady, from = 0, m
		}
		if steady == settleFor {
			return m, nil
		}
		select {
		case <-tick.C:
		case <-end.C:
			return m, nil
		case <-ctx.Done():
			return Memory{}, context.Cause(ctx)
		}
	}
}
