package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/fleet/bus"
	"github.com/fairway-dev/fairway/operator/eventbus"
	"github.com/fairway-dev/fairway/operator/platformtest"
	"github.com/go-logr/logr"
)

// platform is a real API server with what the operator keeps there for the event bus.
type platform struct {
	*platformtest.Cluster
	store      *eventbus.Store
	kubeconfig string
}

func startPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{Cluster: platformtest.Platform(t)}
	p.store = &eventbus.Store{Client: p.Client, Namespace: fleetv1.SystemNamespace, Life: time.Hour, Now: time.Now}
	p.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(p.kubeconfig, p.Kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *platform) fairway(t *testing.T, args string) result {
	t.Helper()
	return p.fairwayWith(t, "--kubeconfig", args)
}

// fairwayWith runs the program, for which the platform is named by a flag.
func (p *platform) fairwayWith(t *testing.T, flag, args string) result {
	t.Helper()
	var out, errOut bytes.Buffer
	sh := &shell{name: "fairway", version: "v0.1.0", now: time.Now, zone: time.UTC}
	code := run(t.Context(), sh, append(strings.Fields(args), flag, p.kubeconfig), &out, &errOut)
	return result{code, out.String(), errOut.String()}
}

// TestCredentials runs on a real API server. Its cases follow each other.
func TestCredentials(t *testing.T) {
	p := startPlatform(t)
	t.Run("before there are keys the error says who makes them", func(t *testing.T) {
		got := p.fairway(t, "events credentials --name grafana")
		if got.code != 1 || got.out != "" || !strings.Contains(got.errOut, "the event bus has no keys yet") || !strings.Contains(got.errOut, "► the operator makes the keys") {
			t.Errorf("%+v", got)
		}
	})
	if _, err := p.store.Ensure(t.Context(), []string{"127.0.0.1"}, eventbus.Settings{}); err != nil {
		t.Fatal(err)
	}
	t.Run("without an address for the outside, it is the one of the platform", func(t *testing.T) {
		got := p.fairway(t, "events credentials --name grafana -o json")
		if got.code != 0 || !strings.Contains(got.out, `"tls://fairway-events.fairway-system.svc:4222"`) || !strings.Contains(got.errOut, "⚠ the event bus has no address outside") {
			t.Errorf("%+v", got)
		}
	})
	platformtest.Create(t, p.Client, &fleetv1.Fleet{
		ObjectMeta: metav1.ObjectMeta{Name: fleetv1.FleetName},
		Spec: fleetv1.FleetSpec{
			ConfigRepository: fleetv1.ConfigRepository{URL: "http://127.0.0.1:1/config.git"},
			Flux:             fleetv1.FluxDistribution{Artifact: "oci://127.0.0.1:1/flux-manifests"},
			Events:           fleetv1.Events{URL: "tls://events.example.com:4222"},
		},
	})
	t.Run("credentials are a file, and stderr says how to connect", func(t *testing.T) { credentialsAsFile(t, p) })
	t.Run("a Secret holds all that a client needs", func(t *testing.T) { credentialsAsSecret(t, p) })
	t.Run("the event bus lets them read", func(t *testing.T) { credentialsRead(t, p) })
	t.Run("who may not read the keys is told whom to ask", func(t *testing.T) { credentialsNeedARight(t, p) })
}

func credentialsAsFile(t *testing.T, p *platform) {
	got := p.fairway(t, "events credentials --name grafana --expires 48h")
	if got.code != 0 || !strings.HasPrefix(got.out, "-----BEGIN NATS USER JWT-----") {
		t.Fatalf("%+v", got)
	}
	for _, want := range []string{
		"✔ grafana may read FLEET_EVENTS at tls://events.example.com:4222 until ",
		"► nats --server tls://events.example.com:4222 --creds grafana.creds --tlsca ca.crt --inbox-prefix _INBOX__reader-grafana stream info FLEET_EVENTS",
		"kubectl -n fairway-system get configmap fairway-hub",
	} {
		if !strings.Contains(got.errOut, want) {
			t.Errorf("stderr lacks %q:\n%s", want, got.errOut)
		}
	}
	if strings.Contains(got.errOut, "SEED") {
		t.Error("the seed is on stderr as well")
	}
}

func credentialsAsSecret(t *testing.T, p *platform) {
	got := p.fairway(t, "events credentials --name grafana -o secret")
	var secret corev1.Secret
	if err := yaml.UnmarshalStrict([]byte(got.out), &secret); err != nil || got.code != 0 {
		t.Fatalf("%v: %+v", err, got)
	}
	for _, key := range []string{"url", "user.creds", "ca.crt", "inbox-prefix", "stream"} {
		if secret.StringData[key] == "" {
			t.Errorf("the Secret lacks %s", key)
		}
	}
	secret.Namespace = fleetv1.SystemNamespace
	if err := p.Client.Create(t.Context(), &secret, client.DryRunAll); err != nil {
		t.Errorf("the API server refuses the Secret: %v", err)
	}
}

