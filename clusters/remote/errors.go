package remote

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Errors of a connection. The text of what wraps them says why, and what mends it.
var (
	// ErrUnauthorized is for a cluster that answers and refuses the credentials.
	ErrUnauthorized = errors.New("the cluster refuses the credentials")
	// ErrUnreachable is for a cluster of which there is no answer, or none from its API server.
	ErrUnreachable = errors.New("the cluster cannot be reached")
)

// Classify wraps an error of a request to a cluster in ErrUnauthorized or ErrUnreachable when it
// is about the connection. Any other answer of the API server, and the end of the caller's own
// context, come back as they are.
func Classify(err error) error {
	var status apierrors.APIStatus
	switch {
	case err == nil, errors.Is(err, ErrUnauthorized), errors.Is(err, ErrUnreachable), errors.Is(err, context.Canceled):
		return err
	case apierrors.IsUnauthorized(err):
		return fmt.Errorf("%w: its token or certificate has expired or was revoked; store a kubeconfig that works", ErrUnauthorized)
	case apierrors.IsServiceUnavailable(err):
		return fmt.Errorf("%w: its address answers that the API server is not available: %w", ErrUnreachable, err)
	case errors.As(err, &status):
		return err
	}
	if why := networkCause(err); why != "" {
		return fmt.Errorf("%w: %s", ErrUnreachable, why)
	}
	return err
}

// networkCause says in words why there was no connection; "" when err is not of the network.
func networkCause(err error) string {
	var (
		dns       *net.DNSError
		unknown   x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		operation *net.OpError
		address   *url.Error
	)
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("the name %q does not resolve; check the server's address", dns.Name)
	case errors.As(err, &unknown):
		return "its certificate is signed by an unknown authority; check certificate-authority-data"
	case errors.As(err, &hostname), errors.As(err, &invalid), errors.As(err, &verify):
		return fmt.Sprintf("its certificate is not valid: %v", rootCause(err))
	case errors.As(err, &record):
		return "what answers there does not speak TLS; check the server's address"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "the connection is refused; check the server's address and that the API server runs"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), isTimeout(err):
		return "no answer in time; check the server's address, firewalls and that the API server runs"
	case errors.As(err, &operation), errors.As(err, &address):
		return rootCause(err)
	case strings.Contains(err.Error(), "connection lost"), strings.Contains(err.Error(), "unexpected EOF"):
		return rootCause(err)
	}
	return ""
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// rootCause is the innermost error's text, without ports and addresses of this side, so that the
// same failure has the same text each time.
func rootCause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// isAnswer says whether err is the answer of some server, rather than none at all.
func isAnswer(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && !apierrors.IsServiceUnavailable(err)
}
