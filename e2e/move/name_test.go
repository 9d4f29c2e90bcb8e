package move

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

// name is what a DNS name is to agents: an address that leads to one platform, and later to another.
type name struct {
	listener net.Listener
	target   atomic.Pointer[string] // host:port
}

func newName(ctx context.Context) (*name, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	n := &name{listener: listener}
	go n.serve()
	return n, nil
}

func (n *name) Address() string { return n.listener.Addr().String() }

// PointTo leads who connects from now on elsewhere.
func (n *name) PointTo(target string) { n.target.Store(&target) }

func (n *name) serve() {
	for {
		near, err := n.listener.Accept()
		if err != nil {
			return // it was closed
		}
		go n.lead(near)
	}
}

// lead copies both ways until one side ends.
func (n *name) lead(near net.Conn) {
	defer near.Close()
	target := n.target.Load()
	if target == nil {
		return
	}
	far, err := net.Dial("tcp", *target)
	if err != nil {
		return // as when nobody listens there
	}
	defer far.Close()
	ended := make(chan struct{}, 2)
	pass := func(to io.Writer, from io.Reader) {
		_, _ = io.Copy(to, from) // however it ends, the other way ends with it
		ended <- struct{}{}
	}
	go pass(far, near)
	go pass(near, far)
	<-ended
}
