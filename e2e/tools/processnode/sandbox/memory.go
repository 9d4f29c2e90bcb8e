package sandbox

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Memory is how much memory of its own, in bytes, a container's first process uses: what a memory limit counts, without
// files that the kernel can drop. Processes that it has started are not counted.
func Memory(pid int) (int64, error) {
	file, err := os.Open(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0, fmt.Errorf("read memory use: %w", err)
	}
	defer file.Close()
	total, found := int64(0), false
	for s := bufio.NewScanner(file); s.Scan(); {
		key, value, _ := strings.Cut(s.Text(), ":")
		if key != "RssAnon" && key != "RssShmem" {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("read memory use: %w", err)
		}
		total, found = total+kib<<10, true
	}
	if !found { // a process that has ended but is not yet waited for
		return 0, fmt.Errorf("read memory use of process %d: %w", pid, errNoMemory)
	}
	return total, nil
}

var errNoMemory = errors.New("it has none")
