package sim

import (
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// dialLimit is how long a connection attempt into a cut network takes to fail.
const dialLimit = 5 * time.Second

// Network is the way from one cluster to the bus. It can be cut: then it swallows everything, in
// both directions, and says nothing to either end, as a firewall does that drops packets.
type Network struct {
	mu     sync.Mutex
	healed chan struct{} // closed when the network works again; nil: it works
	conns  map[*conn]struct{}
}

// Cut makes every connection half-open. New ones time out.
func (n *Network) Cut() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.healed == nil {
		n.healed = make(chan struct{})
	}
}

// Heal ends a cut. Connections that it caught are reset, on which both ends notice.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.healed == nil {
		return
	}
	close(n.healed)
	n.healed = nil
	n.resetLocked()
}

// Reset breaks every connection at once, with an error at both ends. New ones can be made.
func (n *Network) Reset() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.resetLocked()
}

func (n *Network) resetLocked() {
	for c := range n.conns {
		c.abort()
	}
	n.conns = nil
}

// Dial connects, as bus.Options.Dial.
func (n *Network) Dial(network, address string) (net.Conn, error) {
	if err := n.passable(); err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	raw, err := net.DialTimeout(network, address, dialLimit)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, network: n}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.conns == nil {
		n.conns = map[*conn]struct{}{}
	}
	n.conns[c] = struct{}{}
	return c, nil
}

// passable waits for the end of a cut, as long as a dial may take.
func (n *Network) passable() error {
	n.mu.Lock()
	healed := n.healed
	n.mu.Unlock()
	if healed == nil {
		return nil
	}
	timer := time.NewTimer(dialLimit)
	defer timer.Stop()
	select {
	case <-healed:
		return nil
	case <-timer.C:
		return os.ErrDeadlineExceeded
	}
}

func (n *Network) isCut() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.healed != nil
}

// conn is one connection of a Network.
type conn struct {
	net.Conn
	network *Network
}

// Write implements net.Conn.
func (c *conn) Write(b []byte) (int, error) {
	if c.network.isCut() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// Read implements net.Conn. What arrives during a cut is dropped.
func (c *conn) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if err != nil || !c.network.isCut() {
			return n, err
		}
	}
}

// Close implements net.Conn. During a cut the other end does not learn of it: the connection stays
// until the network heals.
func (c *conn) Close() error {
	c.network.mu.Lock()
	defer c.network.mu.Unlock()
	if c.network.healed != nil {
		return c.SetReadDeadline(time.Unix(1, 0)) // who reads, stops
	}
	delete(c.network.conns, c)
	return c.Conn.Close()
}

// abort closes the connection with a reset.
func (c *conn) abort() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // else it ends politely
	}
	_ = c.Conn.Close() // the other end may have been faster
}
