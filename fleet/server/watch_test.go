package server

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/fleet/bus"
)

func TestAWatchTellsWhatHappensFromNowOn(t *testing.T) {
	h := newHub(t, somebody)
	h.publishDeployments(t, "a", "before")
	all, ledgerOnly := h.watching(t, "/api/v1/watch"), h.watching(t, "/api/v1/watch?service=ledger&kind=workload&cluster=a")
	h.ready(t, 2)
	h.publishDeployments(t, "a", "other", "ledger")
	h.publishDeployments(t, "b", "ledger")
	for _, want := range []uint64{2, 3, 4} {
		m := next(t, all)
		if m.id != fmt.Sprint(want) || m.stored(t).Sequence != want || m.event != "" {
			t.Errorf("message = %+v, want number %d", m, want)
		}
	}
	if m := next(t, ledgerOnly); m.id != "3" || m.stored(t).Cluster != "a" {
		t.Errorf("message = %+v, want the ledger on a, number 3", m)
	}
}

// ready waits for the watches to be subscribed: before, an event is not theirs.
func (h *hub) ready(t *testing.T, watchers int) {
	t.Helper()
	retry(t, func() error {
		if n := h.Feed.Watchers(); n != watchers {
			return fmt.Errorf("%d watch, want %d", n, watchers)
		}
		return nil
	})
}

func TestAWatchGoesOnWhereItWas(t *testing.T) {
	h := newHub(t, somebody)
	for i := range 600 { // more than the buffer of a watcher
		h.publishDeployments(t, "a", strconv.Itoa(i))
	}
	for name, from := range map[string]<-chan message{
		"by the header of a browser":           h.watching(t, "/api/v1/watch", "Last-Event-ID", "3"),
		"by the query":                         h.watching(t, "/api/v1/watch?from=3"),
		"by the header, which is the newer":    h.watching(t, "/api/v1/watch?from=1", "Last-Event-ID", "3"),
		"from the beginning, past a selection": h.watching(t, "/api/v1/watch?from=0&cluster=a"),
	} {
		t.Run(name, func(t *testing.T) {
			first := uint64(4)
			if name == "from the beginning, past a selection" {
				first = 1
			}
			for want := first; want <= 600; want++ {
				if m := next(t, from); m.id != fmt.Sprint(want) {
					t.Fatalf("message %+v, want number %d", m, want)
				}
			}
		})
	}
	all := h.watching(t, "/api/v1/watch?from=600")
	h.publishDeployments(t, "a", "live")
	if m := next(t, all); m.id != "601" {
		t.Errorf("message = %+v, want number 601", m)
	}
}

func TestAWatchOfWhatIsGoneIsReset(t *testing.T) {
	h := newHub(t, somebody)
	h.publishDeployments(t, "a", "x")
	if m := next(t, h.watching(t, "/api/v1/watch?from=7")); m.event != "reset" || m.data != `{"sequence":7}` {
		t.Errorf("beyond the end: %+v, want a reset", m)
	}
	// The stream keeps what fits: the oldest go.
	if err := h.conn.EnsureStreams(t.Context(), bus.Retention{MaxBytes: 4 << 10}); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		h.publishDeployments(t, "a", strconv.Itoa(i))
	}
	from := h.watching(t, "/api/v1/watch?from=1")
	if m := next(t, from); m.event != "reset" || m.id != "" {
		t.Errorf("what was dropped: %+v, want a reset", m)
	}
	h.ready(t, 2)
	h.publishDeployments(t, "a", "live")
	if m := next(t, from); m.id != fmt.Sprint(h.seq) {
		t.Errorf("after the reset: %+v, want number %d", m, h.seq)
	}
}

func TestAWatchFromNowOnTellsWhatItBeginsAfter(t *testing.T) {
	h := newHub(t, somebody)
	h.publishDeployments(t, "a", "before")
	lines := bufio.NewScanner(h.do(t, "/api/v1/watch").Body)
	for _, want := range []string{": fairway", "", "id: 1", ""} {
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("line %q, want %q: %v", lines.Text(), want, lines.Err())
		}
	}
}

