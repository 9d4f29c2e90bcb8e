package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/operator/eventbus"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

// TestOperator runs the whole operator beside real API servers and a real event bus. The bus comes
// after the operator, as it does on a fresh platform: it needs the keys that the operator makes.
func TestOperator(t *testing.T) {
	platform, workload := platformtest.Platform(t), platformtest.Workload(t)
	port := freePort(t)
	startOperator(t, platform, fmt.Sprintf("tls://127.0.0.1:%d", port))
	c := platform.Client

	fleet := &fleetv1.Fleet{
		ObjectMeta: metav1.ObjectMeta{Name: fleetv1.FleetName},
		Spec: fleetv1.FleetSpec{
			ConfigRepository: fleetv1.ConfigRepository{URL: "http://127.0.0.1:1/config.git"},
			Flux:             fleetv1.FluxDistribution{Artifact: "oci://127.0.0.1:1/flux-manifests"},
			Events:           fleetv1.Events{URL: "tls://events.example.com:4222"},
			Heartbeat:        fleetv1.Heartbeat{Interval: metav1.Duration{Duration: time.Second}, MissesUntilUnknown: 2},
		},
	}
	platformtest.Create(t, c, fleet)
	awaitFleet(t, c, fleetv1.ConditionEventsReady, "False/EventsUnreachable")
	awaitFleet(t, c, fleetv1.ConditionClustersRegistered, "Unknown/ClusterAPINotInstalled")
	awaitFleet(t, c, fleetv1.ConditionConfigRepositoryReady, "False/RepositoryUnreadable")

	server := startBus(t, c, port)
	awaitFleet(t, c, fleetv1.ConditionEventsReady, "True/Succeeded")

	t.Run("an adopted cluster's agent is seen, missed and revoked", func(t *testing.T) {
		agentIsFollowed(t, c, workload, server, port)
	})
	t.Run("Cluster API comes later, and its clusters join", func(t *testing.T) { clustersJoin(t, platform) })
}

