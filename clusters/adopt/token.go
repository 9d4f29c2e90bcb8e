package adopt

import (
	"context"
	"errors"
	"fmt"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// How long a token is good for. Kubernetes makes none that ends sooner than MinLife, and a cluster may
// shorten what is asked for.
const (
	MinLife     = 10 * time.Minute
	DefaultLife = 30 * 24 * time.Hour
	MaxLife     = 365 * 24 * time.Hour
)

// Marks of the Secret, on the platform, whose token the operator renews.
const (
	// AnnotationTokenLife says for how long to ask, as "720h0m0s".
	AnnotationTokenLife = "fleet.fairway.dev/token-life"
	// KeyKubeconfig is the Secret's key.
	KeyKubeconfig = "value"
)

// SecretName is the name of the Secret that holds an adopted cluster's kubeconfig, and of the Role that
// lets the operator write it.
func SecretName(cluster string) string { return cluster + "-access" }

// Life is what AnnotationTokenLife says; 0 when there is none: the token is not the operator's to
// renew. A text that cannot be used is an error.
func Life(annotations map[string]string) (time.Duration, error) {
	text, ok := annotations[AnnotationTokenLife]
	if !ok {
		return 0, nil
	}
	life, err := time.ParseDuration(text)
	if err != nil || life < MinLife || life > MaxLife {
		return 0, fmt.Errorf("annotation %s is %q; write a duration from %s to %s", AnnotationTokenLife, text, MinLife, MaxLife)
	}
	return life, nil
}

// Token asks a cluster for a token of the account.
func Token(ctx context.Context, c client.Client, life time.Duration) (string, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: Account}}
	seconds := int64(life.Seconds())
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	if err := c.SubResource("token").Create(ctx, account, request); err != nil {
		return "", fmt.Errorf("ask for a token of service account %s/%s: %w", Namespace, Account, err)
	}
	if request.Status.Token == "" {
		return "", errors.New("the cluster answered without a token")
	}
	return request.Status.Token, nil
}

// Kubeconfig is one of the token for the server that somebody else's kubeconfig names. Nothing of his
// credentials is in it.
func Kubeconfig(server *rest.Config, token string) ([]byte, error) {
	config := rest.CopyConfig(server)
	if err := rest.LoadTLSFiles(config); err != nil {
		return nil, fmt.Errorf("read the certificate authority: %w", err)
	}
	const name = "adopted"
	cluster := &clientcmdapi.Cluster{
		Server: config.Host + config.APIPath, CertificateAuthorityData: config.CAData,
		TLSServerName: config.ServerName, InsecureSkipTLSVerify: config.Insecure,
	}
	return write(&clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{name: cluster},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{name: {Token: token}},
		Contexts:       map[string]*clientcmdapi.Context{name: {Cluster: name, AuthInfo: name}},
		CurrentContext: name,
	})
}

// WithToken is a kubeconfig whose current user has another token, and nothing else.
func WithToken(kubeconfig []byte, token string) ([]byte, error) {
	raw, err := clientcmd.Load(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	current, ok := raw.Contexts[raw.CurrentContext]
	if !ok || current == nil {
		return nil, errors.New("the kubeconfig has no current context")
	}
	raw.AuthInfos[current.AuthInfo] = &clientcmdapi.AuthInfo{Token: token}
	return write(raw)
}

func write(raw *clientcmdapi.Config) ([]byte, error) {
	out, err := clientcmd.Write(*raw)
	if err != nil {
		return nil, fmt.Errorf("write kubeconfig: %w", err)
	}
	return out, nil
}
