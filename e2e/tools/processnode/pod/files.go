package pod

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/containerlog"
)

// files are those that a run writes.
type files struct {
	number         int // which run of the container
	log            *os.File
	stdout, stderr *containerlog.Stream
	message        string
}

// keptLogs is how many logs of a container are kept.
const keptLogs = 10

func (c container) openFiles(number int) (*files, error) {
	dir := filepath.Join(c.pod.dir, c.spec.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make log folder: %w", err)
	}
	f := &files{number: number, message: filepath.Join(c.pod.dir, volumesDir, "."+c.spec.Name+".message")}
	if err := os.WriteFile(f.message, nil, 0o666); err != nil {
		return nil, fmt.Errorf("make termination message file: %w", err)
	}
	if err := os.Chmod(f.message, 0o666); err != nil { // past the umask
		return nil, fmt.Errorf("make termination message file: %w", err)
	}
	log, err := os.Create(logFile(c.pod.dir, c.spec.Name, number))
	if err != nil {
		return nil, fmt.Errorf("make log: %w", err)
	}
	if err := os.Remove(logFile(c.pod.dir, c.spec.Name, number-keptLogs)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("remove old log: %w", err), log.Close())
	}
	lines := containerlog.New(log, time.Now)
	f.log, f.stdout, f.stderr = log, lines.Stream("stdout"), lines.Stream("stderr")
	return f, nil
}

func (f *files) close() error {
	return errors.Join(f.stdout.Flush(), f.stderr.Flush(), f.log.Close())
}
