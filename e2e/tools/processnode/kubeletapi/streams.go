package kubeletapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"

	"github.com/fairway-dev/fairway/e2e/tools/processnode/fabric"
	"github.com/fairway-dev/fairway/e2e/tools/processnode/sandbox"
)

// Timeouts of streams, as a kubelet has them.
const (
	idleTimeout     = 4 * time.Hour
	creationTimeout = 30 * time.Second
)

// portForward serves SPDY and WebSocket clients.
func (h handler) portForward(w http.ResponseWriter, r *http.Request) {
	options, err := portforward.NewV4Options(r)
	if err != nil {
		reply(w, http.StatusBadRequest, err.Error())
		return
	}
	f := forwarder{pods: h.pods, namespace: r.PathValue("namespace")}
	portforward.ServePortForward(w, r, f, r.PathValue("pod"), r.PathValue("uid"), options, idleTimeout, creationTimeout,
		portforward.SupportedProtocols)
}

// forwarder joins the streams of one port-forward with the pod's ports.
type forwarder struct {
	pods      Pods
	namespace string
}

func (f forwarder) PortForward(ctx context.Context, name, _ string, port int32, stream io.ReadWriteCloser) error {
	c, err := f.pods.Dial(ctx, f.namespace, name, port)
	if err != nil {
		return err
	}
	defer c.Close()
	fabric.Splice(c, halfCloser{stream})
	return nil
}

// halfCloser ends the way to the client when the pod ends its way: the streams of port-forward close one way only.
type halfCloser struct{ io.ReadWriteCloser }

func (h halfCloser) CloseWrite() error { return h.Close() }

// exec runs a command in a container, without a terminal.
func (h handler) exec(w http.ResponseWriter, r *http.Request) {
	options, err := remotecommand.NewOptions(r)
	if err != nil {
		reply(w, http.StatusBadRequest, err.Error())
		return
	}
	e := executor{pods: h.pods, namespace: r.PathValue("namespace")}
	remotecommand.ServeExec(w, r, e, r.PathValue("pod"), r.PathValue("uid"), r.PathValue("container"), r.URL.Query()["command"],
		options, idleTimeout, creationTimeout, remotecommand.SupportedStreamingProtocols)
}

type executor struct {
	pods      Pods
	namespace string
}

var errNoTerminal = errors.New("a process node has no terminals: leave out --tty")

func (e executor) ExecInContainer(ctx context.Context, name, _, container string, command []string,
	in io.Reader, out, errs io.WriteCloser, tty bool, _ <-chan remotecommand.TerminalSize, timeout time.Duration) error {
	if tty {
		return errNoTerminal
	}
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, timeout, fmt.Errorf("timed out after %s", timeout))
		defer cancel()
	}
	streams := sandbox.Streams{In: in}
	if out != nil { // an io.Writer of a nil pointer would not be nil
		streams.Out = out
	}
	if errs != nil {
		streams.Err = errs
	}
	return e.pods.Exec(ctx, e.namespace, name, container, command, streams)
}
