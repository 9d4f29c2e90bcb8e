package stories

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/api/event"
	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/e2e/fleet"
)

// The agent's NATS user, taken from the cluster by somebody who owns it, cannot publish as another
// cluster, read others' events, or administer streams.
func TestStrangersOnTheBus(t *testing.T) {
	nc, refused := connectAs(t, fleet.AWS)
	for what, subject := range map[string]string{
		"publish as another cluster":          event.OfCluster(fleet.Azure, event.KindFlux).String(),
		"publish as the platform":             event.OfCluster(event.Platform, event.KindCluster).String(),
		"send another cluster's heartbeat":    event.Heartbeats(fleet.Azure).String(),
		"command another cluster's agent":     event.Commands(fleet.Azure).String(),
		"command its own agent":               event.Commands(fleet.AWS).String(),
		"make a consumer":                     "$JS.API.CONSUMER.CREATE." + event.StreamEvents,
		"delete the stream":                   "$JS.API.STREAM.DELETE." + event.StreamEvents,
		"purge the stream":                    "$JS.API.STREAM.PURGE." + event.StreamEvents,
		"read a message by its sequence":      "$JS.API.STREAM.MSG.GET." + event.StreamEvents,
		"read a message directly":             "$JS.API.DIRECT.GET." + event.StreamEvents,
		"look at the stream":                  "$JS.API.STREAM.INFO." + event.StreamEvents,
		"answer into another cluster's inbox": event.InboxPrefix(fleet.Azure) + ".x",
	} {
		t.Run("cannot "+what, func(t *testing.T) {
			if err := errors.Join(nc.Publish(subject, []byte("{}")), nc.Flush()); err != nil {
				t.Fatal(err)
			}
			eventually(t, 5*time.Second, "refused", func(context.Context) (bool, string) { return refused(subject), "not refused yet" })
		})
	}
	for what, subject := range map[string]string{
		"read everybody's events":        "fleet.v1.evt.>",
		"read another cluster's events":  "fleet.v1.evt." + fleet.Azure + ".>",
		"read everybody's replies":       "_INBOX.>",
		"read another cluster's replies": event.InboxPrefix(fleet.Azure) + ".>",
		"read everything":                ">",
	} {
		t.Run("cannot "+what, func(t *testing.T) {
			sub, err := nc.SubscribeSync(subject)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = sub.Unsubscribe() }()
			eventually(t, 5*time.Second, "refused", func(context.Context) (bool, string) { return refused(subject), "not refused yet" })
		})
	}
	t.Run("can publish as itself", func(t *testing.T) {
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		// Not an event: every reader drops it, and the view counts it as rejected.
		if _, err := js.Publish(t.Context(), event.OfCluster(fleet.AWS, event.KindAgent).String(), []byte("{}")); err != nil {
			t.Error(err)
		}
	})
}

// connectAs connects with a cluster's own credentials, and says of a subject whether the server
// has refused it.
func connectAs(t *testing.T, id string) (*nats.Conn, func(subject string) bool) {
	t.Helper()
	var mu sync.Mutex
	var violations []string
	nc, err := dial(id, stolen(t, id), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		mu.Lock()
		defer mu.Unlock()
		violations = append(violations, err.Error())
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return nc, func(subject string) bool {
		mu.Lock()
		defer mu.Unlock()
		for _, v := range violations {
			if strings.Contains(strings.ToLower(v), "permissions violation") && strings.Contains(v, `"`+subject+`"`) {
				return true
			}
		}
		return false
	}
}

// stolen is what whoever owns a cluster finds there of the event bus.
func stolen(t *testing.T, id string) map[string][]byte {
	t.Helper()
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: fleetv1.SystemNamespace, Name: "fairway-agent"}
	if err := bank.Member(id).Client().Get(t.Context(), key, secret); err != nil {
		t.Fatal(err)
	}
	return secret.Data
}

func dial(id string, credentials map[string][]byte, options ...nats.Option) (*nats.Conn, error) {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(credentials["ca.crt"])
	return nats.Connect(bank.EventsURL, append(options,
		nats.UserCredentialBytes(credentials["agent.creds"]),
		nats.Secure(&tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}),
		nats.CustomInboxPrefix(event.InboxPrefix(id)))...)
}

// Nobody gets in without credentials.
func TestStrangersWithoutCredentials(t *testing.T) {
	nc, err := nats.Connect(bank.EventsURL, nats.Secure(&tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12})) //nolint:gosec // a stranger does not care
	if err == nil {
		nc.Close()
		t.Fatal("connected without credentials")
	}
	if !strings.Contains(strings.ToLower(err.Error()), "authorization") {
		t.Errorf("error = %v, want an authorization error", err)
	}
}

// The agent's Kubernetes account can write nothing and read no Secret, on any cluster.
func TestStrangersOnTheCluster(t *testing.T) {
	resources := []authorizationv1.ResourceAttributes{
		{Resource: "pods"}, {Resource: "secrets"}, {Resource: "configmaps"}, {Resource: "nodes"}, {Resource: "serviceaccounts"},
		{Group: "apps", Resource: "deployments"}, {Group: "batch", Resource: "jobs"},
		{Group: "kustomize.toolkit.fluxcd.io", Resource: "kustomizations"},
		{Group: "rbac.authorization.k8s.io", Resource: "clusterroles"},
		{Resource: "pods", Subresource: "exec"}, {Resource: "serviceaccounts", Subresource: "token"},
	}
	for _, id := range members {
		config := rest.CopyConfig(bank.Member(id).Config())
		config.Impersonate.UserName = "system:serviceaccount:" + fleetv1.SystemNamespace + ":fairway-agent"
		config.Impersonate.Groups = []string{"system:serviceaccounts", "system:authenticated"}
		as, err := kubernetes.NewForConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		for _, resource := range resources {
			for _, verb := range []string{"create", "update", "patch", "delete", "deletecollection", "impersonate", "escalate", "bind"} {
				mayNot(t, as, id, resource, verb)
			}
		}
		for _, verb := range []string{"get", "list", "watch"} {
			mayNot(t, as, id, authorizationv1.ResourceAttributes{Resource: "secrets"}, verb)
			mayNot(t, as, id, authorizationv1.ResourceAttributes{Resource: "configmaps"}, verb)
		}
	}
}

func mayNot(t *testing.T, as kubernetes.Interface, id string, what authorizationv1.ResourceAttributes, verb string) {
	t.Helper()
	what.Verb = verb
	for _, namespace := range []string{"", fleetv1.SystemNamespace, fleetv1.FluxNamespace, fleet.Team} {
		what.Namespace = namespace
		review, err := as.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(),
			&authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &what}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if review.Status.Allowed {
			t.Errorf("%s: the agent may %s %s/%s %s in %q", id, verb, what.Group, what.Resource, what.Subresource, namespace)
		}
	}
}