func TestAQuietWatchOutlivesTheDeadlineOfItsWrites(t *testing.T) {
	const within = 500 * time.Millisecond
	wrote := make(chan error, 1)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		out := newStream(w, within)
		if err := out.open(); err != nil {
			wrote <- err
			return
		}
		quiet := time.NewTimer(2 * within)
		defer quiet.Stop()
		select {
		case <-r.Context().Done(): // the stream was ended
			wrote <- r.Context().Err()
		case <-quiet.C:
			wrote <- out.comment()
		}
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	resp, err := s.Client().Get(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if failed := <-wrote; failed != nil || err != nil || resp.ProtoMajor != 2 || string(body) != ": fairway\n\n: still here\n\n" {
		t.Errorf("%q over HTTP/%d: %v, %v", body, resp.ProtoMajor, err, failed)
	}
}

func TestAWatcherThatLagsIsToldAndCutOff(t *testing.T) {
	var feed Feed
	w, _, err := feed.subscribe()
	if err != nil {
		t.Fatal(err)
	}
	other, _, err := feed.subscribe()
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(buffer + 1) {
		feed.Send(&Item{Sequence: i + 1})
		<-other.items
	}
	if n := feed.Watchers(); n != 1 {
		t.Errorf("%d watch, want the one that keeps up", n)
	}
	var last uint64
	for item := range w.items {
		last = item.Sequence
	}
	if last != buffer {
		t.Errorf("the last event of the one who lagged is %d, want %d: those that fit", last, buffer)
	}
}

func TestTheEndOfTheHubEndsAWatch(t *testing.T) {
	h := newHub(t, somebody)
	from := h.watching(t, "/api/v1/watch")
	h.ready(t, 1)
	h.publishDeployments(t, "a", "x")
	if m := next(t, from); m.id != "1" {
		t.Fatalf("message = %+v, want number 1", m)
	}
	h.Feed.Close()
	if m := next(t, from); m.event != "lagged" || m.data != `{"sequence":1}` {
		t.Errorf("message = %+v, want lagged, after 1", m)
	}
	select {
	case m, ok := <-from:
		if ok {
			t.Errorf("another message: %+v", m)
		}
	case <-time.After(limit):
		t.Error("the watch did not end")
	}
}

func TestAQuietWatchIsKeptAlive(t *testing.T) {
	h := newHub(t, somebody, func(o *Options) { o.KeepAlive = time.Millisecond })
	if m := next(t, h.watching(t, "/api/v1/watch")); m.event != ":" {
		t.Errorf("message = %+v, want a comment", m)
	}
}

func TestDerivedEventsHaveNoPlaceInTheStream(t *testing.T) {
	h := newHub(t, somebody)
	from := h.watching(t, "/api/v1/watch?cluster=a")
	h.ready(t, 1)
	e, err := event.New("a", event.ClusterSilent, event.Object{}, time.Now(), event.Cluster{})
	if err != nil {
		t.Fatal(err)
	}
	e.ID = "derived-1"
	item, err := Derived(&e, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	h.Feed.Send(item)
	m := next(t, from)
	if got := m.stored(t); m.id != "" || !got.Derived || got.Cluster != "a" || got.Sequence != 0 {
		t.Errorf("message = %+v, want a derived event without an id", m)
	}
}

func TestTooManyWatchers(t *testing.T) {
	var feed Feed
	for range maxWatchers {
		if _, _, err := feed.subscribe(); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := feed.subscribe(); err == nil {
		t.Error("one more watcher than allowed")
	}
}

func TestItemsOfOthersAreRefused(t *testing.T) {
	for name, data := range map[string]string{
		"an event that claims another cluster":                                       `{"specversion":"1.0","id":"1","source":"/clusters/b","type":"dev.fairway.flux.failed.v1","time":"2026-11-22T07:42:00Z"}`,
		"what the stream answers to an agent that asked for it on another's subject": `{"stream":"FLEET_EVENTS","seq":7}`,
	} {
		t.Run(name, func(t *testing.T) {
			if item, err := NewItem(bus.Message{Subject: event.OfCluster("a", event.KindFlux), Data: []byte(data)}); err == nil {
				t.Errorf("NewItem() = %+v, want it refused", item)
			}
		})
	}
}
