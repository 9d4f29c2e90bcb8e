package gitrepo

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/client"
)

// Remote is a branch of a repository, and what it is read or written with.
type Remote struct {
	URL, Branch string
	Auth        Auth // nil for a public repository
}

func (r Remote) ref() plumbing.ReferenceName { return plumbing.NewBranchReferenceName(r.Branch) }

// Key is the same for the same branch and credentials, and has nothing secret in it.
func (r Remote) Key() string {
	sum := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(r.Auth)) {
		fmt.Fprintf(sum, "%s %d ", key, len(r.Auth[key]))
		sum.Write(r.Auth[key])
	}
	return fmt.Sprintf("%s\n%s\n%x", r.URL, r.Branch, sum.Sum(nil))
}

// stateless says whether each request is a conversation of its own.
func (r Remote) stateless() bool {
	return strings.HasPrefix(r.URL, "http://") || strings.HasPrefix(r.URL, "https://")
}

// connect prepares a push.
func (r Remote) connect() (transport.ReceivePackSession, error) {
	method, err := r.Auth.method(r.URL)
	if err != nil {
		return nil, err
	}
	endpoint, err := transport.NewEndpoint(r.URL)
	if err != nil {
		return nil, fmt.Errorf("%w: the URL cannot be read", ErrNotFound)
	}
	endpoint.CaBundle, endpoint.ClientCert, endpoint.ClientKey = r.Auth[KeyCA], r.Auth[KeyClientCert], r.Auth[KeyClientKey]
	protocol, err := client.NewClient(endpoint)
	if err != nil {
		return nil, err
	}
	return protocol.NewReceivePackSession(endpoint, method)
}

// within returns when ctx ends, although an SSH handshake does not: that goroutine ends with its
// connection.
func within[T any](ctx context.Context, ask func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	done := make(chan answer, 1)
	go func() {
		value, err := ask()
		done <- answer{value, err}
	}()
	select {
	case a := <-done:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}
