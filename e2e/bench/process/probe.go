package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// HTTP makes a Ready that asks an address for status 200.
func HTTP(url string) func(ctx context.Context) error {
	return Client(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}, url)
}

// Client is HTTP with a client of the caller's, for TLS.
func Client(client *http.Client, url string) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fmt.Errorf("ask %s: %w", url, err)
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			body, err := io.ReadAll(io.LimitReader(response.Body, 2<<10))
			return errors.Join(fmt.Errorf("%s says %s: %s", url, response.Status, body), err)
		}
		return nil
	}
}
