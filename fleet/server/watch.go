package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/bus"
)

type watchInput struct {
	EventFilter
	From        string `query:"from" maxLength:"20" doc:"Stream sequence after which to begin; default: now"`
	LastEventID string `header:"Last-Event-ID" maxLength:"20" doc:"As from; what a browser sends when it comes back"`
}

func (s *Server) registerWatch() {
	huma.Register(s.api, huma.Operation{
		OperationID: "watch-events", Method: http.MethodGet, Path: "/api/v1/watch", Tags: []string{"events"},
		Summary: "Events as they come, as server-sent events",
		Description: "The id of a message is its stream sequence, its data a stored event. Messages that the view " +
			"derives (cluster.silent, cluster.connected) have no id and say derived. `event: lagged` says that the reader " +
			"was too slow, or that the hub stops: come back with the last id. `event: reset` says that the id asked for is no longer " +
			"in the stream: read the lists again, then watch from their sequence. A watch from now on begins with an id and no data: " +
			"the place that it begins after. A comment comes every 15 s.",
		Responses: map[string]*huma.Response{"200": {
			Description: "The stream",
			Content: map[string]*huma.MediaType{"text/event-stream": {
				Schema: &huma.Schema{Type: huma.TypeString, Description: "data of each message: StoredEvent"}}},
		}},
	}, s.watch)
}

func (s *Server) watch(ctx context.Context, in *watchInput) (*huma.StreamResponse, error) {
	if err := in.valid(); err != nil {
		return nil, err
	}
	begin, err := in.start()
	if err != nil {
		return nil, err
	}
	lost, err := s.lost(ctx, begin)
	if err != nil {
		s.Logger.Error(err, "cannot begin a watch")
		return nil, problem(rest.Problem{Status: http.StatusServiceUnavailable, Detail: "the event stream does not answer", Fix: "try again"})
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		r, w := humago.Unwrap(hc)
		out := newStream(w, writeWithin)
		if err := s.stream(r.Context(), out, in.EventFilter, begin, lost); err != nil {
			s.Logger.V(1).Info("watch ended", "reason", err.Error())
		}
	}}, nil
}

// begin is where a watch begins: after an event that the reader has, or with the next one.
type begin struct {
	after  uint64
	resume bool
}

func (in *watchInput) start() (begin, error) {
	text := cmp.Or(in.LastEventID, in.From)
	if text == "" {
		return begin{}, nil
	}
	after, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return begin{}, badRequest("the id "+strconv.Quote(text)+" is no stream sequence", "begin from the sequence of a list, or without an id")
	}
	return begin{after, true}, nil
}

// lost says that events after the beginning are no longer in the stream, or that it is of another
// stream.
func (s *Server) lost(ctx context.Context, b begin) (bool, error) {
	if !b.resume {
		return false, nil
	}
	state, err := s.Log.State(ctx)
	return b.after+1 < state.First || b.after > state.Last, err
}

// stream writes until the reader goes, lags, or the hub stops.
func (s *Server) stream(ctx context.Context, out *stream, f EventFilter, b begin, lost bool) error {
	if err := out.open(); err != nil {
		return err
	}
	if lost {
		if err := out.note("reset", b.after); err != nil {
			return err
		}
		b = begin{}
	}
	from := b.after
	if b.resume { // most of what was missed, before any of it can fill the buffer
		if err := s.replay(ctx, out, f, &from); err != nil {
			return err
		}
	}
	w, last, err := s.Feed.subscribe()
	if err != nil {
		return err
	}
	defer s.Feed.unsubscribe(w)
	switch {
	case !b.resume:
		from = last
		if err := out.place(from); err != nil {
			return err
		}
	case from < last:
		if err := s.replay(ctx, out, f, &from); err != nil {
			return err
		}
	}
	return s.live(ctx, out, f, w, from)
}

// replay writes what the stream has after from, and moves from on.
func (s *Server) replay(ctx context.Context, out *stream, f EventFilter, from *uint64) error {
	var failed error
	err := s.Log.Read(ctx, bus.Start{Sequence: *from + 1}, f.subjects(), func(m bus.Message) bool {
		if item, err := NewItem(m); err == nil && f.match(item) {
			failed = out.send(item)
		}
		*from = m.Sequence
		return failed == nil
	})
	return errors.Join(failed, err)
}

// live writes what the feed brings after the sequence, and a comment when it brings nothing.
func (s *Server) live(ctx context.Context, out *stream, f EventFilter, w *watcher, after uint64) error {
	quiet := time.NewTicker(s.KeepAlive)
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-quiet.C:
			if err := out.comment(); err != nil {
				return err
			}
		case item, ok := <-w.items:
			if !ok {
				return out.note("lagged", after)
			}
			if item.Sequence != 0 && item.Sequence <= after {
				continue
			}
			after = max(after, item.Sequence)
			if !f.match(item) {
				continue
			}
			if err := out.send(item); err != nil {
				return err
			}
		}
	}
}

// stream is the body of a watch. Every write has a deadline of its own: there is none for the
// whole, and a reader that takes nothing must not hold a connection for ever. Between writes there is
// none either: HTTP/2 would end the stream at it, written to or not.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	within  time.Duration
}

func newStream(w http.ResponseWriter, within time.Duration) *stream {
	return &stream{w, http.NewResponseController(w), within}
}

func (o *stream) open() error {
	h := o.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // of proxies that would hold it back
	o.w.WriteHeader(http.StatusOK)
	return o.write(": fairway\n\n")
}

func (o *stream) send(i *Item) error {
	data, err := i.encode()
	if err != nil {
		return err
	}
	if i.Sequence == 0 {
		return o.write("data: %s\n\n", data)
	}
	return o.write("id: %d\ndata: %s\n\n", i.Sequence, data)
}

// place tells a reader that begins with the next event what it begins after, so that it can go on
// there even when the connection breaks before that event. It is no message: readers only remember it.
func (o *stream) place(sequence uint64) error {
	if sequence == 0 { // nothing was sent yet; everything is after 0
		return nil
	}
	return o.write("id: %d\n\n", sequence)
}

func (o *stream) comment() error { return o.write(": still here\n\n") }

// note tells of the watch itself; sequence is the last one that the reader can rely on.
func (o *stream) note(name string, sequence uint64) error {
	return o.write("event: %s\ndata: {\"sequence\":%d}\n\n", name, sequence)
}

func (o *stream) write(format string, args ...any) error {
	if err := o.control.SetWriteDeadline(time.Now().Add(o.within)); err != nil {
		return fmt.Errorf("write to watcher: %w", err)
	}
	if _, err := fmt.Fprintf(o.w, format, args...); err != nil {
		return fmt.Errorf("write to watcher: %w", err)
	}
	if err := o.control.Flush(); err != nil {
		return fmt.Errorf("write to watcher: %w", err)
	}
	if err := o.control.SetWriteDeadline(time.Time{}); err != nil {
		return fmt.Errorf("write to watcher: %w", err)
	}
	return nil
}
