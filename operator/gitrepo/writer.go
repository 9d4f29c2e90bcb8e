package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

const (
	// maxBatch is how many changes go out in one push.
	maxBatch = 64
	// attempts is how often a push is tried on a branch that moves.
	attempts = 10
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

	queue chan *request
}

// NewWriter makes a writer that reads what it builds on through a mirror.
func NewWriter(mirror *Mirror, committer Identity, clock func() time.Time) *Writer {
	return &Writer{Mirror: mirror, Committer: committer, Clock: clock, queue: make(chan *request)}
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
	var waiting []*request
	for {
		if len(waiting) == 0 {
			select {
			case r := <-w.queue:
				waiting = append(waiting, r)
			case <-ctx.Done():
				return nil
			}
		}
		waiting = w.drain(waiting)
		batch, others := together(waiting)
		w.write(ctx, batch)
		waiting = others
	}
}

// drain takes all that wait now.
func (w *Writer) drain(waiting []*request) []*request {
	for len(waiting) < maxBatch {
		select {
		case r := <-w.queue:
			waiting = append(waiting, r)
		default:
			return waiting
		}
	}
	return waiting
}

// together are the changes that go where the first one goes.
func together(waiting []*request) (batch, others []*request) {
	for _, r := range waiting {
		if r.to.Key() == waiting[0].to.Key() {
			batch = append(batch, r)
		} else {
			others = append(others, r)
		}
	}
	return batch, others
}

// write answers every request of a batch.
func (w *Writer) write(ctx context.Context, batch []*request) {
	err := w.try(ctx, batch)
	if errors.Is(err, ErrRefused) && len(batch) > 1 {
		// What the server does not like about one must not keep the others.
		for _, r := range batch {
			w.write(ctx, []*request{r})
		}
		return
	}
	for _, r := range batch {
		if err != nil {
			r.revision, r.err = "", err
		}
		close(r.done)
	}
}

// try pushes a batch until the server has it. An error is everybody's; what is wrong with one request
// is in the request.
func (w *Writer) try(ctx context.Context, batch []*request) error {
	to := batch[0].to
	for range attempts {
		base, err := w.Mirror.Fetch(ctx, to)
		if err != nil {
			return err
		}
		tip := w.build(base, batch)
		if tip.hash == base.hash {
			return nil
		}
		if err = w.push(ctx, to, base, tip); err == nil {
			return nil
		}
		if moved := errors.Is(err, errBranchMoved) || errors.Is(err, ErrRefused) && w.moved(ctx, to, base); !moved {
			return err
		}
	}
	return fmt.Errorf("%w: %s, branch %s, %d times", ErrMoved, redact(to.URL), to.Branch, attempts)
}

// moved says whether somebody pushed meanwhile: servers refuse a push that came second in words of
// their own.
func (w *Writer) moved(ctx context.Context, to Remote, base *Snapshot) bool {
	now, err := w.Mirror.Fetch(ctx, to)
	return err == nil && now.hash != base.hash
}

func (w *Writer) push(ctx context.Context, to Remote, base, tip *Snapshot) error {
	ctx, cancel := context.WithTimeout(ctx, pushTimeout)
	defer cancel()
	if err := push(ctx, to, base.hash, tip.hash, tip.objects.since(base.objects)); err != nil {
		return err
	}
	whole, err := tip.objects.closure(tip.hash)
	if err != nil {
		return err
	}
	tip.objects = whole
	w.Mirror.advance(to, tip)
	return nil
}

// since are the objects that were added to base.
func (o *objects) since(base *objects) *objects {
	out := over(nil)
	for layer := o; layer != nil && layer != base; layer = layer.base {
		for hash, obj := range layer.own {
			out.own[hash] = obj
		}
	}
	return out
}

// build makes a commit of every change that changes something, one on the other, and returns the last.
func (w *Writer) build(base *Snapshot, batch []*request) *Snapshot {
	tip := base
	for _, r := range batch {
		r.revision, r.err = "", r.ctx.Err()
		if r.err != nil {
			continue // nobody waits for it any more
		}
		next, err := w.commit(tip, r.change)
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
func (w *Writer) commit(on *Snapshot, change Change) (*Snapshot, error) {
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
		if tree, err = fresh.encode(&object.Tree{}); err != nil {
			return nil, err
		}
	}
	hash, err := fresh.encode(&object.Commit{
		Author: w.signature(change.Author), Committer: w.signature(w.Committer),
		Message: change.Message.String(), TreeHash: tree, ParentHashes: []plumbing.Hash{on.hash},
	})
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
