package oci

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

// Sort wraps what oras gave in the error of this package that says what mends it. One that has it already, nil, and a
// caller who went away, stay as they are.
func Sort(err error) error {
	for _, sorted := range []error{nil, ErrNotFound, ErrUnauthorized, ErrUnreachable, ErrTooLarge, ErrInvalid, context.Canceled} {
		if errors.Is(err, sorted) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", kind(err), err)
}

func kind(err error) error {
	var response *errcode.ErrorResponse
	switch {
	case errors.Is(err, errdef.ErrNotFound):
		return ErrNotFound
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return ErrUnauthorized
	case errors.Is(err, content.ErrMismatchedDigest), errors.Is(err, content.ErrTrailingData), errors.Is(err, content.ErrInvalidDescriptorSize):
		return ErrInvalid
	case !errors.As(err, &response):
		return ErrUnreachable
	}
	switch response.StatusCode {
	case http.StatusNotFound:
		return ErrNotFound
	case http.StatusUnauthorized, http.StatusForbidden:
		return ErrUnauthorized
	default:
		return ErrUnreachable
	}
}
