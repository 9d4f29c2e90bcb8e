package remote

import (
	"errors"
	"fmt"
	"net/url"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Errors of Config. The text of what wraps them says what is wrong and what mends it.
var (
	// ErrEmpty is for a kubeconfig without a byte in it.
	ErrEmpty = errors.New("kubeconfig is empty")
	// ErrInvalid is for what is not a kubeconfig, or one that lacks a part.
	ErrInvalid = errors.New("kubeconfig is not valid")
	// ErrForbidden is for a kubeconfig that would run a program or read files of the operator, or
	// that would send credentials to whoever answers.
	ErrForbidden = errors.New("kubeconfig is not allowed")
)

const embed = "embed the data: kubectl config view --raw --flatten --minify"

// Config reads a kubeconfig that somebody stored in a Secret. Its user must carry its credentials
// in itself: a token, a client certificate, or a name and password.
func Config(kubeconfig []byte) (*rest.Config, error) {
	if len(kubeconfig) == 0 {
		return nil, fmt.Errorf("%w: store a kubeconfig with an embedded token or client certificate", ErrEmpty)
	}
	raw, err := clientcmd.Load(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	cluster, user, err := current(raw)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(checkCluster(cluster), checkUser(user)); err != nil {
		return nil, err
	}
	config, err := clientcmd.NewDefaultClientConfig(*raw, &clientcmd.ConfigOverrides{}).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return config, nil
}

// current is the cluster and the user of the current context.
func current(raw *clientcmdapi.Config) (*clientcmdapi.Cluster, *clientcmdapi.AuthInfo, error) {
	if raw.CurrentContext == "" {
		return nil, nil, fmt.Errorf("%w: it has no current-context; set one", ErrInvalid)
	}
	context, ok := raw.Contexts[raw.CurrentContext]
	if !ok || context == nil {
		return nil, nil, fmt.Errorf("%w: the current context %q is not in it; set current-context to one that is", ErrInvalid, raw.CurrentContext)
	}
	cluster, ok := raw.Clusters[context.Cluster]
	if !ok || cluster == nil || cluster.Server == "" {
		return nil, nil, fmt.Errorf("%w: cluster %q of the current context has no server in it; add the cluster", ErrInvalid, context.Cluster)
	}
	user, ok := raw.AuthInfos[context.AuthInfo]
	if !ok || user == nil {
		return nil, nil, fmt.Errorf("%w: user %q of the current context is not in it; add the user", ErrInvalid, context.AuthInfo)
	}
	return cluster, user, nil
}

func checkCluster(cluster *clientcmdapi.Cluster) error {
	server, err := url.Parse(cluster.Server)
	switch {
	case err != nil || server.Host == "":
		return fmt.Errorf("%w: server %q is not an address; write https://<host>:<port>", ErrInvalid, cluster.Server)
	case server.Scheme != "https":
		return fmt.Errorf("%w: server %q is not encrypted; use https", ErrForbidden, cluster.Server)
	case cluster.CertificateAuthority != "":
		return fmt.Errorf("%w: certificate-authority names a file of the operator; %s", ErrForbidden, embed)
	case cluster.InsecureSkipTLSVerify:
		return fmt.Errorf("%w: insecure-skip-tls-verify sends credentials to whoever answers; "+
			"remove it and put the API server's CA into certificate-authority-data", ErrForbidden)
	}
	return nil
}

func checkUser(user *clientcmdapi.AuthInfo) error {
	switch {
	case user.Exec != nil:
		return fmt.Errorf("%w: its user runs a program (exec: %q); use a service account's token or a client certificate", ErrForbidden, user.Exec.Command)
	case user.AuthProvider != nil:
		return fmt.Errorf("%w: its user needs the auth provider %q; use a service account's token or a client certificate", ErrForbidden, user.AuthProvider.Name)
	case user.TokenFile != "":
		return fmt.Errorf("%w: tokenFile names a file of the operator; put the token itself into token", ErrForbidden)
	case user.ClientCertificate != "":
		return fmt.Errorf("%w: client-certificate names a file of the operator; %s", ErrForbidden, embed)
	case user.ClientKey != "":
		return fmt.Errorf("%w: client-key names a file of the operator; %s", ErrForbidden, embed)
	case user.Token == "" && len(user.ClientCertificateData) == 0 && user.Username == "":
		return fmt.Errorf("%w: its user has no credentials; add a token or a client certificate", ErrInvalid)
	}
	return nil
}
