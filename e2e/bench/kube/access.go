package kube

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/fairway-dev/fairway/e2e/bench/tools"
)

// fieldOwner is who the bench is in managed fields: what a user's `kubectl apply` would be.
const fieldOwner = "bench"

// writeAdmin makes the administrator's token and kubeconfig.
func (c *Cluster) writeAdmin() error {
	c.adminToken = rand.Text()
	line := c.adminToken + `,admin,admin,"system:masters"` + "\n"
	if err := c.pki.writeFile("tokens.csv", []byte(line)); err != nil {
		return err
	}
	data, err := c.TokenKubeconfig(c.adminToken)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.Kubeconfig, data, 0o600); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	return nil
}

// AdminToken is the administrator's bearer token; it does not expire.
func (c *Cluster) AdminToken() string { return c.adminToken }

// TokenKubeconfig returns a kubeconfig with a bearer token.
func (c *Cluster) TokenKubeconfig(token string) ([]byte, error) {
	return c.kubeconfig(&clientcmdapi.AuthInfo{Token: token})
}

// UserKubeconfig returns a kubeconfig with a client certificate for a user, who may do what RBAC
// grants to the name and the groups.
func (c *Cluster) UserKubeconfig(user string, groups ...string) ([]byte, error) {
	signed, err := c.pki.ca.sign(clientCertificate(user, groups...))
	if err != nil {
		return nil, err
	}
	return c.kubeconfig(&clientcmdapi.AuthInfo{ClientCertificateData: signed.certificate, ClientKeyData: signed.key})
}

func (c *Cluster) kubeconfig(user *clientcmdapi.AuthInfo) ([]byte, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters[c.Name] = &clientcmdapi.Cluster{Server: c.Server, CertificateAuthorityData: c.CA}
	config.AuthInfos[c.Name] = user
	config.Contexts[c.Name] = &clientcmdapi.Context{Cluster: c.Name, AuthInfo: c.Name}
	config.CurrentContext = c.Name
	data, err := clientcmd.Write(*config)
	if err != nil {
		return nil, fmt.Errorf("write kubeconfig: %w", err)
	}
	return data, nil
}

// writeIssuer writes the file for --authentication-config.
func (c *Cluster) writeIssuer() error {
	issuer := c.options.Issuer
	if issuer == nil {
		return nil
	}
	none := ""
	config := map[string]any{
		"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AuthenticationConfiguration",
		"jwt": []any{map[string]any{
			"issuer": map[string]any{
				"url": issuer.URL, "certificateAuthority": string(issuer.CA), "audiences": []string{issuer.Audience},
			},
			"claimMappings": map[string]any{
				"username": map[string]any{"claim": "sub", "prefix": none},
				"groups":   map[string]any{"claim": "groups", "prefix": none},
			},
		}},
	}
	data, err := json.MarshalIndent(config, "", "  ")
	if err != nil {
		return fmt.Errorf("write authentication configuration: %w", err)
	}
	c.authentication = c.pki.path("authentication.json")
	return c.pki.writeFile("authentication.json", data)
}

func (c *Cluster) egressFile() string { return filepath.Join(c.Dir, "egress") }

func (c *Cluster) writeEgress(addresses []string) error {
	file, err := os.OpenFile(c.egressFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write egress list: %w", err)
	}
	_, err = file.WriteString(strings.Join(append(addresses, ""), "\n"))
	if err := errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("write egress list: %w", err)
	}
	return nil
}

// AllowEgress lets the cluster's pods reach more addresses (host:port) of this machine; the node
// follows within a second.
func (c *Cluster) AllowEgress(addresses ...string) error { return c.writeEgress(addresses) }

// connectLocked makes the client; it needs a running API server.
func (c *Cluster) connectLocked() error {
	if c.client != nil {
		return nil
	}
	made, err := client.New(c.Config(), client.Options{})
	if err != nil {
		return fmt.Errorf("connect to cluster %s: %w", c.Name, err)
	}
	c.client = made
	return nil
}

// Config returns the administrator's client configuration, without limits on its rate.
func (c *Cluster) Config() *rest.Config {
	return &rest.Config{
		Host: c.Server, BearerToken: c.adminToken, TLSClientConfig: rest.TLSClientConfig{CAData: c.CA}, QPS: -1,
	}
}

// Client returns the administrator's client. It knows the types of client-go's scheme; others are
// for unstructured objects.
func (c *Cluster) Client() client.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.client
}

// Kubectl runs kubectl as the administrator and returns what it wrote; an error holds what it
// complained of.
func (c *Cluster) Kubectl(ctx context.Context, args ...string) (string, error) {
	return c.KubectlInput(ctx, nil, args...)
}

// KubectlInput is Kubectl with a standard input: `kubectl apply -f -`.
func (c *Cluster) KubectlInput(ctx context.Context, input []byte, args ...string) (string, error) {
	command := exec.CommandContext(ctx, c.tools.File(tools.Kube, "kube"), append([]string{"kubectl"}, args...)...)
	// HOME holds kubectl's discovery cache: it must not be the user's.
	command.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig, "HOME="+c.Dir)
	command.Stdin = bytes.NewReader(input)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	out, err := command.Output()
	if err != nil {
		return string(out), fmt.Errorf("run kubectl %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

// Apply applies objects by server-side apply, in the order given.
func (c *Cluster) Apply(ctx context.Context, objects ...*unstructured.Unstructured) error {
	for _, object := range objects {
		object = object.DeepCopy()
		object.SetManagedFields(nil)
		err := c.Client().Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(fieldOwner), client.ForceOwnership)
		if err != nil {
			return fmt.Errorf("apply %s %s to %s: %w", object.GetKind(), object.GetName(), c.Name, err)
		}
	}
	return nil
}

// ApplyYAML applies the documents of a manifest, in their order.
func (c *Cluster) ApplyYAML(ctx context.Context, manifest []byte) error {
	objects, err := Decode(manifest)
	if err != nil {
		return err
	}
	return c.Apply(ctx, objects...)
}

// Decode reads the documents of a manifest; empty ones are left out.
func Decode(manifest []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), 4<<10)
	for {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(&object.Object); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("read manifest: %w", err)
		case len(object.Object) > 0:
			objects = append(objects, object)
		}
	}
}

// nodeReady says whether the process node reports itself Ready.
func (c *Cluster) nodeReady(ctx context.Context) error {
	node := &corev1.Node{}
	if err := c.client.Get(ctx, types.NamespacedName{Name: c.NodeName()}, node); err != nil {
		return fmt.Errorf("get node: %w", err)
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("node %s says it is not Ready", c.NodeName())
}
