package eventbus

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fleetv1 "github.com/fairway-dev/fairway/api/v1alpha1"
	"github.com/fairway-dev/fairway/operator/natsauth"
	"github.com/fairway-dev/fairway/operator/platformtest"
)

const day = 24 * time.Hour

type suite struct {
	*Store
	now time.Time
}

func (s *suite) secret(t *testing.T, name string) *corev1.Secret {
	t.Helper()
	secret := &corev1.Secret{}
	if err := s.Client.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: name}, secret); err != nil {
		t.Fatal(err)
	}
	return secret
}

func (s *suite) agent(t *testing.T, id string) Identity {
	t.Helper()
	identity, err := s.Agent(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return identity
}

func (s *suite) ensure(t *testing.T, hosts ...string) bool {
	t.Helper()
	changed, err := s.Ensure(t.Context(), hosts, Settings{Retention: time.Hour, MissesUntilUnknown: 4})
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// TestOnAPlatformCluster runs on a real API server. Its cases follow each other.
func TestOnAPlatformCluster(t *testing.T) {
	s := &suite{now: time.Now()}
	s.Store = &Store{Client: platformtest.Platform(t).Client, Namespace: fleetv1.SystemNamespace, Life: 30 * day, Now: func() time.Time { return s.now }}
	for _, c := range []struct {
		name string
		run  func(*testing.T, *suite)
	}{
		{"before there are keys nobody gets credentials", hasNoKeys},
		{"keys, tokens and certificate are made once", makesKeys},
		{"the certificate follows its hosts and its age", renewsCertificate},
		{"credentials stay until a third of their life is left", renewsCredentials},
		{"a cluster that leaves is revoked with all that it had", revokes},
		{"revocations are forgotten when the credentials have expired anyway", forgetsRevoked},
		{"a Secret of the hub that is lost is made again, revocations and all", remakesHub},
		{"keys that are lost are made anew, and agents get credentials of the new ones", replacesKeys},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, s) })
	}
}

func hasNoKeys(t *testing.T, s *suite) {
	if _, err := s.Agent(t.Context(), "a"); !errors.Is(err, ErrNoKeys) {
		t.Errorf("agent: %v", err)
	}
	if _, _, err := s.Operator(t.Context()); !errors.Is(err, ErrNoKeys) {
		t.Errorf("operator: %v", err)
	}
	if _, _, err := s.Reader(t.Context(), "grafana", time.Hour); !errors.Is(err, ErrNoKeys) {
		t.Errorf("reader: %v", err)
	}
	if err := s.Revoke(t.Context(), "a"); err != nil {
		t.Errorf("revoke: %v", err)
	}
}

func makesKeys(t *testing.T, s *suite) {
	if !s.ensure(t, "localhost") || s.ensure(t, "localhost") {
		t.Error("the first call makes nothing, or the second does")
	}
	var public corev1.ConfigMap
	if err := s.Client.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: HubName}, &public); err != nil {
		t.Fatal(err)
	}
	hub := s.secret(t, HubName)
	if public.Data["ca.crt"] != string(hub.Data["ca.crt"]) || hub.Data["ca.key"] != nil {
		t.Error("the authority is not the same, or its key is the hub's to read")
	}
	for _, key := range []string{"operator.jwt", "account.jwt", "system.jwt", "hub.creds", "tls.crt", "tls.key", "ca.crt"} {
		if len(hub.Data[key]) == 0 {
			t.Errorf("the hub lacks %s", key)
		}
	}
	user, ca, err := s.Operator(t.Context())
	if err != nil || len(user.Creds) == 0 || !bytes.Equal(ca, hub.Data["ca.crt"]) {
		t.Errorf("operator: %v", err)
	}
}

func certificate(t *testing.T, s *suite) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(s.secret(t, HubName).Data["tls.crt"])
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func renewsCertificate(t *testing.T, s *suite) {
	if !s.ensure(t, "localhost", "events.example.com") {
		t.Error("another host changes nothing")
	}
	first := certificate(t, s)
	if !slices.Contains(first.DNSNames, "events.example.com") {
		t.Errorf("it holds %v", first.DNSNames)
	}
	now := s.now
	defer func() { s.now = now }()
	s.now = first.NotAfter.Add(-30 * day)
	if s.ensure(t, "localhost", "events.example.com"); certificate(t, s).SerialNumber.Cmp(first.SerialNumber) == 0 {
		t.Error("an old one stays")
	}
	s.now = now
	s.ensure(t, "localhost") // one that begins in the future is of no use now
}

func renewsCredentials(t *testing.T, s *suite) {
	now := s.now
	defer func() { s.now = now }()
	first := s.agent(t, "one")
	version := s.secret(t, "fairway-agent-one").ResourceVersion
	s.now = now.Add(19 * day)
	if again := s.agent(t, "one"); !bytes.Equal(again.Creds, first.Creds) || s.secret(t, "fairway-agent-one").ResourceVersion != version {
		t.Error("they change without need")
	}
	s.now = now.Add(21 * day)
	second := s.agent(t, "one")
	if bytes.Equal(second.Creds, first.Creds) || second.Expires.Before(s.now.Add(29*day)) {
		t.Errorf("they are not renewed: %s", second.Expires)
	}
	if whose, err := s.Foreign(t.Context(), "one", first.Creds); whose != "" || err != nil {
		t.Errorf("earlier credentials are taken for those of %s, %v", whose, err)
	}
	if whose, err := s.Foreign(t.Context(), "two", first.Creds); whose != "cluster one" || err != nil {
		t.Errorf("another cluster's are taken for those of %q, %v", whose, err)
	}
}

