package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func send(t *testing.T, w http.ResponseWriter, format string, args ...any) {
	w.Header().Set("Content-Type", "text/event-stream")
	if _, err := fmt.Fprintf(w, format, args...); err != nil {
		t.Error(err)
	}
	w.(http.Flusher).Flush()
}

func sendEvent(t *testing.T, w http.ResponseWriter, e Event) {
	body, err := json.Marshal(e)
	if err != nil {
		t.Error(err)
	}
	send(t, w, "id: %d\ndata: %s\n\n", e.Sequence, body)
}

func TestWatchGoesOnWhereItWas(t *testing.T) {
	var resumed []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		resumed = append(resumed, r.Header.Get("Last-Event-ID"))
		if r.URL.RawQuery != "cluster=prod-aws-eu1" {
			t.Errorf("query %q", r.URL.RawQuery)
		}
		switch len(resumed) {
		case 1:
			send(t, w, ": hello\n\n")
			sendEvent(t, w, stored(t, 8))
			send(t, w, "id: 9\ndata: {\"cut") // in the middle of a message
		case 2:
			http.Error(w, "starting", http.StatusServiceUnavailable)
		case 3:
			sendEvent(t, w, stored(t, 9))
			send(t, w, "event: lagged\ndata: {\"sequence\":11}\n\n") // 10 and 11 are not selected
		default:
			send(t, w, "event: reset\ndata: {\"sequence\":11}\n\n")
			send(t, w, "event: somethingnew\ndata: x\n\n")
			sendEvent(t, w, stored(t, 20))
			<-r.Context().Done()
		}
	})
	want := []Update{
		Connected{}, Stored{stored(t, 8)}, Disconnected{}, Disconnected{}, Connected{}, Stored{stored(t, 9)},
		Lagged{11}, Disconnected{}, Connected{}, Reset{11}, Stored{stored(t, 20)},
	}
	var got []Update
	for u, err := range c.Watch(t.Context(), 7, EventQuery{Cluster: "prod-aws-eu1", Since: noon}) {
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := u.(Disconnected); ok {
			if d.Err == nil || d.Retry <= 0 {
				t.Errorf("disconnected without a reason or a delay: %+v", d)
			}
			u = Disconnected{}
		}
		if got = append(got, u); len(got) == len(want) {
			break
		}
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(Event{})); diff != "" {
		t.Errorf("updates (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"7", "8", "8", "11"}, resumed); diff != "" {
		t.Errorf("Last-Event-ID (-want +got):\n%s", diff)
	}
}

func TestAWatchThatBreaksBeforeItsFirstEventMissesNothing(t *testing.T) {
	var resumed []string
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if resumed = append(resumed, r.Header.Get("Last-Event-ID")); len(resumed) == 1 {
			send(t, w, ": hello\n\nid: 7\n\n")
			return
		}
		sendEvent(t, w, stored(t, 8))
		<-r.Context().Done()
	})
	for u, err := range c.Watch(t.Context(), 0, EventQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := u.(Stored); ok {
			if s.Event.Sequence != 8 {
				t.Errorf("the first event is %d", s.Event.Sequence)
			}
			break
		}
	}
	if diff := cmp.Diff([]string{"", "7"}, resumed); diff != "" {
		t.Errorf("Last-Event-ID (-want +got):\n%s", diff)
	}
}

func TestWatchEndsWhenTheHubRefuses(t *testing.T) {
	calls := 0
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls == 1 {
			sendEvent(t, w, stored(t, 1))
			return
		}
		refuse(t, w, rest.Problem{Title: "Unauthorized", Status: http.StatusUnauthorized})
	})
	var last error
	for _, err := range c.Watch(t.Context(), 0, EventQuery{}) {
		last = err
	}
	var p *rest.Problem
	if !errors.As(last, &p) || p.Status != http.StatusUnauthorized || calls != 2 {
		t.Errorf("ended with %v after %d calls, want the refusal after 2", last, calls)
	}
}

func TestWatchEndsWhenTheFirstConnectionFails(t *testing.T) {
	calls := 0
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		calls++
		http.Error(w, "down", http.StatusServiceUnavailable)
	})
	var errs []error
	for _, err := range c.Watch(t.Context(), 0, EventQuery{}) {
		errs = append(errs, err)
	}
	if len(errs) != 1 || errs[0] == nil || calls != 1 {
		t.Errorf("errors %v after %d calls, want one after one", errs, calls)
	}
}

func TestRetryGrowsUpToItsBound(t *testing.T) {
	r := Retry{First: time.Second, Most: 10 * time.Second}
	for failures, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 5: 10 * time.Second, 500: 10 * time.Second} {
		if got := r.delay(failures); got > want || got < want/2 {
			t.Errorf("delay(%d) = %v, want between %v and %v", failures, got, want/2, want)
		}
	}
}
