// Package client is the typed client of the hub's HTTP API, for the command line and for tests.
//
// A Client speaks as whoever a kubeconfig says: its bearer token, client certificate, exec plugin
// and impersonation are the hub's credentials too. It reaches the hub at an address (New), or, with
// nothing but the kubeconfig, over a port-forward that it opens itself (Forward).
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/fairway-dev/fairway/api/rest"
	restclient "k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
)

const (
	apiPath     = "/api/v1"
	openAPIPath = "/openapi.json"

	// maxBody bounds a response in bytes; a full page of the largest events is below it.
	maxBody = 64 << 20
)

// Options say how the hub is reached and who calls.
type Options struct {
	// Credentials is whom to be, as a kubeconfig has it. Only its credentials are used, never its
	// address, proxy or certificate authority: those are the Kubernetes API server's.
	Credentials *restclient.Config
	// CA is the PEM bundle that the hub's certificate is verified with; empty means the system's.
	CA []byte
	// Retry tells how a watch waits before it connects again; the zero value is DefaultRetry.
	Retry Retry
}

// Client calls one hub. It is safe for concurrent use. Close it when it is not needed any more.
type Client struct {
	base  *url.URL
	http  *http.Client
	retry Retry
	close func() error
}

// New makes a client of the hub at server, an https:// URL. Nothing is sent yet.
func New(server string, o Options) (*Client, error) {
	base, err := url.Parse(server)
	if err != nil || base.Scheme != "https" || base.Host == "" {
		return nil, &Error{
			Op:  fmt.Sprintf("use hub %q", server),
			Err: errors.New("it is not an https:// address"),
			Fix: "give it as https://host[:port]; credentials are never sent without TLS",
		}
	}
	return build(base, o, link{proxy: http.ProxyFromEnvironment, close: func() error { return nil }})
}

// link is the way to the hub below TLS.
type link struct {
	dial       func(ctx context.Context, network, address string) (net.Conn, error) // nil: the network
	proxy      func(*http.Request) (*url.URL, error)
	serverName string // that the certificate must have; empty: the address's host
	close      func() error
}

func build(base *url.URL, o Options, l link) (*Client, error) {
	rt, err := roundTripper(o, l)
	if err != nil {
		return nil, &Error{Op: "prepare credentials", Err: err, Fix: "check the user of the kubeconfig's context: kubectl config view --minify"}
	}
	hc := &http.Client{Transport: rt, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // credentials go to this hub only
	}}
	return &Client{base: base, http: hc, retry: o.Retry.orDefault(), close: l.close}, nil
}

// roundTripper carries the credentials of a kubeconfig over another link. The credentials are
// resolved against the Kubernetes API server first, since exec plugins may ask for its address.
func roundTripper(o Options, l link) (http.RoundTripper, error) {
	cfg := restclient.CopyConfig(o.Credentials)
	cfg.Dial, cfg.Proxy = l.dial, l.proxy
	tc, err := cfg.TransportConfig()
	if err != nil {
		return nil, err
	}
	tc.TLS.Insecure = false
	tc.TLS.ServerName = l.serverName
	tc.TLS.CAFile, tc.TLS.CAData = "", o.CA
	tc.TLS.NextProtos = nil
	return transport.New(tc)
}

// Close ends the port-forward, if there is one, and idle connections.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return c.close()
}

// Address is the hub's URL, for messages.
func (c *Client) Address() string { return c.base.String() }

// Version is the hub's, from its OpenAPI document.
func (c *Client) Version(ctx context.Context) (string, error) {
	var doc struct {
		Info struct {
			Version string `json:"version"`
		} `json:"info"`
	}
	if err := c.getJSON(ctx, "get hub version", openAPIPath, nil, &doc); err != nil {
		return "", err
	}
	return doc.Info.Version, nil
}

var acceptJSON = []string{"application/json, application/problem+json"}

func (c *Client) getJSON(ctx context.Context, op, path string, query url.Values, out any) error {
	resp, err := c.do(ctx, op, path, query, http.Header{"Accept": acceptJSON})
	if err != nil {
		return err
	}
	return decode(op, resp, out)
}

// postJSON sends in and reads the answer into out.
func (c *Client) postJSON(ctx context.Context, op, path string, query url.Values, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s: encode request: %w", op, err)
	}
	resp, err := c.send(ctx, op, http.MethodPost, path, query, bytes.NewReader(body), http.Header{"Accept": acceptJSON, "Content-Type": {"application/json"}})
	if err != nil {
		return err
	}
	return decode(op, resp, out)
}

// decode reads an answer, and closes it.
func decode(op string, resp *http.Response, out any) error {
	defer resp.Body.Close()
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(out); err != nil {
		return unreachable(op, fmt.Errorf("decode answer: %w", err))
	}
	return nil
}

// do sends a GET and returns the response when its status is 200, else a *rest.Problem. The caller
// closes the body.
func (c *Client) do(ctx context.Context, op, path string, query url.Values, header http.Header) (*http.Response, error) {
	return c.send(ctx, op, http.MethodGet, path, query, nil, header)
}

// send is do for any method. 201 is as good as 200.
func (c *Client) send(ctx context.Context, op, method, path string, query url.Values, body io.Reader, header http.Header) (*http.Response, error) {
	u := c.base.JoinPath(path)
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, unreachable(op, err)
	}
	req.Header = header
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, unreachable(op, err)
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusCreated {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, fmt.Errorf("%s: %w", op, problem(resp))
}

// problem reads the error that the hub, or something in front of it, answered with.
func problem(resp *http.Response) *rest.Problem {
	p := &rest.Problem{}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	media, _, mediaErr := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	isJSON := mediaErr == nil && (media == "application/problem+json" || media == "application/json")
	if err != nil || !isJSON || json.Unmarshal(body, p) != nil {
		p = &rest.Problem{Detail: firstLine(string(body))}
	}
	p.Status = resp.StatusCode
	if p.Title == "" {
		p.Title = http.StatusText(resp.StatusCode)
	}
	if p.Detail == "" {
		p.Detail = "the hub answered " + resp.Status
	}
	if p.Fix == "" {
		p.Fix = fixOfStatus(resp.StatusCode)
	}
	return p
}

func firstLine(text string) string {
	const most = 200 // bytes of an answer that is no problem+json, such as a proxy's page
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return strings.ToValidUTF8(line[:min(len(line), most)], "")
}