func startOperator(t *testing.T, platform *platformtest.Cluster, eventsURL string) {
	t.Helper()
	o := &options{
		agentImage: "ghcr.io/fairway-dev/agent:test", eventsURL: eventsURL, namespace: fleetv1.SystemNamespace,
		health: "0", metrics: "0", concurrency: 20, credentialsLife: time.Hour,
	}
	mgr, err := newManager(platform.Config, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := wire(ctx, mgr, o); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("operator: %v", err)
		}
	})
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// startBus runs the hub's bus from the Secret that the operator made for the hub.
func startBus(t *testing.T, c client.Client, port int) *bus.Server {
	t.Helper()
	secret := hubSecret(t, c)
	certificate, err := tls.X509KeyPair(secret.Data["tls.crt"], secret.Data["tls.key"])
	if err != nil {
		t.Fatal(err)
	}
	server, err := bus.StartServer(t.Context(), bus.ServerOptions{
		Listen: fmt.Sprintf("127.0.0.1:%d", port), StoreDir: t.TempDir(), Log: logr.Discard(),
		OperatorJWT: string(secret.Data["operator.jwt"]), AccountJWT: string(secret.Data["account.jwt"]), SystemJWT: string(secret.Data["system.jwt"]),
		Certificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &certificate, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	hub := connectBus(t, port, "", secret.Data["hub.creds"], secret.Data["ca.crt"])
	if err := hub.EnsureStreams(t.Context(), bus.Retention{}); err != nil {
		t.Fatal(err)
	}
	return server
}

func connectBus(t *testing.T, port int, inbox string, creds, ca []byte) *bus.Conn {
	t.Helper()
	conn, err := bus.Connect(t.Context(), bus.Options{
		URL: fmt.Sprintf("tls://127.0.0.1:%d", port), Creds: creds, CA: ca, InboxPrefix: inbox,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func hubSecret(t *testing.T, c client.Client) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: fleetv1.SystemNamespace, Name: eventbus.HubName}, secret); err != nil {
		t.Fatal(err)
	}
	return secret
}

func awaitFleet(t *testing.T, c client.Client, condition, want string) {
	t.Helper()
	platformtest.Eventually(t, func(ctx context.Context) string {
		fleet := &fleetv1.Fleet{}
		if err := c.Get(ctx, client.ObjectKey{Name: fleetv1.FleetName}, fleet); err != nil {
			return err.Error()
		}
		return unlike(fleet.Status.Conditions, condition, want)
	})
}

func awaitCluster(t *testing.T, c client.Client, obj *fleetv1.WorkloadCluster, condition, want string) {
	t.Helper()
	platformtest.Eventually(t, func(ctx context.Context) string {
		if err := c.Get(ctx, client.ObjectKeyFromObject(obj), obj); err != nil {
			return err.Error()
		}
		return unlike(obj.Status.Conditions, condition, want)
	})
}

// unlike says what a condition shows when it is not what is wanted.
func unlike(conditions []metav1.Condition, condition, want string) string {
	have := apimeta.FindStatusCondition(conditions, condition)
	if have == nil {
		return "no condition " + condition
	}
	if shows := string(have.Status) + "/" + have.Reason; shows != want {
		return condition + " is " + shows + ", not " + want + ": " + have.Message
	}
	return ""
}

func agentIsFollowed(t *testing.T, c client.Client, workload *platformtest.Cluster, server *bus.Server, port int) {
	platformtest.Create(t, c,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "adopted"}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "adopted", Name: "one"}, Data: map[string][]byte{"value": workload.Kubeconfig}},
	)
	obj := &fleetv1.WorkloadCluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: "adopted", Name: "one"},
		Spec: fleetv1.WorkloadClusterSpec{
			Environment: "dev", Mode: fleetv1.ModeObserve,
			Access: fleetv1.Access{KubeconfigRef: &fleetv1.KubeconfigReference{Name: "one"}},
		},
	}
	platformtest.Create(t, c, obj)
	awaitCluster(t, c, obj, fleetv1.ConditionAgentConnected, "False/AgentRollingOut")

	var installed corev1.Secret
	if err := workload.Client.Get(t.Context(), client.ObjectKey{Namespace: fleetv1.SystemNamespace, Name: "fairway-agent"}, &installed); err != nil {
		t.Fatal(err)
	}
	agent := connectBus(t, port, event.InboxPrefix("one"), installed.Data["agent.creds"], installed.Data["ca.crt"])
	stop := reports(t, agent, "one")
	awaitCluster(t, c, obj, fleetv1.ConditionAgentConnected, "True/Succeeded")
	awaitCluster(t, c, obj, "Ready", "True/Succeeded")
	stop()
	awaitCluster(t, c, obj, fleetv1.ConditionAgentConnected, "False/HeartbeatsMissed")

	before := string(hubSecret(t, c).Data["account.jwt"])
	if err := c.Delete(t.Context(), obj); err != nil {
		t.Fatal(err)
	}
	platformtest.Eventually(t, func(context.Context) string {
		if workload.CollectGarbage(t); string(hubSecret(t, c).Data["account.jwt"]) == before {
			return "the account's token does not change"
		}
		return ""
	})
	if err := server.UpdateAccount(string(hubSecret(t, c).Data["account.jwt"])); err != nil { // as the hub does
		t.Fatal(err)
	}
	platformtest.Eventually(t, func(context.Context) string {
		if workload.CollectGarbage(t); agent.Connected() {
			return "the agent is still connected"
		}
		return ""
	})
	platformtest.Eventually(t, func(ctx context.Context) string {
		workload.CollectGarbage(t)
		if err := c.Get(ctx, client.ObjectKeyFromObject(obj), obj); !apierrors.IsNotFound(err) {
			return "the WorkloadCluster is still there"
		}
		return ""
	})
	if said := announced(t, c, port); said[0] != "registered" || said[len(said)-1] != "deregistered" {
		t.Errorf("the platform said %v", said)
	}
}

