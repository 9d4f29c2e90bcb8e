package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
)

// door is a way to the API server that can be cut and shut.
type door struct {
	listener net.Listener
	to       string

	mu    sync.Mutex
	open  []net.Conn
	shut  bool
	taken int
}

// newDoor listens on loopback, for connections to an address.
func newDoor(t *testing.T, to string) *door {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{listener: listener, to: to}
	t.Cleanup(func() { listener.Close(); d.cut(true) })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go d.pass(conn)
		}
	}()
	return d
}

func (d *door) pass(conn net.Conn) {
	server, err := net.Dial("tcp", d.to)
	d.mu.Lock()
	if err != nil || d.shut {
		d.mu.Unlock()
		conn.Close()
		return
	}
	d.taken++
	d.open = append(d.open, conn, server)
	d.mu.Unlock()
	go func() { io.Copy(server, conn); server.Close() }()
	io.Copy(conn, server)
	conn.Close()
}

// cut ends all connections; a door that is shut takes no new ones.
func (d *door) cut(shut bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, conn := range d.open {
		conn.Close()
	}
	d.open, d.shut = nil, shut
}

// waiting is a call with --wait that runs.
type waiting struct {
	lines  chan string // of stderr
	out    bytes.Buffer
	result chan int
	stop   context.CancelFunc
	seen   []string
}

// waits starts a call in the background.
func (w *teamwork) waits(t *testing.T, kubeconfig, args string) *waiting {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	screen := &screen{lines: make(chan string, 1000)}
	call := &waiting{lines: screen.lines, result: make(chan int, 1), stop: stop}
	sh := &shell{name: "fairway", now: time.Now, zone: time.UTC}
	go func() {
		call.result <- run(ctx, sh, append(strings.Fields(args), "--kubeconfig", kubeconfig), &call.out, screen)
		close(screen.lines)
	}()
	return call
}

// until waits for a line with a text.
func (c *waiting) until(t *testing.T, text string) string {
	t.Helper()
	late := time.After(30 * time.Second)
	for {
		select {
		case line, more := <-c.lines:
			if !more {
				t.Fatalf("it ended without %q:\n%s", text, strings.Join(c.seen, "\n"))
			}
			c.seen = append(c.seen, line)
			if strings.Contains(line, text) {
				return line
			}
		case <-late:
			t.Fatalf("no line with %q:\n%s", text, strings.Join(c.seen, "\n"))
		}
	}
}

// ends waits for the end, and gives the exit code and all of stderr.
func (c *waiting) ends(t *testing.T) (int, string) {
	t.Helper()
	for line := range c.lines {
		c.seen = append(c.seen, line)
	}
	return <-c.result, strings.Join(c.seen, "\n") + "\n"
}

