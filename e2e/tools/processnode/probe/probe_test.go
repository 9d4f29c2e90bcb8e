package probe

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestCounter(t *testing.T) {
	for name, tc := range map[string]struct {
		probe   corev1.Probe
		results string // + and -
		want    string // the changes: . none, H healthy, U unhealthy
	}{
		"one success makes it healthy":                       {corev1.Probe{FailureThreshold: 3}, "+", "H"},
		"the first failures below the threshold say nothing": {corev1.Probe{FailureThreshold: 3}, "--+", "..H"},
		"failures in a row make it unhealthy once":           {corev1.Probe{FailureThreshold: 3}, "----", "..U."},
		"a success in between starts the count again":        {corev1.Probe{FailureThreshold: 2}, "+-+--", "H...U"},
		"unset thresholds are 1 and 3":                       {corev1.Probe{}, "+---", "H..U"},
		"recovery needs its own threshold":                   {corev1.Probe{FailureThreshold: 1, SuccessThreshold: 2}, "-+-++", "U...H"},
	} {
		t.Run(name, func(t *testing.T) {
			c, at := NewCounter(&tc.probe), time.Unix(0, 0)
			var got strings.Builder
			for _, r := range tc.results {
				v, changed := c.Observe(r == '+', at)
				got.WriteString(map[bool]string{false: ".", true: map[Verdict]string{Healthy: "H", Unhealthy: "U"}[v]}[changed])
				at = at.Add(10 * time.Second)
			}
			if diff := cmp.Diff(tc.want, got.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAProbeIsAskedEagerlyUntilItIsGoodAndFailsNoSoonerForIt(t *testing.T) {
	c, at := NewCounter(&corev1.Probe{PeriodSeconds: 10, FailureThreshold: 3}), time.Unix(0, 0)
	for asked := range 20 {
		if v, _ := c.Observe(false, at); v != Unknown {
			t.Fatalf("after %d questions in %d s: %v, before three periods began", asked+1, asked, v)
		}
		if wait := c.Wait(); wait != time.Second {
			t.Fatalf("waits %s before it was ever good", wait)
		}
		at = at.Add(time.Second)
	}
	if v, changed := c.Observe(false, at); v != Unhealthy || !changed {
		t.Errorf("at the beginning of the third period: %v, changed %t", v, changed)
	}
	if v, _ := c.Observe(true, at.Add(time.Second)); v != Healthy {
		t.Errorf("a good answer counts at once, got %v", v)
	}
	if wait := c.Wait(); wait != 10*time.Second {
		t.Errorf("waits %s when it was good", wait)
	}
}

func TestAsk(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/moved":
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
		case r.URL.Path != "/healthz" || r.URL.RawQuery != "full=1" || r.Host != "web.example":
			http.Error(w, "no", http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	named := intstr.FromString("https")
	get := func(path string) corev1.Probe {
		return corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: path, Port: named, Scheme: corev1.URISchemeHTTPS, HTTPHeaders: []corev1.HTTPHeader{{Name: "Host", Value: "web.example"}},
		}}}
	}
	target := Target{
		IP:    "10.244.0.7",
		Ports: []corev1.ContainerPort{{Name: "https", ContainerPort: 8443}},
		Dial: func(ctx context.Context, address string) (net.Conn, error) {
			if address != "10.244.0.7:8443" {
				return nil, errors.New("refused: " + address)
			}
			return (&net.Dialer{}).DialContext(ctx, "tcp", server.Listener.Addr().String())
		},
		Exec: func(_ context.Context, command []string) ([]byte, error) {
			return []byte("out: "), errors.New(strings.Join(command, " "))
		},
	}
	for name, tc := range map[string]struct {
		probe corev1.Probe
		want  string
	}{
		"an HTTPS answer of 200 by a named port is good": {get("/healthz?full=1"), ""},
		"a redirect to another host is good":             {get("/moved"), ""},
		"a status of 503 is bad":                         {get("/other"), "HTTP probe failed with statuscode: 503"},
		"a port that nobody declared is bad": {corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("http")}}}, `couldn't find port: "http"`},
		"a connection is good": {corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(8443)}}}, ""},
		"a refused connection is bad": {corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(1)}}}, "refused: 10.244.0.7:1"},
		"a failing command is bad and shows its output": {corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			Exec: &corev1.ExecAction{Command: []string{"exit", "3"}}}}, "out: exit 3"},
		"a kind that nobody can ask is bad": {corev1.Probe{ProbeHandler: corev1.ProbeHandler{
			GRPC: &corev1.GRPCAction{Port: 1}}}, "a process node asks only httpGet, tcpSocket and exec probes"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, reason(target.Ask(t.Context(), &tc.probe))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
