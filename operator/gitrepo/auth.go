package gitrepo

import (
	"fmt"
	"net/url"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	"golang.org/x/crypto/ssh"
)

// Keys of Auth: those of the Secret that a Flux GitRepository refers to.
const (
	KeyUsername   = "username"
	KeyPassword   = "password" // with identity: of the private key
	KeyBearer     = "bearerToken"
	KeyCA         = "ca.crt"
	KeyClientCert = "tls.crt"
	KeyClientKey  = "tls.key"
	KeyIdentity   = "identity"
	KeyKnownHosts = "known_hosts"
)

// Keys of Auth that Flux does not know: what commits are signed with.
const (
	KeySigning         = "signingKey" // a private key of SSH or OpenPGP, as their tools write it
	KeySigningPassword = "signingKeyPassword"
)

const sshTimeout = 10 * time.Second

// Auth is the data of the Secret that a Flux GitRepository refers to; nil for a public repository.
type Auth map[string][]byte

// method is what go-git authenticates with; nil for none.
func (a Auth) method(address string) (transport.AuthMethod, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("%w: the URL cannot be read", ErrNotFound)
	}
	switch {
	case parsed.Scheme == "ssh":
		return a.ssh(parsed)
	case len(a[KeyBearer]) > 0:
		return &githttp.TokenAuth{Token: string(a[KeyBearer])}, nil
	case len(a[KeyUsername]) > 0 || len(a[KeyPassword]) > 0:
		return &githttp.BasicAuth{Username: string(a[KeyUsername]), Password: string(a[KeyPassword])}, nil
	}
	return nil, nil
}

func (a Auth) ssh(address *url.URL) (transport.AuthMethod, error) {
	for _, key := range []string{KeyIdentity, KeyKnownHosts} {
		if len(a[key]) == 0 {
			return nil, fmt.Errorf("%w: an ssh URL needs %s and %s in the Fleet's secretRef, and %s is missing",
				ErrAuth, KeyIdentity, KeyKnownHosts, key)
		}
	}
	signer, err := parseIdentity(a[KeyIdentity], a[KeyPassword])
	if err != nil {
		return nil, fmt.Errorf("%w: %s is not a private key that can be read: %w", ErrAuth, KeyIdentity, err)
	}
	hosts, err := parseKnownHosts(a[KeyKnownHosts])
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrAuth, KeyKnownHosts, err)
	}
	user := gitssh.DefaultUsername
	if address.User != nil && address.User.Username() != "" {
		user = address.User.Username()
	}
	port := address.Port()
	if port == "" {
		port = "22"
	}
	return &identity{user: user, signer: signer, hosts: hosts, host: address.Hostname(), port: port}, nil
}

func parseIdentity(pem, password []byte) (ssh.Signer, error) {
	if len(password) > 0 {
		return ssh.ParsePrivateKeyWithPassphrase(pem, password)
	}
	return ssh.ParsePrivateKey(pem)
}

// identity is one private key for one host whose keys are known. It reads no file.
type identity struct {
	user       string
	signer     ssh.Signer
	hosts      knownHosts
	host, port string
}

// Name and String make it a go-git transport.AuthMethod.
func (i *identity) Name() string { return gitssh.PublicKeysName }

func (i *identity) String() string { return "user: " + i.user + ", name: " + i.Name() }

// ClientConfig makes it go-git's AuthMethod for SSH.
func (i *identity) ClientConfig() (*ssh.ClientConfig, error) {
	return &ssh.ClientConfig{
		User:              i.user,
		Auth:              []ssh.AuthMethod{ssh.PublicKeys(i.signer)},
		HostKeyCallback:   i.hosts.check,
		HostKeyAlgorithms: i.hosts.algorithms(i.host, i.port),
		Timeout:           sshTimeout,
	}, nil
}
