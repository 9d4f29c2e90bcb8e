package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/bus"
)

// external runs a bus of its own, and makes the hub use it.
func (b *bench) external(t *testing.T) *bus.Server {
	t.Helper()
	read := func(name string) string {
		data, err := os.ReadFile(b.options.configDir + "/" + name)
		check(t, err)
		return string(data)
	}
	certificate, err := tls.X509KeyPair([]byte(read("tls.crt")), []byte(read("tls.key")))
	check(t, err)
	s, err := bus.StartServer(t.Context(), bus.ServerOptions{Listen: b.options.natsListen, StoreDir: t.TempDir(), Log: logr.Discard(),
		OperatorJWT: read("operator.jwt"), AccountJWT: read("account.jwt"), SystemJWT: read("system.jwt"),
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil }})
	check(t, err)
	t.Cleanup(s.Close)
	b.options.natsURL = "tls://" + b.options.natsListen
	b.options.snapshotEvery = 100 * time.Millisecond
	return s
}

// sender publishes as a cluster's agent.
func (b *bench) sender(t *testing.T, cluster string) func(typ event.Type, obj event.Object, data any) {
	t.Helper()
	agent, _ := b.agent(t, cluster)
	epoch, sequence := uuid.Must(uuid.NewV7()).String(), uint64(0)
	return func(typ event.Type, obj event.Object, data any) {
		t.Helper()
		e, err := event.New(cluster, typ, obj, time.Now(), data)
		check(t, err)
		sequence++
		e.ID, e.Epoch, e.Sequence, e.Team, e.Service = uuid.NewString(), epoch, sequence, obj.Namespace, obj.Name
		check(t, agent.Publish(t.Context(), cluster, &e))
	}
}

var ledger = event.Object{Kind: "Deployment", Namespace: "payments", Name: "ledger"}

func (b *bench) since(t *testing.T, want int) (out rest.Since) {
	t.Helper()
	retry(t, func() error {
		if err := b.get(t, "/api/v1/since?since=1h&team=payments", &out); err != nil {
			return err
		}
		if out.Total != want {
			return fmt.Errorf("%d changes, want %d", out.Total, want)
		}
		return nil
	})
	return out
}

func TestReplicasAnswerTheSame(t *testing.T) {
	first := newBench(t)
	first.external(t)
	first.start(t)
	send := first.sender(t, "a")
	send(event.AgentSnapshot, event.Object{}, event.Snapshot{ID: "s", Part: 1, Parts: 1})
	for i := range 20 {
		send(event.WorkloadAvailable, ledger, event.Workload{Desired: 1, Ready: int32(i)})
	}
	want := first.since(t, 20)
	hub := first.hub(t)
	retry(t, func() error {
		have, err := hub.Snapshots(t.Context())
		if err != nil || len(have) == 0 || !strings.HasSuffix(have[0].Name, fmt.Sprintf("-%020d", 21)) {
			return errors.Join(fmt.Errorf("snapshots: %v", have), err)
		}
		return nil
	})

	options := *first.options
	options.storeDir, options.listen, options.health = t.TempDir(), free(t), free(t)
	second := &bench{options: &options, keys: first.keys, ca: first.ca, client: first.client}
	second.start(t)
	if got := second.logged(t, "fairway_history_reread_events_total"); got != "0" {
		t.Errorf("the second read %s events again", got)
	}
	got := second.since(t, 20)
	if diff := cmp.Diff(want.Items, got.Items); diff != "" {
		t.Errorf("changes (-first +second):\n%s", diff)
	}
	send(event.WorkloadDegraded, ledger, event.Workload{})
	want, got = first.since(t, 21), second.since(t, 21)
	if diff := cmp.Diff(want.Items, got.Items); diff != "" {
		t.Errorf("changes after one more event (-first +second):\n%s", diff)
	}
	check(t, second.stop())
}

// hub connects as the hub does.
func (b *bench) hub(t *testing.T) *bus.Conn {
	t.Helper()
	conn, err := bus.Connect(t.Context(), bus.Options{URL: "tls://" + b.options.natsListen, CredentialsFile: b.options.configDir + "/hub.creds", CA: b.ca})
	check(t, err)
	t.Cleanup(conn.Close)
	return conn
}

// logged is the value of a metric without labels.
func (b *bench) logged(t *testing.T, metric string) string {
	t.Helper()
	resp, err := http.Get("http://" + b.options.health + "/metrics")
	check(t, err)
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	check(t, err)
	for line := range strings.Lines(string(data)) {
		if value, ok := strings.CutPrefix(line, metric+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func TestAHubServesThePresentWithoutItsHistory(t *testing.T) {
	b := newBench(t)
	b.options.history = t.TempDir() + "/history.db"
	check(t, os.WriteFile(b.options.history, []byte("no database at all, and longer than a header of one would be, which is a hundred bytes by definition"), 0o600))
	b.start(t)
	send := b.sender(t, "a")
	send(event.AgentSnapshot, event.Object{}, event.Snapshot{ID: "s", Part: 1, Parts: 1})
	send(event.WorkloadAvailable, ledger, event.Workload{Desired: 1, Ready: 1})
	retry(t, func() error {
		var c rest.ClusterDetail
		if err := b.get(t, "/api/v1/clusters/a", &c); err != nil {
			return err
		}
		return errorIf(c.Objects != 1, "cluster is %+v", c)
	})
	resp, err := http.Get("http://" + b.options.health + "/readyz")
	check(t, err)
	text, err := io.ReadAll(resp.Body)
	check(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(string(text), "ok; history: open "+b.options.history) {
		t.Errorf("readyz = %s: %s", resp.Status, text)
	}
	if up := b.logged(t, "fairway_history_up"); up != "0" {
		t.Errorf("fairway_history_up = %s, want 0", up)
	}
	t.Run("and has all of it when the file can be opened", func(t *testing.T) {
		check(t, os.Remove(b.options.history))
		b.since(t, 1)
		retry(t, func() error { return errorIf(b.logged(t, "fairway_history_up") != "1", "fairway_history_up is not 1") })
	})
}

func errorIf(is bool, format string, args ...any) error {
	if is {
		return fmt.Errorf(format, args...)
	}
	return nil
}
