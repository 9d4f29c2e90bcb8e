package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/fairway-dev/fairway/api/event"
	"github.com/fairway-dev/fairway/api/rest"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/operator/natsauth"
	"github.com/fairway-dev/fairway/operator/pki"
)

const limit = 30 * time.Second

// bench is a hub with all that it needs: the Secret's folder, a kube-apiserver, free ports.
type bench struct {
	options *options
	keys    *natsauth.Keys
	ca      []byte
	client  *http.Client // of somebody who may see everything
	nobody  *http.Client
	stop    func() error
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{options: &options{configDir: t.TempDir(), storeDir: t.TempDir(), natsListen: free(t), listen: free(t), health: free(t),
		retention: time.Hour, maxBytes: 64 << 20, misses: 3}}
	b.secret(t)
	environment := &envtest.Environment{}
	if _, err := environment.Start(); err != nil {
		t.Fatalf("KUBEBUILDER_ASSETS is not set: run make unit (%v)", err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	admin, err := environment.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, nil)
	check(t, err)
	kubeconfig, err := admin.KubeConfig()
	check(t, err)
	b.options.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	check(t, os.WriteFile(b.options.kubeconfig, kubeconfig, 0o600))
	pair, err := tls.X509KeyPair(admin.Config().CertData, admin.Config().KeyData)
	check(t, err)
	b.client, b.nobody = b.http(pair), b.http()
	return b
}

func (b *bench) http(certificates ...tls.Certificate) *http.Client {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(b.ca)
	return &http.Client{Timeout: limit, Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: certificates, MinVersion: tls.VersionTLS12}}}
}

// secret writes the folder as the operator writes the Secret.
func (b *bench) secret(t *testing.T) {
	t.Helper()
	var err error
	b.keys, err = natsauth.NewKeys()
	check(t, err)
	tokens, err := b.keys.Server(nil)
	check(t, err)
	user, err := b.keys.Hub()
	check(t, err)
	ca, key, err := pki.NewAuthority(time.Now())
	check(t, err)
	b.ca = ca
	cert, certKey, err := pki.Serving(ca, key, []string{"localhost", "127.0.0.1"}, time.Now())
	check(t, err)
	for name, data := range map[string][]byte{
		"operator.jwt": []byte(tokens.OperatorJWT), "account.jwt": []byte(tokens.AccountJWT), "system.jwt": []byte(tokens.SystemJWT),
		"hub.creds": user.Creds, "ca.crt": ca, "tls.crt": cert, "tls.key": certKey,
	} {
		b.write(t, name, data)
	}
}

func (b *bench) write(t *testing.T, name string, data []byte) {
	t.Helper()
	check(t, os.WriteFile(filepath.Join(b.options.configDir, name), data, 0o600))
}

// start runs the hub until stop, and waits until it is ready.
func (b *bench) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- run(ctx, b.options, logr.Discard()) }()
	b.stop = func() error {
		cancel()
		select {
		case err := <-done:
			done <- err
			return err
		case <-time.After(3 * time.Second):
			return fmt.Errorf("the hub did not stop within 3 s")
		}
	}
	t.Cleanup(func() { check(t, b.stop()) })
	retry(t, func() error {
		resp, err := http.Get("http://" + b.options.health + "/readyz")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("readyz: %s", resp.Status)
		}
		return nil
	})
}

func (b *bench) get(t *testing.T, path string, out any) error {
	t.Helper()
	resp, err := b.client.Get("https://" + b.options.listen + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", resp.Status, data)
	}
	return json.Unmarshal(data, out)
}

func (b *bench) agent(t *testing.T, cluster string) (*bus.Conn, string) {
	t.Helper()
	user, err := b.keys.Agent(cluster, time.Now().Add(time.Hour))
	check(t, err)
	conn, err := bus.Connect(t.Context(), bus.Options{URL: "tls://" + b.options.natsListen, Creds: user.Creds, CA: b.ca, InboxPrefix: event.InboxPrefix(cluster)})
	check(t, err)
	t.Cleanup(conn.Close)
	return conn, user.PublicKey
}

