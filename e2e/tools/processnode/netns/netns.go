// Package netns makes and uses Linux network namespaces.
//
// A namespace lives as long as something holds it: the file of a Namespace in this process, or a process inside it. So it
// goes away with this process, however that ends, once the processes inside it are gone.
package netns

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Namespace is a network namespace that this process holds.
type Namespace struct {
	file *os.File
}

// New makes a network namespace with nothing in it but a loopback device that is down.
func New() (*Namespace, error) {
	n := &Namespace{}
	err := onOwnThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		file, err := os.Open("/proc/thread-self/ns/net")
		n.file = file
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make network namespace: %w", err)
	}
	return n, nil
}

// FD is the file descriptor that names the namespace.
func (n *Namespace) FD() int { return int(n.file.Fd()) }

// Close lets go of the namespace.
func (n *Namespace) Close() error { return n.file.Close() }

// Enter moves the calling thread into the namespace. The goroutine must be locked to its thread.
func (n *Namespace) Enter() error {
	if err := unix.Setns(n.FD(), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter network namespace: %w", err)
	}
	return nil
}

// Do runs f inside the namespace. Sockets that f makes stay there, whoever uses them later.
//
// The thread is not used again: without rights over the namespace it came from it could not go back.
func (n *Namespace) Do(f func() error) error {
	return onOwnThread(func() error {
		if err := n.Enter(); err != nil {
			return err
		}
		return f()
	})
}

// Dial connects to a TCP address as seen from inside the namespace.
func (n *Namespace) Dial(ctx context.Context, address string) (c net.Conn, err error) {
	err = n.Do(func() (err error) {
		c, err = (&net.Dialer{}).DialContext(ctx, "tcp4", address)
		return err
	})
	return c, err
}

// Listen listens on a TCP address inside the namespace.
func (n *Namespace) Listen(ctx context.Context, address string) (l net.Listener, err error) {
	err = n.Do(func() (err error) {
		l, err = (&net.ListenConfig{}).Listen(ctx, "tcp4", address)
		return err
	})
	return l, err
}

// ListenPacket listens on a UDP address inside the namespace.
func (n *Namespace) ListenPacket(ctx context.Context, address string) (l net.PacketConn, err error) {
	err = n.Do(func() (err error) {
		l, err = (&net.ListenConfig{}).ListenPacket(ctx, "udp4", address)
		return err
	})
	return l, err
}

// onOwnThread runs f on a thread that ends with it: a goroutine that returns while locked takes its thread along.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		done <- f()
	}()
	return <-done
}
