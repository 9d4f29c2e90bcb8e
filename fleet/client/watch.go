package client

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
)

// Update is what a watch tells: Stored, Lagged, Reset, Disconnected or Connected.
type Update interface{ update() }

// Stored is an event of the stream.
type Stored struct{ Event Event }

// Lagged says that the hub closed the stream because this reader was too slow, or because the hub
// stops. The watch goes on after Sequence: nothing is missing.
type Lagged struct{ Sequence uint64 }

// Reset says that the stream cannot go on after Sequence, where the watch was, since what followed
// is not kept any more: list again. The events after Reset are those from now on.
type Reset struct{ Sequence uint64 }

// Disconnected says that the connection broke, and when the next one is tried.
type Disconnected struct {
	Err   error
	Retry time.Duration
}

// Connected says that the stream is open, the first time and after every Disconnected or Lagged.
type Connected struct{}

func (Stored) update()       {}
func (Lagged) update()       {}
func (Reset) update()        {}
func (Disconnected) update() {}
func (Connected) update()    {}

// Names of the messages of /api/v1/watch.
const (
	messageEvent  = "message" // what a message without a name has
	messageLagged = "lagged"
	messageReset  = "reset"
)

// Retry is how a watch waits between connections: First, then twice as long each time up to Most,
// each shortened by up to a half at random.
type Retry struct{ First, Most time.Duration }

// DefaultRetry suits a person who watches.
var DefaultRetry = Retry{First: 500 * time.Millisecond, Most: 15 * time.Second}

func (r Retry) orDefault() Retry {
	return Retry{First: cmp.Or(r.First, DefaultRetry.First), Most: cmp.Or(r.Most, DefaultRetry.Most)}
}

// delay is how long to wait after the failures-th failure in a row (from 1).
func (r Retry) delay(failures int) time.Duration {
	d := min(r.First<<min(failures-1, 20), r.Most)
	return d - rand.N(d/2+1)
}

// Watch follows the stream: every event after the stream position from, or, with from 0, every one
// that happens from now on. It connects again, after the last event that it gave, until ctx ends;
// the iteration ends with an error when the first connection fails, or when the hub refuses the
// call.
func (c *Client) Watch(ctx context.Context, from uint64, q EventQuery) iter.Seq2[Update, error] {
	return func(yield func(Update, error) bool) {
		w := &watch{client: c, query: q.watched().values(), yield: yield}
		if from > 0 {
			w.last = strconv.FormatUint(from, 10)
		}
		w.run(ctx)
	}
}

type watch struct {
	client   *Client
	query    url.Values
	yield    func(Update, error) bool
	last     string // id of the last message, for Last-Event-ID
	opened   bool   // a connection was open once
	failures int    // in a row, without a message between them
	asked    time.Duration
}

var errStopped = errors.New("the reader stopped")

func (w *watch) run(ctx context.Context) {
	for {
		err := w.follow(ctx)
		switch {
		case errors.Is(err, errStopped):
			return
		case ctx.Err() != nil:
			return
		case !w.opened || refused(err):
			w.yield(nil, err)
			return
		}
		w.failures++
		wait := max(w.client.retry.delay(w.failures), w.asked)
		if !w.yield(Disconnected{Err: err, Retry: wait}, nil) || !pause(ctx, wait) {
			return
		}
	}
}

// follow reads one connection to its end, which is always an error.
func (w *watch) follow(ctx context.Context) error {
	header := http.Header{"Accept": {"text/event-stream, application/problem+json"}, "Cache-Control": {"no-cache"}}
	if w.last != "" {
		header.Set("Last-Event-ID", w.last)
	}
	resp, err := w.client.do(ctx, "watch events", apiPath+"/watch", w.query, header)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	w.opened = true
	if !w.yield(Connected{}, nil) {
		return errStopped
	}
	stream := newSSE(resp.Body, w.last)
	for {
		m, err := stream.next()
		w.asked = stream.retry
		if err != nil {
			if w.last == "" { // of a stream that has told only where it began
				w.last = stream.id
			}
			if errors.Is(err, io.EOF) {
				err = errors.New("the hub closed the stream")
			}
			return unreachable("watch events", err)
		}
		w.failures, w.last = 0, stream.id
		if err := w.take(m); err != nil {
			return err
		}
	}
}

// take passes a message on. Names that this client does not know are skipped, as the format wants.
func (w *watch) take(m message) error {
	u, err := w.update(m)
	if err != nil {
		return unreachable("watch events", fmt.Errorf("decode message %s: %w", cmp.Or(m.id, "without id"), err))
	}
	if u != nil && !w.yield(u, nil) {
		return errStopped
	}
	return nil
}

func (w *watch) update(m message) (Update, error) {
	if m.name == messageEvent {
		var stored Stored
		err := json.Unmarshal([]byte(m.data), &stored.Event)
		return stored, err
	}
	var note struct {
		Sequence uint64 `json:"sequence"`
	}
	switch m.name {
	case messageLagged:
		err := json.Unmarshal([]byte(m.data), &note)
		if err == nil && note.Sequence > 0 { // past events that the filter left out
			w.last = strconv.FormatUint(note.Sequence, 10)
		}
		return Lagged(note), err
	case messageReset:
		err := json.Unmarshal([]byte(m.data), &note)
		return Reset(note), err
	}
	return nil, nil
}

// refused says whether trying again cannot help: the hub understood and said no.
func refused(err error) bool {
	var p *rest.Problem
	if !errors.As(err, &p) {
		return false
	}
	return p.Status >= 400 && p.Status < 500 && p.Status != http.StatusTooManyRequests && p.Status != http.StatusRequestTimeout
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
