package fabric

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Dialer opens a connection to whatever stands behind an address.
type Dialer func(ctx context.Context) (net.Conn, error)

// dialTimeout bounds how long a forwarder looks for the other side.
const dialTimeout = 5 * time.Second

// Forward joins every connection that l accepts with one that dial opens, until ctx ends or l is closed. A connection with
// nothing behind it is reset. It returns at once.
func Forward(ctx context.Context, l net.Listener, dial Dialer) {
	stop := context.AfterFunc(ctx, func() { closeLogged(ctx, l) })
	go func() {
		defer stop()
		for {
			c, err := l.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				slog.ErrorContext(ctx, "Forwarder stopped", "address", l.Addr(), "error", err)
				return
			}
			go join(ctx, c, dial)
		}
	}()
}

func join(ctx context.Context, near net.Conn, dial Dialer) {
	defer near.Close()
	dialCtx, cancel := context.WithTimeout(ctx, dialTimeout)
	far, err := dial(dialCtx)
	cancel()
	if err != nil {
		slog.DebugContext(ctx, "Nothing behind a forwarded address", "address", near.LocalAddr(), "error", err)
		reset(near)
		return
	}
	defer far.Close()
	defer context.AfterFunc(ctx, func() { reset(near); reset(far) })()
	Splice(near, far)
}

// Splice copies both ways between two connections, handing on each end of stream, until both ways have ended.
func Splice(a, b io.ReadWriter) {
	var wg sync.WaitGroup
	wg.Go(func() { oneWay(a, b) })
	wg.Go(func() { oneWay(b, a) })
	wg.Wait()
}

func oneWay(to io.Writer, from io.Reader) {
	_, err := io.Copy(to, from)
	half, ok := to.(interface{ CloseWrite() error })
	if err == nil && ok {
		err = half.CloseWrite()
	}
	if err != nil { // a broken connection: the other side must hear of it
		closeBoth(to, from)
	}
}

func closeBoth(ends ...any) {
	for _, e := range ends {
		if c, ok := e.(net.Conn); ok {
			reset(c)
		}
	}
}

// reset closes a connection so that the peer sees an error and no orderly end.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // fails only on a connection that is closed already
	}
	_ = c.Close() // the same
}

func closeLogged(ctx context.Context, c io.Closer) {
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		slog.ErrorContext(ctx, "Close failed", "error", err)
	}
}
