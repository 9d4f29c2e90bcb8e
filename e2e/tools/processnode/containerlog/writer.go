// Package containerlog keeps the logs of containers in the format of container runtimes, one line each of
// "<RFC 3339 time> <stdout|stderr> <F|P> <text>", and reads them the way a kubelet does.
package containerlog

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

// maxLine is where a runtime breaks a long line into parts (tag P, the last one F).
const maxLine = 16 << 10

// Log is one log file with two streams.
type Log struct {
	mu   sync.Mutex
	file io.Writer
	now  func() time.Time
}

// New writes to file; now stamps the lines.
func New(file io.Writer, now func() time.Time) *Log {
	return &Log{file: file, now: now}
}

// Stream is the writer of one stream, "stdout" or "stderr". Flush it when the process has ended.
func (l *Log) Stream(name string) *Stream {
	return &Stream{log: l, name: name}
}

// Stream turns what a process writes into lines of a Log.
type Stream struct {
	log     *Log
	name    string
	pending []byte
}

// Write keeps an unfinished last line until the rest of it comes, or until it is too long.
func (s *Stream) Write(b []byte) (int, error) {
	s.pending = append(s.pending, b...)
	for {
		end := bytes.IndexByte(s.pending, '\n')
		switch {
		case end >= 0 && end <= maxLine:
			if err := s.line("F", s.pending[:end]); err != nil {
				return 0, err
			}
			s.pending = s.pending[end+1:]
		case len(s.pending) > maxLine:
			if err := s.line("P", s.pending[:maxLine]); err != nil {
				return 0, err
			}
			s.pending = s.pending[maxLine:]
		default:
			return len(b), nil
		}
	}
}

// Flush writes a last line that did not end in a newline.
func (s *Stream) Flush() error {
	if len(s.pending) == 0 {
		return nil
	}
	defer func() { s.pending = nil }()
	return s.line("F", s.pending)
}

func (s *Stream) line(tag string, text []byte) error {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	stamp := s.log.now().UTC().Format(time.RFC3339Nano)
	if _, err := fmt.Fprintf(s.log.file, "%s %s %s %s\n", stamp, s.name, tag, text); err != nil {
		return fmt.Errorf("write log line: %w", err)
	}
	return nil
}
