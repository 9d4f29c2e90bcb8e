// Package gitrepo talks to Git repositories. It is the only importer of Git libraries.
package gitrepo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/storage/memory"

	"github.com/fairway-dev/fairway/operator/gitrepo/gitpath"
)

// timeout of one look at a repository.
const timeout = 20 * time.Second

// Errors of this package. The text of what wraps them says what mends it.
var (
	// ErrAuth: the server refuses the credentials, or wants some; or they are not usable.
	ErrAuth = errors.New("the repository refuses the credentials")
	// ErrNotFound: there is no repository at the URL, or none that the credentials may see.
	ErrNotFound = errors.New("the repository is not found")
	// ErrBranch: the repository has no such branch.
	ErrBranch = errors.New("the branch is not found")
	// ErrUnreachable: no connection to the host, or no answer in time.
	ErrUnreachable = errors.New("the repository's host cannot be reached")
	// ErrRefused: the server takes no push, or not this one: rights, a hook, a protected branch.
	ErrRefused = errors.New("the repository refuses the push")
	// ErrMoved: others pushed to the branch each time it was tried.
	ErrMoved = errors.New("the branch kept moving")
	// ErrTooLarge: a file, or all of a branch, is larger than what is read.
	ErrTooLarge = errors.New("too large")
	// ErrPath: a path that cannot be written: it climbs out, or something else is in its place.
	ErrPath = gitpath.ErrPath
)

// Head is the newest commit of a branch, as Flux writes it: "main@sha1:<40 hex digits>". It reads
// the list of branches and nothing else. Errors wrap those of this package, or say in the server's
// words what went wrong.
func Head(ctx context.Context, address, branch string, auth Auth) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	method, err := auth.method(address)
	if err != nil {
		return "", err
	}
	remote := git.NewRemote(memory.NewStorage(), &config.RemoteConfig{Name: "origin", URLs: []string{address}})
	options := &git.ListOptions{Auth: method, CABundle: auth[KeyCA], ClientCert: auth[KeyClientCert], ClientKey: auth[KeyClientKey]}
	refs, err := within(ctx, func() ([]*plumbing.Reference, error) { return remote.ListContext(ctx, options) })
	if err != nil {
		return "", explain(address, err)
	}
	for _, ref := range refs {
		if ref.Name() == plumbing.NewBranchReferenceName(branch) {
			return revision(branch, ref.Hash()), nil
		}
	}
	return "", noBranch(Remote{URL: address, Branch: branch})
}

// explain gives an error of the transport one of this package's, with what mends it.
func explain(address string, err error) error {
	where := redact(address)
	var (
		dns     *net.DNSError
		unknown x509.UnknownAuthorityError
		cert    *tls.CertificateVerificationError
		network net.Error
		op      *net.OpError
	)
	switch {
	case errors.Is(err, transport.ErrAuthenticationRequired), errors.Is(err, transport.ErrAuthorizationFailed),
		strings.Contains(err.Error(), "unable to authenticate"):
		return fmt.Errorf("%w: %s: check the keys of the Secret that the Fleet names for it (secretRef; to write, writeSecretRef)", ErrAuth, where)
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return fmt.Errorf("%w: %s: check the Fleet's URL and that the credentials may see it", ErrNotFound, where)
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return fmt.Errorf("%w: %s is empty; push a first commit", ErrBranch, where)
	case errors.As(err, &unknown), errors.As(err, &cert):
		return fmt.Errorf("%w: %s: its certificate is not trusted; put its authority into ca.crt of the secretRef", ErrUnreachable, where)
	case errors.As(err, &dns):
		return fmt.Errorf("%w: the name %q does not resolve; check the Fleet's URL", ErrUnreachable, dns.Name)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return fmt.Errorf("%w: %s gave no answer in time", ErrUnreachable, where)
	case errors.As(err, &op):
		return fmt.Errorf("%w: %s: %w", ErrUnreachable, where, op.Err)
	}
	return fmt.Errorf("ask %s: %w", where, err)
}

// redact is a URL without what may be secret in it.
func redact(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return "the repository"
	}
	if parsed.User != nil {
		parsed.User = url.User(parsed.User.Username())
	}
	parsed.RawQuery = ""
	return parsed.String()
}
