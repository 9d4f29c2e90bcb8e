// Package oci reaches OCI registries: within time limits, over plain HTTP on loopback only, and with errors that are
// sorted by what mends them.
package oci

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/retry"
)

// Scheme is before the address of every repository.
const Scheme = "oci://"

// Timeout bounds one request with its answer, and its retries. A pull should take no longer either.
const Timeout = time.Minute

// answerTimeout is how long a registry may think before it answers.
const answerTimeout = 20 * time.Second

// Errors of a registry. Sort gives others one of them.
var (
	// ErrNotFound: the registry has no such repository, tag or digest.
	ErrNotFound = errors.New("the registry does not have it")
	// ErrUnauthorized: the registry refuses the credentials, or wants some.
	ErrUnauthorized = errors.New("the registry refuses the credentials, or wants some")
	// ErrUnreachable: no connection, no answer in time, or one that makes no sense; it may go away by itself.
	ErrUnreachable = errors.New("the registry cannot be reached")
	// ErrTooLarge: it is larger than what is read. Nothing of it was.
	ErrTooLarge = errors.New("too large")
	// ErrInvalid: it is there, and not what it must be; or the address is none.
	ErrInvalid = errors.New("not valid")
)

// NewClient makes a client, which shows the credentials to the registry that wants some; nil: it has none. It is safe for
// concurrent use.
func NewClient(credentials auth.CredentialFunc) *auth.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = answerTimeout
	return &auth.Client{
		Client:     &http.Client{Transport: retry.NewTransport(transport), Timeout: Timeout},
		Cache:      auth.NewCache(),
		Header:     http.Header{"User-Agent": {"fairway"}},
		Credential: credentials,
	}
}

// Open is a repository, "oci://host/path". Its error wraps ErrInvalid: the address is none, or names a tag or digest.
func Open(address string, client *auth.Client) (*remote.Repository, error) {
	path, ok := strings.CutPrefix(address, Scheme)
	if !ok {
		return nil, fmt.Errorf("%w: %q must start with %s", ErrInvalid, address, Scheme)
	}
	repository, err := remote.NewRepository(path)
	if err != nil {
		return nil, fmt.Errorf("%w: %q: %w", ErrInvalid, address, err)
	}
	if repository.Reference.Reference != "" {
		return nil, fmt.Errorf("%w: %q must not name a tag or a digest", ErrInvalid, address)
	}
	repository.PlainHTTP = loopback(repository.Reference.Host())
	repository.Client = client
	return repository, nil
}

// loopback says whether a registry's host, with or without a port, is this machine.
func loopback(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	}
	ip := net.ParseIP(name)
	return name == "localhost" || (ip != nil && ip.IsLoopback())
}
