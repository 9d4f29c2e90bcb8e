package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"syscall"

	"github.com/fairway-dev/fairway/api/rest"
)

// Error is a call that got no answer from the hub, with what the caller can do about it. An answer
// that is an error is a *rest.Problem.
type Error struct {
	Op  string // what was tried, "list clusters"
	Err error
	Fix string
}

// Error says what failed and why, without the fix.
func (e *Error) Error() string { return e.Op + ": " + e.Err.Error() }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fix is what the caller can do about err: that of the innermost *Error or *rest.Problem, or "".
// It is not part of an Error's text; a Problem's text has it in parentheses at the end.
func Fix(err error) string {
	var fix string
	for ; err != nil; err = errors.Unwrap(err) {
		switch e := err.(type) { //nolint:errorlint // the chain is walked here
		case *Error:
			fix = cmp.Or(e.Fix, fix)
		case *rest.Problem:
			fix = cmp.Or(e.Fix, fix)
		}
	}
	return fix
}

// IsNotFound says whether the hub answered that there is no such thing.
func IsNotFound(err error) bool {
	var p *rest.Problem
	return errors.As(err, &p) && p.Status == http.StatusNotFound
}

// unreachable gives a transport error its fix. What already has one keeps it.
func unreachable(op string, err error) error {
	if inner := (*Error)(nil); errors.As(err, &inner) {
		return fmt.Errorf("%s: %w", op, inner)
	}
	return &Error{Op: op, Err: err, Fix: fixOfTransport(err)}
}

func fixOfTransport(err error) string {
	var (
		authority   x509.UnknownAuthorityError
		hostname    x509.HostnameError
		notTLS      tls.RecordHeaderError
		certificate *tls.CertificateVerificationError
		dns         *net.DNSError
		alert       tls.AlertError
	)
	switch {
	case errors.As(err, &authority):
		return "give the authority that signed the hub's certificate with --ca-file"
	case errors.As(err, &hostname):
		return "use an address that the hub's certificate is valid for"
	case errors.As(err, &notTLS):
		return "the address speaks no TLS; check --server"
	case errors.As(err, &certificate):
		return "the hub's certificate is not valid; the operator renews it, see: kubectl -n fairway-system logs deploy/fairway-operator"
	case errors.As(err, &alert):
		return "the hub refuses the client certificate of the kubeconfig; renew it"
	case errors.As(err, &dns), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.EHOSTUNREACH):
		return "check the address and that the hub runs: kubectl -n fairway-system get pods"
	case errors.Is(err, context.DeadlineExceeded):
		return "the hub did not answer in time; try again, or give it longer with --timeout"
	}
	return ""
}

func fixOfStatus(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "the platform does not accept the kubeconfig's credentials; log in again, then: kubectl auth whoami"
	case http.StatusForbidden:
		return "ask for the ClusterRole fairway-view: kubectl create clusterrolebinding NAME --clusterrole=fairway-view --user=YOU"
	case http.StatusTooManyRequests:
		return "wait a moment and try again"
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusInternalServerError:
		return "see what the hub says: kubectl -n fairway-system logs -l app.kubernetes.io/name=fairway-hub"
	}
	return ""
}
