package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

const (
	// maxBatch is how many changes go out in one push.
	maxBatch = 64
	// minBatch is how few they are made to be on a branch that moves: fewer are hardly faster.
	minBatch = 16
	// attempts is how often a branch that moves is followed.
	attempts = 40
	// breather is how long, at most, is waited before the next: at random, lest another that pushes in a rhythm wins every time.
	breather = 50 * time.Millisecond
	// pushTimeout bounds one push.
	pushTimeout = time.Minute
)

// Writer writes changes to branches, in one queue: each a commit of its own, and all that wait for the
// same branch in one push. When the branch has moved, they are built anew on what it is then. Nothing
// is forced, and nobody else's commit is lost. It works while Start runs.
type Writer struct {
	Mirror    *Mirror
	Committer Identity
	Clock     func() time.Time

	queue   chan *request
	waiting []*request // taken from the queue, the first to come first
	key     signing    // of the batch before
	most    int        // changes that go out in one push
}

// signing is a signer, and whose it is: a key with a password takes a while to be read.
type signing struct {
	of   string // Remote.Key
	sign signer
}

// NewWriter makes a writer that reads what it builds on through a mirror.
func NewWriter(mirror *Mirror, committer Identity, clock func() time.Time) *Writer {
	return &Writer{Mirror: mirror, Committer: committer, Clock: clock, queue: make(chan *request), most: maxBatch}
}

// request is a change that waits, and what became of it.
type request struct {
	ctx    context.Context // of who waits
	to     Remote
	change Change

	revision string
	err      error
	done     chan struct{}
}

// Submit returns once the change is on the server, with the revision that has it, as Flux writes it.
// A change that changes nothing makes no commit: the revision is one where nothing was missing. Errors
// of Change.Edit come back as they are, others wrap those of this package. When ctx ends before the
// answer comes, the change may have been written or not: to submit it again does no harm.
func (w *Writer) Submit(ctx context.Context, to Remote, change Change) (revision string, err error) {
	r := &request{ctx: ctx, to: to, change: change, done: make(chan struct{})}
	select {
	case w.queue <- r:
	case <-ctx.Done():
		return "", fmt.Errorf("wait for the writer: %w", ctx.Err())
	}
	select {
	case <-r.done:
		return r.revision, r.err
	case <-ctx.Done():
		return "", fmt.Errorf("wait for the push: %w", ctx.Err())
	}
}

// Start works until ctx ends.
func (w *Writer) Start(ctx context.Context) error {
	for {
		if len(w.waiting) == 0 {
			select {
			case r := <-w.queue:
				w.waiting = append(w.waiting, r)
			case <-ctx.Done():
				return nil
			}
		}
		w.write(ctx, w.join(nil))
	}
}

// join adds to a batch what waits by now and goes to the same branch with the same credentials; to an empty one, what goes where the
// first does.
func (w *Writer) join(batch []*request) []*request {
	w.drain()
	var others []*request
	for _, r := range w.waiting {
		if len(batch) == 0 || r.to.Key() == batch[0].to.Key() {
			batch = append(batch, r)
		} else {
			others = append(others, r)
		}
	}
	w.waiting = others
	return batch
}

// drain takes all that wait now, up to a bound.
func (w *Writer) drain() {
	for len(w.waiting) < maxBatch {
		select {
		case r := <-w.queue:
			w.waiting = append(w.waiting, r)
		default:
			return
		}
	}
}

// write answers every request of a batch, and of those that join it meanwhile.
func (w *Writer) write(ctx context.Context, batch []*request) {
	for len(batch) > 0 {
		tried, others, err := w.try(ctx, batch)
		if errors.Is(err, ErrRefused) && len(tried) > 1 {
			// What the server does not like about one must not keep the others.
			for _, r := range tried {
				w.write(ctx, []*request{r})
			}
		} else {
			answer(tried, err)
		}
		batch = others
	}
}

// answer lets go who waits; an error is everybody's.
func answer(batch []*request, err error) {
	for _, r := range batch {
		if err != nil {
			r.revision, r.err = "", err
		}
		close(r.done)
	}
}

// try pushes the first of a batch until the server has them, and returns them and the others. What is wrong with one request is in the
// request. The server is asked where the branch is while commits are made of what is known: who has less between that answer and the push
// wins more often on a branch that moves. Whoever comes second to it was too slow: half as many changes take less time.
func (w *Writer) try(ctx context.Context, batch []*request) (tried, others []*request, err error) {
	to := batch[0].to
	sign, err := w.signer(to)
	if err != nil {
		return batch, nil, err
	}
	base := w.Mirror.Held(to.URL, to.Branch)
	for range attempts {
		tried, others = batch[:min(len(batch), w.most)], batch[min(len(batch), w.most):]
		again, failed := w.once(ctx, to, base, tried, sign)
		if again == nil {
			return tried, others, failed
		}
		if failed != nil {
			w.most = max(len(tried)/2, minBatch)
		}
		base, batch = again, w.join(batch)
	}
	return batch, nil, fmt.Errorf("%w: %s, branch %s, %d times", ErrMoved, redact(to.URL), to.Branch, attempts)
}

