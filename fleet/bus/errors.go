package bus

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors of the bus, to be matched with errors.Is.
var (
	// ErrDenied: the credentials do not allow the subject. It is a *DeniedError.
	ErrDenied = errors.New("the bus refuses it to these credentials")
	// ErrDisconnected: there is no connection at the moment. It comes back by itself.
	ErrDisconnected = errors.New("not connected to the bus")
	// ErrNoStream: nothing keeps the subject. The hub makes the streams when it starts.
	ErrNoStream = errors.New("the bus has no stream for it")
	// ErrNoAgent: nobody listens for commands of that cluster.
	ErrNoAgent = errors.New("the cluster's agent is not connected")
	// ErrStreamReplaced: the stream that was followed is gone and another has its name, so that
	// sequences start again. Whoever folded the old one has to begin anew.
	ErrStreamReplaced = errors.New("the stream was replaced")
)

// DeniedError is a permission violation, told by the server after the fact.
type DeniedError struct {
	Operation string // "publish" or "subscribe"
	Subject   string
}

func (e *DeniedError) Error() string {
	return fmt.Sprintf("%s %q: %s", e.Operation, e.Subject, ErrDenied)
}

// Is makes errors.Is(err, ErrDenied) true.
func (e *DeniedError) Is(target error) bool { return target == ErrDenied }

// MessageError says what is wrong with one message of the stream.
type MessageError struct {
	Sequence uint64
	Stored   time.Time
	Err      error
}

func (e *MessageError) Error() string { return fmt.Sprintf("message %d: %s", e.Sequence, e.Err) }

func (e *MessageError) Unwrap() error { return e.Err }

// The server's words, as nats.go hands them on: Permissions Violation for Publish to "subject"
// and Permissions Violation for Subscription to "subject".
var violation = regexp.MustCompile(`(?i)permissions violation for (publish|subscription) to "([^"]+)"`)

// asError turns NATS's errors into those of this package; others stay as they are.
func asError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrPermissionViolation):
		if m := violation.FindStringSubmatch(err.Error()); m != nil {
			operation := "publish"
			if m[1][0] == 's' || m[1][0] == 'S' {
				operation = "subscribe"
			}
			return &DeniedError{Operation: operation, Subject: m[2]}
		}
		return fmt.Errorf("%w: %w", ErrDenied, err)
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrConnectionClosed),
		errors.Is(err, nats.ErrDisconnected), errors.Is(err, nats.ErrConnectionReconnecting):
		return fmt.Errorf("%w: %w", ErrDisconnected, err)
	case errors.Is(err, jetstream.ErrNoStreamResponse), errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("%w: %w", ErrNoStream, err)
	}
	return err
}

// report hands an asynchronous error on, and ends the publishes that it answers.
func (c *Conn) report(err error) {
	err = asError(err)
	var denied *DeniedError
	if errors.As(err, &denied) && denied.Operation == "publish" {
		c.mu.Lock()
		for cancel := range c.pending[denied.Subject] {
			(*cancel)(denied)
		}
		c.mu.Unlock()
	}
	c.onError(err)
}
