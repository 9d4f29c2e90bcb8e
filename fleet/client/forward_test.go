package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fairway-dev/fairway/api/rest"
	"github.com/google/go-cmp/cmp"
	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// platform stands in for an API server with a kubelet behind it: it serves what Forward reads, and
// forwards ports with the streaming code of Kubernetes itself.
type platform struct {
	t           *testing.T
	target      string // of every port-forward, host:port
	objects     map[string]any
	noWebSocket bool

	mu       sync.Mutex
	forwards []httpstream.Connection
	upgrades []string // "websocket" or "spdy/3.1", one a port-forward
}

func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if got := r.Header.Get("Authorization"); got != "Bearer "+token {
		p.t.Errorf("%s without the kubeconfig's token", r.URL.Path)
	}
	if strings.HasSuffix(r.URL.Path, "/pods/fairway-hub-1/portforward") {
		p.portForward(w, r)
		return
	}
	body, there := p.objects[strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/fairway-system/")]
	if !there {
		body = metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Reason: metav1.StatusReasonNotFound, Code: 404}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
	}
	if s, ok := body.(metav1.Status); ok && there {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(s.Code))
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		p.t.Error(err)
	}
}

func (p *platform) portForward(w http.ResponseWriter, r *http.Request) {
	upgrade := strings.ToLower(r.Header.Get("Upgrade"))
	if upgrade == "websocket" && p.noWebSocket {
		http.Error(w, "no", http.StatusForbidden)
		return
	}
	p.mu.Lock()
	p.upgrades = append(p.upgrades, upgrade)
	p.mu.Unlock()
	streams := make(chan httpstream.Stream, 16)
	accept := func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	}
	if conn := p.upgrade(w, r, upgrade, accept); conn != nil {
		p.streams(conn, streams)
	}
}

func (p *platform) upgrade(w http.ResponseWriter, r *http.Request, to string, accept httpstream.NewStreamHandler) httpstream.Connection {
	const protocol = "portforward.k8s.io"
	if to != "websocket" {
		if _, err := httpstream.Handshake(r, w, []string{protocol}); err != nil {
			return nil // the answer is written
		}
		return spdy.NewResponseUpgrader().UpgradeResponse(w, r, accept)
	}
	ws, err := (&websocket.Upgrader{Subprotocols: []string{"SPDY/3.1+" + protocol}}).Upgrade(w, r, nil)
	if err != nil {
		p.t.Error(err)
		return nil
	}
	conn, err := spdy.NewServerConnection(portforward.NewTunnelingConnection("server", ws), accept)
	if err != nil {
		p.t.Error(err)
	}
	return conn
}

func (p *platform) streams(conn httpstream.Connection, streams <-chan httpstream.Stream) {
	p.mu.Lock()
	p.forwards = append(p.forwards, conn)
	p.mu.Unlock()
	failures := map[string]httpstream.Stream{}
	for {
		select {
		case <-conn.CloseChan():
			return
		case s := <-streams:
			id := s.Headers().Get(corev1.PortForwardRequestIDHeader)
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				failures[id] = s
				continue
			}
			if port := s.Headers().Get(corev1.PortHeader); port != "8443" {
				p.t.Errorf("forward to port %s, want 8443", port)
			}
			go p.copy(s, failures[id])
		}
	}
}

func (p *platform) copy(data, failure httpstream.Stream) {
	defer data.Close()
	defer failure.Close()
	hub, err := net.Dial("tcp", p.target)
	if err != nil {
		fmt.Fprintf(failure, "connection refused inside the pod")
		return
	}
	defer hub.Close()
	go func() {
		defer hub.Close()
		io.Copy(hub, data)
	}()
	io.Copy(data, hub)
}

// cut breaks every port-forward.
func (p *platform) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.forwards {
		conn.Close()
	}
}

func hubPod(name string, isReady bool) corev1.Pod {
	status := corev1.ConditionFalse
	if isReady {
		status = corev1.ConditionTrue
	}
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "fairway-system"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "hub", Ports: []corev1.ContainerPort{{Name: "api", ContainerPort: 8443}}}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}},
	}
}

