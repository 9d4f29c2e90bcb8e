package pod

import "time"

// The back-off of a kubelet: the first restart comes at once, the next after 10 s, then twice as long each time, up to 5
// minutes; it starts again after a run of more than 10 minutes.
const (
	firstBackOff = 10 * time.Second
	maxBackOff   = 5 * time.Minute
	calmRun      = 2 * maxBackOff
)

// BackOff is how long a container waits before it is started again. The zero value is that of a container that has not run.
type BackOff struct {
	next time.Duration
}

// After is the wait after a run that took ran.
func (b *BackOff) After(ran time.Duration) time.Duration {
	if ran > calmRun {
		b.next = 0
	}
	wait := b.next
	b.next = grow(b.next)
	return wait
}

// grow is the wait after one of d.
func grow(d time.Duration) time.Duration {
	return min(max(2*d, firstBackOff), maxBackOff)
}
