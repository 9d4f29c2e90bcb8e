package sim

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync/atomic"
)

// Door is an address of this machine that leads through a Network, for programs that dial by themselves.
type Door struct {
	network  *Network
	target   atomic.Pointer[string] // host:port
	listener net.Listener
}

// Open makes a door to target, host:port. A connection through it is opened to both sides: while the
// network is cut, whoever comes in is let in and hears nothing.
func (n *Network) Open(ctx context.Context, target string) (*Door, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open door to %s: %w", target, err)
	}
	d := &Door{network: n, listener: listener}
	d.PointTo(target)
	go d.serve()
	return d, nil
}

// Address is what to dial, host:port.
func (d *Door) Address() string { return d.listener.Addr().String() }

// PointTo leads who comes in from now on to another target, as a DNS name that was changed does.
func (d *Door) PointTo(target string) { d.target.Store(&target) }

// Close lets nobody in any more. Connections that are open stay.
func (d *Door) Close() error { return d.listener.Close() }

func (d *Door) serve() {
	for {
		near, err := d.listener.Accept()
		if err != nil {
			return // it was closed
		}
		go d.lead(near)
	}
}

// lead copies both ways until one side ends.
func (d *Door) lead(near net.Conn) {
	defer near.Close()
	far, err := d.network.Dial("tcp", *d.target.Load())
	if err != nil {
		return
	}
	defer far.Close()
	ended := make(chan struct{}, 2)
	copyTo := func(to io.Writer, from io.Reader) {
		_, _ = io.Copy(to, from) // however it ends, the other way ends with it
		ended <- struct{}{}
	}
	go copyTo(far, near)
	go copyTo(near, far)
	<-ended
}