func TestAHubFromItsSecretToItsAPI(t *testing.T) {
	b := newBench(t)
	b.start(t)
	agent, key := b.agent(t, "a")
	epoch := uuid.Must(uuid.NewV7()).String()
	send := func(seq uint64, typ event.Type, obj event.Object, data any) error {
		e, err := event.New("a", typ, obj, time.Now(), data)
		check(t, err)
		e.ID, e.Epoch, e.Sequence = uuid.NewString(), epoch, seq
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		return agent.Publish(ctx, "a", &e)
	}
	check(t, send(1, event.AgentStarted, event.Object{}, event.Started{Version: "v0.1.0"}))
	check(t, send(2, event.AgentSnapshot, event.Object{}, event.Snapshot{ID: "s", Part: 1, Parts: 1}))
	check(t, send(3, event.WorkloadAvailable, event.Object{Kind: "Deployment", Namespace: "payments", Name: "ledger"}, event.Workload{Desired: 1, Ready: 1}))
	check(t, agent.Heartbeat(t.Context(), "a", event.Heartbeat{Epoch: epoch, Sequence: 3, Time: time.Now(), Interval: event.Duration(time.Minute)}))

	seen := func() error {
		var c rest.ClusterDetail
		if err := b.get(t, "/api/v1/clusters/a", &c); err != nil {
			return err
		}
		if c.Status != rest.Ready || c.Objects != 1 || c.Freshness.Missing != 0 {
			return fmt.Errorf("cluster is %+v", c)
		}
		return nil
	}
	retry(t, seen)
	resp, err := b.nobody.Get("https://" + b.options.listen + "/api/v1/clusters")
	check(t, err)
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without credentials: %s, want 401", resp.Status)
	}
	if resp, err := b.client.Get("http://" + b.options.listen + "/api/v1/clusters"); err == nil {
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			t.Error("the API is served without TLS")
		}
	}

	t.Run("a restarted hub has the view again", func(t *testing.T) {
		check(t, b.stop())
		b.start(t)
		retry(t, seen)
	})
	t.Run("a revoked agent is put out while the hub runs", func(t *testing.T) {
		tokens, err := b.keys.Server(map[string]time.Time{key: time.Now().Add(time.Minute)})
		check(t, err)
		b.write(t, "account.jwt", []byte(tokens.AccountJWT))
		retry(t, func() error {
			if err := send(4, event.WorkloadRemoved, event.Object{Kind: "Deployment", Namespace: "payments", Name: "ledger"}, event.Workload{}); err == nil {
				return fmt.Errorf("it still publishes")
			}
			return nil
		})
	})
}

func TestAHubWithoutItsSecretSaysSo(t *testing.T) {
	err := run(t.Context(), &options{configDir: t.TempDir()}, logr.Discard())
	if err == nil {
		t.Fatal("run() succeeded")
	}
	t.Log(err)
}

func TestResyncsAreAskedForInTime(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	r := resyncs{}
	for _, step := range []struct {
		name       string
		at         time.Time
		incomplete []string
		want       []string
	}{
		{"what is missing may be on its way", at(0), []string{"a"}, nil},
		{"another begins later", at(10), []string{"a", "b"}, nil},
		{"after half a minute the first is asked", at(30), []string{"a", "b"}, []string{"a"}},
		{"then the second, and the first not again", at(40), []string{"a", "b"}, []string{"b"}},
		{"who became complete is forgotten", at(41), []string{"b"}, nil},
		{"and waits again when it is incomplete anew", at(42), []string{"a", "b"}, nil},
		{"who stays incomplete is asked again", at(200), []string{"a", "b"}, []string{"a", "b"}},
		{"after two minutes first", at(320), []string{"a", "b"}, []string{"a"}},
		{"and after twice as long each time", at(440), []string{"a", "b"}, []string{"b"}},
		{"but no less than every half hour", at(36_000), []string{"a", "b"}, []string{"a", "b"}},
		{"for ever", at(37_800), []string{"a", "b"}, []string{"a", "b"}},
	} {
		if diff := cmp.Diff(step.want, r.due(step.at, step.incomplete)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

func TestAFloodOfRefusalsIsNoFloodOfLog(t *testing.T) {
	at := time.Unix(0, 0)
	r := refusals{}
	logged := 0
	for range 1000 {
		if _, worth := r.count(at, "flooding"); worth {
			logged++
		}
	}
	if logged != 10 {
		t.Errorf("1000 refusals make %d lines, want 10", logged)
	}
	if n, worth := r.count(at, "other"); n != 1 || !worth {
		t.Errorf("another cluster's first refusal is number %d and logged: %v; want it logged", n, worth)
	}
	if n, worth := r.count(at.Add(time.Minute), "flooding"); n != 1 || !worth {
		t.Errorf("in the next minute the count is %d, logged: %v; want it begun anew", n, worth)
	}
}

func TestTheHubDialsItsBusByAName(t *testing.T) {
	for listen, want := range map[string]string{
		":4222": "tls://localhost:1", "0.0.0.0:4222": "tls://localhost:1", "[::]:4222": "tls://localhost:1",
		"127.0.0.1:0": "tls://127.0.0.1:1", "fairway-hub:4222": "tls://fairway-hub:1",
	} {
		if got := ownURL(listen, 1); got != want {
			t.Errorf("ownURL(%q) = %q, want %q", listen, got, want)
		}
	}
}

func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	return l.Addr().String()
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func retry(t *testing.T, fn func() error) {
	t.Helper()
	deadline := time.After(limit)
	tick := time.NewTicker(50 * time.Millisecond)
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