// once makes one push on a commit, nil for one that is not known yet. When the branch is elsewhere it returns where, and an error if a push
// was made in vain.
func (w *Writer) once(ctx context.Context, to Remote, base *Snapshot, batch []*request, sign signer) (elsewhere *Snapshot, err error) {
	began := make(chan begun, 1)
	go func() {
		push, err := begin(ctx, to)
		began <- begun{push, err}
	}()
	var tip *Snapshot
	if base != nil {
		tip = w.build(base, batch, sign)
	}
	push := <-began
	defer push.end()
	switch {
	case errors.Is(push.err, ErrRefused):
		return nil, w.unwritable(ctx, to, batch, push.err)
	case push.err != nil:
		return nil, push.err
	case base == nil || push.head != base.hash:
		return w.Mirror.at(ctx, to, push.head)
	case tip.hash == base.hash:
		return nil, nil
	}
	tip.objects = tip.objects.since(base.objects) // a layer, not one for each commit
	if err := push.send(ctx, base.hash, tip.hash, tip.objects); err != nil {
		return w.overtaken(ctx, to, base, err)
	}
	w.most = min(2*w.most, maxBatch)
	return nil, w.Mirror.advance(to, tip)
}

// begun is a push that has begun, or not.
type begun struct {
	*pushing
	err error
}

// unwritable is the error of a branch that may not be written, unless there is nothing to be written.
func (w *Writer) unwritable(ctx context.Context, to Remote, batch []*request, refused error) error {
	base, err := w.Mirror.Fetch(ctx, to)
	if err == nil && w.build(base, batch, nil).hash != base.hash {
		err = refused
	}
	return err
}

// overtaken is what to build on after a push that failed because somebody else pushed meanwhile: servers refuse it in words of their
// own. Another failure comes back, without that.
func (w *Writer) overtaken(ctx context.Context, to Remote, base *Snapshot, failed error) (*Snapshot, error) {
	if !errors.Is(failed, ErrRefused) && !errors.Is(failed, errBranchMoved) {
		return nil, failed
	}
	select {
	case <-time.After(rand.N(breather)):
	case <-ctx.Done():
	}
	now, err := w.Mirror.Fetch(ctx, to)
	if err != nil || errors.Is(failed, ErrRefused) && now.hash == base.hash {
		return nil, failed
	}
	return now, failed
}

// signer is that of a remote; nil for none.
func (w *Writer) signer(to Remote) (signer, error) {
	if key := to.Key(); w.key.of != key {
		sign, err := to.Auth.signer()
		if err != nil {
			return nil, err
		}
		w.key = signing{key, sign}
	}
	return w.key.sign, nil
}

// build makes a commit of every change that changes something, one on the other, and returns the last.
func (w *Writer) build(base *Snapshot, batch []*request, sign signer) *Snapshot {
	tip := base
	for _, r := range batch {
		r.revision, r.err = "", r.ctx.Err()
		if r.err != nil {
			continue // nobody waits for it any more
		}
		next, err := w.commit(tip, r.change, sign)
		if err != nil {
			r.err = err
			continue
		}
		tip = next
		r.revision = tip.Revision()
	}
	return tip
}

// commit is a snapshot with a change made; the same one when it changes nothing.
func (w *Writer) commit(on *Snapshot, change Change, sign signer) (*Snapshot, error) {
	wanted, err := change.Edit(on)
	if err != nil {
		return nil, err
	}
	edits, err := checkEdits(wanted)
	if err != nil {
		return nil, err
	}
	if len(edits) == 0 {
		return on, nil
	}
	fresh := over(on.objects)
	tree, err := fresh.rewrite(on.tree, edits)
	if err != nil {
		return nil, err
	}
	if tree == on.tree {
		return on, nil
	}
	if tree == plumbing.ZeroHash { // a commit has a tree, if an empty one
		if tree, err = fresh.put(plumbing.TreeObject, nil); err != nil {
			return nil, err
		}
	}
	hash, err := fresh.putCommit(&object.Commit{
		Author: w.signature(change.Author), Committer: w.signature(w.Committer),
		Message: change.Message.String(), TreeHash: tree, ParentHashes: []plumbing.Hash{on.hash},
	}, sign)
	if err != nil {
		return nil, err
	}
	return &Snapshot{branch: on.branch, hash: hash, tree: tree, objects: fresh}, nil
}

func (w *Writer) signature(who Identity) object.Signature {
	if who == (Identity{}) {
		who = w.Committer
	}
	name, email := who.header()
	return object.Signature{Name: name, Email: email, When: w.now()}
}