func hubService(port intstr.IntOrString) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{Kind: "Service", APIVersion: "v1"},
		ObjectMeta: metav1.ObjectMeta{Name: hubName, Namespace: "fairway-system"},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app.kubernetes.io/name": hubName},
			Ports:    []corev1.ServicePort{{Port: 4222, TargetPort: intstr.FromInt32(4222)}, {Port: 443, TargetPort: port}},
		},
	}
}

// startPlatform starts a hub, and a platform before it that knows its authority.
func startPlatform(t *testing.T, hub http.HandlerFunc) (*platform, *restclient.Config) {
	t.Helper()
	// The certificate has to be the hub's own: valid for its name in the cluster.
	backend := httptest.NewUnstartedServer(hub)
	backend.TLS = serving(t, "fairway-hub.fairway-system.svc")
	backend.EnableHTTP2 = true
	backend.StartTLS()
	t.Cleanup(backend.Close)
	address, err := url.Parse(backend.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{t: t, target: address.Host, objects: map[string]any{
		"configmaps/fairway-hub": &corev1.ConfigMap{
			TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}, Data: map[string]string{"ca.crt": string(authority(backend))}},
		"services/fairway-hub": hubService(intstr.FromString("api")),
		"pods": &corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"},
			Items: []corev1.Pod{hubPod("fairway-hub-0", false), hubPod("fairway-hub-1", true)}},
	}}
	api := httptest.NewTLSServer(p)
	t.Cleanup(api.Close)
	t.Cleanup(p.cut)
	return p, &restclient.Config{Host: api.URL, BearerToken: token, TLSClientConfig: restclient.TLSClientConfig{CAData: authority(api)}}
}