// reports does what an agent does: it starts, sends its snapshot, and heartbeats until stop.
func reports(t *testing.T, conn *bus.Conn, id string) (stop func()) {
	t.Helper()
	epoch := newID(t)
	send := func(sequence uint64, typ event.Type, data any) {
		e, err := event.New(id, typ, event.Object{}, time.Now(), data)
		if err != nil {
			t.Fatal(err)
		}
		e.ID, e.Epoch, e.Sequence = newID(t), epoch, sequence
		if err := conn.Publish(t.Context(), id, &e); err != nil {
			t.Fatal(err)
		}
	}
	send(1, event.AgentStarted, event.Started{Version: "v0.1.0"})
	send(2, event.AgentSnapshot, event.Snapshot{ID: newID(t), Part: 1, Parts: 1, Entries: []event.Entry{}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			beat := event.Heartbeat{Epoch: epoch, Sequence: 2, Time: time.Now(), Interval: event.Duration(time.Second), Version: "v0.1.0"}
			if err := conn.Heartbeat(ctx, id, beat); err != nil && ctx.Err() == nil {
				t.Errorf("heartbeat: %v", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

func newID(t *testing.T) string {
	t.Helper()
	id, err := uuid.NewV7()
	if err != nil {
		t.Fatal(err)
	}
	return id.String()
}

// announced waits until the platform's last word is that a cluster left, and returns all of them.
func announced(t *testing.T, c client.Client, port int) []string {
	t.Helper()
	secret := hubSecret(t, c)
	hub := connectBus(t, port, "", secret.Data["hub.creds"], secret.Data["ca.crt"])
	var said []string
	platformtest.Eventually(t, func(ctx context.Context) string {
		said = nil
		err := hub.Read(ctx, bus.Start{}, bus.Filter{Clusters: []string{event.Platform}}, func(m bus.Message) bool {
			e, err := event.Decode(m.Data)
			if err != nil {
				t.Errorf("decode: %v", err)
			}
			said = append(said, e.Type.What())
			return true
		})
		if err != nil {
			return err.Error()
		}
		if len(said) == 0 || said[len(said)-1] != "deregistered" {
			return strings.Join(said, ", ")
		}
		return ""
	})
	return said
}

func clustersJoin(t *testing.T, platform *platformtest.Cluster) {
	c := platform.Client
	platform.InstallClusterAPI(t)
	platform.Namespace(t, "clusters")
	for name, labels := range map[string]map[string]string{
		"labelled":       {fleetv1.LabelRegister: "true", fleetv1.LabelEnvironment: "staging"},
		"no-environment": {fleetv1.LabelRegister: "true"},
		"stranger":       {fleetv1.LabelEnvironment: "staging"},
	} {
		cluster := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster",
			"metadata": map[string]any{"namespace": "clusters", "name": name},
			"spec": map[string]any{
				"infrastructureRef": map[string]any{"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "AWSManagedCluster", "name": name},
			},
		}}
		cluster.SetLabels(labels)
		platformtest.Create(t, c, cluster)
	}
	joined := &fleetv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Namespace: "clusters", Name: "labelled"}}
	awaitCluster(t, c, joined, fleetv1.ConditionReachable, "False/ControlPlaneNotInitialized")
	if joined.Spec.Environment != "staging" || len(joined.OwnerReferences) != 1 || joined.OwnerReferences[0].Name != "labelled" {
		t.Errorf("registered as %+v", joined)
	}
	awaitFleet(t, c, fleetv1.ConditionClustersRegistered, "False/ClustersNotRegistered")
	for _, name := range []string{"no-environment", "stranger"} {
		err := c.Get(t.Context(), client.ObjectKey{Namespace: "clusters", Name: name}, &fleetv1.WorkloadCluster{})
		if !apierrors.IsNotFound(err) {
			t.Errorf("%s joined: %v", name, err)
		}
	}

	// A token that is refused is looked at again soon, with what the Secret holds then.
	cluster := &unstructured.Unstructured{}
	cluster.SetAPIVersion("cluster.x-k8s.io/v1beta2")
	cluster.SetKind("Cluster")
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(joined), cluster); err != nil {
		t.Fatal(err)
	}
	platformtest.Create(t, c, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "clusters", Name: "labelled-kubeconfig"},
		Data:       map[string][]byte{"value": withToken(t, platform, "expired")},
	})
	cluster.Object["status"] = map[string]any{"initialization": map[string]any{"controlPlaneInitialized": true}}
	if err := c.Status().Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	awaitCluster(t, c, joined, fleetv1.ConditionReachable, "False/Unauthorized")
}

// withToken is a kubeconfig for a cluster with a token in place of its certificate.
func withToken(t *testing.T, cluster *platformtest.Cluster, token string) []byte {
	t.Helper()
	config, err := clientcmd.Load(cluster.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for name := range config.AuthInfos {
		config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token}
	}
	out, err := clientcmd.Write(*config)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
