package platform

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the kernel's figures of CPU time (USER_HZ, 100 on every Linux).
const tick = 10 * time.Millisecond

// CPUOf is the CPU time that a process has taken so far, its threads' together.
func CPUOf(pid int) (time.Duration, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read CPU time: %w", err)
	}
	return parseCPU(string(data))
}

// parseCPU reads utime and stime, fields 14 and 15; the program's name before them may hold anything.
func parseCPU(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const utime, stime = 11, 12 // counted from behind the name
	if len(fields) <= stime {
		return 0, fmt.Errorf("read CPU time: the kernel tells %d fields", len(fields))
	}
	var sum time.Duration
	for _, field := range []string{fields[utime], fields[stime]} {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read CPU time: %w", err)
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}