// TestWaiting runs on a real API server. Its cases follow each other.
func TestWaiting(t *testing.T) {
	w := startTeam(t)
	release := "release payments/ledger --artifact " + w.ids["1"] + " --env prod --wait"
	begin := func(t *testing.T, kubeconfig, more string) (*waiting, string) {
		t.Helper()
		// Of two releases of the same second nobody can tell which is newer.
		if err := w.Client.DeleteAllOf(t.Context(), &fleetv1.Release{}, client.InNamespace("payments")); err != nil {
			t.Fatal(err)
		}
		call := w.waits(t, kubeconfig, release+more)
		line := call.until(t, " asks for ")
		return call, strings.TrimPrefix(strings.Fields(line)[1], "payments/")
	}
	healthy := []fleetv1.Target{target(awsCluster, fleetv1.TargetAvailable), target(azureCluster, fleetv1.TargetAvailable)}
	t.Run("it ends well when every cluster is healthy", func(t *testing.T) {
		call, name := begin(t, w.kubeconfig, " -o name")
		w.report(t, name, held(promoted(fleetv1.PhasePending), fleetv1.ConditionAdmitted, fleetv1.ReasonApprovalMissing, "1 approval is missing"))
		call.until(t, "► prod waits: 1 approval is missing; what ends it: fairway approve payments/"+name)
		w.report(t, name, promoted(fleetv1.PhaseReleasing, target(awsCluster, fleetv1.TargetAvailable), target(azureCluster, fleetv1.TargetRollingOut)))
		call.until(t, "◐ prod-azure-eu1 RollingOut")
		w.report(t, name, promoted(fleetv1.PhaseSucceeded, healthy...))
		code, errOut := call.ends(t)
		if code != 0 || call.out.String() != "release/payments/"+name+"\n" || !strings.HasSuffix(errOut, "is healthy in prod on 2 clusters: prod-aws-eu1, prod-azure-eu1\n") {
			t.Errorf("exit code %d, stdout %q, stderr:\n%s", code, call.out.String(), errOut)
		}
	})
	t.Run("it fails with the cluster, the reason and the last lines", func(t *testing.T) {
		call, name := begin(t, w.kubeconfig, "")
		w.report(t, name, promoted(fleetv1.PhaseFailed, healthy[0], crashed(fleetv1.TargetFailed)))
		code, errOut := call.ends(t)
		for _, want := range []string{"prod-azure-eu1, last lines:\n  │ connecting to db:5432\n", "✗ release payments/ledger " + w.ids["1"] + " to prod: failed: prod-azure-eu1: RolloutFailed: CrashLoopBackOff",
			"► fairway rollback payments/ledger --env prod\n"} {
			if code != 1 || !strings.Contains(errOut, want) {
				t.Errorf("exit code %d, stderr lacks %q:\n%s", code, want, errOut)
			}
		}
	})
	t.Run("an interrupt leaves the release alone and says how to look", func(t *testing.T) {
		call, name := begin(t, w.kubeconfig, "")
		call.until(t, "prod: "+w.ids["1"]+" Pending")
		call.stop()
		code, errOut := call.ends(t)
		want := "► payments/" + name + " goes on: fairway status payments/ledger; to wait again: fairway status payments/ledger --env prod --wait\n"
		if code != 130 || !strings.HasSuffix(errOut, want) {
			t.Errorf("exit code %d, stderr:\n%s", code, errOut)
		}
		again := w.waits(t, w.kubeconfig, "status payments/ledger --env prod --wait --server https://127.0.0.1:1")
		again.until(t, "prod: "+w.ids["1"]+" Pending")
		w.report(t, name, promoted(fleetv1.PhaseSucceeded, healthy...))
		if code, errOut := again.ends(t); code != 0 {
			t.Errorf("waiting again: exit code %d, stderr:\n%s", code, errOut)
		}
	})
	t.Run("what takes too long says what it waits for", func(t *testing.T) {
		call, name := begin(t, w.kubeconfig, " --timeout 3s")
		w.report(t, name, held(promoted(fleetv1.PhasePending), fleetv1.ConditionAdmitted, fleetv1.ReasonApprovalMissing, "1 approval is missing"))
		code, errOut := call.ends(t)
		want := "✗ wait for payments/" + name + ": it has not ended within 3s; it is Pending: 1 approval is missing\n► fairway approve payments/" + name + "\n"
		if code != 1 || !strings.HasSuffix(errOut, want) {
			t.Errorf("exit code %d, stderr:\n%s", code, errOut)
		}
	})
	t.Run("a release that is deleted is not waited for", func(t *testing.T) {
		call, name := begin(t, w.kubeconfig, "")
		call.until(t, "prod: "+w.ids["1"]+" Pending")
		gone := &fleetv1.Release{}
		gone.Namespace, gone.Name = "payments", name
		if err := w.Client.Delete(t.Context(), gone, client.PropagationPolicy("Background")); err != nil {
			t.Fatal(err)
		}
		if code, errOut := call.ends(t); code != 1 || !strings.Contains(errOut, "✗ wait for payments/"+name+": it was deleted\n") {
			t.Errorf("exit code %d, stderr:\n%s", code, errOut)
		}
	})
	t.Run("a watch that breaks is taken up again", func(t *testing.T) { w.watchBreaks(t, begin, healthy) })
}

func (w *teamwork) watchBreaks(t *testing.T, begin func(*testing.T, string, string) (*waiting, string), healthy []fleetv1.Target) {
	server, err := url.Parse(w.Config.Host)
	if err != nil {
		t.Fatal(err)
	}
	door := newDoor(t, server.Host)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	content := strings.ReplaceAll(string(w.Kubeconfig), server.Host, door.listener.Addr().String())
	if err := os.WriteFile(kubeconfig, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	call, name := begin(t, kubeconfig, "")
	call.until(t, "prod: "+w.ids["1"]+" Pending")
	door.cut(true)
	call.until(t, "⚠ the platform cannot be watched: ")
	w.report(t, name, promoted(fleetv1.PhaseChecking))
	door.cut(false)
	call.until(t, "prod: "+w.ids["1"]+" Checking")
	door.cut(false)
	w.report(t, name, promoted(fleetv1.PhaseSucceeded, healthy...))
	if code, errOut := call.ends(t); code != 0 || door.taken < 3 {
		t.Errorf("exit code %d after %d connections, stderr:\n%s", code, door.taken, errOut)
	}
}
