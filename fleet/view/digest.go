package view

// compare holds the digest of what the view has of the cluster against the agent's, whenever both
// are about the same events: the contract is event.Entry.Sum's. In between, the last result stands.
// A digest of 0 is that of an empty inventory, or none at all: it verifies nothing.
func (c *cluster) compare() {
	h := &c.heart
	if h.sequence != c.seen.end() || h.epoch != c.epoch || c.snapshot == 0 || c.missing() > 0 {
		return
	}
	switch {
	case h.digest != 0:
		if c.diverged = h.digest != c.digest; !c.diverged {
			c.verified = h.received
		}
	case c.digest == 0:
		c.diverged = false
	}
}

// Digests are the digests of what the view has of every cluster, by cluster id, as an agent
// computes them for event.Heartbeat. Two views of the same events have the same.
func (v *View) Digests() map[string]uint64 {
	out := map[string]uint64{}
	for _, c := range v.all() {
		c.mu.RLock()
		out[c.id] = c.digest
		c.mu.RUnlock()
	}
	return out
}

// recount is the digest from scratch.
func (c *cluster) recount() (sum uint64) {
	for i := range c.objects {
		sum += c.objects[i].sum
	}
	for _, ep := range c.open {
		sum += ep.sum
	}
	return sum
}
