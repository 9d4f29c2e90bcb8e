package remote

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// kubeconfig writes a kubeconfig with these lines in its cluster and its user.
func kubeconfig(cluster, user string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: c
contexts: [{name: c, context: {cluster: k, user: u}}]
clusters:
- name: k
  cluster: {%s}
users:
- name: u
  user: {%s}
`, cluster, user)
}

const (
	goodCluster = `server: "https://10.0.0.1:6443"`
	goodUser    = `token: abc`
)

func TestConfig(t *testing.T) {
	for name, c := range map[string]struct {
		kubeconfig string
		want       error
		fix        string
	}{
		"a token is taken":                       {kubeconfig(goodCluster, goodUser), nil, ""},
		"a name and password are taken":          {kubeconfig(goodCluster, "username: a, password: b"), nil, ""},
		"nothing is refused":                     {"", ErrEmpty, "store a kubeconfig"},
		"what is no YAML is refused":             {"a: [b", ErrInvalid, ""},
		"another kind is refused":                {"apiVersion: v1\nkind: Pod\n", ErrInvalid, ""},
		"no current context is refused":          {"apiVersion: v1\nkind: Config\n", ErrInvalid, "set one"},
		"a context that is not there is refused": {"apiVersion: v1\nkind: Config\ncurrent-context: c\n", ErrInvalid, `"c" is not in it`},
		"a cluster that is not there is refused": {strings.Replace(kubeconfig(goodCluster, goodUser), "cluster: k,", "cluster: other,", 1), ErrInvalid, "add the cluster"},
		"a user that is not there is refused":    {strings.Replace(kubeconfig(goodCluster, goodUser), "user: u}", "user: other}", 1), ErrInvalid, "add the user"},
		"no server is refused":                   {kubeconfig("", goodUser), ErrInvalid, "no server"},
		"a server that is none is refused":       {kubeconfig(`server: "10.0.0.1:6443"`, goodUser), ErrInvalid, "https://<host>:<port>"},
		"no encryption is refused":               {kubeconfig(`server: "http://10.0.0.1"`, goodUser), ErrForbidden, "use https"},
		"no verification is refused":             {kubeconfig(goodCluster+", insecure-skip-tls-verify: true", goodUser), ErrForbidden, "certificate-authority-data"},
		"a CA in a file is refused":              {kubeconfig(goodCluster+", certificate-authority: /etc/passwd", goodUser), ErrForbidden, "--flatten"},
		"a program is refused":                   {kubeconfig(goodCluster, "exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, interactiveMode: Never}"), ErrForbidden, `runs a program (exec: "aws")`},
		"an auth provider is refused":            {kubeconfig(goodCluster, "auth-provider: {name: gcp}"), ErrForbidden, `auth provider "gcp"`},
		"a token in a file is refused":           {kubeconfig(goodCluster, "tokenFile: /var/run/secrets/token"), ErrForbidden, "put the token itself"},
		"a certificate in a file is refused":     {kubeconfig(goodCluster, "client-certificate: /x, client-key-data: YQ=="), ErrForbidden, "--flatten"},
		"a key in a file is refused":             {kubeconfig(goodCluster, "client-key: /x, client-certificate-data: YQ=="), ErrForbidden, "--flatten"},
		"no credentials are refused":             {kubeconfig(goodCluster, ""), ErrInvalid, "add a token"},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := Config([]byte(c.kubeconfig))
			if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || (err == nil) != (config != nil) {
				t.Fatalf("got %v, %v, want %v", config, err, c.want)
			}
			if err != nil && !strings.Contains(err.Error(), c.fix) {
				t.Errorf("the message does not say %q: %v", c.fix, err)
			}
		})
	}
}

// FuzzConfig: whatever people store, the operator runs no program, reads no file of its own and
// talks to nobody whom it cannot verify.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(kubeconfig(goodCluster, goodUser)))
	f.Add([]byte(kubeconfig(goodCluster+", certificate-authority: /etc/passwd", "exec: {command: sh}")))
	f.Fuzz(func(t *testing.T, data []byte) {
		config, err := Config(data)
		if err != nil {
			if !errors.Is(err, ErrEmpty) && !errors.Is(err, ErrInvalid) && !errors.Is(err, ErrForbidden) {
				t.Errorf("an error of no type: %v", err)
			}
			return
		}
		if config.ExecProvider != nil || config.AuthProvider != nil || config.BearerTokenFile != "" ||
			config.CAFile != "" || config.CertFile != "" || config.KeyFile != "" || config.Insecure ||
			!strings.HasPrefix(strings.ToLower(config.Host), "https://") {
			t.Errorf("accepted %+v", config)
		}
	})
}
