package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// tunnel is a port-forward whose streams are net.Conns: nothing listens on this machine. It dials
// when it is needed and again when the connection to the pod is gone.
type tunnel struct {
	config *restclient.Config
	find   func(context.Context) (target, error)

	mu      sync.Mutex
	conn    httpstream.Connection // nil until the first dial
	port    int32
	request int // of the next pair of streams
	closed  bool
}

func newTunnel(config *restclient.Config, find func(context.Context) (target, error)) *tunnel {
	return &tunnel{config: config, find: find}
}

// DialContext opens a connection to the pod; the address is the tunnel's own business.
func (t *tunnel) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, net.ErrClosed
	}
	if t.conn != nil && !gone(t.conn) {
		if conn, err := t.open(ctx); err == nil {
			return conn, nil
		}
		_ = t.conn.Close() // it is of no use any more; the next line makes another
	}
	if err := t.connect(ctx); err != nil {
		return nil, err
	}
	return t.open(ctx)
}

// Close ends every connection through the tunnel.
func (t *tunnel) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.conn == nil {
		return nil
	}
	return t.conn.Close()
}

func gone(c httpstream.Connection) bool {
	select {
	case <-c.CloseChan():
		return true
	default:
		return false
	}
}

// connect finds a pod and connects to it. The caller holds mu.
func (t *tunnel) connect(ctx context.Context) error {
	t.conn = nil
	to, err := t.find(ctx)
	if err != nil {
		return err
	}
	dialer, err := t.dialer(to)
	if err != nil {
		return err
	}
	conn, err := await(ctx, func() (httpstream.Connection, error) {
		conn, protocol, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
		if err == nil && protocol != portforward.PortForwardProtocolV1Name {
			err = errors.Join(fmt.Errorf("the server speaks %q", protocol), conn.Close())
		}
		return conn, err
	})
	if err != nil {
		return &Error{
			Op: fmt.Sprintf("forward to pod %s/%s", to.namespace, to.pod), Err: err,
			Fix: fmt.Sprintf("you need the Role fairway-connect, and the cluster has to reach its pods; compare: "+
				"kubectl -n %s port-forward pod/%s :%d", to.namespace, to.pod, to.port),
		}
	}
	t.conn, t.port = conn, to.port
	return nil
}

// dialer speaks SPDY over WebSockets, and plain SPDY where the API server or a proxy before it
// does not take that, as kubectl does.
func (t *tunnel) dialer(to target) (httpstream.Dialer, error) {
	u, err := forwardURL(t.config, to)
	if err != nil {
		return nil, err
	}
	rt, upgrader, err := spdy.RoundTripperFor(t.config)
	if err != nil {
		return nil, fmt.Errorf("prepare port-forward: %w", err)
	}
	plain := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: rt}, http.MethodPost, u)
	overWebSocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(u, t.config)
	if err != nil {
		return nil, fmt.Errorf("prepare port-forward: %w", err)
	}
	return portforward.NewFallbackDialerForStreaming(overWebSocket, plain, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}

func forwardURL(config *restclient.Config, to target) (*url.URL, error) {
	base, _, err := restclient.DefaultServerUrlFor(config)
	if err != nil {
		return nil, fmt.Errorf("read the API server's address: %w", err)
	}
	return base.JoinPath("api", "v1", "namespaces", to.namespace, "pods", to.pod, "portforward"), nil
}

// open makes one connection over the tunnel: a stream for data, and one on which the node says what
// went wrong. The caller holds mu.
func (t *tunnel) open(ctx context.Context) (net.Conn, error) {
	conn, headers := t.conn, http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(int(t.port)))
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(t.request))
	t.request++
	c, err := await(ctx, func() (*streamConn, error) { return openStreams(conn, headers) })
	if err != nil {
		return nil, fmt.Errorf("open stream to port %d: %w", t.port, err)
	}
	go c.readFailure()
	return c, nil
}

func openStreams(conn httpstream.Connection, headers http.Header) (*streamConn, error) {
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	failure, err := conn.CreateStream(headers)
	if err != nil {
		return nil, err
	}
	if err := failure.Close(); err != nil { // nothing is written on it
		return nil, err
	}
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := conn.CreateStream(headers)
	if err != nil {
		conn.RemoveStreams(failure)
		return nil, err
	}
	return &streamConn{data: data, failure: failure, parent: conn, failed: make(chan struct{})}, nil
}

// await runs a call that knows no context and leaves it behind when ctx ends first.
func await[T io.Closer](ctx context.Context, call func() (T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := call()
		done <- result{value, err}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
		go func() {
			if r := <-done; r.err == nil {
				_ = r.value.Close() // nobody waits for it any more
			}
		}()
		var none T
		return none, ctx.Err()
	}
}

// streamConn is one forwarded connection.
type streamConn struct {
	data, failure httpstream.Stream
	parent        httpstream.Connection
	failed        chan struct{} // closed when the failure stream has ended
	reason        string        // what it said; read after failed
	once          sync.Once
}

// readFailure ends when the node or Close ends the failure stream.
func (c *streamConn) readFailure() {
	defer close(c.failed)
	text, err := io.ReadAll(io.LimitReader(c.failure, 4<<10))
	if err != nil {
		text = append(text, err.Error()...)
	}
	c.reason = string(text)
}

// Read reads from the pod. When the node could not connect to it, the error says why.
func (c *streamConn) Read(p []byte) (int, error) {
	n, err := c.data.Read(p)
	if !errors.Is(err, io.EOF) {
		return n, err
	}
	late := time.NewTimer(time.Second) // the node ends the failure stream first
	defer late.Stop()
	select {
	case <-c.failed:
	case <-late.C:
		return n, err
	}
	if c.reason != "" {
		return n, fmt.Errorf("forward to the pod: %s", c.reason)
	}
	return n, err
}

func (c *streamConn) Write(p []byte) (int, error) { return c.data.Write(p) }

// Close resets both streams, so that no read of theirs blocks and the tunnel forgets them.
func (c *streamConn) Close() (err error) {
	c.once.Do(func() {
		err = errors.Join(c.data.Reset(), c.failure.Reset())
		c.parent.RemoveStreams(c.data, c.failure)
	})
	return err
}

func (c *streamConn) LocalAddr() net.Addr  { return streamAddr{} }
func (c *streamConn) RemoteAddr() net.Addr { return streamAddr{} }

// Deadlines cannot be had on a stream; net/http and crypto/tls close the connection instead.
func (c *streamConn) SetDeadline(time.Time) error      { return os.ErrNoDeadline }
func (c *streamConn) SetReadDeadline(time.Time) error  { return os.ErrNoDeadline }
func (c *streamConn) SetWriteDeadline(time.Time) error { return os.ErrNoDeadline }

type streamAddr struct{}

func (streamAddr) Network() string { return "port-forward" }
func (streamAddr) String() string  { return hubName }
