package server

import (
	"crypto/tls"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/fairway-dev/fairway/api/event"
)

// platform is a real kube-apiserver and a hub that asks it.
type platform struct {
	*hub
	environment *envtest.Environment
	client      kubernetes.Interface
	config      *rest.Config // of an administrator
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{environment: &envtest.Environment{CRDDirectoryPaths: []string{"../../api/crd"}}}
	config, err := p.environment.Start()
	p.config = config
	if err != nil {
		t.Fatalf("KUBEBUILDER_ASSETS is not set: run make unit (%v)", err)
	}
	t.Cleanup(func() {
		if err := p.environment.Stop(); err != nil {
			t.Error(err)
		}
	})
	if p.client, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	auth, err := Delegated(t.Context(), config, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	releases, err := NewPlatformReleases(p.hubs(t))
	if err != nil {
		t.Fatal(err)
	}
	p.hub = newHub(t, auth, func(o *Options) { o.Releases = releases })
	return p
}

// hubs is the configuration of the hub's own account, with the rights that Fairway installs.
func (p *platform) hubs(t *testing.T) *rest.Config {
	t.Helper()
	data, err := os.ReadFile("../../operator/install/manifests/20-hub-rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range strings.Split(string(data), "\n---\n") {
		role := &rbacv1.ClusterRole{}
		if err := yaml.Unmarshal([]byte(doc), role); err != nil {
			t.Fatal(err)
		}
		if role.Kind != "ClusterRole" {
			continue
		}
		if _, err := p.client.RbacV1().ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		p.bind(t, rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name}, serviceAccount("fairway-hub"))
	}
	out := rest.AnonymousClientConfig(p.config)
	out.BearerToken = p.account(t, "fairway-hub")
	return out
}

// account makes a service account and returns a token of it.
func (p *platform) account(t *testing.T, name string) string {
	t.Helper()
	accounts := p.client.CoreV1().ServiceAccounts("default")
	if _, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	token, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return token.Status.Token
}

// role makes a role of these rights, for the whole cluster.
func (p *platform) role(t *testing.T, name string, verbs, resources []string) rbacv1.RoleRef {
	t.Helper()
	return p.roleIn(t, Group, name, verbs, resources)
}

func (p *platform) roleIn(t *testing.T, group, name string, verbs, resources []string) rbacv1.RoleRef {
	t.Helper()
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules: []rbacv1.PolicyRule{{APIGroups: []string{group}, Verbs: verbs, Resources: resources}}}
	if _, err := p.client.RbacV1().ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}
}

func (p *platform) bind(t *testing.T, role rbacv1.RoleRef, subject rbacv1.Subject) {
	t.Helper()
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}, RoleRef: role, Subjects: []rbacv1.Subject{subject}}
	if _, err := p.client.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (p *platform) bindIn(t *testing.T, namespace string, role rbacv1.RoleRef, subject rbacv1.Subject) {
	t.Helper()
	_, err := p.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}, RoleRef: role, Subjects: []rbacv1.Subject{subject}}
	if _, err := p.client.RbacV1().RoleBindings(namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func serviceAccount(name string) rbacv1.Subject {
	return rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: name}
}

// paths is one path of every kind of right.
var paths = []string{"/api/v1/clusters", "/api/v1/clusters/a", "/api/v1/services", "/api/v1/services/payments/ledger",
	"/api/v1/episodes", "/api/v1/episodes/e1", "/api/v1/events", "/api/v1/watch", "/api/v1/schemas", "/api/v1/schemas/heartbeat",
	"/api/v1/asyncapi", "/api/v1/releases", "/api/v1/releases/payments/ledger-1", "/api/v1/artifacts", "/openapi.json", "/openapi.yaml"}

func (p *platform) status(t *testing.T, path, token string) int {
	t.Helper()
	header := []string{}
	if token != "" {
		header = []string{"Authorization", "Bearer " + token}
	}
	resp := p.do(t, path, header...)
	defer resp.Body.Close()
	if resp.StatusCode >= 400 {
		problemOf(t, resp)
	}
	return resp.StatusCode
}

// opens waits until a path may be read: Kubernetes knows a new binding a moment after it is made.
func (p *platform) opens(t *testing.T, path, token string) {
	t.Helper()
	retry(t, func() error {
		if got := p.status(t, path, token); got != http.StatusOK {
			return fmt.Errorf("%s: %d, want 200", path, got)
		}
		return nil
	})
}

