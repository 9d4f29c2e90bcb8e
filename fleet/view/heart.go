package view

import (
	"strings"
	"time"
	"unique"

	"github.com/fairway-dev/fairway/api/event"
)

const defaultInterval = 15 * time.Second

// heart is what the last heartbeat said.
type heart struct {
	received int64 // UnixNano, by the bus; 0: never heard
	skew     time.Duration
	interval time.Duration
	epoch    string
	sequence uint64
	digest   uint64        // 0: the agent computes none
	lag      time.Duration // the agent's clock minus the bus's as this heartbeat alone has it, the way it took counted in
	facts    facts
	version  unique.Handle[string] // of the agent
}

// beat takes a heartbeat; woke is true when it ends a silence.
func (c *cluster) beat(h event.Heartbeat, received time.Time, misses int) (woke bool) {
	at := received.UnixNano()
	if at < c.heart.received || at == c.heart.received && h.Sequence < c.heart.sequence {
		return false
	}
	woke = !c.known(received, misses)
	epoch, before := c.heart.epoch, c.heart
	if epoch == c.epoch && epoch != "" && h.Epoch > epoch {
		c.ended = ended{before.sequence, before.received}
	}
	if epoch != h.Epoch {
		epoch = strings.Clone(h.Epoch)
	}
	c.heart = heart{
		received: at, lag: h.Time.Sub(received), interval: intervalOf(h), epoch: epoch, sequence: h.Sequence, digest: h.Digest,
		facts: newFacts(h.Cluster), version: unique.Make(h.Version),
	}
	c.heart.skew = c.heart.lag
	if before.received != 0 { // one that was slow on its way says less than one that was not
		c.heart.skew = max(c.heart.lag, before.lag)
	}
	c.compare()
	c.lookBehind(at, false)
	return woke
}

func intervalOf(h event.Heartbeat) time.Duration {
	if h.Interval <= 0 {
		return defaultInterval
	}
	return min(time.Duration(h.Interval), maxInterval)
}

// silentAt is when the cluster becomes unknown if no heartbeat comes.
func (c *cluster) silentAt(misses int) time.Time {
	return time.Unix(0, c.heart.received).Add(time.Duration(misses) * c.heart.interval)
}

// known says whether what the view has of the cluster may be shown as it is now.
func (c *cluster) known(now time.Time, misses int) bool {
	return c.heart.received != 0 && !now.After(c.silentAt(misses))
}

func (c *cluster) sweep(now time.Time, misses int) (t Transition, changed bool) {
	c.expire(now)
	known := c.known(now, misses)
	if known == c.announced {
		return Transition{}, false
	}
	c.announced = known
	t = Transition{Cluster: c.id, Connected: known, At: timeOf(c.heart.received)}
	if !known {
		t.At = c.silentAt(misses).UTC()
	}
	return t, true
}

// about are the newest facts: those of the heartbeat, unless an event came after it.
func (c *cluster) about() facts {
	if c.heart.received != 0 && (c.heart.epoch > c.epoch || c.heart.epoch == c.epoch && c.heart.sequence >= c.factSeq) {
		return c.heart.facts
	}
	return c.facts
}

func (c *cluster) agentVersion() string {
	if c.heart.received != 0 && c.heart.epoch >= c.epoch {
		return text(c.heart.version)
	}
	return text(c.version)
}

// text is the string behind a handle, also behind one that was never made.
func text(h unique.Handle[string]) string {
	if h == (unique.Handle[string]{}) {
		return ""
	}
	return h.Value()
}
