package containerlog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// followInterval is how often a followed log is looked at.
const followInterval = 100 * time.Millisecond

// Options are those of the kubelet's log endpoint.
type Options struct {
	// Tail is how many last lines to show; negative means all.
	Tail int64
	// Limit is how many bytes to show; negative means all.
	Limit int64
	// Since hides what was written before; the zero time hides nothing.
	Since      time.Time
	Timestamps bool
	Follow     bool
	// Stream is "stdout" or "stderr"; empty means both.
	Stream string
}

// Read copies the log at path to w; flush is called when w has all there is for now. A followed log ends when ended is
// closed and everything is shown, when ctx ends, or when the limit is reached.
func Read(ctx context.Context, path string, o Options, ended <-chan struct{}, w io.Writer, flush func()) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer file.Close()
	if err := seekTail(file, o.Tail); err != nil {
		return fmt.Errorf("find the last lines of %s: %w", path, err)
	}
	p := printer{w: w, options: o, left: o.Limit}
	return p.copy(ctx, bufio.NewReader(file), ended, flush)
}

// seekTail moves file to the start of its last n whole lines.
func seekTail(file *os.File, n int64) error {
	if n < 0 {
		return nil
	}
	var starts []int64
	offset := int64(0)
	for r := bufio.NewReader(file); ; {
		line, err := r.ReadSlice('\n')
		offset += int64(len(line))
		if err == nil {
			starts = append(starts, offset)
			if int64(len(starts)) > n+1 {
				starts = starts[1:]
			}
		} else if errors.Is(err, io.EOF) {
			break
		} else if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
	at := int64(0) // fewer lines than asked for: all of them
	if int64(len(starts)) > n {
		at = starts[0]
	}
	_, err := file.Seek(at, io.SeekStart)
	return err
}

type printer struct {
	w       io.Writer
	options Options
	left    int64 // bytes that may still be shown; negative means no limit
	middle  bool  // the last line shown was a part: no timestamp before the next
}

var errLimit = errors.New("limit reached")

func (p *printer) copy(ctx context.Context, r *bufio.Reader, ended <-chan struct{}, flush func()) error {
	var part []byte
	last := false
	for {
		line, err := r.ReadBytes('\n')
		part = append(part, line...)
		if err == nil {
			if err := p.print(part); errors.Is(err, errLimit) {
				return nil
			} else if err != nil {
				return fmt.Errorf("send log: %w", err)
			}
			part = nil
			continue
		}
		if !errors.Is(err, io.EOF) {
			return fmt.Errorf("read log: %w", err)
		}
		flush()
		if !p.options.Follow || last {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ended:
			last = true // one more look: lines may have come since the last one
		case <-time.After(followInterval):
		}
	}
}

func (p *printer) print(raw []byte) error {
	l, ok := parse(raw)
	if !ok || (p.options.Stream != "" && p.options.Stream != l.stream) || l.time.Before(p.options.Since) {
		return nil
	}
	text := l.text
	if p.options.Timestamps && !p.middle {
		text = append([]byte(l.stamp+" "), text...)
	}
	if p.middle = l.partial; !l.partial {
		text = append(text, '\n')
	}
	limited := p.left >= 0 && int64(len(text)) >= p.left
	if limited {
		text = text[:p.left]
	}
	n, err := p.w.Write(text)
	if err != nil {
		return err
	}
	if limited {
		return errLimit
	}
	if p.left >= 0 {
		p.left -= int64(n)
	}
	return nil
}

type line struct {
	stamp, stream string
	time          time.Time
	partial       bool
	text          []byte
}

// parse reads one line of a log file, newline included; false means that it is not one.
func parse(raw []byte) (line, bool) {
	f := bytes.SplitN(bytes.TrimSuffix(raw, []byte("\n")), []byte(" "), 4)
	if len(f) < 4 {
		return line{}, false
	}
	l := line{stamp: string(f[0]), stream: string(f[1]), text: bytes.Clone(f[3])}
	l.partial = strings.HasPrefix(string(f[2]), "P")
	t, err := time.Parse(time.RFC3339Nano, l.stamp)
	l.time = t
	return l, err == nil
}