// credentialsRead connects with what was printed, to a server with the tokens that the hub gets.
func credentialsRead(t *testing.T, p *platform) {
	got := p.fairway(t, "events credentials --name grafana -o json")
	var r reader
	if err := json.Unmarshal([]byte(got.out), &r); err != nil || got.code != 0 {
		t.Fatalf("%v: %+v", err, got)
	}
	if left := time.Until(r.Expires); left < readerLife-time.Minute || left > readerLife {
		t.Errorf("expires in %s, want %s", left, readerLife)
	}
	url, hub := startServer(t, p)
	hubConn, err := bus.Connect(t.Context(), bus.Options{URL: url, Creds: hub})
	if err != nil {
		t.Fatal(err)
	}
	defer hubConn.Close()
	if err := hubConn.EnsureStreams(t.Context(), bus.Retention{}); err != nil {
		t.Fatal(err)
	}
	e, err := event.New("a", event.FluxSucceeded, event.Object{Kind: "Kustomization", Namespace: "b", Name: "c"}, time.Now(), event.Flux{})
	if err != nil {
		t.Fatal(err)
	}
	e.ID = "1"
	if err := hubConn.Publish(t.Context(), "a", &e); err != nil {
		t.Fatal(err)
	}
	conn, err := bus.Connect(t.Context(), bus.Options{URL: url, Creds: []byte(r.Creds), InboxPrefix: r.InboxPrefix})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), platformtest.Patience)
	defer cancel()
	var read []event.Subject
	err = conn.Follow(ctx, bus.Start{}, func(m bus.Message) {
		read = append(read, m.Subject)
		cancel()
	}, func(subject string, err error) { t.Errorf("%s: %v", subject, err) })
	if err != nil || len(read) != 1 || read[0] != event.OfCluster("a", event.KindFlux) {
		t.Errorf("read %v, error %v, want the one event", read, err)
	}
	e.ID = "2"
	if err := conn.Publish(t.Context(), "a", &e); err == nil {
		t.Error("published an event with credentials for reading")
	}
}

// startServer runs the bus with the hub's tokens as the platform has them.
func startServer(t *testing.T, p *platform) (url string, hubCreds []byte) {
	t.Helper()
	var hub corev1.Secret
	if err := p.Client.Get(t.Context(), client.ObjectKey{Namespace: fleetv1.SystemNamespace, Name: eventbus.HubName}, &hub); err != nil {
		t.Fatal(err)
	}
	server, err := bus.StartServer(t.Context(), bus.ServerOptions{
		Listen: net.JoinHostPort("127.0.0.1", "0"), StoreDir: t.TempDir(), Log: logr.Discard(),
		OperatorJWT: string(hub.Data["operator.jwt"]), AccountJWT: string(hub.Data["account.jwt"]), SystemJWT: string(hub.Data["system.jwt"]),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Close)
	return server.URL(), hub.Data["hub.creds"]
}

func credentialsNeedARight(t *testing.T, p *platform) {
	got := p.fairway(t, "events credentials --name grafana --as dev")
	if got.code != 1 || got.out != "" || !strings.Contains(got.errOut, `"dev" cannot get resource "secrets"`) ||
		!strings.Contains(got.errOut, "► ask a platform engineer to run this command for you with -o secret") {
		t.Errorf("%+v", got)
	}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "dev"}}
	platformtest.Create(t, p.Client, &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Namespace: fleetv1.SystemNamespace, Name: "keys"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, ResourceNames: []string{eventbus.KeysName}, Verbs: []string{"get"}}},
	})
	platformtest.Create(t, p.Client, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: fleetv1.SystemNamespace, Name: "keys"}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "keys"},
	})
	platformtest.Eventually(t, func(context.Context) string {
		got = p.fairway(t, "events credentials --name grafana --as dev")
		if strings.Contains(got.errOut, "✗ find the address of the event bus") && got.out == "" {
			return ""
		}
		return got.errOut
	})
}

func TestCredentialsAreRefusedBeforeAnythingIsAsked(t *testing.T) {
	h := startHub(t)
	for args, want := range map[string]string{
		"events credentials":                            `✗ events credentials: --name: "" is not 1 to 63 lower-case letters, digits and dashes`,
		"events credentials --name *":                   `✗ events credentials: --name: "*" is not`,
		"events credentials --name a.b":                 `✗ events credentials: --name: "a.b" is not`,
		"events credentials --name grafana --expires 0": `✗ events credentials: --expires: 0s is shorter than 1m0s`,
		"events credentials --name grafana -o yaml":     `✗ events credentials: invalid argument "yaml" for "-o, --output" flag: use one of creds|json|secret`,
	} {
		if got := h.fairway(t.Context(), strings.Fields(args)...); got.code != 1 || !strings.HasPrefix(got.errOut, want) {
			t.Errorf("%s: %+v, want %q", args, got, want)
		}
	}
}