func TestKubernetesDecidesWhoMaySee(t *testing.T) {
	p := newPlatform(t)
	p.publishDeployments(t, "a", "ledger")
	p.publish(t, "a", event.EpisodeOpened, event.Object{Kind: "Deployment", Namespace: "payments", Name: "ledger"}, event.Episode{ID: "e1", Reason: "R"})
	p.say(t, event.ReleaseSucceeded, release("ledger-1", "main-1", "prod", 1, "a"))
	everything := p.role(t, "viewer", []string{"get", "list", "watch"}, []string{"clusters", "services", "releases", "episodes", "events"})

	for name, token := range map[string]string{"no credentials": "", "a token that is none": "nonsense", "an expired token": expired} {
		t.Run(name+": 401 everywhere", func(t *testing.T) {
			for _, path := range append(paths, "/", "/api/v2/nothing") {
				if got := p.status(t, path, token); got != http.StatusUnauthorized {
					t.Errorf("%s: %d, want 401", path, got)
				}
			}
		})
	}
	t.Run("a token without the right: 403 that says which, until it is bound", func(t *testing.T) {
		token := p.account(t, "newcomer")
		for _, path := range paths {
			if got := p.status(t, path, token); got != http.StatusForbidden {
				t.Errorf("%s: %d, want 403", path, got)
			}
		}
		problem := problemOf(t, p.do(t, "/api/v1/watch", "Authorization", "Bearer "+token))
		if want := "system:serviceaccount:default:newcomer may not watch events." + Group; problem.Detail != want || !strings.Contains(problem.Fix, "fairway-view") {
			t.Errorf("problem = %+v, want %q, and the ClusterRole to bind", problem, want)
		}
		p.bind(t, everything, serviceAccount("newcomer"))
		for _, path := range paths {
			retry(t, func() error {
				if got := p.status(t, path, token); got != http.StatusOK {
					return fmt.Errorf("%s: %d, want 200", path, got)
				}
				return nil
			})
		}
		if got := p.status(t, "/api/v2/nothing", token); got != http.StatusNotFound {
			t.Errorf("a path that is not there: %d, want 404", got)
		}
	})
	t.Run("rights on one resource open only that", func(t *testing.T) {
		token := p.account(t, "narrow")
		p.bind(t, p.role(t, "narrow", []string{"list"}, []string{"episodes"}), serviceAccount("narrow"))
		p.opens(t, "/api/v1/episodes", token)
		for _, path := range paths {
			want := http.StatusForbidden
			if path == "/api/v1/episodes" {
				want = http.StatusOK
			}
			if got := p.status(t, path, token); got != want {
				t.Errorf("%s: %d, want %d", path, got, want)
			}
		}
	})
	t.Run("a right in a team's namespace opens that team only", func(t *testing.T) {
		token := p.account(t, "developer")
		p.bindIn(t, "payments", everything, serviceAccount("developer"))
		p.opens(t, "/api/v1/services?team=payments", token)
		for path, want := range map[string]int{
			"/api/v1/services?team=payments": 200, "/api/v1/events?team=payments": 200, "/api/v1/services/payments/ledger": 200,
			"/api/v1/releases?team=payments": 200, "/api/v1/releases/payments/ledger-1": 200, "/api/v1/artifacts?team=payments": 200,
			"/api/v1/releases": 403, "/api/v1/audit": 403, "/api/v1/delivery": 403, "/api/v1/releases/search/index-1": 403,
			"/api/v1/services": 403, "/api/v1/services?team=search": 403, "/api/v1/services/search/index": 403, "/api/v1/clusters?team=payments": 403,
			"/api/v1/services?team=payments&team=": 200, "/api/v1/services?team=&team=payments": 403, "/api/v1/episodes/e1": 403,
		} {
			if got := p.status(t, path, token); got != want {
				t.Errorf("%s: %d, want %d", path, got, want)
			}
		}
	})
	t.Run("a client certificate of the cluster is as good as a token", func(t *testing.T) { p.certificates(t) })
}

func (p *platform) certificates(t *testing.T) {
	person, err := p.environment.AddUser(envtest.User{Name: "jane", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(person.Config().CertData, person.Config().KeyData)
	if err != nil {
		t.Fatal(err)
	}
	transport := p.http.Client().Transport.(*http.Transport).Clone()
	transport.TLSClientConfig.Certificates = []tls.Certificate{pair}
	t.Cleanup(transport.CloseIdleConnections)
	ask := func(header ...string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.http.URL+"/api/v1/clusters", nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := ask(); got != http.StatusOK {
		t.Errorf("with a certificate: %d, want 200", got)
	}
	// The headers of a front proxy are worth nothing from anybody but the front proxy.
	resp := p.do(t, "/api/v1/clusters", "X-Remote-User", "admin", "X-Remote-Group", "system:masters")
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("with the headers of a front proxy and nothing else: %d, want 401", resp.StatusCode)
	}
	transport.TLSClientConfig.Certificates = p.http.TLS.Certificates // signed by somebody else
	transport.CloseIdleConnections()
	if got := ask(); got != http.StatusUnauthorized {
		t.Errorf("with a certificate of another authority: %d, want 401", got)
	}
}

// expired was a service account's token once, signed by a key that nobody has.
const expired = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2t1YmVybmV0ZXMuZGVmYXVsdC5zdmMiLCJleHAiOjE2MDAwMDAwMDAsInN1YiI6InN5c3RlbTpzZXJ2aWNlYWNjb3VudDpkZWZhdWx0OngifQ.AAAA"
