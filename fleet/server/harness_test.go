package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/fleet/bus/bustest"
	"github.com/fairway-dev/fairway/fleet/history"
	"github.com/fairway-dev/fairway/fleet/view"
)

const (
	limit = 20 * time.Second
	epoch = "0192f000-0000-7000-8000-000000000001"
)

var somebody = Auth{
	Authenticator: authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
		return &authenticator.Response{User: &user.DefaultInfo{Name: "dev"}}, true, nil
	}),
	Authorizer: authorizerfactory.NewAlwaysAllowAuthorizer(),
}

// hub is the server as the hub runs it, over a real event bus, with TLS and HTTP/2.
type hub struct {
	*Server
	bus  *bustest.Bus
	conn *bus.Conn
	http *httptest.Server
	seq  uint64
}

func newHub(t *testing.T, auth Auth, change ...func(*Options)) *hub {
	t.Helper()
	h := &hub{bus: bustest.Start(t)}
	h.conn = h.bus.Hub(t)
	o := Options{View: view.New(view.Options{}), Log: h.conn, Feed: &Feed{}, Auth: auth, Version: "v0.1.0",
		Logger: logr.Discard(), Ready: func() error { return nil }}
	for _, c := range change {
		c(&o)
	}
	if o.History != nil {
		h.keep(t, o.History)
	}
	h.Server = New(o)
	h.http = httptest.NewUnstartedServer(h.Handler())
	h.http.EnableHTTP2 = true
	h.http.TLS = &tls.Config{ClientAuth: tls.RequestClientCert, MinVersion: tls.VersionTLS12}
	h.http.StartTLS()
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- h.conn.Follow(ctx, bus.Start{}, h.take(t), func(string, error) {}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		h.Feed.Close()
		h.http.Close()
	})
	return h
}

// keep runs the history until the test ends.
func (h *hub) keep(t *testing.T, kept *history.History) {
	t.Helper()
	state, err := h.conn.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kept.Open(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- kept.Run(ctx, h.conn) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (h *hub) take(t *testing.T) func(bus.Message) {
	return func(m bus.Message) {
		item, err := NewItem(m)
		if err != nil {
			t.Error(err)
			return
		}
		r := view.Record{Sequence: m.Sequence, Stored: m.Stored, Cluster: m.Subject.Cluster, Event: item.Event}
		h.View.Apply(r)
		if h.History != nil {
			h.History.Add(t.Context(), history.Record{Record: r, Data: m.Data})
		}
		h.Feed.Send(item)
	}
}

// publish sends an event of the cluster and waits until the view has it.
func (h *hub) publish(t *testing.T, cluster string, typ event.Type, obj event.Object, data any) {
	t.Helper()
	h.seq++
	e, err := event.New(cluster, typ, obj, time.Now(), data)
	if err != nil {
		t.Fatal(err)
	}
	e.ID, e.Epoch, e.Sequence = fmt.Sprintf("id-%d", h.seq), epoch, h.seq
	e.Environment, e.Team, e.Service = "prod", obj.Namespace, obj.Name
	h.send(t, cluster, &e)
}

// send puts an event on the bus and waits until the view has it.
func (h *hub) send(t *testing.T, cluster string, e *event.Event) {
	t.Helper()
	if err := h.conn.Publish(t.Context(), cluster, e); err != nil {
		t.Fatal(err)
	}
	retry(t, func() error {
		if at, _ := h.View.Position(); at < h.seq {
			return fmt.Errorf("view is at %d, want %d", at, h.seq)
		}
		return nil
	})
}

// platform sends an event of the platform, which has neither epoch nor sequence.
func (h *hub) platform(t *testing.T, e event.Event, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	h.seq++
	e.ID = fmt.Sprintf("id-%06d", h.seq)
	h.send(t, event.Platform, &e)
}

func (h *hub) publishDeployments(t *testing.T, cluster string, names ...string) {
	t.Helper()
	for _, name := range names {
		h.publish(t, cluster, event.WorkloadAvailable, event.Object{Kind: "Deployment", Namespace: "payments", Name: name},
			event.Workload{Desired: 1, Ready: 1})
	}
}

func (h *hub) do(t *testing.T, path string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.http.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return h.ask(t, r, header...)
}

// post sends JSON.
func (h *hub) post(t *testing.T, path, body string, header ...string) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, h.http.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return h.ask(t, r, append(header, "Content-Type", "application/json")...)
}

func (h *hub) ask(t *testing.T, r *http.Request, header ...string) *http.Response {
	t.Helper()
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := h.http.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// get reads a body of the status that is wanted.
func get[T any](t *testing.T, h *hub, path string) (out T) {
	t.Helper()
	resp := h.do(t, path)
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s %v: %s", path, resp.Status, err, data)
	}
	if err := json.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func bodyOf(t *testing.T, resp *http.Response) string {
	t.Helper()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// problemOf reads the problem that an answer has to be.
func problemOf(t *testing.T, resp *http.Response) (p rest.Problem) {
	t.Helper()
	if got := resp.Header.Get("Content-Type"); got != problemJSON {
		t.Errorf("Content-Type = %q, want %q", got, problemJSON)
	}
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil {
		t.Fatal(err)
	}
	if p.Status != resp.StatusCode || p.Title == "" || p.Detail == "" || p.Fix == "" {
		t.Errorf("problem = %+v, want the status %d, a title, a detail and a fix", p, resp.StatusCode)
	}
	return p
}

// message is one message of a watch.
type message struct{ event, id, data string }

func (m message) stored(t *testing.T) rest.StoredEvent {
	t.Helper()
	var out rest.StoredEvent
	if err := json.Unmarshal([]byte(m.data), &out); err != nil {
		t.Fatalf("%v in %q", err, m.data)
	}
	return out
}

// watching reads a watch into a channel, which is closed when the watch ends. Comments are
// messages whose event is ":".
func (h *hub) watching(t *testing.T, path string, header ...string) <-chan message {
	t.Helper()
	resp := h.do(t, path, header...)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("GET %s: %s, %s", path, resp.Status, resp.Header.Get("Content-Type"))
	}
	out := make(chan message, 10_000)
	go func() {
		defer close(out)
		lines, m := bufio.NewScanner(resp.Body), message{}
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch {
			case lines.Text() == "":
				if m.event != "" || m.data != "" { // an id alone is no message
					out <- m
				}
				m = message{}
			case field == "":
				m.event = ":"
			case field == "event":
				m.event = value
			case field == "id":
				m.id = value
			case field == "data":
				m.data = value
			}
		}
	}()
	if m := next(t, out); m.event != ":" {
		t.Fatalf("first message = %+v, want the comment that opens a watch", m)
	}
	return out
}

func next(t *testing.T, from <-chan message) message {
	t.Helper()
	select {
	case m, ok := <-from:
		if !ok {
			t.Fatal("the watch ended")
		}
		return m
	case <-time.After(limit):
		t.Fatal("no message came")
	}
	return message{}
}

func retry(t *testing.T, fn func() error) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := fn()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %s: %v", limit, err)
		}
	}
}
