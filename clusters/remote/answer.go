package remote

import (
	"context"
	"crypto/sha256"
	"errors"
	"slices"
	"time"
)

// Errors of a Connect that has no answer yet. Neither says anything of the cluster.
var (
	// ErrPending: the cluster is being waited for, by nobody's worker; Options.Answered tells when that has ended.
	ErrPending = errors.New("the cluster has not answered yet")
	// ErrBusy: so many clusters are waited for that this one was not asked; Options.Answered tells when it is its turn.
	ErrBusy = errors.New("too many clusters are waited for")
)

// answerLife is how long an answer is good that came after its caller had gone.
const answerLife = 30 * time.Second

// question is a cluster that was asked for its version. Its fields are the pool's to lock until done is closed.
type question struct {
	kubeconfig [sha256.Size]byte
	left       bool // its caller has gone
	stop       context.CancelFunc

	done    chan struct{}
	ended   time.Time
	version string
	err     error
}

// ask asks a cluster, or takes the question that it was asked before. left is true for one that nobody will wait for.
func (p *Pool) ask(ctx context.Context, cluster string, conn *connection, left bool) (*question, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q := p.questions[cluster]; q != nil && q.kubeconfig == conn.hash && !q.stale() {
		return q, nil
	}
	if left && p.waiting >= p.options.Waiting {
		p.line(cluster)
		return nil, ErrBusy
	}
	// It outlives its caller, and is bounded by itself.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.options.AnswerTimeout)
	q := &question{kubeconfig: conn.hash, left: left, stop: cancel, done: make(chan struct{})}
	if left {
		p.waiting++
	}
	p.questions[cluster] = q
	p.unline(cluster)
	go func() {
		defer cancel()
		q.version, q.err = conn.version(ctx)
		p.answered(cluster, q)
	}()
	return q, nil
}

// Asked says whether a cluster was asked and is waited for without a caller, and whether its answer is there, or that there will be none:
// for the next Connect to take.
func (p *Pool) Asked(cluster string) (asked, answered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.questions[cluster]
	if q == nil || !q.left || q.stale() {
		return false, false
	}
	return true, !q.ended.IsZero()
}

// stale says whether the answer is too old. The pool is locked.
func (q *question) stale() bool {
	select {
	case <-q.done:
		return time.Since(q.ended) > answerLife
	default:
		return false
	}
}

// answered ends a question.
func (p *Pool) answered(cluster string, q *question) {
	p.mu.Lock()
	q.ended = time.Now()
	close(q.done)
	var tell []string
	if q.left {
		p.waiting--
		tell = append(tell, cluster)
		if len(p.refused) > 0 {
			tell = append(tell, p.refused[0])
			p.refused = slices.Delete(p.refused, 0, 1)
		}
	}
	p.mu.Unlock()
	if p.options.Answered == nil {
		return
	}
	for _, cluster := range tell {
		p.options.Answered(cluster)
	}
}

// line has a cluster wait for room. The pool is locked.
func (p *Pool) line(cluster string) {
	if !slices.Contains(p.refused, cluster) {
		p.refused = append(p.refused, cluster)
	}
}

// unline takes a cluster out that waits for room, if it does. The pool is locked.
func (p *Pool) unline(cluster string) {
	if at := slices.Index(p.refused, cluster); at >= 0 {
		p.refused = slices.Delete(p.refused, at, at+1)
	}
}

// leave lets a question go on without its caller, when there is room for it.
func (p *Pool) leave(cluster string, q *question) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-q.done:
		return nil
	default:
	}
	switch {
	case q.left:
	case p.waiting >= p.options.Waiting:
		p.drop(cluster, q)
		p.line(cluster)
		return ErrBusy
	default:
		q.left = true
		p.waiting++
	}
	return ErrPending
}

// await waits for an answer as long as patience lasts, and takes it.
func (p *Pool) await(ctx context.Context, cluster string, q *question, patience time.Duration) (string, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-q.done:
	case <-timer.C:
		if err := p.leave(cluster, q); err != nil {
			return "", err
		}
	case <-ctx.Done():
		p.mu.Lock()
		defer p.mu.Unlock()
		p.drop(cluster, q)
		return "", ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(cluster, q)
	return q.version, q.err
}

// drop ends a question, and with it its answer. The pool is locked.
func (p *Pool) drop(cluster string, q *question) {
	q.stop()
	if p.questions[cluster] == q {
		delete(p.questions, cluster)
	}
}
