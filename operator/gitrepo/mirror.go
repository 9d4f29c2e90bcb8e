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
	// maxNews is how much of it is fetched onto what is held already: beyond that all of it is, without its history.
	maxNews = 64 << 20
	// fetchTimeout bounds one fetch.
	fetchTimeout = time.Minute
)

// Mirror holds the newest known commit of a branch, with its files and without its history. A fetch
// gets what is new only. It is safe for concurrent use: one fetch goes on at a time.
type Mirror struct {
	turn chan struct{} // held by who fetches
	kept atomic.Pointer[held]
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
	if err != nil && have != nil && (!explained(err) || errors.Is(err, ErrTooLarge)) {
		// Not every server gets on with go-git when something is known already, and after a forced push it may send a long history: all
		// of the branch, then, and nothing of what was before.
		snapshot, err = fetch(ctx, from, nil)
	}
	if err != nil {
		return nil, err
	}
	m.hold(from, snapshot)
	return snapshot, nil
}

func (m *Mirror) hold(of Remote, snapshot *Snapshot) {
	m.kept.Store(&held{url: of.URL, branch: of.Branch, snapshot: snapshot})
}

// at is what is held, if that is the commit, and the newest commit otherwise.
func (m *Mirror) at(ctx context.Context, from Remote, commit plumbing.Hash) (*Snapshot, error) {
	if have := m.Held(from.URL, from.Branch); have != nil && have.hash == commit {
		return have, nil
	}
	return m.Fetch(ctx, from)
}

// advance makes a commit that was pushed what is held, so that the next fetch gets nothing twice.
func (m *Mirror) advance(to Remote, snapshot *Snapshot) error {
	var err error
	if snapshot.objects, err = snapshot.objects.settled(snapshot.hash); err == nil {
		m.hold(to, snapshot)
	}
	return err
}

// fetch gets what a branch has that a snapshot lacks, with the commits in between: a server that is asked for the last one only sends all
// that is in it, whatever is known. What it leaves out since it takes it for known, and is not, is an error. nil lacks everything.
func fetch(ctx context.Context, from Remote, have *Snapshot) (*Snapshot, error) {
	method, err := from.Auth.method(from.URL)
	if err != nil {
		return nil, err
	}
	known := over(nil)
	store, depth := &bounded{Storage: memory.NewStorage(), left: maxBranch}, 1
	if have != nil {
		known, store.left, depth = have.objects, maxNews, 0
		if err := store.knows(from, have); err != nil {
			return nil, err
		}
	}
	remote := git.NewRemote(store, &config.RemoteConfig{Name: "origin", URLs: []string{from.URL}})
	_, err = within(ctx, func() (struct{}, error) {
		return struct{}{}, remote.FetchContext(ctx, &git.FetchOptions{
			RemoteName: "origin", Depth: depth, Tags: git.NoTags,
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
	return errors.Join(err, b.SetReference(plumbing.NewHashReference(from.ref(), have.hash)))
}

// snapshot is what was fetched, over what was known.
func (b *bounded) snapshot(from Remote, known *objects) (*Snapshot, error) {
	ref, err := b.Reference(from.ref())
	if err != nil {
		return nil, fmt.Errorf("find branch that was fetched: %w", err)
	}
	all := &objects{base: known, own: b.Objects}
	if err := all.complete(ref.Hash(), known); err != nil {
		return nil, err
	}
	if all, err = all.settled(ref.Hash()); err != nil {
		return nil, err
	}
	return newSnapshot(from.Branch, ref.Hash(), all)
}
