package fabric

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// egressInterval is how often the list of a followed file is read again.
const egressInterval = time.Second

// Egress lets pods reach addresses of the host's loopback device at the very same addresses.
type Egress struct {
	fixed []string
	file  string

	mu        sync.Mutex
	addresses []string
	pods      map[*Attachment]map[string]net.Listener
}

// ParseEgress takes "host:port" addresses separated by commas; one entry may be "@file", a file with one address a line that
// is followed as it changes, for addresses that are not known when the node starts.
func ParseEgress(list string) (*Egress, error) {
	e := &Egress{pods: map[*Attachment]map[string]net.Listener{}}
	for entry := range strings.SplitSeq(list, ",") {
		entry = strings.TrimSpace(entry)
		if file, ok := strings.CutPrefix(entry, "@"); ok {
			e.file = file
		} else if entry != "" {
			e.fixed = append(e.fixed, entry)
		}
	}
	for _, a := range e.fixed {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return nil, fmt.Errorf("parse egress address: %w", err)
		}
	}
	return e, e.read()
}

// read takes the file's present list. A file that is not there yet is empty.
func (e *Egress) read() error {
	addresses := append([]string(nil), e.fixed...)
	if e.file != "" {
		data, err := os.ReadFile(e.file)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("read egress list: %w", err)
		}
		addresses = append(addresses, strings.Fields(string(data))...)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.addresses = addresses
	return nil
}

// Run follows the file until ctx ends.
func (e *Egress) Run(ctx context.Context) {
	if e.file == "" {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(egressInterval):
		}
		if err := e.read(); err != nil {
			slog.ErrorContext(ctx, "Egress list not followed", "error", err)
			continue
		}
		e.mu.Lock()
		for a := range e.pods {
			e.open(ctx, a)
		}
		e.mu.Unlock()
	}
}

// Attach opens the ways out for one pod; ctx ends with the pod.
func (e *Egress) Attach(ctx context.Context, a *Attachment) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pods[a] = map[string]net.Listener{}
	e.open(ctx, a)
	context.AfterFunc(ctx, func() { e.detach(a) })
}

// open listens inside the pod on what is not listened on yet, and closes what is no longer listed.
func (e *Egress) open(ctx context.Context, a *Attachment) {
	listeners := e.pods[a]
	listed := map[string]bool{}
	for _, address := range e.addresses {
		listed[address] = true
		if listeners[address] != nil {
			continue
		}
		l, err := a.Listen(ctx, address)
		if err != nil {
			slog.WarnContext(ctx, "Pod has no way out", "address", address, "pod", a.IP, "error", err)
			continue
		}
		listeners[address] = l
		Forward(ctx, l, func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", address)
		})
	}
	for address, l := range listeners {
		if !listed[address] {
			delete(listeners, address)
			closeLogged(ctx, l)
		}
	}
}

func (e *Egress) detach(a *Attachment) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, l := range e.pods[a] {
		_ = l.Close() // Forward may have closed it already
	}
	delete(e.pods, a)
}