func (s *suite) revoked(t *testing.T) map[string]time.Time {
	t.Helper()
	out, err := natsauth.Revocations(string(s.secret(t, HubName).Data["account.jwt"]))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func revokes(t *testing.T, s *suite) {
	s.agent(t, "other")
	untouched := s.secret(t, "fairway-agent-other").Data
	if err := s.Revoke(t.Context(), "one"); err != nil {
		t.Fatal(err)
	}
	if got := len(s.revoked(t)); got != 2 {
		t.Errorf("%d users are revoked, not the present and the previous one", got)
	}
	err := s.Client.Get(t.Context(), client.ObjectKey{Namespace: s.Namespace, Name: "fairway-agent-one"}, &corev1.Secret{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the credentials are still there: %v", err)
	}
	if diff := cmp.Diff(untouched, s.secret(t, "fairway-agent-other").Data); diff != "" {
		t.Error("another cluster's credentials changed")
	}
	version := s.secret(t, HubName).ResourceVersion
	if err := s.Revoke(t.Context(), "one"); err != nil || s.secret(t, HubName).ResourceVersion != version {
		t.Errorf("a second time it does something: %v", err)
	}
}

func forgetsRevoked(t *testing.T, s *suite) {
	now := s.now
	defer func() { s.now = now }()
	s.now = now.Add(60 * day)
	s.agent(t, "late")
	if err := s.Revoke(t.Context(), "late"); err != nil {
		t.Fatal(err)
	}
	if got := len(s.revoked(t)); got != 1 {
		t.Errorf("%d users are revoked, not only the one whose credentials would still hold", got)
	}
}

func remakesHub(t *testing.T, s *suite) {
	before := s.revoked(t)
	if err := s.Client.Delete(t.Context(), s.secret(t, HubName)); err != nil {
		t.Fatal(err)
	}
	if !s.ensure(t, "localhost") {
		t.Error("nothing is made")
	}
	if diff := cmp.Diff(before, s.revoked(t)); diff != "" {
		t.Errorf("revocations (-before +after):\n%s", diff)
	}
}

func replacesKeys(t *testing.T, s *suite) {
	first := s.agent(t, "stays")
	mark, err := s.Fingerprint(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Client.Delete(t.Context(), s.secret(t, KeysName)); err != nil {
		t.Fatal(err)
	}
	s.ensure(t, "localhost")
	second := s.agent(t, "stays")
	if bytes.Equal(first.Creds, second.Creds) || bytes.Equal(first.CA, second.CA) {
		t.Error("the agent keeps credentials of keys that are gone")
	}
	if whose, err := s.Foreign(t.Context(), "stays", first.Creds); whose == "" || err != nil {
		t.Errorf("credentials of keys that are gone are its own: %v", err)
	}
	if again, err := s.Fingerprint(t.Context()); err != nil || again == mark {
		t.Errorf("the fingerprint stays: %v", err)
	}
}

func TestRenewalDue(t *testing.T) {
	now := time.Unix(1e9, 0)
	for name, c := range map[string]struct {
		left, life time.Duration
		want       bool
	}{
		"new ones stay":                                {30 * day, 30 * day, false},
		"at a third they stay":                         {10 * day, 30 * day, false},
		"below a third they go":                        {10*day - time.Second, 30 * day, true},
		"expired ones go":                              {-day, 30 * day, true},
		"those of a longer life than is wanted now go": {30 * day, 7 * day, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := renewalDue(now.Add(c.left), now, c.life); got != c.want {
				t.Error(got)
			}
		})
	}
}

func TestRevoke(t *testing.T) {
	now := time.Unix(1e9, 0).UTC()
	have := map[string]revocation{
		"expired": {At: now.Add(-day), Expires: now}, "valid": {At: now.Add(-day), Expires: now.Add(day)}, "endless": {At: now.Add(-day)},
	}
	users := map[string]time.Time{"new": now.Add(day), "valid": now.Add(day), "old": now.Add(-day)}
	want := map[string]revocation{
		"valid": have["valid"], "endless": have["endless"], "new": {At: now, Expires: now.Add(day)},
	}
	if diff := cmp.Diff(want, revoke(have, users, now)); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}

func service(port int32, ingress ...corev1.LoadBalancerIngress) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: EventsService}}
	s.Spec.Ports = []corev1.ServicePort{{Port: port}}
	s.Status.LoadBalancer.Ingress = ingress
	return s
}

func TestAddress(t *testing.T) {
	for name, c := range map[string]struct {
		service *corev1.Service
		want    string
	}{
		"an address is dialled at its port": {service(4222, corev1.LoadBalancerIngress{IP: "10.0.0.1"}), "tls://10.0.0.1:4222"},
		"a name comes first":                {service(443, corev1.LoadBalancerIngress{IP: "10.0.0.1"}, corev1.LoadBalancerIngress{Hostname: "lb.example.com"}), "tls://lb.example.com:443"},
		"an IPv6 address has brackets":      {service(4222, corev1.LoadBalancerIngress{IP: "fd00::1"}), "tls://[fd00::1]:4222"},
		"a Service that waits has none":     {service(4222), ""},
		"no Service has none":               {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := address(c.service)
			if got != c.want || errors.Is(err, ErrNoAddress) != (c.want == "") {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestHosts(t *testing.T) {
	got := hosts("fairway-system", "tls://events.example.com:4222", nil, service(4222, corev1.LoadBalancerIngress{IP: "10.0.0.1"}))
	want := []string{
		"localhost", "127.0.0.1",
		"fairway-hub", "fairway-hub.fairway-system", "fairway-hub.fairway-system.svc", "fairway-hub.fairway-system.svc.cluster.local",
		"fairway-events", "fairway-events.fairway-system", "fairway-events.fairway-system.svc", "fairway-events.fairway-system.svc.cluster.local",
		"events.example.com", "10.0.0.1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +have):\n%s", diff)
	}
}
