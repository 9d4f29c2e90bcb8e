package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/observe"
	"github.com/fairway-dev/fairway/fleet/redact"
)

const (
	logReaders = 4
	logTimeout = 5 * time.Second
	// logLines are asked for, more than are sent: whoever sees the begin of a key knows what its end is.
	logLines = 4 * event.MaxLogLines
	logLimit = 4 << 20 // bytes to read at most; what is kept of them is redact.MaxRead
)

// logReader reads the last lines of containers, a few at a time.
type logReader struct {
	core  rest.Interface
	slots chan struct{}
}

func newLogReader(core rest.Interface) *logReader {
	return &logReader{core: core, slots: make(chan struct{}, logReaders)}
}

// read returns the end of a container's log, or in words why there is none.
func (r *logReader) read(ctx context.Context, ref observe.LogRef) (raw []byte, problem string) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return nil, ctx.Err().Error()
	}
	ctx, cancel := context.WithTimeout(ctx, logTimeout)
	defer cancel()
	raw, err := r.get(ctx, ref)
	if ref.Previous && apierrors.IsBadRequest(err) { // the previous instance was cleaned up
		ref.Previous = false
		raw, err = r.get(ctx, ref)
	}
	switch {
	case err == nil:
		return raw, ""
	case errors.Is(err, context.DeadlineExceeded):
		return nil, "no answer within " + logTimeout.String()
	}
	return nil, err.Error()
}

func (r *logReader) get(ctx context.Context, ref observe.LogRef) ([]byte, error) {
	stream, err := r.core.Get().Namespace(ref.Namespace).Resource("pods").Name(ref.Pod).SubResource("log").
		Param("container", ref.Container).
		Param("previous", strconv.FormatBool(ref.Previous)).
		Param("tailLines", strconv.Itoa(logLines)).
		Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	return tail(io.LimitReader(stream, logLimit), redact.MaxRead+1)
}

// tail reads to the end and keeps the last limit bytes. The kubelet's own limit keeps the first ones, which
// are not those that tell how a container died.
func tail(from io.Reader, limit int) ([]byte, error) {
	var kept []byte
	block := make([]byte, 16<<10)
	for {
		n, err := from.Read(block)
		kept = append(kept, block[:n]...)
		if extra := len(kept) - limit; extra > 0 {
			kept = kept[:copy(kept, kept[extra:])]
		}
		switch {
		case errors.Is(err, io.EOF):
			return kept, nil
		case err != nil:
			return nil, fmt.Errorf("read log: %w", err)
		}
	}
}
