package stories

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/fairway-dev/fairway/api/rest"
)

// routes are the hub's API; every one asks who calls.
var routes = []string{"/api/v1/clusters", "/api/v1/services", "/api/v1/episodes", "/api/v1/events", "/api/v1/watch", "/openapi.json"}

// The hub refuses a call without credentials, with a token that Kubernetes does not accept, and
// with one that lacks the right; with the right it answers.
func TestCallers(t *testing.T) {
	platform, err := kubernetes.NewForConfig(bank.Platform.Config())
	if err != nil {
		t.Fatal(err)
	}
	token := accountToken(t, platform, "caller")
	for _, route := range routes {
		refused(t, route, "", http.StatusUnauthorized)
		refused(t, route, "not-a-token", http.StatusUnauthorized)
		refused(t, route, token, http.StatusForbidden)
	}
	grant(t, platform, "caller", "fairway-view")
	eventually(t, bank.DecisionTTL, "the new right counts", func(ctx context.Context) (bool, string) {
		status, body := call(ctx, t, "/api/v1/clusters", token)
		return status == http.StatusOK, body
	})
	status, body := call(t.Context(), t, "/openapi.json", token)
	var doc struct{ OpenAPI string }
	if err := json.Unmarshal([]byte(body), &doc); err != nil || status != http.StatusOK || !strings.HasPrefix(doc.OpenAPI, "3.1") {
		t.Errorf("openapi: status %d, version %q, error %v", status, doc.OpenAPI, err)
	}
}

func refused(t *testing.T, route, token string, want int) {
	t.Helper()
	status, body := call(t.Context(), t, route, token)
	var problem rest.Problem
	if err := json.Unmarshal([]byte(body), &problem); err != nil || status != want || problem.Status != want || problem.Fix == "" {
		t.Errorf("GET %s: status %d, want %d with a problem that says the fix; body %s (error %v)", route, status, want, body, err)
	}
}

// call GETs a route of the hub through its published address, with a bearer token or without.
func call(ctx context.Context, t *testing.T, route, token string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, bank.HubURL+route, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: bank.HubRoots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(body)
}

// accountToken makes a service account on the platform and a token for it.
func accountToken(t *testing.T, platform kubernetes.Interface, name string) string {
	t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}
	accounts := platform.CoreV1().ServiceAccounts("default")
	if _, err := accounts.Create(t.Context(), account, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	request, err := accounts.CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return request.Status.Token
}

func grant(t *testing.T, platform kubernetes.Interface, account, role string) {
	t.Helper()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: account + "-" + role},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Name: account, Namespace: "default"}},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
	}
	if _, err := platform.RbacV1().ClusterRoleBindings().Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := platform.RbacV1().ClusterRoleBindings().Delete(ctx, binding.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
}
