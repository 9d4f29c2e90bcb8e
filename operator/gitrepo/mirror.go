package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/storage/memory"
)

const (
	// maxBranch is the size, in bytes, of the files and folders of a branch that are held: a config
	// repository has text.
	maxBranch = 512 << 20
	// fetchTimeout bounds one fetch.
	fetchTimeout = time.Minute
)

// Mirror holds the newest known commit of a branch, with its files and without its history. A fetch
// gets what is new only. It is safe for concurrent use: one fetch goes on at a time.
type Mirror struct {
	turn chan struct{}        // held by who fetches
	kept atomic.Pointer[held] // written by who has the turn
}

// held is what a Mirror has; zero: nothing.
type held struct {
	url, branch string
	snapshot    *Snapshot
}

// NewMirror makes a mirror that holds nothing yet.
func NewMirror() *Mirror {
	m := &Mirror{turn: make(chan struct{}, 1)}
	m.kept.Store(&held{})
	return m
}

// Held is the newest commit of a branch that is known, which nobody is asked for: the last one that was fetched, or pushed. nil: none is.
func (m *Mirror) Held(url, branch string) *Snapshot {
	if have := m.kept.Load(); have.url == url && have.branch == branch {
		return have.snapshot
	}
	return nil
}

// Fetch returns the newest commit of a branch, which the server is asked for. Errors wrap those of
// this package, or say in the server's words what went wrong.
func (m *Mirror) Fetch(ctx context.Context, from Remote) (*Snapshot, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return nil, explain(from.URL, ctx.Err())
	}
	have := m.Held(from.URL, from.Branch)
	snapshot, err := fetch(ctx, from, have)
	if err != nil && have != nil && !explained(err) {
		// Not every server gets on with go-git when something is known already: all of it, then.
		snapshot, err = fetch(ctx, from, nil)
	}
	if err != nil {
		return nil, err
	}
	m.kept.Store(&held{url: from.URL, branch: from.Branch, snapshot: snapshot})
	return snapshot, nil
}

// advance makes a commit that was pushed what is held, so that the next fetch gets nothing twice.
func (m *Mirror) advance(to Remote, snapshot *Snapshot) {
	m.turn <- struct{}{}
	m.kept.Store(&held{url: to.URL, branch: to.Branch, snapshot: snapshot})
	<-m.turn
}

// fetch gets what a branch has that a snapshot lacks; nil lacks everything.
func fetch(ctx context.Context, from Remote, have *Snapshot) (*Snapshot, error) {
	method, err := from.Auth.method(from.URL)
	if err != nil {
		return nil, err
	}
	known := over(nil)
	store := &bounded{Storage: memory.NewStorage(), left: maxBranch}
	if have != nil {
		known = have.objects
		if err := store.knows(from, have); err != nil {
			return nil, err
		}
	}
	remote := git.NewRemote(store, &config.RemoteConfig{Name: "origin", URLs: []string{from.URL}})
	_, err = within(ctx, func() (struct{}, error) {
		return struct{}{}, remote.FetchContext(ctx, &git.FetchOptions{
			RemoteName: "origin", Depth: 1, Tags: git.NoTags,
			RefSpecs: []config.RefSpec{config.RefSpec("+" + from.ref() + ":" + from.ref())},
			Auth:     method, CABundle: from.Auth[KeyCA], ClientCert: from.Auth[KeyClientCert], ClientKey: from.Auth[KeyClientKey],
		})
	})
	switch {
	case errors.Is(err, git.NoErrAlreadyUpToDate) && have != nil:
		return have, nil
	case errors.As(err, new(git.NoMatchingRefSpecError)):
		return nil, noBranch(from)
	case err != nil:
		return nil, explain(from.URL, err)
	}
	return store.snapshot(from, known)
}

// explained says whether an error is one that a fetch of everything would meet, too.
func explained(err error) bool {
	return errors.Is(err, ErrAuth) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrBranch) || errors.Is(err, ErrUnreachable) || errors.Is(err, ErrTooLarge)
}

func noBranch(of Remote) error {
	return fmt.Errorf("%w: %s has no branch %q; push it, or name another in the Fleet", ErrBranch, redact(of.URL), of.Branch)
}

// bounded is a store in memory that does not take everything.
type bounded struct {
	*memory.Storage
	left int64 // bytes
}

// SetEncodedObject stores an object while there is room.
func (b *bounded) SetEncodedObject(obj plumbing.EncodedObject) (plumbing.Hash, error) {
	if b.left -= obj.Size(); b.left < 0 {
		return plumbing.ZeroHash, fmt.Errorf("%w: the branch has more than %d MiB", ErrTooLarge, maxBranch>>20)
	}
	return b.Storage.SetEncodedObject(obj)
}

// knows tells the store of a commit that need not be fetched again, nor what is in it.
func (b *bounded) knows(from Remote, have *Snapshot) error {
	commit, err := have.objects.get(plumbing.CommitObject, have.hash)
	if err != nil {
		return err
	}
	_, err = b.SetEncodedObject(commit)
	return errors.Join(err,
		b.SetReference(plumbing.NewHashReference(from.ref(), have.hash)),
		b.SetShallow([]plumbing.Hash{have.hash}))
}

// snapshot is what was fetched, over what was known.
func (b *bounded) snapshot(from Remote, known *objects) (*Snapshot, error) {
	ref, err := b.Reference(from.ref())
	if err != nil {
		return nil, fmt.Errorf("find branch that was fetched: %w", err)
	}
	whole, err := (&objects{base: known, own: b.Objects}).closure(ref.Hash())
	if err != nil {
		return nil, err
	}
	return newSnapshot(from.Branch, ref.Hash(), whole)
}