func forward(t *testing.T, cfg *restclient.Config) *Client {
	t.Helper()
	c, err := Forward(t.Context(), cfg, "fairway-system", Retry{First: time.Millisecond, Most: 5 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestForwardReachesTheHubOverWebSocketsAndOverSPDY(t *testing.T) {
	for want, noWebSocket := range map[string]bool{"websocket": false, "spdy/3.1": true} {
		t.Run(want, func(t *testing.T) {
			p, cfg := startPlatform(t, func(w http.ResponseWriter, r *http.Request) {
				if got := r.Header.Get("Authorization"); got != "Bearer "+token {
					t.Errorf("the hub got %q", got)
				}
				answer(t, w, rest.ClusterList{Items: []rest.Cluster{{ID: strings.Repeat("x", 1<<20)}}})
			})
			p.noWebSocket = noWebSocket
			c := forward(t, cfg)
			for range 3 {
				got, err := c.Clusters(t.Context(), Filter{})
				if err != nil {
					t.Fatal(err)
				}
				if len(got.Items) != 1 || len(got.Items[0].ID) != 1<<20 {
					t.Fatalf("the answer came through cut: %d items", len(got.Items))
				}
			}
			if diff := cmp.Diff([]string{want}, p.upgrades); diff != "" {
				t.Errorf("port-forwards (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWatchGoesOnWhenThePortForwardBreaks(t *testing.T) {
	var calls atomic.Int32
	p, cfg := startPlatform(t, func(w http.ResponseWriter, r *http.Request) {
		n := calls.Add(1)
		if n == 2 && r.Header.Get("Last-Event-ID") != "1" {
			t.Errorf("Last-Event-ID = %q, want 1", r.Header.Get("Last-Event-ID"))
		}
		sendEvent(t, w, stored(t, uint64(n)))
		<-r.Context().Done()
	})
	c := forward(t, cfg)
	var got []uint64
	for u, err := range c.Watch(t.Context(), 0, EventQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		s, ok := u.(Stored)
		if !ok {
			continue
		}
		if got = append(got, s.Event.Sequence); len(got) == 2 {
			break
		}
		p.cut()
	}
	if diff := cmp.Diff([]uint64{1, 2}, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.upgrades) != 2 {
		t.Errorf("%d port-forwards, want a second one", len(p.upgrades))
	}
}

func TestForwardSaysWhyThePodCannotBeReached(t *testing.T) {
	p, cfg := startPlatform(t, func(http.ResponseWriter, *http.Request) {})
	p.target = "127.0.0.1:1"
	_, err := forward(t, cfg).Clusters(t.Context(), Filter{})
	if err == nil || !strings.Contains(err.Error(), "connection refused inside the pod") {
		t.Errorf("error = %v, want what the node said", err)
	}
}

func TestForwardRefusesAHubWithAnotherCertificate(t *testing.T) {
	other := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	p, cfg := startPlatform(t, func(http.ResponseWriter, *http.Request) { t.Error("credentials reached the wrong hub") })
	p.objects["configmaps/fairway-hub"] = &corev1.ConfigMap{
		TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}, Data: map[string]string{"ca.crt": string(authority(other))}}
	if _, err := forward(t, cfg).Clusters(t.Context(), Filter{}); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("error = %v, want one about the certificate", err)
	}
}

func TestFindingTheHubSaysTheFix(t *testing.T) {
	forbidden := metav1.Status{TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure",
		Reason: metav1.StatusReasonForbidden, Message: "configmaps is forbidden", Code: 403}
	for name, tt := range map[string]struct {
		change func(*platform)
		says   string
	}{
		"Fairway is not installed":    {func(p *platform) { delete(p.objects, "configmaps/fairway-hub") }, "install --export"},
		"the caller may not look":     {func(p *platform) { p.objects["configmaps/fairway-hub"] = forbidden }, "fairway-connect"},
		"the caller may not see pods": {func(p *platform) { p.objects["pods"] = forbidden }, "fairway-connect"},
		"the authority is not there yet": {func(p *platform) {
			p.objects["configmaps/fairway-hub"] = &corev1.ConfigMap{TypeMeta: metav1.TypeMeta{Kind: "ConfigMap", APIVersion: "v1"}}
		}, "logs deploy/fairway-operator"},
		"no pod is ready": {func(p *platform) {
			p.objects["pods"] = &corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}, Items: []corev1.Pod{hubPod("a", false)}}
		}, "get pods -l app.kubernetes.io/name=fairway-hub"},
	} {
		t.Run(name, func(t *testing.T) {
			p, cfg := startPlatform(t, func(http.ResponseWriter, *http.Request) {})
			tt.change(p)
			c, err := Forward(t.Context(), cfg, "fairway-system", DefaultRetry)
			if err == nil {
				defer c.Close()
				_, err = c.Clusters(t.Context(), Filter{})
			}
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(Fix(err), tt.says) {
				t.Errorf("error = %v, fix %q; want a fix that says %q", err, Fix(err), tt.says)
			}
		})
	}
}

func TestPick(t *testing.T) {
	leaving := hubPod("a", true)
	leaving.DeletionTimestamp = &metav1.Time{Time: noon}
	for name, tt := range map[string]struct {
		svc  *corev1.Service
		pods []corev1.Pod
		want target
		fail string
	}{
		"the first ready pod, with the port of that name": {
			svc: hubService(intstr.FromString("api")), pods: []corev1.Pod{hubPod("c", true), hubPod("a", false), hubPod("b", true)},
			want: target{"fairway-system", "b", 8443}},
		"a pod that leaves is not chosen": {
			svc: hubService(intstr.FromInt32(8443)), pods: []corev1.Pod{leaving, hubPod("b", true)}, want: target{"fairway-system", "b", 8443}},
		"a service port without target is the pod's": {
			svc: hubService(intstr.IntOrString{}), pods: []corev1.Pod{hubPod("b", true)}, want: target{"fairway-system", "b", 443}},
		"a port that the pod does not have": {
			svc: hubService(intstr.FromString("web")), pods: []corev1.Pod{hubPod("b", true)}, fail: `no port "web"`},
		"no pods":                             {svc: hubService(intstr.FromInt32(8443)), fail: "0 are there"},
		"a service that selects everything":   {svc: &corev1.Service{}, pods: []corev1.Pod{hubPod("b", true)}, fail: "selects no pods"},
		"a service without the port of https": {svc: &corev1.Service{Spec: corev1.ServiceSpec{Selector: map[string]string{"a": "b"}}}, pods: []corev1.Pod{hubPod("b", true)}, fail: "no port 443"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := pick(tt.svc, tt.pods)
			if tt.fail != "" {
				if err == nil || !strings.Contains(err.Error(), tt.fail) {
					t.Errorf("error = %v, want %q", err, tt.fail)
				}
				return
			}
			if err != nil || got != tt.want {
				t.Errorf("pick = %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}
